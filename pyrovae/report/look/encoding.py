"""Which label of a study is shown how: the same in every figure.

The labels in which runs differ take the roles in turn:

1. the *first* has a place on the axis or a row, and the colour;
2. the *second* has the marker, the dash pattern or a panel;
3. all *others* together make the panels.

So colour means one thing in all figures of a study, such as the prior. If nothing varies there is
one cell, and the prior still has its (only) colour. Where labels are not crossed but changed one at
a time, the one with the most values is first: panels by it would be all but empty.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from pyrovae.analysis.factors import split_factors
from pyrovae.report.look import names
from pyrovae.report.look.style import DASHES, MARKERS, Colour, palette, prior_colours
from pyrovae.study.config.labels import NAMED, Label
from pyrovae.study.store.results import StudyResults


@dataclass(frozen=True)
class Encoding:
    """The roles of a study's labels.

    Attributes
    ----------
    first, second, others
        Labels by role; ``second`` is ``None`` and ``others`` empty if fewer vary.
    levels
        The values of each varying label, in order of appearance; numbers in their own order.
    data
        The label that each of those values stands for.
    shown
        How each of them is written.
    tied
        Labels that vary but say nothing new, as they follow from the others (``zip`` in the study's
        file), with the value that goes along with each combination.
    """

    first: str
    second: str | None
    others: tuple[str, ...]
    levels: dict[str, list[Any]]
    data: dict[str, dict[Any, Label]]
    shown: dict[str, dict[Any, str]]
    tied: dict[str, str]

    @property
    def labels(self) -> list[str]:
        """All labels with a role, in turn."""
        return [self.first, *([self.second] if self.second else []), *self.others]

    def show(self, label: str, value: Any) -> str:
        """Return a value as figures show it."""
        return self.shown[label][value]

    def phrase(self, label: str, value: Any) -> str:
        """Return a value so that it can be read without its label: ``"Laplace prior"``."""
        return names.phrase(label, self.show(label, value))

    def level_phrase(self, factor: str, level: Any) -> str:
        """Return :meth:`phrase` of a level, given its text in the tables of a comparison."""
        shown = {str(value): text for value, text in self.shown.get(factor, {}).items()}
        return names.phrase(factor, shown.get(str(level), names.words(str(level))))

    def colours(self) -> dict[Any, Colour]:
        """Return the colour of each value of the first label."""
        levels = self.levels[self.first]
        if self.first == "prior":
            found = prior_colours([self.data["prior"][level].name for level in levels])
            return dict(zip(levels, found, strict=True))
        ordered = len(levels) > 1 and not isinstance(levels[0], str)
        return dict(zip(levels, palette(len(levels), ordered=ordered), strict=True))

    def level_colours(self, factor: str) -> dict[str, Colour]:
        """Return the colour of each level of a factor, by its text: grey unless it is the first."""
        if factor == self.first:
            return {str(level): colour for level, colour in self.colours().items()}
        return {str(level): (0.35, 0.35, 0.35) for level in self.levels.get(factor, [])}

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

    def look(self, row: Mapping[Hashable, Any]) -> tuple[Colour, str]:
        """Return colour and marker of a cell, given the row of one of its runs."""
        second = row[self.second] if self.second else None
        return self.colours()[row[self.first]], self.markers()[second]

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
        groups = dict(iter(table.groupby(by, sort=False)))
        for values in itertools.product(*(self.levels[label] for label in by)):
            if values in groups:
                yield values, groups[values]

    def cell_title(self, row: Mapping[Hashable, Any]) -> str:
        """Return what tells a run's cell from others: ``"Laplace prior, logistic posterior"``.

        ``row`` is the run's row in the table of runs.
        """
        return self.title(row, self.labels)

    def title(self, row: Mapping[Hashable, Any], labels: Sequence[str]) -> str:
        """Return the values of some labels of a run, in words."""
        return ", ".join(self.phrase(label, row[label]) for label in labels)


def encode(study: StudyResults) -> Encoding:
    """Give each varying label of a study its role."""
    chosen, followed = split_factors(study.runs, study.varying())
    first, *rest = _in_turn(study.runs, chosen) or ["prior"]
    levels = {label: _levels(study.runs[label]) for label in study.labels}
    data = {label: _data(study, label) for label in study.labels}
    return Encoding(
        first=first,
        second=rest[0] if rest else None,
        others=tuple(rest[1:]),
        levels=levels,
        data=data,
        shown={label: _shown(label, data[label]) for label in levels},
        tied={label: _pairs(study.runs, by, label, data) for label, by in followed.items()},
    )


def _in_turn(runs: pd.DataFrame, labels: list[str]) -> list[str]:
    """Return labels by role: as they stand if half of their combinations or more were run."""
    sizes = {label: runs[label].nunique() for label in labels}
    if 2 * len(runs[labels].drop_duplicates()) >= math.prod(sizes.values()):
        return labels
    return sorted(labels, key=lambda label: -sizes[label])


def _levels(column: pd.Series) -> list[Any]:
    values = column.drop_duplicates().tolist()
    return sorted(values) if is_numeric_dtype(column) else values


def _data(study: StudyResults, part: str) -> dict[Any, Label]:
    """Return what each level of a label stands for, from the first run that has it."""
    first = study.runs.drop_duplicates(part)
    return {
        level: study.label(run, part) for run, level in zip(first["run"], first[part], strict=True)
    }


def _shown(part: str, data: Mapping[Any, Label]) -> dict[Any, str]:
    """Write levels so that each can be told from the others, and from no more than that.

    What is the default is left out; next to another value of the same parameter it must be said
    too: ``β = 1``, ``β = 4``.
    """
    shown = {level: label.changed().shown() for level, label in data.items()}
    if part in NAMED:
        for name in dict.fromkeys(label.name for label in data.values()):
            alike = {level: label for level, label in data.items() if label.name == name}
            if len(alike) > 1:
                shown |= _contrasted(alike, named=len(alike) < len(data))
    distinct = len(set(shown.values())) == len(shown)
    return shown if distinct else {level: str(level) for level in data}


def _contrasted(data: Mapping[Any, Label], *, named: bool) -> dict[Any, str]:
    """Write labels of one name by the parameters in which they differ."""
    keys = dict.fromkeys(key for label in data.values() for key in label.parameters)
    values = {key: [label.parameters.get(key) for label in data.values()] for key in keys}
    differing = [key for key, known in values.items() if any(v != known[0] for v in known)]
    said = {level: label.having(differing) for level, label in data.items()}
    return {
        level: label.shown() if named else names.assignments(label.parameters)
        for level, label in said.items()
    }


def _pairs(
    runs: pd.DataFrame, by: list[str], label: str, data: Mapping[str, Mapping[Any, Label]]
) -> str:
    """Return which value goes along with what; of a value that most have, only the exceptions."""
    pairs = runs[[*by, label]].drop_duplicates()
    common, times = pairs[label].mode().iloc[0], int(pairs[label].value_counts().iloc[0])
    usual = times > 2 and times > len(pairs) / 2

    def written(part: str, level: Any) -> str:
        return data[part][level].changed().shown()

    told = "; ".join(
        f"{written(label, row[-1])} with "
        + ", ".join(written(part, level) for part, level in zip(by, row[:-1], strict=True))
        for row in pairs.itertuples(index=False, name=None)
        if not (usual and row[-1] == common)
    )
    return f"{written(label, common)}, but {told}" if usual else told
