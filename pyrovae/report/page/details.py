"""What the page says about one run: units, training, pictures, diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from pyrovae.analysis.active import count_of, is_active
from pyrovae.measures.collapse.measure import VARIANCE_LAW
from pyrovae.report.diagnosis import said
from pyrovae.report.look import names
from pyrovae.report.page.columns import score_groups
from pyrovae.report.page.content import number
from pyrovae.report.page.pictures import run_pictures
from pyrovae.report.run.collapse import information_ceiling
from pyrovae.study.store.diagnoses import DiagnosisFolder
from pyrovae.study.store.folders import RunFolder

#: Units that have a row and a line each; the others are counted. Those of largest KL come first.
_UNITS = 128
#: Further columns of a run's units, with their headings.
_MORE = {
    "layer": "layer",
    "mi": "I(x; z) (nats, at most {ceiling:.2f})",
    "sensitivity": "sensitivity",
    "kl_below": "P(KL < ε)",
}
#: Files of a posterior diagnosis (``results/<study>/diagnostics/<run>/``) that a page shows.
_TABLES = {"points.csv": "True posterior of test points", "units.csv": "Who collapsed each unit"}
#: Rows of such a table at most.
_ROWS = 64
#: Numbers of the KL of each unit along training that a page keeps, over all its runs.
_HISTORY_NUMBERS = 300_000
#: Digits of what is drawn, which is read to a pixel at most.
_DRAWN_DIGITS = 3


def run_details(
    folder: RunFolder, scores: Mapping[str, float], *, runs: int, side: int, law: bool = False
) -> dict[str, Any]:
    """Return the details of a run, plain JSON.

    Parameters
    ----------
    folder
        Of a finished run.
    scores
        Of the run, by the keys that they have in the study.
    runs
        How many the page shows: more runs, fewer units along training.
    side
        Of a tile of the pictures, in pixels.
    law
        Whether the variance law is about the run.
    """
    units = folder.units()
    units = units.sort_values("kl", ascending=False, kind="stable")
    images = folder.images()
    return {
        "scores": {
            group: [
                [title, number(value), None if error is None else number(error, 2)]
                for title, value, error in rows
            ]
            for group, rows in score_groups(_lawful(scores, law=law)).items()
        },
        "settled": folder.ended(),
        "law": law,
        "units": _units(units.head(_UNITS)),
        "more": _more(units.head(_UNITS), information_ceiling(folder)),
        "unitsLeftOut": max(0, len(units) - _UNITS),
        "history": _history(folder.history(), units["unit"].to_numpy(), runs),
        "pictures": {name: asdict(picture) for name, picture in run_pictures(images, side).items()},
        "traversed": images["traversed"].tolist(),
        "tables": _diagnosis(folder),
        "seconds": folder.environment().get("training_seconds"),
    }


def with_headings(
    details: Mapping[str, Mapping[str, Any]],
) -> tuple[list[tuple[str, str]], dict[str, dict[str, Any]]]:
    """Return the group and title of every score once, and details that name them by their place.

    Of a page of a thousand runs a quarter would be titles.
    """
    places: dict[tuple[str, str], int] = {}
    short = {
        run: {
            **about,
            "scores": [
                [places.setdefault((group, title), len(places)), value, error]
                for group, rows in about["scores"].items()
                for title, value, error in rows
            ],
        }
        for run, about in details.items()
    }
    return list(places), short


def _lawful(scores: Mapping[str, float], *, law: bool) -> Mapping[str, float]:
    """Leave out the errors of the law of variance where it is none."""
    errors = (VARIANCE_LAW.key, f"train_{VARIANCE_LAW.key}")
    return scores if law else {key: value for key, value in scores.items() if key not in errors}


def _units(units: pd.DataFrame) -> list[list[Any]]:
    """Return ``[unit, KL, Var(mu), E(sigma²), active]`` for each unit."""
    told = [[number(value, 4) for value in units[key]] for key in ("kl", "var_mu", "mean_var")]
    whole = [[int(value) for value in values] for values in (units["unit"], is_active(units))]
    return [list(row) for row in zip(whole[0], *told, whole[1], strict=True)]


def _more(units: pd.DataFrame, ceiling: float) -> dict[str, list[float | None]]:
    """Return further measures of the same units, by heading: those that the run has."""
    layers: dict[str, list[float | None]] = {}
    if "layer" in units:
        layers["layer"] = [float(name[1:]) for name in units["layer"]]
    return layers | {
        title.format(ceiling=ceiling): [number(value, 4) for value in units[key]]
        for key, title in _MORE.items()
        if key in units
    }


def _diagnosis(folder: RunFolder) -> list[dict[str, Any]]:
    """Return the tables of the run's posterior diagnosis, if there is one, and what they say."""
    stored, made = DiagnosisFolder.of(folder), []
    if stored.exists:
        lines = [[line] for line in said(stored.scores()).splitlines()]
        made.append({"title": "In words", "columns": [""], "rows": lines, "leftOut": 0})
    for name, title in _TABLES.items():
        if not (stored.path / name).exists():
            continue
        table = stored.table(name)
        made.append(
            {
                "title": title,
                "columns": [names.words(str(key)) for key in table.columns],
                "rows": [[_plain(value) for value in row] for row in table.head(_ROWS).to_numpy()],
                "leftOut": max(0, len(table) - _ROWS),
            }
        )
    return made


def _plain(value: Any) -> Any:
    """Return a table's value for JSON: short numbers, words as they are."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float | np.number):
        return number(value, 4)
    return str(value)


def _history(history: pd.DataFrame, order: np.ndarray, runs: int) -> dict[str, Any]:
    """Return curves, and the KL of the leading units at each record."""
    kept = int(np.clip(_HISTORY_NUMBERS // (max(len(history), 1) * runs), 4, _UNITS))
    leading = [int(unit) for unit in order[:kept]]
    count = count_of(history).key
    kl = np.stack([np.asarray(values, dtype=float) for values in history["kl"]])
    curves = {
        key: [number(value, 5) for value in history[key]]
        for key in ("loss", "distortion", "rate")
        if key in history
    }
    if count in history:
        curves["active_units"] = [number(value, 5) for value in history[count]]
    return {
        "step": [int(step) for step in history["step"]],
        **curves,
        "units": leading,
        "kl": [[number(value, _DRAWN_DIGITS) for value in kl[:, unit]] for unit in leading],
    }
