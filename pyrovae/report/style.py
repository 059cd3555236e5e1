"""One look for all figures: sizes that a paper asks for, fonts that print, colours for all eyes.

Fonts: STIX comes with Matplotlib, so that figures are the same on every machine, and it sits well
in a paper set in Times. PDF and PS embed it as TrueType (type 42), which conferences demand.

Colours: seaborn's ``colorblind`` palette (Okabe and Ito's, adjusted), in an order that keeps the
first ones apart for deuteranopes and protanopes too. Colour is never the only difference: levels
have a place, a marker or a dash pattern as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.text import Text

Colour = tuple[float, float, float]

#: Blue, orange, green, pink, vermilion, sky blue, brown, grey, yellow, light pink.
_ORDER = (0, 1, 2, 4, 3, 9, 5, 7, 8, 6)
#: For what is no level of anything: frames, iso-lines, explanations.
GREY = "0.35"
LIGHT_GREY = "0.8"

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
DASHES: tuple[Any, ...] = (
    "",
    (4, 1.5),
    (1, 1),
    (3, 1.25, 1.5, 1.25),
    (5, 1, 1, 1, 1, 1),
    (8, 2),
    (2, 2, 8, 2),
)


@dataclass(frozen=True)
class Style:
    """Sizes that figures are drawn in.

    Parameters
    ----------
    name
        Of the style.
    column, text
        Width of one column, and of the whole text, in inches.
    font
        Family.
    size, small
        Of titles and axis labels, and of tick labels and legends, in points.
    """

    name: str
    column: float
    text: float
    font: str = "STIXGeneral"
    size: float = 8
    small: float = 7

    # Any: Matplotlib's stubs want each key as a literal.
    def rc(self) -> Any:
        """Return Matplotlib's settings."""
        return {
            **sns.axes_style("ticks"),
            "font.family": self.font,
            "font.size": self.size,
            "mathtext.fontset": "stix",
            "axes.labelsize": self.size,
            "axes.titlesize": self.size,
            "figure.titlesize": self.size,
            "figure.labelsize": self.size,
            "xtick.labelsize": self.small,
            "ytick.labelsize": self.small,
            "legend.fontsize": self.small,
            "legend.title_fontsize": self.small,
            "axes.titlepad": 3,
            "axes.labelpad": 2,
            "xtick.major.pad": 2,
            "ytick.major.pad": 2,
            "xtick.major.size": 2.5,
            "ytick.major.size": 2.5,
            "xtick.minor.size": 1.5,
            "ytick.minor.size": 1.5,
            "axes.linewidth": 0.6,
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "xtick.minor.width": 0.4,
            "ytick.minor.width": 0.4,
            "lines.linewidth": 1.1,
            "lines.markersize": 4,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "legend.handlelength": 1.6,
            "legend.handletextpad": 0.4,
            "legend.columnspacing": 1.2,
            "legend.labelspacing": 0.25,
            "legend.borderaxespad": 0.2,
            "figure.facecolor": "white",
            "figure.constrained_layout.h_pad": 0.02,
            "figure.constrained_layout.w_pad": 0.02,
            "pdf.fonttype": 42,
            "ps.fonttype": 42,
            "svg.fonttype": "path",
            "savefig.dpi": 300,
        }


#: Two-column papers: ICML's column is 3.25 in, its text 6.75 in.
PAPER = Style("paper", column=3.25, text=6.75)


@contextmanager
def theme(style: Style = PAPER) -> Iterator[Style]:
    """Draw and save in a style; Matplotlib's settings are put back afterwards."""
    with matplotlib.rc_context(style.rc()):
        yield style


def tighten(figure: Figure) -> Figure:
    """Set the lines of broken names close: Matplotlib goes by STIX's tallest accents."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_linespacing(1.0)
    return figure


def palette(n: int, *, ordered: bool = False) -> list[Colour]:
    """Return ``n`` colours; for an ordered (numeric) label they go from light to dark.

    Beyond ten unordered levels colours come again; marker, place or dash pattern then tells.
    """
    if ordered:
        return [tuple(colour) for colour in sns.color_palette("crest", n)]
    chosen = sns.color_palette("colorblind")
    return [tuple(chosen[_ORDER[i % len(_ORDER)]]) for i in range(n)]
