"""Evolution along training: when units become active, and what the loss does meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pyrovae.analysis.active import count_of, criterion
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.encoding import Encoding
from pyrovae.report.look.intervals import bounds, summarise
from pyrovae.report.look.legends import legend_above, line_group
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import PAPER, Style, theme, tighten

_LOSS = "loss"
#: Part of training whose losses the axis leaves out.
SETTLED = 0.4


@carries_mark
def evolution(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw active units and training loss over steps, a panel for each level of the second label.

    Returns
    -------
    Drawn
        ``data`` has a row for each cell, ``step`` and ``quantity``: ``mean``, ``low``, ``high`` and
        ``n`` seeds.
    """
    encoding = presented.encoding
    history = presented.study.history()
    by = [*encoding.labels, "step"]
    count = count_of(history)
    # Columns of the history, a row of panels each.
    quantities = {count.key: count.axis_label, _LOSS: "Loss (nats)"}
    data = pd.concat(
        [summarise(history.dropna(subset=[q]), by, q).assign(quantity=q) for q in quantities],
        ignore_index=True,
    )
    split = encoding.labels[1:]
    with theme(style):
        shown = encoding.panels(history, split)
        width = style.column if len(shown) <= 3 else style.text
        figure = Figure(figsize=(width, 2.6 * style.scale), layout="constrained")
        # Losses of other data, or under another likelihood, are other quantities.
        comparable = not {"dataset", "likelihood"} & set(split)
        grid = figure.subplots(
            2, len(shown), sharex=True, sharey="row" if comparable else False, squeeze=False
        )
        for column, (title, part) in enumerate(shown):
            for row, quantity in enumerate(quantities):
                _lines(grid[row, column], part.dropna(subset=[quantity]), quantity, encoding)
            grid[0, column].set_title(names.wrapped(title, 16 if len(shown) > 2 else 28))
        for row, (quantity, label) in enumerate(quantities.items()):
            grid[row, 0].set_ylabel(names.wrapped(label, 14))
            means = data[data["quantity"] == quantity]
            if comparable:
                _scale(grid[row], means)
                continue
            for ax, (_, part) in zip(grid[row], encoding.panels(means, split), strict=True):
                _scale([ax], part)
        figure.supxlabel("Training steps")
        figure.align_ylabels()
        if len(encoding.levels[encoding.first]) > 1:
            legend_above(figure, [line_group(encoding)])
        tighten(figure)
    panel = f" Columns: {' and '.join(names.title(k).lower() for k in split)}." if split else ""
    caption = (
        "Active units on test data, and the training loss per datum (mean over the minibatches "
        f"since the last record; the axis leaves out the first {SETTLED:.0%} of training). "
        "Lines: means over seeds. "
        f"{criterion(history)} "
        f"{captions.interval(presented, 'Bands')}{panel} {captions.setting(presented)}"
    )
    return Drawn("evolution", figure, data, caption.strip())


def _lines(ax: Axes, data: pd.DataFrame, quantity: str, encoding: Encoding) -> None:
    sns.lineplot(
        data,
        x="step",
        y=quantity,
        hue=encoding.first,
        style=encoding.first,
        palette=encoding.colours(),
        dashes=encoding.first_dashes(),
        errorbar=bounds,
        err_kws={"alpha": 0.22, "lw": 0},
        legend=False,
        ax=ax,
    )
    ax.set(xlabel="", ylabel="")
    ax.xaxis.set_major_locator(MaxNLocator(3, integer=True, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _steps(value)))


def _scale(axes: Sequence[Axes], means: pd.DataFrame) -> None:
    """Fit the axis to what comes after a while: the first losses dwarf all differences."""
    counted = means["quantity"].iloc[0] != _LOSS
    late = means if counted else means[means["step"] > SETTLED * means["step"].max()]
    low = 0.0 if counted else late["low"].fillna(late["mean"]).min()
    high = late["high"].fillna(late["mean"]).max()
    margin = 0.08 * (high - low) or 0.5
    for ax in axes:
        ax.set_ylim(low if counted else low - margin, high + margin)
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=counted))


def _steps(value: float) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"
