"""What the page says about one run: units, training, pictures, diagnostics."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from pyrovae.page.columns import Column, score_groups
from pyrovae.page.content import number
from pyrovae.page.pictures import run_pictures
from pyrovae.study.store import RunFolder

#: Units that have a row and a line each; the others are counted. Those of largest KL come first.
_UNITS = 128
#: Numbers of the KL of each unit along training that a page keeps, over all its runs.
_HISTORY_NUMBERS = 300_000
#: Digits of what is drawn, which is read to a pixel at most.
_DRAWN_DIGITS = 3


def run_details(folder: RunFolder, shown: list[Column], *, runs: int, side: int) -> dict[str, Any]:
    """Return the details of a run, plain JSON.

    Parameters
    ----------
    folder
        Of a finished run.
    shown
        Columns of the run table, for their titles.
    runs
        How many the page shows: more runs, fewer units along training.
    side
        Of a tile of the pictures, in pixels.
    """
    units = folder.units()
    units = units.sort_values("kl", ascending=False, kind="stable")
    images = folder.images()
    return {
        "scores": {
            group: [[title, number(value)] for title, value in rows]
            for group, rows in score_groups(folder.metrics()["scores"], shown).items()
        },
        "units": _units(units.head(_UNITS)),
        "unitsLeftOut": max(0, len(units) - _UNITS),
        "history": _history(folder.history(), units["unit"].to_numpy(), runs),
        "pictures": {name: asdict(picture) for name, picture in run_pictures(images, side).items()},
        "traversed": images["traversed"].tolist(),
        "seconds": folder.environment().get("training_seconds"),
    }


def _units(units: pd.DataFrame) -> list[list[Any]]:
    """Return ``[unit, KL, Var(mu), E(sigma²), active]`` for each unit."""
    return [
        [
            int(row.unit),
            number(row.kl, 4),
            number(row.var_mu, 4),
            number(row.mean_var, 4),
            int(row.active),
        ]
        for row in units.itertuples(index=False)
    ]


def _history(history: pd.DataFrame, order: np.ndarray, runs: int) -> dict[str, Any]:
    """Return curves, and the KL of the leading units at each record."""
    kept = int(np.clip(_HISTORY_NUMBERS // (max(len(history), 1) * runs), 4, _UNITS))
    leading = [int(unit) for unit in order[:kept]]
    kl = np.stack([np.asarray(values, dtype=float) for values in history["kl"]])
    curves = {
        key: [number(value, 5) for value in history[key]]
        for key in ("loss", "distortion", "rate", "active_units")
        if key in history
    }
    return {
        "step": [int(step) for step in history["step"]],
        **curves,
        "units": leading,
        "kl": [[number(value, _DRAWN_DIGITS) for value in kl[:, unit]] for unit in leading],
    }
