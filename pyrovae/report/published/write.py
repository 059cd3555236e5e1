"""A study's comparison with published tables as a page, a table, LaTeX and figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from pyrovae.core import atomic
from pyrovae.published import Compared, Ordered, PublishedTable, compare
from pyrovae.report import escapes
from pyrovae.report.look.formats import files
from pyrovae.report.look.scores import MISSING
from pyrovae.report.published.figure import axis_title, figure
from pyrovae.report.tables.frame import fitted
from pyrovae.study.store.results import StudyResults

#: How the page says where a figure of a paper was read.
_READ = {
    "paper": "",
    "repository": "read in its repository",
    "cited": "read where it is cited",
    "memory": "from memory, not checked",
}
_RULE = {
    "value": (
        "Reproduced: our mean is within two published standard deviations and the half width of "
        "our 95 % interval (Student's t over seeds) of the paper's figure, and that half width is "
        "at most {widest:g}."
    ),
    "order": (
        "Of other data or another recipe than the paper's: only the order is compared. Reproduced: "
        "the intervals of all differences lie on the paper's side of 0 (Welch's, 95 % jointly)."
    ),
}


def report_published(study: StudyResults, tables: Sequence[PublishedTable]) -> pd.DataFrame:
    """Compare a study with published tables and write ``<study>/published``.

    Written are ``published.md``, ``published.csv``, ``published.tex`` (a table and a sentence for
    each row as macro) and ``figures/``.

    Parameters
    ----------
    study
        With any runs, or none.
    tables
        What its file says of papers.

    Returns
    -------
    pandas.DataFrame
        One row for each figure of a paper and each order: ``source``, ``quantity``, ``unit``,
        ``row``, ``published``, ``published_sd``, ``read``, ``ours``, ``half_width``, ``runs``,
        ``unsettled``, ``verdict``, ``reason``.
    """
    folder = study.store.root / "published"
    page, latex, every = [f"# Published tables: {escapes.markdown_line(study.name)}"], [], []
    for i, table in enumerate(tables):
        compared, order = compare(table, study)
        data = _frame(table, compared, order)
        every.append(data)
        drawn = figure(f"published-{i + 1}", table, compared, data)
        for kind, content in files(drawn).items():
            atomic.write_bytes(folder / "figures" / f"{drawn.name}.{kind}", content)
        page += _section(table, data, drawn.name)
        latex += _latex(table, data)
    found = pd.concat(every, ignore_index=True)
    atomic.write_text(folder / "published.md", "\n\n".join(page) + "\n")
    atomic.write_bytes(folder / "published.csv", found.to_csv(index=False).encode())
    atomic.write_text(folder / "published.tex", "\n".join(latex) + "\n")
    return found


def _frame(
    table: PublishedTable, compared: Sequence[Compared], order: Ordered | None
) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    for each in compared:
        rows.append(
            {
                "row": each.label,
                "published": each.row.value,
                "published_sd": each.row.sd or math.nan,
                "read": each.row.read,
                "ours": each.mean,
                "half_width": each.half_width,
                "runs": len(each.ours),
                "unsettled": each.unsettled,
                "verdict": each.verdict,
                "reason": each.reason,
            }
        )
    if order is not None:
        rows.append(
            {
                "row": "order",
                "runs": sum(len(each.ours) for each in compared),
                "unsettled": sum(each.unsettled for each in compared),
                "verdict": order.verdict,
                "reason": order.reason,
            }
        )
    data = pd.DataFrame(rows)
    for at, (key, value) in enumerate(
        {"source": table.source, "quantity": table.quantity, "unit": table.unit}.items()
    ):
        data.insert(at, key, value)
    return data


def _section(table: PublishedTable, data: pd.DataFrame, figure_name: str) -> list[str]:
    rows = [[escapes.markdown_line(cell) for cell in cells] for cells in _cells(data)]
    head = ["", "Paper", "Here", "Runs", "Not settled", "Verdict"]
    lines = [escapes.markdown_row(line) for line in (head, ["---"] * len(head), *rows)]
    unread = [
        f"- {escapes.markdown_line(row['row'])}: {_READ[row['read']]}"
        for row in data.to_dict("records")
        if _READ.get(row["read"], "")
    ]
    differs = [f"- {escapes.markdown_line(line)}" for line in table.differs]
    return [
        f"## {escapes.markdown_line(table.source)}: {escapes.markdown_line(axis_title(table))}",
        "\n".join(lines),
        _RULE[table.by].format(widest=table.widest or 0),
        *(["In what the recipe differs from the paper's:", "\n".join(differs)] if differs else []),
        *(["Figures of the paper that were not read there:", "\n".join(unread)] if unread else []),
        f"![{figure_name}](figures/{figure_name}.png)",
    ]


def _cells(data: pd.DataFrame) -> list[list[str]]:
    return [
        [
            str(row["row"]),
            _with_error(row["published"], row["published_sd"]),
            _with_error(row["ours"], row["half_width"]),
            f"{row['runs']}",
            f"{row['unsettled']}",
            ": ".join(part for part in (row["verdict"], row["reason"]) if part),
        ]
        for row in data.to_dict("records")
    ]


def _with_error(value: float, error: float) -> str:
    """Return a value with its error, both to the error's two digits.

    >>> _with_error(4.6312, 0.0301), _with_error(4.63, math.nan), _with_error(math.nan, 1)
    ('4.631 ± 0.030', '4.63', '–')
    """
    if math.isnan(value):
        return MISSING
    if math.isnan(error) or not error:
        return f"{value:.4g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _latex(table: PublishedTable, data: pd.DataFrame) -> list[str]:
    head = ["", "Paper", "Here", "Runs", "Verdict"]
    body = [" & ".join(head) + r" \\", r"\midrule"]
    for cells, verdict in zip(_cells(data), data["verdict"], strict=True):
        shown = [escapes.latex(cell) for cell in (*cells[:4], verdict)]
        body.append(" & ".join(shown) + r" \\")
    about = escapes.latex(f"{table.source}: {axis_title(table)}").replace("\n", " ")
    return [
        f"% Needs booktabs and graphicx. {about}",
        *fitted("lrrrl", body, font=r"\footnotesize"),
    ]
