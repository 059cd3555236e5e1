"""Main effects and interactions in numbers, for an appendix."""

from __future__ import annotations

import math

import pandas as pd

from pyrovae.measures.scores import score_of
from pyrovae.report.escapes import latex as escape
from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.encoding import Encoding
from pyrovae.report.look.presented import Presented
from pyrovae.report.tables.cells import LATEX_MARK


def effects_table(presented: Presented) -> pd.DataFrame:
    """Return the effects of the stored comparison; empty if there is none of the runs as they are.

    Returns
    -------
    DataFrame
        A row for each ``metric``, ``term`` and ``level``: ``mean``, ``low``, ``high`` (central
        95 % interval, in the metric's unit) and ``positive``, the probability of being above zero.
    """
    try:
        return presented.analysis.table("effects")
    except NothingToDraw:
        return pd.DataFrame()


def latex(presented: Presented) -> str:
    r"""Return a booktabs ``longtable`` with siunitx's columns: ``\input{effects.tex}``.

    Of a pair of factors' levels, each is named.
    """
    table, encoding = effects_table(presented), presented.encoding
    phrases = _phrases(table, encoding)
    lines = [
        r"% Needs booktabs, longtable and siunitx. Posterior means and 95 % intervals of effects;",
        r"% P: posterior probability that the effect is above zero. A longtable needs \onecolumn.",
        r"\begingroup\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\begin{{longtable}}{{@{{}}l{_column(table)}S[table-format=1.3]@{{}}}}",
        r"\toprule",
        r"Effect & {Mean} & {Low} & {High} & {P} \\",
        r"\midrule",
        r"\endhead",
        r"\bottomrule",
        r"\endfoot",
        *_foot(presented),
    ]
    mark = LATEX_MARK if presented.study.settling.unsettled else ""
    for i, (metric, rows) in enumerate(table.groupby("metric", sort=False)):
        score, decimals = score_of(str(metric)), _decimals(rows)
        if i:
            lines.append(r"\addlinespace")
        title = rf"\emph{{{escape(score.axis_label)}}}{mark}"
        lines.append(rf"\multicolumn{{5}}{{@{{}}l}}{{{title}}} \\*")
        for row in rows.itertuples():
            numbers = [f"{value:.{decimals}f}" for value in (row.mean, row.low, row.high)]
            name = phrases.get((row.term, str(row.level)), str(row.level))
            lines.append(
                " & ".join([escape(name), *numbers, f"{row.positive:.3f}"]) + r" \\",
            )
    return "\n".join([*lines, r"\end{longtable}", r"\endgroup"]) + "\n"


def _foot(presented: Presented) -> list[str]:
    """Return what stands below the table of a comparison of runs that have not settled."""
    settling = presented.study.settling
    if not settling.unsettled:
        return []
    told = rf"{LATEX_MARK} {escape(settling.told)}."
    return [
        r"\bottomrule",
        rf"\multicolumn{{5}}{{@{{}}p{{0.9\linewidth}}@{{}}}}{{\footnotesize {told}}} \\",
        r"\endlastfoot",
    ]


def _phrases(table: pd.DataFrame, encoding: Encoding) -> dict[tuple[str, str], str]:
    """Return the name of each term's levels, those of pairs put together of their factors'."""
    found = {}
    levels: dict[str, list[str]] = {}
    for term, level in table[["term", "level"]].astype(str).drop_duplicates().to_numpy():
        if ":" not in term:
            levels.setdefault(term, []).append(level)
            found[term, level] = encoding.level_phrase(term, level)
    for pair in table["term"].drop_duplicates():
        first, _, second = pair.partition(":")
        for a in levels.get(first, []) if second else []:
            for b in levels.get(second, []):
                found[pair, f"{a}:{b}"] = f"{found[first, a]}, {found[second, b]}"
    return found


def _decimals(rows: pd.DataFrame) -> int:
    """Return the decimals that show two digits of a typical interval's half width."""
    half = (rows["high"] - rows["low"]).median() / 2
    return min(max(1 - math.floor(math.log10(half)), 0), 5) if half > 0 else 3


def _column(table: pd.DataFrame) -> str:
    largest = table[["mean", "low", "high"]].abs().to_numpy().max()
    whole = max(len(str(int(largest))), 1)
    places = max(_decimals(rows) for _, rows in table.groupby("metric"))
    return (
        "S[table-format=" + f"-{whole}.{places}]" + f"*{{2}}{{S[table-format=-{whole}.{places}]}}"
    )
