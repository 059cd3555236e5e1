"""What the page says about a study as a whole: facts, cells, and a row for each run."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from pyrovae.core.errors import PyrovaeError
from pyrovae.measures.scores import Score
from pyrovae.report.look import names
from pyrovae.report.look.intervals import summarise
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import Colour
from pyrovae.report.page.columns import columns
from pyrovae.report.tables.cells import decimals_of
from pyrovae.study.config import yaml
from pyrovae.study.store.results import StudyResults
from pyrovae.study.store.settling import MARK
from pyrovae.training.settled import Settled

#: How far a colour goes towards white on a dark page.
_LIGHTER = 0.28


@dataclass(frozen=True)
class Content:
    """The parts of a page that all runs share; everything here is plain JSON.

    Attributes
    ----------
    facts
        Pairs of a name and a value: what is the same in all runs, and how many there are.
    columns
        Scores of the run table.
    labels
        Title of each label that varies, and its values as shown: what the table is filtered by.
    seeds
        All that some run has.
    overview
        For the charts: the levels of the first and second label with their colours, cells with
        means and intervals, runs with values.
    rows
        One for each finished run: ``id``, ``labels`` as shown, ``seed``, ``settled`` (word and
        reasons), ``values``.
    configuration
        One resolved configuration as YAML, with the number of other cells.
    environments
        Versions and machines, with the number of runs made by each.
    """

    facts: list[tuple[str, str]]
    columns: list[Score]
    labels: dict[str, list[str]]
    overview: dict[str, Any]
    seeds: list[int]
    rows: list[dict[str, Any]]
    configuration: str
    environments: list[tuple[str, int]]


def content(presented: Presented) -> Content:
    """Collect what the page says.

    Raises
    ------
    PyrovaeError
        If no run is finished.
    """
    study = presented.study
    if study.runs.empty:
        raise PyrovaeError(f"{study.name}: no run is finished, there is nothing to show")
    encoding, shown = presented.encoding, columns(presented.runs)
    labels = [*encoding.labels, *encoding.tied]
    first_run = study.configs[study.runs["run"].iloc[0]]
    return Content(
        facts=_facts(study, labels),
        columns=shown,
        labels={
            names.title(label): [encoding.show(label, value) for value in encoding.levels[label]]
            for label in labels
        },
        overview=_overview(presented, shown),
        seeds=sorted(int(seed) for seed in study.runs["seed"].unique()),
        rows=_rows(presented, labels, shown),
        configuration=yaml.dump(first_run.model_dump(mode="json")),
        environments=_environments(study),
    )


def _facts(study: StudyResults, varying: list[str]) -> list[tuple[str, str]]:
    runs = study.runs
    seeds = runs.groupby("cell").size()
    span = f"{seeds.min()}" if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"
    unsettled = len(study.settling.unsettled)
    counted = [
        ("Runs", str(len(runs))),
        ("Settled", f"{len(runs) - unsettled} of {len(runs)}"),
        ("Cells", str(runs["cell"].nunique())),
        ("Seeds a cell", span),
    ]
    same = [
        (names.title(label), study.label(runs["run"].iloc[0], label).changed().shown())
        for label in study.labels
        if label not in varying
    ]
    return counted + same


def _overview(presented: Presented, shown: list[Score]) -> dict[str, Any]:
    study, encoding, titles = presented.study, presented.encoding, presented.titles
    colours = encoding.colours()
    cells = list(titles)
    still_open = study.runs.loc[study.runs["run"].isin(study.settling.unsettled), "cell"]
    marks = {cell: MARK if cell in set(still_open) else "" for cell in cells}
    first_of = study.runs.drop_duplicates("cell").set_index("cell")
    decimals = {column.key: decimals_of(presented.cells, column) for column in shown}
    means = {column.key: _means(presented.runs, column) for column in shown}
    return {
        "study": study.name,
        "first": {
            "title": names.title(encoding.first),
            "levels": [
                {
                    "name": encoding.show(encoding.first, level),
                    "light": _hex(colours[level]),
                    "dark": _hex(_lightened(colours[level])),
                }
                for level in encoding.levels[encoding.first]
            ],
        },
        "second": encoding.second
        and {
            "title": names.title(encoding.second),
            "levels": [encoding.show(encoding.second, level) for level in encoding.seconds()],
        },
        "columns": [asdict(column) for column in shown],
        "cells": [
            {
                "name": f"{titles[cell]}{marks[cell]}",
                "first": encoding.levels[encoding.first].index(first_of[encoding.first][cell]),
                "second": encoding.seconds().index(first_of[encoding.second][cell])
                if encoding.second
                else 0,
                "means": {key: table[cell] for key, table in means.items()},
                "told": {
                    column.key: _told(means[column.key][cell], decimals[column.key])
                    for column in shown
                },
            }
            for cell in cells
        ],
        "runs": [
            {
                "id": row["run"],
                "cell": cells.index(row["cell"]),
                "seed": int(row["seed"]),
                "values": {column.key: number(row[column.key]) for column in shown},
            }
            for row in presented.runs.to_dict("records")
        ],
    }


def _means(runs: pd.DataFrame, score: Score) -> dict[str, list[float | None]]:
    table = summarise(runs, ["cell"], score.key, score)
    return {
        row.cell: [number(row.mean), number(row.low), number(row.high)]
        for row in table.itertuples(index=False, name="Summary")
    }


def _told(summary: list[float | None], decimals: int) -> tuple[str, str]:
    """Return mean and interval as a table shows them, both with the decimals of their column."""
    said = ["–" if end is None else f"{end:.{decimals}f}".replace("-", "−") for end in summary]
    return said[0], "" if summary[1] is None else f"{said[1]} to {said[2]}"


def _rows(presented: Presented, labels: list[str], shown: list[Score]) -> list[dict[str, Any]]:
    encoding, settling = presented.encoding, presented.study.settling
    return [
        {
            "id": row["run"],
            "title": presented.titles[row["cell"]],
            "labels": [encoding.show(label, row[label]) for label in labels],
            "colour": encoding.levels[encoding.first].index(row[encoding.first]),
            "seed": int(row["seed"]),
            "settled": _settled(settling.found[row["run"]]),
            "values": [(number(row[c.key]), text(row[c.key], c)) for c in shown],
        }
        for row in presented.runs.to_dict("records")
    ]


def _settled(settled: Settled) -> tuple[str, str]:
    """Return whether a run has settled in a word, and why not."""
    word = {True: "yes", False: f"no{MARK}", None: f"not known{MARK}"}[settled.yes]
    return word, "; ".join(settled.reasons)


def _environments(study: StudyResults) -> list[tuple[str, int]]:
    """Return what the runs were made with, most frequent first; revisions are listed together."""
    found: dict[str, Counter[str]] = {}
    for run in study.runs["run"]:
        about = study.folder(run).environment()
        words = [f"{name} {version}" for name, version in about.get("versions", {}).items()]
        words += [f"Python {about['python']}"] if about.get("python") else []
        words += [about["machine"]] if about.get("machine") else []
        found.setdefault(", ".join(words), Counter())[about.get("git") or ""] += 1
    found.pop("", None)
    told = []
    for made_with, revisions in sorted(found.items(), key=lambda item: -item[1].total()):
        known = ", ".join(revision for revision, _ in revisions.most_common() if revision)
        told.append((f"{made_with}; revision {known}" if known else made_with, revisions.total()))
    return told


def text(value: float, column: Score) -> str:
    """Return a score as the table shows it: three decimals below ten, fewer above."""
    if value is None or math.isnan(value):
        return "–"
    if column.unit == "count" and float(value).is_integer():
        return str(int(value))
    size = abs(value)
    decimals = 3 if size < 1.5 else 2 if size < 10 else 1 if size < 1000 else 0
    return f"{value:.{decimals}f}".replace("-", "−")


def number(value: Any, digits: int = 5) -> float | None:
    """Return a number with so many significant digits, for JSON; ``None`` if it is not finite.

    Whole numbers are counts, and keep all of theirs.
    """
    value = float(value)
    if not math.isfinite(value):
        return None
    return value if value.is_integer() else float(f"{value:.{digits}g}")


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in colour)


def _lightened(colour: Colour) -> Colour:
    red, green, blue = (part + (1 - part) * _LIGHTER for part in colour)
    return red, green, blue
