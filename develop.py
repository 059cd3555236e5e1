#!/usr/bin/env python3
"""Set up a virtual environment in ``.venv`` and run something in it; needs Python 3.11 only.

python3 develop.py study [FILE] [OPTIONS]   run a study (default: the prior comparison)
python3 develop.py test [OPTIONS]           run the test suite; options go to pytest
python3 develop.py check                    lint, format, type and import checks
python3 develop.py docs                     build the documentation into build/docs
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
DEFAULT_STUDY = "studies/prior_comparison.yaml"
#: Installed before all else: some package indexes serve a small CPU build of exactly this version.
TORCH = os.environ.get("PYROVAE_TORCH", "torch==2.13.0")


def run(*command: str) -> None:
    """Run a command in the checkout; end with its exit code if it fails."""
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code:
        sys.exit(code)


def set_up() -> None:
    """Create the environment, or bring it up to date if ``pyproject.toml`` is newer than it."""
    stamp = VENV / "installed"
    project = ROOT / "pyproject.toml"
    if stamp.exists() and stamp.stat().st_mtime >= project.stat().st_mtime:
        return
    print("setting up .venv: a few minutes, once", flush=True)
    venv.create(VENV, with_pip=True)
    pip = (str(BIN / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, TORCH)
    run(*pip, "--editable", ".[dev,docs]")
    stamp.touch()


def main(arguments: list[str]) -> None:
    """Do what the first word says."""
    if not arguments or arguments[0] not in ("study", "test", "check", "docs"):
        sys.exit((__doc__ or "").strip())
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs this may have an older one
        sys.exit(f"pyrovae needs Python 3.11 or newer, this is {sys.version.split()[0]}")
    word, *rest = arguments
    set_up()
    python = str(BIN / "python")
    if word == "study":
        if not rest or rest[0].startswith("-"):
            rest = [DEFAULT_STUDY, *rest]
        run(python, "-m", "pyrovae", "study", "run", *rest)
    elif word == "test":
        run(python, "-m", "pytest", "-n", "auto", *rest)
    elif word == "docs":
        run(python, "-m", "mkdocs", "build", "--strict", "--quiet", *rest)
        print(f"documentation: {ROOT / 'build' / 'docs' / 'index.html'}")
    else:
        run(python, "-m", "ruff", "check", ".")
        run(python, "-m", "ruff", "format", "--check", ".")
        run(python, "-m", "mypy")
        run(str(BIN / "lint-imports"), "--no-cache")


if __name__ == "__main__":
    main(sys.argv[1:])
