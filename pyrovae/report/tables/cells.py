"""The table of a study: a row for each cell, with mean, interval and number of seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from pyrovae.analysis.study import table_of
from pyrovae.measures.collapse.bounds import LOG_PX
from pyrovae.measures.collapse.measure import VARIANCE_LAW
from pyrovae.measures.scores import Score
from pyrovae.report.look import captions, names
from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.encoding import Encoding, encode
from pyrovae.report.look.evidence import current_analysis
from pyrovae.report.look.intervals import ENOUGH, LEVEL, summarise
from pyrovae.report.look.scores import MISSING, table_scores
from pyrovae.report.tables.variation import CHANGES, changed
from pyrovae.study.store.results import StudyResults

#: Posterior probability of being the best from which a number is set in bold.
SURE = 0.95
#: Between mean and half width of a place, before either is set.
_HALF = "\0"


def cell_table(study: StudyResults) -> pd.DataFrame:
    """Summarise each cell.

    Returns
    -------
    DataFrame
        One row for each cell, in the study's order: ``cell``, the labels that vary (the prior, if
        none does), ``seeds``, the number of finished runs, and for each score ``<score>_mean``,
        ``<score>_low``, ``<score>_high`` (95 % Student t interval over seeds; NaN below three) and
        ``<score>_n``, the number of runs that have it.
    """
    runs = study.runs
    shown = study.varying() or encode(study).labels
    table = runs.drop_duplicates("cell")[["cell", *shown]]
    table = table.assign(seeds=table["cell"].map(runs.groupby("cell").size()))
    for score in table_scores(runs):
        values = runs.assign(value=runs.get(score.key, math.nan))
        summary = summarise(values, ["cell"], "value").add_prefix(f"{score.key}_")
        table = table.merge(summary.rename(columns={f"{score.key}_cell": "cell"}), on="cell")
    return table


def best_cells(study: StudyResults) -> set[tuple[str, str]]:
    """Return the cells that are the best in a score, as far as the stored comparison is sure.

    Returns
    -------
    set
        Pairs of cell and score: those whose posterior probability of being the best of all cells is
        above `SURE`. Empty if there is no comparison of the runs as they are.
    """
    try:
        analysis = current_analysis(study)
    except NothingToDraw:
        return set()
    factors, table = analysis.factors, analysis.table("cells")
    if not factors or "best" not in table:
        return set()
    known = table_of(study)[0].drop_duplicates("cell")
    cells = {tuple(map(str, row[:-1])): row[-1] for row in known[[*factors, "cell"]].to_numpy()}
    sure = table.loc[table["best"] > SURE, [*factors, "metric"]]
    return {(cells[tuple(map(str, row[:-1]))], str(row[-1])) for row in sure.to_numpy()}


def caption(study: StudyResults) -> str:
    """Return a draft of the table's caption."""
    bold = f"Bold: best with a posterior probability above {SURE:.0%}. "
    bold = bold if best_cells(study) else ""
    dagger = f"{CHANGES}: changes when inactive units are dropped. " if changed(study) else ""
    explained = [s for s in (LOG_PX, VARIANCE_LAW) if s in table_scores(study.runs)]
    meanings = " ".join(f"{s.title}: {s.meaning[:1].lower()}{s.meaning[1:]}" for s in explained)
    return (
        f"Mean over seeds ± half the width of its {LEVEL:.0%} Student t interval (from {ENOUGH} "
        f"seeds on), on the test set; arrows point to what is better. {meanings} "
        f"{bold}{dagger}{captions.setting(study, encode(study))}".strip()
    )


def markdown(study: StudyResults) -> str:
    """Return the table for reading: ``mean ± half width`` in each place."""
    header, units, rows = text_cells(study, plus_minus=" ± ")
    shown = zip(_headings(study, header), units, strict=True)
    head = [f"{h} ({u})" if u else h for h, u in shown]
    for row, column in _bold(study, header):
        rows[row][column] = f"**{rows[row][column]}**"
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(c.replace("|", r"\|") for c in line) + " |" for line in lines
    )


def latex(study: StudyResults) -> str:
    r"""Return a booktabs ``tabular`` with siunitx's columns, aligned at the decimal points.

    The half width of the interval is in brackets, in units of the last digit, as siunitx and the
    Particle Data Group write it. It goes into a ``table*`` environment: ``\input{cells.tex}``.
    """
    header, units, rows = text_cells(study, plus_minus=_HALF)
    encoding, bold = encode(study), _bold(study, header)
    n_labels = len(_labels(study, encoding))
    text = range(n_labels + 1)  # Labels and the number of seeds.
    columns = "l" * n_labels + "c"
    for j in range(n_labels + 1, len(header)):
        columns += _column([row[j] for row in rows], any(k == j for _, k in bold))
    lines = [
        r"% Needs booktabs, graphicx and siunitx. Mean over seeds; in brackets half the width of",
        r"% the 95 % Student t interval, in units of the last digit. Made smaller if it is wider",
        r"% than the text.",
        r"\begingroup\footnotesize\setlength{\tabcolsep}{2.5pt}\sisetup{detect-weight=true}%",
        r"\sbox0{%",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        " & ".join(_stacked(h) for h in _headings(study, header)) + r" \\",
        " & ".join(rf"{{\scriptsize {escape(u)}}}" if u else "{}" for u in units) + r" \\",
        r"\midrule",
    ]
    previous = None
    for i, row in enumerate(rows):
        if previous is not None and n_labels > 1 and row[0] != previous:
            lines.append(r"\addlinespace")
        first = "" if n_labels > 1 and row[0] == previous else row[0]
        cells = [
            escape(cell) if j in text else _siunitx(cell, (i, j) in bold)
            for j, cell in enumerate([first, *row[1:]])
        ]
        lines.append(" & ".join(cells) + r" \\")
        previous = row[0]
    lines += [
        r"\bottomrule",
        r"\end{tabular}}%",
        r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi",
        r"\endgroup",
    ]
    return "\n".join(lines) + "\n"


def text_cells(
    study: StudyResults, *, plus_minus: str
) -> tuple[list[str], list[str], list[list[str]]]:
    """Return headings, units and rows of the table as text."""
    encoding, table = encode(study), cell_table(study)
    labels = _labels(study, encoding)
    scores = table_scores(study.runs)
    header = [*(names.title(k) for k in labels), "Seeds", *(s.title for s in scores)]
    units = [*("" for _ in labels), "", *(s.unit for s in scores)]
    decimals = {score.key: _decimals(table, score) for score in scores}
    marked = changed(study)
    rows = []
    for _, row in table.iterrows():
        cells = [encoding.show(label, row[label]) for label in labels] + [str(row["seeds"])]
        for score in scores:
            mean, high = row[f"{score.key}_mean"], row[f"{score.key}_high"]
            mark = CHANGES if (row["cell"], score.key) in marked else ""
            cells.append(_number(mean, high - mean, decimals[score.key], plus_minus) + mark)
        rows.append(cells)
    return header, units, rows


def _bold(study: StudyResults, header: Sequence[str]) -> set[tuple[int, int]]:
    """Return row and column of the places of :func:`text_cells` that are set in bold."""
    best, scores = best_cells(study), table_scores(study.runs)
    first = len(header) - len(scores)
    return {
        (i, first + j)
        for i, cell in enumerate(cell_table(study)["cell"])
        for j, score in enumerate(scores)
        if (cell, score.key) in best
    }


def _headings(study: StudyResults, header: Sequence[str]) -> list[str]:
    """Return the headings of :func:`text_cells` with arrows to what is better."""
    scores = table_scores(study.runs)
    return [*header[: len(header) - len(scores)], *(score.heading for score in scores)]


def _stacked(heading: str) -> str:
    """Return a heading that is as narrow as its longest word."""
    return r"{\shortstack{" + r"\\".join(escape(word) for word in heading.split()) + "}}"


def escape(text: str) -> str:
    """Return text that LaTeX prints as it stands.

    >>> escape("50 % of a_b & {c}")
    '50 \\\\% of a\\\\_b \\\\& \\\\{c\\\\}'
    """
    return "".join(_ESCAPES.get(character, character) for character in text)


_ESCAPES = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "|": r"\ensuremath{|}",
    "–": "--",
    "↑": r"\ensuremath{\uparrow}",
    "↓": r"\ensuremath{\downarrow}",
    CHANGES: r"\dag{}",
    "β": r"\ensuremath{\beta}",
    "σ": r"\ensuremath{\sigma}",
    "γ": r"\ensuremath{\gamma}",
}


def _labels(study: StudyResults, encoding: Encoding) -> Sequence[str]:
    varying = study.varying()
    rest = [label for label in varying if label not in encoding.labels]
    return [*encoding.labels, *rest]


def _decimals(table: pd.DataFrame, score: Score) -> int:
    """Return how many decimals a column needs for its typical half width.

    Two digits of it where they begin with 1, 2 or 3, else one (as the Particle Data Group rounds).
    """
    half = (table[f"{score.key}_high"] - table[f"{score.key}_mean"]).median()
    if not half > 0:
        top = table[f"{score.key}_mean"].abs().max()
        half = top / 100 if top > 0 else 1.0
    exponent = math.floor(math.log10(half))
    digits = 2 if half / 10**exponent < 3.55 else 1
    return min(max(digits - 1 - exponent, 0), 4)


def _number(mean: float, half: float, decimals: int, plus_minus: str) -> str:
    if math.isnan(mean):
        return MISSING
    text = f"{mean:.{decimals}f}".replace("-", "−")
    if math.isnan(half):
        return text
    # Only seeds that agree exactly may show an interval of no width.
    shown = max(half, 10.0**-decimals) if half > 0 else 0.0
    return f"{text}{plus_minus}{shown:.{decimals}f}"


def _siunitx(cell: str, bold: bool) -> str:
    r"""Return a place of a column ``S``.

    >>> _siunitx(f"−98.7{_HALF}1.2", False), _siunitx(f"0.123{_HALF}0.045†", True)
    ('-98.7(12)', '\\bfseries 0.123(45)\\textsuperscript{\\dag}')
    """
    if cell == MISSING:
        return "{--}"
    number, half = _digits(cell)
    mark = r"\textsuperscript{\dag}" if cell.endswith(CHANGES) else ""
    weight = r"\bfseries " if bold else ""
    return f"{weight}{number}{f'({half})' if half else ''}{mark}"


def _digits(cell: str) -> tuple[str, str]:
    """Return the mean, and the half width in units of its last digit (empty without interval)."""
    mean, _, half = cell.removesuffix(CHANGES).replace("−", "-").partition(_HALF)
    return mean, half.replace(".", "").lstrip("0") or half[-1:]


def _column(cells: Sequence[str], bold: bool) -> str:
    """Return the specification of a column ``S`` that holds these cells."""
    numbers = [_digits(cell) for cell in cells if cell != MISSING]
    if not numbers:
        return "c"
    whole = max(len(mean.lstrip("-").partition(".")[0]) for mean, _ in numbers)
    decimals = max(len(mean.partition(".")[2]) for mean, _ in numbers)
    sign = "-" if any(mean.startswith("-") for mean, _ in numbers) else ""
    # Bold digits are wider: room for one more.
    half = max(len(half) for _, half in numbers)
    shape = f"{sign}{whole}.{decimals}" + (f"({half + bold})" if half else "")
    marked = any(cell.endswith(CHANGES) for cell in cells)
    room = r",table-space-text-post=\textsuperscript{\dag}" if marked else ""
    return f"S[table-format={shape}{room}]"
