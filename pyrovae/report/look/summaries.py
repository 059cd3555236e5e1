"""Cells and runs in numbers: means with intervals, what scores vary with, diagnoses."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

from pyrovae.analysis.active import is_active, suffix_of
from pyrovae.measures.collapse.measure import (
    VARIANCE_LAW_IDLE,
    VARIANCE_LAW_USED,
)
from pyrovae.measures.scores import STANDARD_ERROR
from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.intervals import ENOUGH, summarise
from pyrovae.report.look.scores import VISIBLE, disentanglement_scores, table_scores
from pyrovae.study.store.diagnoses import DiagnosisFolder
from pyrovae.study.store.results import StudyResults

#: Where a unit can stand; see :func:`pyrovae.measures.posterior.blame.verdicts`.
VERDICTS = ("active", "model", "guide", "undecided")
#: Scores of a diagnosis that a cell's row has the mean of.
MEANS = {
    "blame_guide_kl": "missed",
    "approximation_gap": "approximation_gap",
    "amortisation_gap": "amortisation_gap",
    "pareto_k_bad_share": "bad_k",
}


def cell_table(runs: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Summarise each cell.

    Parameters
    ----------
    runs
        Of a study.
    labels
        That tell its cells apart.

    Returns
    -------
    DataFrame
        One row for each cell, in the study's order: ``cell``, the labels, ``seeds``, the number of
        finished runs, and for each score ``<score>_mean``, ``<score>_low``, ``<score>_high`` (95 %
        interval over seeds: :func:`pyrovae.report.look.intervals.interval`) and ``<score>_n``, the
        number of runs that have it.
    """
    table = runs.drop_duplicates("cell")[["cell", *labels]]
    table = table.assign(seeds=table["cell"].map(runs.groupby("cell").size()))
    for score in table_scores(runs):
        values = runs.assign(value=runs.get(score.key, math.nan))
        summary = summarise(values, ["cell"], "value", score).add_prefix(f"{score.key}_")
        table = table.merge(summary.rename(columns={f"{score.key}_cell": "cell"}), on="cell")
    return table


def with_variance_law(study: StudyResults, units: pd.DataFrame) -> pd.DataFrame:
    """Return a study's runs with the errors of the law of variance, of used and of idle units.

    Parameters
    ----------
    study
        Whose runs they are.
    units
        Of all of them.

    Returns
    -------
    DataFrame
        ``variance_law_used`` and ``variance_law_idle`` are NaN where a run has no such unit, or a
        prior of which the law is not known.
    """
    lawful = [run for run, config in study.configs.items() if config.has_variance_law]
    known = units[units["run"].isin(lawful)]
    error = (known["var_mu"] + known["mean_var"] - 1).abs()
    medians = error.groupby([known["run"], is_active(known)]).median()
    found = {
        score.key: study.runs["run"].map(
            medians.xs(used, level=1) if used in medians.index.get_level_values(1) else {}
        )
        for score, used in ((VARIANCE_LAW_USED, True), (VARIANCE_LAW_IDLE, False))
    }
    return study.runs.assign(**{key: column.astype(float) for key, column in found.items()})


def variation_table(
    runs: pd.DataFrame, labels: Sequence[str], chance: pd.DataFrame
) -> pd.DataFrame:
    """Tell apart what a score varies with, for each cell.

    Parameters
    ----------
    runs
        Of a study.
    labels
        That tell its cells apart.
    chance
        See :func:`pyrovae.analysis.chance.chance_levels`.

    Returns
    -------
    DataFrame
        One row for each score and cell: ``score``, ``cell``, the labels, ``n`` runs that have the
        score, ``mean``; ``seed_sd``, the standard deviation over seeds (NaN for one);
        ``points_se``, the root mean square of the runs' standard errors (NaN if none was
        estimated); ``active_only``, the mean score of the active units alone; ``change``, that less
        ``mean``, ``change_se``, its standard error over seeds, and ``changes``, whether it is more
        than `VISIBLE` and, from three seeds on, more than twice ``change_se``; ``chance`` and
        ``chance_active_only``, the same scores against permuted factors (NaN where not measured).
    """
    only = suffix_of(runs)
    by_chance = chance.set_index(["cell", "score"])["chance"].to_dict()
    rows: list[dict[Hashable, object]] = []
    for score in disentanglement_scores(runs):
        key = score.key
        for cell, group in runs.groupby("cell", sort=False):
            known = group[group[key].notna()]
            if known.empty:
                continue
            errors, alone = _column(known, key + STANDARD_ERROR), _column(known, key + only)
            differences = (alone - known[key]).to_numpy()
            change, change_se = float(differences.mean()), _sd(differences) / math.sqrt(len(known))
            sure = len(known) < ENOUGH or abs(change) > 2 * change_se
            rows.append(
                {
                    "score": key,
                    "cell": cell,
                    **{label: known[label].iloc[0] for label in labels},
                    "n": len(known),
                    "mean": known[key].mean(),
                    "seed_sd": _sd(known[key].to_numpy()),
                    "points_se": math.sqrt((errors**2).mean()),
                    "active_only": alone.mean(),
                    "change": change,
                    "change_se": change_se,
                    "changes": bool(abs(change) > VISIBLE and sure),
                    "chance": by_chance.get((cell, key), math.nan),
                    "chance_active_only": by_chance.get((cell, key + only), math.nan),
                }
            )
    return pd.DataFrame(rows)


def diagnosed_runs(study: StudyResults, titles: Mapping[str, str]) -> pd.DataFrame:
    """Return a row for each diagnosed run.

    Parameters
    ----------
    study
        Whose runs they are.
    titles
        Of its cells.

    Returns
    -------
    DataFrame
        ``run``, ``cell``, ``title``, ``seed``, number of units by verdict (:data:`VERDICTS`),
        ``points``, ``points_failed``, ``points_multimodal``, ``missed`` (nats), gaps (nats) and
        ``bad_k`` (share of points).

    Raises
    ------
    NothingToDraw
        If no run of the study has been diagnosed.
    """
    rows = []
    for run in study.runs.itertuples():
        stored = DiagnosisFolder.of(study.folder(str(run.run)))
        if not stored.exists:
            continue
        counts, scores = stored.units()["blame"].value_counts(), stored.scores()
        rows.append(
            {
                "run": run.run,
                "cell": run.cell,
                "title": titles[str(run.cell)],
                "seed": run.seed,
                **{verdict: int(counts.get(verdict, 0)) for verdict in VERDICTS},
                **{k: scores[k] for k in ("points", "points_failed", "points_multimodal")},
                **{short: scores.get(name) for name, short in MEANS.items()},
            }
        )
    if not rows:
        raise NothingToDraw("no run has been diagnosed: see `pyrovae diagnose`")
    return pd.DataFrame(rows)


def _column(runs: pd.DataFrame, key: str) -> pd.Series:
    return runs[key] if key in runs else pd.Series(math.nan, index=runs.index)


def _sd(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
