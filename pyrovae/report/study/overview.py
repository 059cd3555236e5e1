"""The study in one figure, for a talk: how well each cell fits, what it tells, and how apart."""

from __future__ import annotations

from pyrovae.analysis.active import count_of, criterion, first_of
from pyrovae.measures.collapse.bounds import ELBO, RATE
from pyrovae.measures.scores import Score
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.scores import disentanglement_scores
from pyrovae.report.look.style import PAPER, Style
from pyrovae.report.study.cell_scores import draw_scores


@carries_mark
def overview(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw bound, rate, active units and the first disentanglement score of each cell.

    Returns
    -------
    Drawn
        ``data`` has a row for each run and ``score``: ``value``, and ``mean``, ``low``, ``high``
        and ``n`` of its cell.
    """
    runs, by = presented.runs, presented.encoding.labels
    apart = [first_of(runs, score) for score in disentanglement_scores(runs)[:1]]
    scores: list[Score] = [ELBO, RATE, count_of(runs), *apart]
    scores = [score for score in scores if score.key in runs and runs[score.key].notna().any()]
    figure, data = draw_scores(presented, scores, style)
    labels = names.listed([names.title(label).lower() for label in by])
    told = "; ".join(
        f"{score.title}: {score.meaning.rstrip('.')}" for score in scores if score.kind != "count"
    )
    caption = (
        f"The study by {labels}, on the test set. {told}. {criterion(runs)} Small points: seeds; "
        f"markers: their mean. {captions.interval(presented, 'Bars')}{captions.chance(data)} "
        f"{captions.setting(presented)}"
    )
    return Drawn("overview", figure, data, caption.strip())
