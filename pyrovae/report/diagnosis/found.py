"""What a diagnosis found, as figures take it: from memory or from a stored run."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import pandas as pd

from pyrovae.measures.arviz import InferenceData


class Found:
    """A diagnosis, each part of which is read once, when it is asked for.

    Parameters
    ----------
    name
        Of the run, or of the kind of model.
    read
        Returns one of the parts below, by its name.
    """

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    @cached_property
    def scores(self) -> dict[str, Any]:
        """One number each, by name; ``None`` for what is not finite."""
        return self._read("scores")

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row for each test point: gate, Pareto k, bounds."""
        return self._read("points")

    @cached_property
    def units(self) -> pd.DataFrame:
        """One row for each latent unit: activity by guide and by true posterior, and blame."""
        return self._read("units")

    @cached_property
    def marginals(self) -> pd.DataFrame:
        """One row for each test point and unit: guide against true posterior."""
        return self._read("marginals")

    @cached_property
    def data(self) -> InferenceData:
        """Draws, and what figures need; see :func:`pyrovae.measures.posterior.diagnose.diagnose`.

        ArviZ's InferenceData, in 1.x a DataTree.
        """
        return self._read("data")
