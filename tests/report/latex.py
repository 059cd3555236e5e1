"""Documents compiled by pdflatex."""

from __future__ import annotations

import subprocess
from pathlib import Path


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
