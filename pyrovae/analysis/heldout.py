"""Held-out log p(x) of every run of a study, datum by datum, and cells compared by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from pyrovae.core.errors import PyrovaeError
from pyrovae.measures.arviz import compare, elpd
from pyrovae.measures.posterior.weights import draw_guide, log_mean
from pyrovae.study.store import derived
from pyrovae.study.store.folders import RunFolder
from pyrovae.study.store.results import StudyResults
from pyrovae.study.store.trained import load_trained

#: Name of the stage.
_STAGE = "heldout"
#: Data whose codes are drawn at a time.
_CHUNK = 100
#: log p(x) can be compared only where these are the same: other data, or another measure.
_COMPARABLE = ("dataset", "likelihood")


def heldout_log_px(folder: RunFolder, *, points: int, samples: int) -> NDArray[np.floating]:
    """Return the importance-weighted bound on log p(x) of the first test points, ``(points,)``."""
    (vae, dataset), config = load_trained(folder), folder.config()
    x = dataset.test.floats(slice(points))
    parts = [
        log_mean(draw_guide(vae, part, samples=samples, seed=config.seed + i).log_weight).value
        for i, part in enumerate(x.split(_CHUNK))
    ]
    return torch.cat(parts).numpy()


def measure_heldout(study: StudyResults, *, points: int, samples: int) -> None:
    """Keep :func:`heldout_log_px` of every run with the study; what is there is not made again.

    Kept is a row for each run and datum: ``run``, ``point``, ``log_px`` (nats), ``samples`` and
    ``asked``, the points that were asked for: a data set may have fewer.
    """
    known, parts = derived.read(study.store, _STAGE), []
    for run in study.runs["run"]:
        state = derived.state(study.store, [run])
        made = known[known[derived.MADE_FROM] == state]
        if made.empty or made["asked"].iloc[0] < points or made["samples"].iloc[0] != samples:
            values = heldout_log_px(study.folder(run), points=points, samples=samples)
            made = pd.DataFrame(
                {
                    "run": run,
                    "point": np.arange(len(values)),
                    "log_px": values,
                    "samples": samples,
                    "asked": points,
                    derived.MADE_FROM: state,
                }
            )
        parts.append(made)
    if parts:
        derived.write(study.store, _STAGE, pd.concat(parts, ignore_index=True))


def compare_cells(study: StudyResults, *, points: int, unsettled: bool = False) -> pd.DataFrame:
    """Compare cells by ``az.compare`` on the first test points, as :func:`measure_heldout` left it.

    A cell's log p(x) of a datum is the mean over its seeds: what one more run can be expected to
    reach.

    Parameters
    ----------
    study, points
        Of measured runs; how many data of each.
    unsettled
        Whether to compare runs that have not settled too.

    Returns
    -------
    DataFrame
        A row for each cell, best first within the data set and likelihood: the labels that vary,
        ``rank``, ``log_px`` and ``se`` (nats for each datum), ``difference`` from the best and its
        paired standard error ``dse``, over ``points`` data; stacking ``weight``, ``seeds`` and
        ``seed_sd`` (of the mean log p(x) over seeds), and ``unsettled``, how many of these seeds
        have not settled.

    Raises
    ------
    PyrovaeError
        If there is but one cell to compare, or a run has not been measured.
    NotSettled
        If a run has not settled, unless ``unsettled``.
    """
    study.settling.require(unsettled=unsettled)
    still_open = study.settling.unsettled
    if study.runs["cell"].nunique() < 2:
        raise PyrovaeError(f"{study.name}: one cell, there is nothing to compare")
    runs = study.runs.copy()
    known = derived.read(study.store, _STAGE)
    runs["pointwise"] = [_kept(study, known, run)[:points] for run in runs["run"]]
    labels = study.varying()
    tables = []
    for _, group in runs.groupby(list(_COMPARABLE), sort=False):
        cells = {str(cell): part for cell, part in group.groupby("cell", sort=False)}
        pointwise = {c: np.mean(np.stack(list(p["pointwise"])), 0) for c, p in cells.items()}
        if len(cells) < 2:
            raise PyrovaeError(
                f"{study.name}: only one cell has these data and this likelihood; log p(x) under "
                "another is in other units"
            )
        table = compare(pointwise)
        n = len(next(iter(pointwise.values())))
        for cell in table.index:
            part = cells[cell]
            means = [float(values.mean()) for values in part["pointwise"]]
            row = table.loc[cell]
            tables.append(
                {
                    **{label: part[label].iloc[0] for label in labels},
                    "cell": cell,
                    "rank": int(row["rank"]),
                    "log_px": float(pointwise[cell].mean()),
                    "se": float(row["se"]) / n,
                    "difference": float(row["elpd_diff"]) / n,
                    "dse": float(row["dse"]) / n,
                    "points": n,
                    "weight": float(row["weight"]),
                    "seeds": len(means),
                    "seed_sd": float(np.std(means, ddof=1)) if len(means) > 1 else float("nan"),
                    "unsettled": int(part["run"].isin(still_open).sum()),
                }
            )
    return pd.DataFrame(tables)


def elpd_of_cells(study: StudyResults, *, points: int) -> dict[str, Any]:
    """Return each cell's held-out log p(x) as ArviZ's ELPDData: ``az.compare`` takes the dict.

    Parameters
    ----------
    study, points
        As for :func:`compare_cells`.

    Returns
    -------
    dict
        By cell, the mean over its seeds for each datum. Cells of other data, or of another
        likelihood, stand in one dict with them: compare those alone that have both in common.

    Raises
    ------
    PyrovaeError
        If a run has not been measured (:func:`measure_heldout`).
    """
    known = derived.read(study.store, _STAGE)
    return {
        str(cell): elpd(np.mean([_kept(study, known, run)[:points] for run in part["run"]], 0))
        for cell, part in study.runs.groupby("cell", sort=False)
    }


def _kept(study: StudyResults, known: pd.DataFrame, run: str) -> NDArray[np.floating]:
    made = known[known[derived.MADE_FROM] == derived.state(study.store, [run])]
    if made.empty:
        raise PyrovaeError(f"{run}: its held-out log p(x) has not been measured")
    return made.sort_values("point")["log_px"].to_numpy()
