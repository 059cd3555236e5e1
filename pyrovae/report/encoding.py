"""Which label of a study is shown how: the same in every figure.

The labels in which runs differ take the roles in turn:

1. the *first* has a place on the axis or a row, and the colour;
2. the *second* has the marker, the dash pattern or a panel;
3. all *others* together make the panels.

So colour means one thing in all figures of a study, such as the prior. If nothing varies there is
one cell, and the prior still has its (only) colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from pyrovae.report import names
from pyrovae.report.style import DASHES, MARKERS, Colour, palette
from pyrovae.study.results import LABELS, StudyResults

#: Who is served first. What makes numbers incomparable, the data above all, comes last: panels.
_PREFERENCE = ("prior", "posterior", "objective", "latent_dim", "likelihood", "network", "dataset")


@dataclass(frozen=True)
class Encoding:
    """The roles of a study's labels.

    Attributes
    ----------
    first, second, others
        Labels by role; ``second`` is ``None`` and ``others`` empty if fewer vary.
    levels
        The values of each varying label, in order of appearance; numbers in their own order.
    tied
        Labels that vary but say nothing new, as they follow from the others (``zip`` in the study's
        file), with the value that goes along with each combination.
    """

    first: str
    second: str | None
    others: tuple[str, ...]
    levels: dict[str, list[Any]]
    tied: dict[str, str]

    @property
    def labels(self) -> list[str]:
        """All labels with a role, in turn."""
        return [self.first, *([self.second] if self.second else []), *self.others]

    def show(self, label: str, value: Any) -> str:
        """Return a value as figures show it."""
        return names.display_levels(self.levels[label])[value]

    def phrase(self, label: str, value: Any) -> str:
        """Return a value so that it can be read without its label: ``"Laplace prior"``."""
        return names.phrase(label, self.show(label, value))

    def colours(self) -> dict[Any, Colour]:
        """Return the colour of each value of the first label."""
        levels = self.levels[self.first]
        ordered = len(levels) > 1 and not isinstance(levels[0], str)
        return dict(zip(levels, palette(len(levels), ordered=ordered), strict=True))

    def first_dashes(self) -> dict[Any, Any]:
        """Return a dash pattern for each value of the first label, where lines do not show two."""
        return {v: DASHES[i % len(DASHES)] for i, v in enumerate(self.levels[self.first])}

    def seconds(self) -> list[Any]:
        """Return the values of the second label; ``[None]`` if there is none."""
        return self.levels[self.second] if self.second else [None]

    def markers(self) -> dict[Any, str]:
        """Return the marker of each value of the second label."""
        return {v: MARKERS[i % len(MARKERS)] for i, v in enumerate(self.seconds())}

    def dashes(self) -> dict[Any, Any]:
        """Return the dash pattern of each value of the second label."""
        return {v: DASHES[i % len(DASHES)] for i, v in enumerate(self.seconds())}

    def panels(self, table: pd.DataFrame, by: Sequence[str]) -> list[tuple[str, pd.DataFrame]]:
        """Split a table by the values of some labels: title and rows, in order of appearance."""
        if not by:
            return [("", table)]
        return [
            (", ".join(self.phrase(k, v) for k, v in zip(by, values, strict=True)), part)
            for values, part in self._split(table, list(by))
        ]

    def _split(
        self, table: pd.DataFrame, by: list[str]
    ) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
        groups = {key: part for key, part in table.groupby(by, sort=False)}
        order = {k: {v: i for i, v in enumerate(self.levels[k])} for k in by}
        for key in sorted(groups, key=lambda key: [order[k][v] for k, v in zip(by, key, strict=True)]):
            yield key, groups[key]

    def cell_title(self, row: Any) -> str:
        """Return what tells a run's cell from others: ``"Laplace prior, full-rank normal posterior"``."""
        return self.title(row, self.labels)

    def title(self, row: Any, labels: Sequence[str]) -> str:
        """Return the values of some labels of a run, in words."""
        return ", ".join(self.phrase(label, getattr(row, label)) for label in labels)


def encode(study: StudyResults) -> Encoding:
    """Give each varying label of a study its role."""
    varying = study.varying()
    ranked = [k for k in _PREFERENCE if k in varying] + [k for k in varying if k not in _PREFERENCE]
    chosen: list[str] = []
    tied: dict[str, str] = {}
    for label in ranked:
        if chosen and study.runs.groupby(chosen)[label].nunique().max() == 1:
            tied[label] = _pairs(study.runs, chosen, label)
        else:
            chosen.append(label)
    first, *rest = chosen or ["prior"]
    return Encoding(
        first=first,
        second=rest[0] if rest else None,
        others=tuple(rest[1:]),
        levels={label: _levels(study.runs[label]) for label in LABELS},
        tied=tied,
    )


def _levels(column: pd.Series) -> list[Any]:
    values = column.drop_duplicates().tolist()
    return sorted(values) if is_numeric_dtype(column) else values


def _pairs(runs: pd.DataFrame, by: list[str], label: str) -> str:
    pairs = runs[[*by, label]].drop_duplicates()
    return "; ".join(
        f"{names.display(row[-1])} with {', '.join(names.display(v) for v in row[:-1])}"
        for row in pairs.itertuples(index=False)
    )
