"""The table of a study: a row for each cell, with mean, interval and number of seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pyrovae.measures.collapse.bounds import LOG_PX
from pyrovae.measures.collapse.measure import VARIANCE_LAW_IDLE, VARIANCE_LAW_USED
from pyrovae.measures.scores import Score
from pyrovae.report import escapes
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.intervals import ENOUGH, LEVEL
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.scores import MISSING, table_scores
from pyrovae.report.tables.frame import fitted
from pyrovae.report.tables.variation import CHANGES, changed
from pyrovae.study.store.settling import MARK

#: Posterior probability of being the best from which a number is set in bold.
SURE = 0.95
#: :data:`MARK` in LaTeX.
LATEX_MARK = r"\textsuperscript{\ddag}"


@dataclass(frozen=True)
class Place:
    """A score of a cell, as a table shows it.

    Attributes
    ----------
    mean, low, high
        Mean over seeds and the ends of its interval; NaN where there is none.
    decimals
        That are shown of all.
    ends
        Whether the ends are shown, not half the width: some interval of the column is cut at the
        end of the score's range.
    changes
        Whether it changes when inactive units are dropped.
    best
        Whether it is surely the best of its column.
    """

    mean: float
    low: float
    high: float
    decimals: int
    ends: bool = False
    changes: bool = False
    best: bool = False

    @property
    def known(self) -> bool:
        """Whether any run of the cell has the score."""
        return not math.isnan(self.mean)

    @property
    def digits(self) -> tuple[str, str]:
        """The mean, and the half width in units of its last digit (empty without interval)."""
        half = self._half.replace(".", "")
        return f"{self.mean:.{self.decimals}f}", half.lstrip("0") or half[-1:]

    @property
    def _half(self) -> str:
        half = (self.high - self.low) / 2
        if math.isnan(half):
            return ""
        # No interval is shown without a width.
        return f"{max(half, 10.0**-self.decimals):.{self.decimals}f}"

    @property
    def _distances(self) -> tuple[str, str]:
        """How far the ends are below and above the mean."""
        return (
            f"{self.mean - self.low:.{self.decimals}f}",
            f"{self.high - self.mean:.{self.decimals}f}",
        )

    def markdown(self) -> str:
        """Return the place for reading.

        >>> Place(-98.71, -99.91, -97.51, 1).markdown()
        '−98.7 ± 1.2'
        >>> Place(0.95, 0.82, 1.0, 2, ends=True, changes=True).markdown()
        '0.95 [0.82, 1.00]†'
        """
        text = MISSING
        if self.known:
            text = f"{self.mean:.{self.decimals}f}".replace("-", "−")
            if self._half:
                ends = f" [{self.low:.{self.decimals}f}, {self.high:.{self.decimals}f}]"
                text += ends if self.ends else f" ± {self._half}"
        text += CHANGES if self.changes else ""
        return f"**{text}**" if self.best else text

    def latex(self) -> str:
        r"""Return the place of a column ``S`` of siunitx, or of a centred one if ends are shown.

        >>> Place(-98.71, -99.91, -97.51, 1).latex()
        '-98.7(12)'
        >>> Place(0.123, 0.078, 0.168, 3, changes=True, best=True).latex()
        '\\bfseries 0.123(45)\\textsuperscript{\\dag}'
        >>> Place(0.95, 0.82, 1.0, 2, ends=True).latex()
        '$0.95_{-0.13}^{+0.05}$'
        """
        if not self.known:
            return "{--}"
        number, half = self.digits
        mark = r"\textsuperscript{\dag}" if self.changes else ""
        if self.ends:
            bold = rf"\mathbf{{{number}}}" if self.best else number
            below, above = self._distances
            around = f"_{{-{below}}}^{{+{above}}}" if self._half else ""
            return f"${bold}{around}${mark}"
        weight = r"\bfseries " if self.best else ""
        return f"{weight}{number}{f'({half})' if half else ''}{mark}"


@dataclass(frozen=True)
class Row:
    """A cell: its labels as shown, its number of seeds, and a place for each score.

    ``unsettled`` is how many of its runs have not settled.
    """

    labels: list[str]
    seeds: int
    places: list[Place]
    unsettled: int = 0


def rows(presented: Presented) -> list[Row]:
    """Return the table's rows, in the study's order."""
    table, scores = presented.cells, table_scores(presented.runs)
    decimals = {score.key: decimals_of(table, score) for score in scores}
    ends = {score.key: _is_cut(table, score) for score in scores}
    marked, best = changed(presented), best_cells(presented)
    return [
        Row(
            [presented.encoding.show(label, row[label]) for label in _labels(presented)],
            row["seeds"],
            [
                Place(
                    row[f"{score.key}_mean"],
                    row[f"{score.key}_low"],
                    row[f"{score.key}_high"],
                    decimals[score.key],
                    ends=ends[score.key],
                    changes=(row["cell"], score.key) in marked,
                    best=(row["cell"], score.key) in best,
                )
                for score in scores
            ],
            row["unsettled"],
        )
        for row in table.to_dict("records")
    ]


def best_cells(presented: Presented) -> set[tuple[str, str]]:
    """Return the cells that are the best in a score, as far as the stored comparison is sure.

    Returns
    -------
    set
        Pairs of cell and score: those whose posterior probability of being the best of all cells is
        above `SURE`. Empty if there is no comparison of the runs as they are.
    """
    try:
        analysis = presented.analysis
    except NothingToDraw:
        return set()
    factors, table = analysis.factors, analysis.table("cells")
    if not factors or "best" not in table:
        return set()
    known = presented.runs.drop_duplicates("cell")
    cells = {tuple(map(str, row[:-1])): row[-1] for row in known[[*factors, "cell"]].to_numpy()}
    sure = table.loc[table["best"] > SURE, [*factors, "metric"]]
    return {(cells[tuple(map(str, row[:-1]))], str(row[-1])) for row in sure.to_numpy()}


def caption(presented: Presented) -> str:
    """Return a draft of the table's caption."""
    bold = f"Bold: best with a posterior probability above {SURE:.0%}. "
    bold = bold if best_cells(presented) else ""
    dagger = f"{CHANGES}: changes when inactive units are dropped. " if changed(presented) else ""
    noted = f"{presented.study.settling.noted} " if presented.study.settling.unsettled else ""
    shown = table_scores(presented.runs)
    explained = [s for s in (LOG_PX, VARIANCE_LAW_USED, VARIANCE_LAW_IDLE) if s in shown]
    cut = any(_is_cut(presented.cells, score) for score in shown)
    ends = ", or both its ends where the range of the score cuts it" if cut else ""
    meanings = " ".join(f"{s.title}: {s.meaning[:1].lower()}{s.meaning[1:]}" for s in explained)
    return (
        f"Mean over seeds ± half the width of its {LEVEL:.0%} Student t interval{ends} (from "
        f"{ENOUGH} seeds on; {captions.AGREEING}), on the test set; arrows point to what is "
        f"better. {meanings} "
        f"{bold}{dagger}{noted}{captions.setting(presented)}".strip()
    )


def markdown(presented: Presented) -> str:
    """Return the table for reading: ``mean ± half width`` in each place."""
    header, units = headings(presented)
    head = [f"{h} ({u})" if u else h for h, u in zip(header, units, strict=True)]
    lines = [[escapes.markdown_line(cell) for cell in head], ["---"] * len(head)]
    for row in rows(presented):
        labels = [escapes.markdown_line(label) for label in row.labels]
        labels[-1] += MARK if row.unsettled else ""
        lines.append([*labels, str(row.seeds), *(place.markdown() for place in row.places)])
    return "\n".join(map(escapes.markdown_row, lines))


def latex(presented: Presented) -> str:
    r"""Return a booktabs ``tabular`` with siunitx's columns, aligned at the decimal points.

    The half width of the interval is in brackets, in units of the last digit, as siunitx and the
    Particle Data Group write it. It goes into a ``table*`` environment: ``\input{cells.tex}``.
    """
    (header, units), shown = headings(presented), rows(presented)
    n_labels = len(_labels(presented))
    columns = "l" * n_labels + "c"
    for places in zip(*(row.places for row in shown), strict=True):
        columns += _column(places)
    lines = [
        r"% Needs booktabs, graphicx and siunitx. Mean over seeds; in brackets half the width of",
        r"% the 95 % Student t interval, in units of the last digit, or what is to both its ends.",
        r"% Made smaller if it is wider than the text.",
        *([f"% {presented.study.settling.noted}"] if presented.study.settling.unsettled else []),
    ]
    body = [
        " & ".join(_stacked(h) for h in header) + r" \\",
        " & ".join(rf"{{\scriptsize {escapes.latex(u)}}}" if u else "{}" for u in units) + r" \\",
        r"\midrule",
    ]
    previous = None
    for row in shown:
        first = row.labels[0]
        if previous is not None and n_labels > 1 and first != previous:
            body.append(r"\addlinespace")
        labels = ["" if n_labels > 1 and first == previous else first, *row.labels[1:]]
        text = [escapes.latex(label) for label in labels]
        text[-1] += LATEX_MARK if row.unsettled else ""
        text.append(str(row.seeds))
        body.append(" & ".join([*text, *(place.latex() for place in row.places)]) + r" \\")
        previous = first
    font = r"\footnotesize\setlength{\tabcolsep}{2.5pt}\sisetup{detect-weight=true}"
    return "\n".join([*lines, *fitted(columns, body, font=font)]) + "\n"


def headings(presented: Presented) -> tuple[list[str], list[str]]:
    """Return the columns' headings, with arrows to what is better, and their units."""
    labels, scores = _labels(presented), table_scores(presented.runs)
    header = [*(names.title(k) for k in labels), "Seeds", *(s.heading for s in scores)]
    return header, [*("" for _ in labels), "", *(s.unit for s in scores)]


def _stacked(heading: str) -> str:
    """Return a heading that is as narrow as its longest word."""
    return r"{\shortstack{" + r"\\".join(escapes.latex(word) for word in heading.split()) + "}}"


def _labels(presented: Presented) -> list[str]:
    """Return the table's labels: those with a role in figures first."""
    roles = presented.encoding.labels
    return [*roles, *(label for label in presented.labels if label not in roles)]


def _is_cut(table: pd.DataFrame, score: Score) -> bool:
    """Tell whether some interval of a column is cut at the end of the score's range."""
    low, mean, high = (table[f"{score.key}_{end}"] for end in ("low", "mean", "high"))
    below, above = mean - low, high - mean
    return bool(((below - above).abs() > 1e-9 * (below + above)).any())


def decimals_of(table: pd.DataFrame, score: Score) -> int:
    """Return how many decimals a column needs for its typical half width.

    Two digits of it where they begin with 1, 2 or 3, else one (as the Particle Data Group rounds).
    """
    half = (table[f"{score.key}_high"] - table[f"{score.key}_low"]).median() / 2
    if not half > 0:
        top = table[f"{score.key}_mean"].abs().max()
        half = top / 100 if top > 0 else 1.0
    exponent = math.floor(math.log10(half))
    digits = 2 if half / 10**exponent < 3.55 else 1
    return min(max(digits - 1 - exponent, 0), 4)


def _column(places: Sequence[Place]) -> str:
    """Return the specification of a column ``S`` that holds these places."""
    numbers = [place.digits for place in places if place.known]
    if not numbers or places[0].ends:
        return "c"
    whole = max(len(mean.lstrip("-").partition(".")[0]) for mean, _ in numbers)
    decimals = max(len(mean.partition(".")[2]) for mean, _ in numbers)
    sign = "-" if any(mean.startswith("-") for mean, _ in numbers) else ""
    # Bold digits are wider: room for one more.
    half = max(len(half) for _, half in numbers)
    bold = any(place.best for place in places)
    shape = f"{sign}{whole}.{decimals}" + (f"({half + bold})" if half else "")
    marked = any(place.changes for place in places)
    room = r",table-space-text-post=\textsuperscript{\dag}" if marked else ""
    return f"S[table-format={shape}{room}]"
