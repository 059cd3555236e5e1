"""Forest plot: by how much each level of each factor moves each metric."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pyrovae.report import captions, names
from pyrovae.report.drawn import Drawn, NothingToDraw
from pyrovae.report.encoding import Encoding, encode
from pyrovae.report.evidence import current_analysis
from pyrovae.report.scores import score_of
from pyrovae.report.style import GREY, LIGHT_GREY, PAPER, Style, theme, tighten
from pyrovae.study.results import StudyResults

#: Inches for a level, and panels side by side.
_ROW, _ACROSS = 0.17, 4
_NAME_WIDTH = 30


def effects(study: StudyResults, *, style: Style = PAPER) -> Drawn:
    """Draw the main effects of the stored comparison, a panel for each metric.

    Returns
    -------
    Drawn
        ``data`` has a row for each metric and effect, interactions among them: ``term``, ``level``,
        ``mean``, ``low``, ``high`` in the metric's unit, ``positive``, the probability that it is
        above zero, and ``drawn``, whether the figure shows it.

    Raises
    ------
    NothingToDraw
        If the study is not analysed, or nothing varies, or no metric's chains passed.
    """
    analysis, encoding = current_analysis(study), encode(study)
    if not analysis.factors:
        raise NothingToDraw("nothing varies, so nothing has an effect")
    table = analysis.table("effects")
    if table.empty:
        raise NothingToDraw(f"no metric's chains passed: {_refused(analysis.refused())}")
    data = table.assign(drawn=table["term"].isin(analysis.factors))
    metrics = data["metric"].drop_duplicates().tolist()
    rows = _rows(data, encoding)
    across = min(_ACROSS if len(metrics) > 2 else 2, len(metrics))
    down = -(-len(metrics) // across)
    with theme(style):
        height = down * (len(rows) * _ROW + 0.55) * style.scale
        width = style.text if across > 2 else style.column
        figure = Figure(figsize=(width, height), layout="constrained")
        grid = figure.subplots(down, across, sharey=True, squeeze=False)
        for ax in grid.flat[len(metrics) :]:
            ax.set_axis_off()
        for metric, ax in zip(metrics, grid.flat, strict=False):
            _draw(ax, data[data["drawn"] & (data["metric"] == metric)], rows, encoding, style)
            score = score_of(metric)
            ax.set_title(score.title)
            ax.set_xlabel(f"Effect ({score.unit})" if score.unit else "Effect")
        figure.align_xlabels()
        tighten(figure)
    refused = analysis.refused()
    left_out = f" Without conclusion, and not shown: {_refused(refused)}." if refused else ""
    caption = (
        "Main effects: how far the mean of a level lies from the mean of all levels. Points: "
        "posterior means of the hierarchical model; bars: "
        f"{analysis.about['level']:.0%} intervals, bold where they leave out zero. "
        f"Interactions are in the data.{left_out} {captions.seeds(study).capitalize()} a cell. "
        f"{captions.setting(study, encoding)}"
    )
    return Drawn("effects", figure, data, caption.strip())


def _refused(reasons: dict[str, str]) -> str:
    return "; ".join(f"{score_of(key).title} ({reason})" for key, reason in reasons.items())


def _rows(data: pd.DataFrame, encoding: Encoding) -> list[tuple[str, str]]:
    """Return factor and level of each row, factors in their order."""
    shown = data.loc[data["drawn"], ["term", "level"]].astype(str).drop_duplicates()
    order = {factor: i for i, factor in enumerate(encoding.labels)}
    ranked = shown.sort_values("term", key=lambda t: t.map(order), kind="stable")
    return list(ranked.itertuples(index=False, name=None))


def _draw(
    ax: Axes, data: pd.DataFrame, rows: list[tuple[str, str]], encoding: Encoding, style: Style
) -> None:
    found = {(row.term, str(row.level)): row for row in data.itertuples()}
    ax.axvline(0, color=GREY, lw=0.6 * style.scale, zorder=0)
    for y, (factor, level) in enumerate(rows):
        row = found.get((factor, level))
        if y and rows[y - 1][0] != factor:
            ax.axhline(y - 0.5, color=LIGHT_GREY, lw=0.5 * style.scale, zorder=0)
        if row is None:
            continue
        colour = encoding.level_colours(factor).get(level, GREY)
        sure = row.low > 0 or row.high < 0
        ax.plot(
            [row.low, row.high],
            [y, y],
            color=colour,
            lw=(1.8 if sure else 0.8) * style.scale,
            solid_capstyle="butt",
        )
        ax.plot(
            row.mean,
            y,
            marker="o",
            ms=3.5 * style.scale,
            color=colour,
            mfc=colour if sure else "white",
            mew=0.8 * style.scale,
        )
    ax.set_yticks(range(len(rows)), [_name(encoding, *row) for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.margins(x=0.08)


def _name(encoding: Encoding, factor: str, level: str) -> str:
    # A prior and a posterior may have the same name, so the factor is said with it.
    shown = {str(value): text for value, text in encoding.shown.get(factor, {}).items()}
    return names.wrapped(names.phrase(factor, shown.get(level, level)), _NAME_WIDTH)
