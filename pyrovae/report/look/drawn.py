"""What a figure function returns: the figure, the numbers in it, and what to say about it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pyrovae.core.errors import PyrovaeError


class NothingToDraw(PyrovaeError):
    """The study lacks what a figure shows, with the reason."""


@dataclass(frozen=True)
class Drawn:
    """A figure that can be changed, saved, or drawn anew from its data.

    Attributes
    ----------
    name
        Stem of its file names.
    figure
        A plain Matplotlib figure that no backend holds: nothing to close.
    data
        Tidy table of all that is shown, under the names that the store uses.
    caption
        A draft.
    """

    name: str
    figure: Figure
    data: pd.DataFrame
    caption: str

    @property
    def axes(self) -> list[Axes]:
        """The figure's axes, in the order of its panels."""
        return self.figure.axes
