"""The curve of a capacity search: what latent units are used for as their number grows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from pyrovae.measures.scores import score_of
from pyrovae.report.look import names
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.formats import save
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.notebook import as_html
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import GREY, PAPER, Style, theme, tighten
from pyrovae.report.run.pruning import PruningReport
from pyrovae.shrink.capacity.found import SCORES, Capacity, describe, observed, trainings_of
from pyrovae.shrink.capacity.search import belief

_PANELS = ("used_units", "rate", "distortion", "elbo_gap")


def capacity_curve(found: Capacity, *, style: Style = PAPER) -> Drawn:
    """Draw active units, rate, distortion and train-test gap against latent_dim.

    Returns
    -------
    Drawn
        ``data`` has a row for each training.
    """
    low, high = found.believed.interval()
    sizes = sorted(found.runs["latent_dim"].unique())
    with theme(style):
        figure = Figure(figsize=(style.column, 2.9), layout="constrained")
        axes = figure.subplots(2, 2, sharex=True).ravel()
        for ax, score in zip(axes, _PANELS, strict=True):
            means = found.runs.groupby("latent_dim")[score].mean()
            if not found.believed.open:
                ax.axvspan(max(low, 1) / 1.03, high * 1.03, color="0.88", lw=0)
                ax.axvline(found.recommended, color=GREY, lw=0.8, ls=(0, (1, 1)))
            if score == "used_units":
                ax.plot(sizes, sizes, color=GREY, lw=0.6, ls="--", zorder=0)
                ax.set_ylim(0, 1.15 * found.runs[score].max())
            ax.plot(means.index, means, color="0.1", lw=0.9)
            ax.scatter(found.runs["latent_dim"], found.runs[score], s=9, color="0.1", zorder=3)
            ax.set_xscale("log", base=2)
            ax.xaxis.set_major_locator(FixedLocator(_spaced(sizes)))
            ax.xaxis.set_minor_locator(NullLocator())
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
            ax.yaxis.set_major_locator(MaxNLocator(4, integer=score == "used_units"))
            ax.set_ylabel(names.wrapped(score_of(score).axis_label, 18))
        figure.supxlabel("Latent units")
        figure.align_ylabels()
        tighten(figure)
    caption = (
        "Capacity search: active units, rate, distortion and train-test gap against the number of "
        "latent units; "
        f"a point for each of {len(found.runs)} trainings, lines through means. Dashed: all "
        f"units used. Dotted, shaded: recommended number of latent units, {found.recommended}, "
        f"with its 95 % interval, {low} to {high}."
    )
    return Drawn("capacity", figure, found.runs, caption)


@carries_mark
def capacity_of_study(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw the curve of a study in whose runs nothing but latent_dim varies, searched for or not.

    Raises
    ------
    NothingToDraw
        If more varies, or latent_dim does not.
    """
    varying = presented.study.varying()
    if varying != ["latent_dim"]:
        raise NothingToDraw(
            "the curve shows studies in which latent_dim varies and nothing else; here varies: "
            f"{', '.join(varying) or 'nothing'}"
        )
    lacking = [score for score in SCORES if score not in presented.runs]
    if lacking:
        raise NothingToDraw(f"the runs have no {', '.join(lacking)}")
    runs = trainings_of(presented.runs)
    found = Capacity(presented.study.store.root, runs, belief(observed(runs)), True, ())
    return capacity_curve(found, style=style)


@dataclass(frozen=True, repr=False)
class CapacityReport:
    """How many latent units the data need.

    Attributes
    ----------
    found
        What the search saw, and what is believed of it.
    """

    found: Capacity

    @property
    def recommended(self) -> int:
        """The latent_dim to use."""
        return self.found.recommended

    @property
    def interval(self) -> tuple[int, int]:
        """Smallest and largest number of needed units with 95 % probability."""
        return self.found.believed.interval()

    @property
    def table(self) -> pd.DataFrame:
        """One row for each training."""
        return self.found.runs

    @property
    def scores(self) -> dict[str, float]:
        """``recommended``, ``low`` and ``high`` of the interval, and ``trainings``."""
        low, high = self.interval
        named = {"recommended": self.recommended, "low": low, "high": high}
        return {
            key: float(value) for key, value in (named | {"trainings": len(self.table)}).items()
        }

    @property
    def pruned(self) -> tuple[PruningReport, ...]:
        """The sparse models of the largest size, without their inactive units."""
        return tuple(PruningReport(each) for each in self.found.pruned)

    def text(self) -> str:
        """Return what was found, in words."""
        return describe(self.found)

    def drawn(self, *, style: Style = PAPER) -> list[Drawn]:
        """Return the figure, with its data and caption."""
        return [capacity_curve(self.found, style=style)]

    def figures(self) -> dict[str, Figure]:
        """Return Matplotlib figures by name, to change and save."""
        return {drawn.name: drawn.figure for drawn in self.drawn()}

    def save(self, folder: str | Path) -> list[Path]:
        """Write the figure as PDF and PNG, with its data and caption; return the PNG."""
        return save(self.drawn(), folder)

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        said = self.text().split("\n\n", 1)[1].splitlines()
        return as_html("search for the capacity", self.table, said)


def _spaced(sizes: list[int]) -> list[int]:
    """Return the sizes that have room for a label each: at least a factor 1.3 apart."""
    kept: list[int] = []
    for size in sizes:
        if not kept or size >= 1.3 * kept[-1]:
            kept.append(size)
    return kept
