"""Posterior means against drawn codes: the same scores of both representations, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from pyrovae.measures.disentanglement.representation import score_representation
from pyrovae.measures.scores import STANDARD_ERROR, score_of
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.intervals import within
from pyrovae.report.look.legends import legend_above
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.panels import panels
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import GREY, PAPER, Colour, Style, theme, tighten
from pyrovae.study.config.run import RunConfig
from pyrovae.study.store.folders import RunFolder

#: What codes alone tell, beside the metrics that the study has; the total correlation of means is
#: where the two representations differ most.
_OF_CODES = ("gaussian_total_correlation", "average_mutual_information")
MEAN, DRAW = "posterior mean", "draw"


@carries_mark
def mean_vs_sample(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw scores of the posterior means beside those of one draw from q(z|x) of each datum.

    Both are computed now, of the stored codes of each cell's first finished seed, by the metrics of
    the study and two that need no factors; metrics that fit learners take seconds for each.

    Returns
    -------
    Drawn
        ``data`` has a row for each cell, score and representation: ``value`` and ``se`` (random
        halves of the points).

    Raises
    ------
    NothingToDraw
        If the runs were measured by an earlier version, which kept no draws.
    """
    chosen = presented.representatives
    data = pd.concat(
        [
            scores_of_both(
                presented.study.folder(row["run"]), presented.study.configs[row["run"]]
            ).assign(run=row["run"], cell=row["cell"], seed=row["seed"])
            for row in chosen.to_dict("records")
        ],
        ignore_index=True,
    )
    keys = list(dict.fromkeys(data["score"]))
    titles = [names.wrapped(presented.titles[cell], 30) for cell in chosen["cell"]]
    looks = {row["cell"]: presented.encoding.look(row) for row in chosen.to_dict("records")}
    with theme(style):
        height = 0.22 * len(titles) + 0.45
        figure, used, _ = panels(len(keys), style, height=height, extra=0.35, share="none")
        for i, (ax, key) in enumerate(zip(used, keys, strict=True)):
            across = len({ax.get_subplotspec().colspan.start for ax in used})  # type: ignore[union-attr]
            part = data[data["score"] == key]
            _panel(ax, part, looks, style)
            ax.set_yticks(range(len(titles)), titles if i % across == 0 else [""] * len(titles))
            ax.set_xlabel(names.wrapped(score_of(key).heading, 18))
        entries = [
            Line2D([], [], color=GREY, mfc=fill, marker="o", linestyle="", label=label)
            for label, fill in ((MEAN, GREY), (DRAW, "white"))
        ]
        legend_above(figure, [("", entries)])
        tighten(figure)
    caption = (
        "Scores of two representations of the same test points: posterior means E[z|x], and one "
        "draw from q(z|x) each. Means of units that the decoder neglects hardly vary, but may "
        "agree with each other, which draws hide in noise (Locatello et al. 2019). Filled: means; "
        "hollow: draws. Bars: two standard errors, within the range of the score, over random "
        "halves of the points, where known. The first finished seed of each cell. "
        f"{captions.setting(presented)}"
    )
    return Drawn("mean-vs-sample", figure, data, caption.strip())


def scores_of_both(folder: RunFolder, config: RunConfig) -> pd.DataFrame:
    """Score the stored means and draws of a run by the same metrics and random numbers.

    Parameters
    ----------
    folder, config
        Of the run.

    Returns
    -------
    DataFrame
        ``score``, ``representation``, ``value``, ``se``: one row for each score and representation.

    Raises
    ------
    NothingToDraw
        If the run was measured by an earlier version.
    """
    drawn = folder.drawn()
    if drawn is None:
        raise NothingToDraw("the run was measured by an earlier version, which kept no draws")
    asked = config.evaluation.metrics
    known = {metric["name"] for metric in asked}
    metrics = [*asked, *({"name": name} for name in _OF_CODES if name not in known)]
    rows = []
    for representation, codes in ((MEAN, folder.codes()), (DRAW, drawn)):
        scores, estimators = score_representation(
            codes,
            folder.factors(),
            {},
            metrics,
            config.evaluation.standard_errors,
            config.seed,
            folder.classes(),
        )
        rows += [
            {
                "score": key,
                "representation": representation,
                "value": scores[key],
                "se": scores.get(f"{key}{STANDARD_ERROR}", math.nan),
            }
            for key in estimators
            if key in scores
        ]
    return pd.DataFrame(rows)


def _panel(
    ax: Axes, part: pd.DataFrame, looks: Mapping[str, tuple[Colour, str]], style: Style
) -> None:
    score = score_of(part["score"].iloc[0])
    for place, (cell, (colour, marker)) in enumerate(looks.items()):
        both = part[part["cell"] == cell].set_index("representation")
        if len(both) == 2:
            ax.plot(both["value"], [place, place], color=GREY, lw=0.7 * style.scale, zorder=0)
        for representation in (MEAN, DRAW):
            if representation not in both.index:
                continue
            value, error = both.loc[representation, ["value", "se"]]
            low, high = within(score.kind, value - 2 * error, value + 2 * error)
            # An estimate may lie outside the range: nothing is left of its bar there.
            bar = [[max(value - low, 0.0)], [max(high - value, 0.0)]]
            ax.errorbar(
                value,
                place,
                xerr=None if math.isnan(error) else bar,
                color=colour,
                mfc=colour if representation == MEAN else "white",
                marker=marker,
                markersize=3.5 * style.scale,
                elinewidth=0.8 * style.scale,
            )
    ax.set_ylim(len(looks) - 0.5, -0.5)
