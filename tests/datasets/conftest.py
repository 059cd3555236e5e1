"""No test of this folder touches the user's own data, cache or the internet, unless it says so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyrovae.datasets import files

_REAL = os.environ.get("PYROVAE_DATA")


@pytest.fixture(autouse=True)
def user_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PYROVAE_DATA, and an empty cache beside it (``tmp_path / "cache"``)."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("PYROVAE_DATA", str(folder))
    monkeypatch.setattr(files, "cache_dir", lambda: tmp_path / "cache")
    return folder


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The PYROVAE_DATA that the tests were started with."""
    if not _REAL:
        pytest.skip("needs real files: set PYROVAE_DATA")
    monkeypatch.setenv("PYROVAE_DATA", _REAL)
    return Path(_REAL)
