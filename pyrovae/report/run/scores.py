"""Scores of a representation as one object."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from pyrovae.measures.disentanglement import as_text
from pyrovae.report.look.notebook import as_html


@dataclass(frozen=True, repr=False)
class ScoreReport:
    """Scores of one representation.

    Attributes
    ----------
    name
        Of the run, or of the kind of model.
    table
        One row for each number; see :func:`pyrovae.measures.disentanglement.score`.
    """

    name: str
    table: pd.DataFrame

    @cached_property
    def scores(self) -> dict[str, float]:
        """The score of each metric, by its name."""
        rows = self.table[self.table["quantity"] == "score"]
        return dict(zip(rows["metric"], rows["value"].astype(float), strict=True))

    def text(self) -> str:
        """Return the table for reading, without the estimators."""
        return as_text(self.table)

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(f"scores of {self.name}", self.table.drop(columns="estimator"))
