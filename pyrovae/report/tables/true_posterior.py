"""What NUTS says of each cell: who collapsed its units, and what its guides lose."""

from __future__ import annotations

import math

import pandas as pd

from pyrovae.measures.posterior.scores import PREFIX
from pyrovae.measures.scores import score_of
from pyrovae.report.look import names
from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.encoding import encode
from pyrovae.report.look.scores import MISSING
from pyrovae.study.store.diagnoses import DiagnosisFolder
from pyrovae.study.store.results import StudyResults

#: Where a unit can stand; see :func:`pyrovae.measures.posterior.blame.verdicts`.
VERDICTS = ("active", "model", "guide", "undecided")
#: Scores of a diagnosis that a cell's row has the mean of.
_MEANS = {
    "blame_guide_kl": "missed",
    "approximation_gap": "approximation_gap",
    "amortisation_gap": "amortisation_gap",
    "pareto_k_bad_share": "bad_k",
}
_HEADINGS = {
    "runs": "Runs",
    "passed": "Points passed",
    "multimodal": "Several modes",
    "active": "Active",
    **{who: score_of(f"{PREFIX}blame_{who}").title for who in ("model", "guide", "undecided")},
    **{short: score_of(f"{PREFIX}{name}").axis_label for name, short in _MEANS.items()},
}
CAPTION = (
    "Latent units by verdict, mean over the diagnosed runs of a cell: active in the guide, or "
    "collapsed there and, by NUTS on the same model, collapsed in the true posterior too (the "
    "model, that is prior or decoder, does not use them) or not (the inference network misses "
    "them, by so many nats for each datum). Undecided: the interval over the test points holds the "
    "threshold. Test points that fail the gate (R-hat, ESS) are left out."
)


def by_run(study: StudyResults) -> pd.DataFrame:
    """Return a row for each diagnosed run.

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
    encoding = encode(study)
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
                "title": encoding.cell_title(run),
                "seed": run.seed,
                **{verdict: int(counts.get(verdict, 0)) for verdict in VERDICTS},
                **{k: scores[k] for k in ("points", "points_failed", "points_multimodal")},
                **{short: scores.get(name) for name, short in _MEANS.items()},
            }
        )
    if not rows:
        raise NothingToDraw("no run has been diagnosed: see `pyrovae diagnose`")
    return pd.DataFrame(rows)


def by_cell(study: StudyResults) -> pd.DataFrame:
    """Return a row for each cell with a diagnosed run: labels, means over these runs.

    Raises
    ------
    NothingToDraw
        If no run of the study has been diagnosed.
    """
    runs = by_run(study)
    labels = study.varying() or encode(study).labels
    cells = study.runs.drop_duplicates("cell").set_index("cell")
    rows = []
    for cell, part in runs.groupby("cell", sort=False):
        points = part["points"].sum()
        rows.append(
            {
                **{label: cells.loc[cell, label] for label in labels},
                "runs": len(part),
                "passed": f"{points - part['points_failed'].sum()} of {points}",
                "multimodal": int(part["points_multimodal"].sum()),
                **part[[*VERDICTS, *_MEANS.values()]].astype(float).mean().to_dict(),
            }
        )
    return pd.DataFrame(rows)


def markdown(study: StudyResults) -> str:
    """Return the table of :func:`by_cell` for reading; empty if no run has been diagnosed."""
    try:
        table = by_cell(study)
    except NothingToDraw:
        return ""
    encoding = encode(study)
    labels = [column for column in table if column not in _HEADINGS]
    head = [*(names.title(label) for label in labels), *_HEADINGS.values()]
    lines = [head, ["---"] * len(head)]
    for _, row in table.iterrows():
        shown = [encoding.show(label, row[label]) for label in labels]
        lines.append([*shown, *(_text(name, row[name]) for name in _HEADINGS)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(name: str, value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return MISSING
    if name == "bad_k":
        return f"{100 * value:.0f} %"
    return f"{value:.2f}" if name not in VERDICTS else f"{value:.3g}"
