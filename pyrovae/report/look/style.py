"""One look for all figures: sizes that a paper asks for, fonts that print, colours for all eyes.

Fonts: STIX comes with Matplotlib, so that figures are the same on every machine, and it sits well
in a paper set in Times. PDF and PS embed it as TrueType (type 42), which conferences demand.

Colours: seaborn's ``colorblind`` palette (Okabe and Ito's, adjusted), in an order that keeps the
first ones apart for deuteranopes and protanopes too. Colour is never the only difference: levels
have a place, a marker or a dash pattern as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
#: Shades of active and of idle units where colour says nothing else of them; idle ones are hollow,
#: or dashed, too.
ACTIVE, IDLE = "0.1", "0.55"

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
    math
        Matplotlib's set of mathematical letters that goes with the font.
    """

    name: str
    column: float
    text: float
    font: str = "STIXGeneral"
    size: float = 8
    small: float = 7
    math: str = "stix"

    @property
    def scale(self) -> float:
        """How much larger things are than in a paper of two columns: heights, lines, markers."""
        return self.size / 8

    # Any: Matplotlib's stubs want each key as a literal.
    def rc(self) -> Any:
        """Return Matplotlib's settings."""
        scaled = {
            key: value * self.scale
            for key, value in {
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
            }.items()
        }
        return {
            **sns.axes_style("ticks"),
            **scaled,
            "font.family": self.font,
            "font.size": self.size,
            "mathtext.fontset": self.math,
            "axes.labelsize": self.size,
            "axes.titlesize": self.size,
            "figure.titlesize": self.size,
            "figure.labelsize": self.size,
            "xtick.labelsize": self.small,
            "ytick.labelsize": self.small,
            "legend.fontsize": self.small,
            "legend.title_fontsize": self.small,
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


#: ICML, the two columns of which are narrow. ``icml2025.sty``: text 6.75 in, columns 0.25 in apart.
#: Letters as LaTeX's ``\footnotesize`` and ``\scriptsize`` in a paper of 10 pt.
PAPER = Style("icml", column=3.25, text=6.75)

#: By name. Widths agree with what tueplots (its ``figsizes``) has for the same venues; some of its
#: letters are smaller (ICML's ticks 6 pt) or larger (JMLR's titles 10 pt).
#: ``neurips_2024.sty``: one column of 5.5 in, its ``\footnotesize`` 9 pt and
#: ``\scriptsize`` 7 pt. JMLR (jmlr.org/format): letter paper with margins of 1.25 in, so one column
#: of 6 in, in 11 pt (``\footnotesize`` 9 pt, ``\scriptsize`` 8 pt). Beamer: a slide of 16:9 is
#: 160 mm wide with margins of 10 mm, in 11 pt, without serifs. Poster: A0 upright (841 mm) in three
#: columns, to be read from two metres.
STYLES = {
    style.name: style
    for style in (
        PAPER,
        Style("neurips", column=5.5, text=5.5, size=9, small=7),
        Style("jmlr", column=6.0, text=6.0, size=9, small=8),
        Style("beamer", 140 / 25.4, 140 / 25.4, "DejaVu Sans", size=9, small=8, math="dejavusans"),
        Style(
            "poster",
            column=10.0,
            text=20.5,
            font="DejaVu Sans",
            size=24,
            small=20,
            math="dejavusans",
        ),
    )
}


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


#: The priors' places in the palette: each has its colour in every figure of every study. Those
#: that are compared most have the first ten, which can be told apart.
_PRIORS = (
    "standard_normal",
    "laplace",
    "student_t",
    "gaussian_mixture",
    "vampprior",
    "spike_slab",
    "horseshoe",
    "hyperspherical_uniform",
    "flow",
    "generalized_normal",
    "ard",
    "two_stage",
    "categorical",
    "bernoulli",
)


def prior_colours(names: Sequence[str]) -> list[Colour]:
    """Return the colour of each prior, by registry name.

    A prior of no fixed place, and one whose colour is taken (by the same prior with another
    parameter, say), gets the next colour that is free.
    """
    colours = palette(len(_ORDER))
    places = [_PRIORS.index(n) % len(colours) if n in _PRIORS else None for n in names]
    fixed = {place: i for i, place in reversed(list(enumerate(places))) if place is not None}
    free = [place for place in range(len(colours)) if place not in fixed]
    found = []
    for i, place in enumerate(places):
        if place is None or fixed[place] != i:
            place = free.pop(0) if free else i % len(colours)
        found.append(colours[place])
    return found


#: Paul Tol's "muted" scheme (Colour Schemes, SRON/EPS/TN/09-002, 2021), safe for all eyes: indigo,
#: teal, olive, rose, cyan, wine, green, purple, sand, grey.
_ROLES = (
    "#332288",
    "#44AA99",
    "#999933",
    "#CC6677",
    "#88CCEE",
    "#882255",
    "#117733",
    "#AA4499",
    "#DDCC77",
    "#888888",
)


def roles(n: int) -> list[Colour]:
    """Return ``n`` colours of what is no level of a study: kinds of draws, of bounds, of data.

    They are others than those of :func:`palette`, so that a prior's colour means that prior.
    """
    return [matplotlib.colors.to_rgb(_ROLES[i % len(_ROLES)]) for i in range(n)]


def palette(n: int, *, ordered: bool = False) -> list[Colour]:
    """Return ``n`` colours; for an ordered (numeric) label they go from light to dark.

    Beyond ten unordered levels colours come again; marker, place or dash pattern then tells.
    """
    if ordered:
        return [tuple(colour) for colour in sns.color_palette("crest", n)]
    chosen = sns.color_palette("colorblind")
    return [tuple(chosen[_ORDER[i % len(_ORDER)]]) for i in range(n)]
