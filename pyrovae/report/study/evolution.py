"""Evolution along training: when units become active, and what losses and bound do meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pyrovae.analysis.active import count_of, criterion
from pyrovae.measures.scores import Score
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.encoding import Encoding
from pyrovae.report.look.intervals import summarise
from pyrovae.report.look.legends import legend_above, line_group
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import PAPER, Style, theme, tighten

#: Columns of the history in nats, each with its axis label and what a caption says of it; the last
#: two are there if the runs have them.
_LOSSES = {
    "loss": ("Training loss (nats)", "training loss (mean over the minibatches since the last)"),
    "validation_loss": ("Validation loss (nats)", "the same on the validation split"),
    "elbo": ("Held-out ELBO (nats)", "bound on held-out data"),
}
#: Axes of losses show this last part of training whole: the first losses dwarf all differences.
END = 0.25


@carries_mark
def evolution(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw active units, losses and the held-out bound over steps.

    A panel for each level of the second label, a row for each quantity. A run that has ended counts
    at later steps as it ended: means over fewer and fewer runs would move though none does.

    Returns
    -------
    Drawn
        ``data`` has a row for each cell, ``step`` and ``quantity``: ``mean``, ``low``, ``high`` and
        ``n`` seeds.
    """
    encoding = presented.encoding
    history = presented.history
    count = count_of(history)
    losses = [key for key in _LOSSES if key in history and history[key].notna().any()]
    # Columns of the history, a row of panels each.
    quantities = {count.key: count.axis_label, **{key: _LOSSES[key][0] for key in losses}}
    data = pd.concat(
        [
            _over_seeds(history, encoding, key, count if key == count.key else None)
            for key in quantities
        ],
        ignore_index=True,
    )
    split = encoding.labels[1:]
    last = int(history["step"].max())
    with theme(style):
        shown = encoding.panels(data, split)
        width = style.column if len(shown) <= 3 else style.text
        height = 0.4 + 1.1 * len(quantities)
        figure = Figure(figsize=(width, height * style.scale), layout="constrained")
        # Losses of other data, or under another likelihood, are other quantities.
        comparable = not {"dataset", "likelihood"} & set(split)
        grid = figure.subplots(
            len(quantities),
            len(shown),
            sharex=True,
            sharey="row" if comparable else False,
            squeeze=False,
        )
        for column, (title, part) in enumerate(shown):
            for row, quantity in enumerate(quantities):
                _lines(grid[row, column], part[part["quantity"] == quantity], encoding)
                grid[row, column].set_xlim(0, last)
            grid[0, column].set_title(names.wrapped(title, 16 if len(shown) > 2 else 28))
        for row, (quantity, label) in enumerate(quantities.items()):
            grid[row, 0].set_ylabel(names.wrapped(label, 14))
            means = data[data["quantity"] == quantity]
            if comparable:
                _scale(grid[row], means, last, counted=quantity == count.key)
                continue
            for ax, (_, part) in zip(grid[row], encoding.panels(means, split), strict=True):
                _scale([ax], part, last, counted=quantity == count.key)
        figure.supxlabel("Training steps")
        figure.align_ylabels()
        if len(encoding.levels[encoding.first]) > 1:
            legend_above(figure, [line_group(encoding)])
        tighten(figure)
    panel = f" Columns: {' and '.join(names.title(k).lower() for k in split)}." if split else ""
    drawn = names.listed(["active units on held-out data", *(_LOSSES[key][1] for key in losses)])
    caption = (
        f"{drawn[:1].upper()}{drawn[1:]}, per datum, along training; losses and bound on the scale "
        f"of the last {END:.0%} of it. Lines: means over seeds; a run that has ended counts as it "
        f"ended. {criterion(history)} "
        f"{captions.interval(presented, 'Bands')}{panel} {captions.setting(presented)}"
    )
    return Drawn("evolution", figure, data, caption.strip())


def _over_seeds(
    history: pd.DataFrame, encoding: Encoding, quantity: str, score: Score | None
) -> pd.DataFrame:
    """Return mean and interval of a quantity for each cell and step that any of its runs has."""
    labels = list(dict.fromkeys([*encoding.labels, "latent_dim"]))
    known = history.dropna(subset=[quantity])
    tables = []
    for _, cell in known.groupby(encoding.labels, sort=False, dropna=False, observed=True):
        along = cell.pivot(index="step", columns="run", values=quantity).astype(float).ffill()
        long = along.melt(ignore_index=False, value_name=quantity).dropna().reset_index()
        tables.append(long.assign(**{label: cell[label].iloc[0] for label in labels}))
    steps = pd.concat(tables, ignore_index=True)
    found = summarise(steps, [*encoding.labels, "step"], quantity, score)
    return found.assign(quantity=quantity)


def _lines(ax: Axes, data: pd.DataFrame, encoding: Encoding) -> None:
    dashes = encoding.first_dashes()
    for level, colour in encoding.colours().items():
        part = data[data[encoding.first] == level].sort_values("step")
        (line,) = ax.plot(part["step"], part["mean"], color=colour)
        if dashes[level]:
            line.set_dashes(dashes[level])
        # Where seeds agree there is no interval, and the band closes.
        low, high = (part[end].fillna(part["mean"]) for end in ("low", "high"))
        ax.fill_between(part["step"], low, high, color=colour, alpha=0.22, lw=0)
    ax.xaxis.set_major_locator(MaxNLocator(3, integer=True, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _steps(value)))


def _scale(axes: Sequence[Axes], means: pd.DataFrame, last: int, *, counted: bool) -> None:
    """Fit the axis of counts to all of training, that of losses to its end."""
    # A cell that has ended early is at its end ever since.
    ends = means.groupby([c for c in means if c not in _OF_STEPS], sort=False, dropna=False)
    late = means if counted else pd.concat([means[means["step"] >= (1 - END) * last], ends.tail(1)])
    low = 0.0 if counted else late["low"].fillna(late["mean"]).min()
    high = late["high"].fillna(late["mean"]).max()
    margin = 0.08 * (high - low) or 0.5
    for ax in axes:
        ax.set_ylim(low if counted else low - margin, high + margin)
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=counted))


_OF_STEPS = ("step", "mean", "low", "high", "n")


def _steps(value: float) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"
