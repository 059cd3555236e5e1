"""What NUTS says of each cell: who collapsed its units, and what its guides lose."""

from __future__ import annotations

import math

import pandas as pd

from pyrovae.measures.posterior.blame import ENOUGH_POINTS, LARGEST_KL
from pyrovae.measures.posterior.scores import PREFIX
from pyrovae.measures.scores import score_of
from pyrovae.report import escapes
from pyrovae.report.look import names
from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.scores import MISSING
from pyrovae.report.look.summaries import MEANS, VERDICTS

_HEADINGS = {
    "runs": "Runs",
    "passed": "Points passed",
    "multimodal": "Several modes",
    "active": "Active",
    **{who: score_of(f"{PREFIX}blame_{who}").title for who in ("model", "guide", "undecided")},
    **{short: score_of(f"{PREFIX}{name}").axis_label for name, short in MEANS.items()},
}
CAPTION = (
    "Latent units by verdict, mean over the diagnosed runs of a cell: active in the guide, or "
    "collapsed there and, by NUTS on the same model, collapsed in the true posterior too (the "
    "model, that is prior or decoder, does not use them) or not (the inference network misses "
    f"them, by so many nats for each datum; of a unit at most {LARGEST_KL:.2f} are seen). "
    "Undecided: the interval over the test points holds the threshold, or fewer than "
    f"{ENOUGH_POINTS} points of a run pass. Test points that fail the gate (R-hat, ESS) are left "
    "out."
)


def by_cell(presented: Presented) -> pd.DataFrame:
    """Return a row for each cell with a diagnosed run: labels, means over these runs.

    Raises
    ------
    NothingToDraw
        If no run of the study has been diagnosed.
    """
    runs, labels = presented.diagnosed, presented.labels
    cells = presented.runs.drop_duplicates("cell").set_index("cell")
    rows = []
    for cell, part in runs.groupby("cell", sort=False):
        points = part["points"].sum()
        rows.append(
            {
                **{label: cells.loc[cell, label] for label in labels},
                "runs": len(part),
                "passed": f"{points - part['points_failed'].sum()} of {points}",
                "multimodal": int(part["points_multimodal"].sum()),
                **part[[*VERDICTS, *MEANS.values()]].astype(float).mean().to_dict(),
            }
        )
    return pd.DataFrame(rows)


def markdown(presented: Presented) -> str:
    """Return the table of :func:`by_cell` for reading; empty if no run has been diagnosed."""
    try:
        table = by_cell(presented)
    except NothingToDraw:
        return ""
    encoding = presented.encoding
    labels = [column for column in table if column not in _HEADINGS]
    head = [*(names.title(label) for label in labels), *_HEADINGS.values()]
    lines = [list(map(escapes.markdown_line, head)), ["---"] * len(head)]
    for _, row in table.iterrows():
        shown = [encoding.show(label, row[label]) for label in labels]
        texts = [*shown, *(_text(name, row[name]) for name in _HEADINGS)]
        lines.append(list(map(escapes.markdown_line, texts)))
    return "\n".join(map(escapes.markdown_row, lines))


def _text(name: str, value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return MISSING
    if name == "bad_k":
        return f"{100 * value:.0f} %"
    return f"{value:.2f}" if name not in VERDICTS else f"{value:.3g}"
