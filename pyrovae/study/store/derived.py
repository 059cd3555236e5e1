"""What is computed from finished runs, and kept beside them: ``results/<study>/derived/``.

Judges and reports only read. Whatever they need that takes a model, data or other runs is computed
by a stage before them, which keeps a table here, with what each row was made from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from pyarrow import ArrowInvalid

from pyrovae.core import atomic
from pyrovae.study.store.folders import Store

#: Column that holds the :func:`state` of the runs that a row was made from.
MADE_FROM = "made_from"


def state(store: Store, runs: Iterable[str]) -> str:
    """Return a hash of what runs are at this moment: it changes when one is measured anew."""
    found = hashlib.sha256()
    for run in sorted(runs):
        folder = store.run(run).path
        # A folder from before there were checksums is known by its scores.
        about = folder / "checksums.json"
        about = about if about.exists() else folder / "metrics.json"
        found.update(run.encode() + about.read_bytes())
    return found.hexdigest()[:16]


def read(store: Store, name: str) -> pd.DataFrame:
    """Return the table of a stage; empty, with no columns but :data:`MADE_FROM`, if there is none.

    Parameters
    ----------
    store
        Of the study.
    name
        Of the stage.
    """
    try:
        return pd.read_parquet(_path(store, name))
    except (ArrowInvalid, OSError):  # absent, or damaged
        # Half a table is no table: it is made again, like one that was never made.
        return pd.DataFrame({MADE_FROM: pd.Series(dtype=str)})


def write(store: Store, name: str, table: pd.DataFrame) -> None:
    """Keep the table of a stage, in place of an earlier one."""
    atomic.write_bytes(_path(store, name), table.to_parquet(index=False))


def _path(store: Store, name: str) -> Path:
    return store.root / "derived" / f"{name}.parquet"
