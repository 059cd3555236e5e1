"""Documents compiled by pdflatex."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

#: What documents of the tests load that a small TeX distribution lacks.
_PACKAGES = ("booktabs.sty", "longtable.sty", "siunitx.sty", "times.sty")


@cache
def _missing() -> str:
    if not shutil.which("pdflatex"):
        return "pdflatex is not installed"
    for name in _PACKAGES:
        if subprocess.run(["kpsewhich", name], capture_output=True, check=False).returncode:
            return f"pdflatex is installed, {name} is not"
    return ""


needs_latex = pytest.mark.skipif(bool(_missing()), reason=_missing())


def compiled(folder: Path, document: str) -> str:
    """Make ``paper.pdf`` of a document and return what pdflatex says; it must not fail."""
    (folder / "paper.tex").write_text(document)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout
