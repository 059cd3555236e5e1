"""The table of claims by priors and posteriors: Markdown, LaTeX, CSV and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pyrovae.claims.judged import Judged
from pyrovae.core import atomic
from pyrovae.report import escapes
from pyrovae.report.look import names
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.formats import files
from pyrovae.report.look.scores import MISSING
from pyrovae.report.look.style import GREY, PAPER, Style, theme, tighten
from pyrovae.report.tables.frame import fitted

#: What the numbers in its places are.
_MEANING = (
    "Posterior probability of each claim, with the number of runs that it rests on in brackets. "
    "‡: some of them have not settled. Without a number: why there is no verdict."
)
_Cells = dict[tuple[str, str, str], Judged]


def write_grid(folder: Path, cells: Sequence[Judged]) -> None:
    """Write ``grid.md``, ``grid.tex``, ``grid.csv`` and the figure.

    Parameters
    ----------
    folder
        Where.
    cells
        One for each claim, prior and posterior.
    """
    table = pd.DataFrame([cell.row() for cell in cells])
    atomic.write_bytes(folder / "grid.csv", table.to_csv(index=False).encode())
    atomic.write_text(folder / "grid.md", markdown(cells))
    atomic.write_text(folder / "grid.tex", latex(cells))
    for kind, content in files(figure(cells)).items():
        if kind != "csv":  # it is the table
            atomic.write_bytes(folder / f"grid.{kind}", content)


def markdown(cells: Sequence[Judged]) -> str:
    """Return the table for reading, and below it the study of each place."""
    claims, pairs, at = _layout(cells)
    rows = [["Prior", "Posterior", *(names.words(claim) for claim in claims)]]
    rows.append(["---"] * len(rows[0]))
    for pair in pairs:
        places = [escapes.markdown_line(_place(at.get((*pair, claim)))) for claim in claims]
        rows.append([*(escapes.markdown_line(names.words(part)) for part in pair), *places])
    told = [f"- {escapes.markdown_line(_sentence(cell))}" for cell in cells]
    lines = "\n".join(map(escapes.markdown_row, rows))
    parts = ["# Claims by prior and posterior", lines, _MEANING, "## Sentences", "\n".join(told)]
    return "\n\n".join(parts) + "\n"


def latex(cells: Sequence[Judged]) -> str:
    r"""Return a booktabs ``tabular``: ``\input{grid.tex}``; studies stand beside in comments."""
    claims, pairs, at = _layout(cells)
    head = ["Prior", "Posterior", *(names.words(claim) for claim in claims)]
    body = [" & ".join(escapes.latex(text) for text in head) + r" \\", r"\midrule"]
    for pair in pairs:
        found = [at.get((*pair, claim)) for claim in claims]
        places = [_latex(_place(cell)) for cell in found]
        body.append(" & ".join([*(escapes.latex(names.words(p)) for p in pair), *places]) + r" \\")
        body += [f"% {cell.name}: {cell.study}, {cell.gate}" for cell in found if cell]
    font = r"\footnotesize\setlength{\tabcolsep}{3pt}"
    table = fitted(f"ll{'c' * len(claims)}", body, font=font)
    return "\n".join(["% Needs booktabs and graphicx. " + _MEANING, *table]) + "\n"


def figure(cells: Sequence[Judged], *, style: Style = PAPER) -> Drawn:
    """Draw the probabilities: a row for each prior and posterior, a column for each claim."""
    claims, pairs, at = _layout(cells)
    found = [[at.get((*pair, claim)) for claim in claims] for pair in pairs]
    values = np.array(
        [[c.verdict.probability if c and c.verdict else np.nan for c in row] for row in found]
    )
    with theme(style):
        height = (0.75 + 0.23 * len(pairs)) * style.scale
        drawn = Figure(figsize=(style.text, height), layout="constrained")
        ax = drawn.subplots()
        ax.set_facecolor("0.95")
        picture = ax.imshow(values, cmap="PuOr", vmin=0, vmax=1, aspect="auto", alpha=0.8)
        for i, row in enumerate(found):
            for j, cell in enumerate(row):
                sure = cell is not None and cell.verdict is not None
                dark = sure and abs(values[i, j] - 0.5) > 0.33
                ax.text(
                    j,
                    i,
                    _place(cell),
                    ha="center",
                    va="center",
                    color=("white" if dark else "black") if sure else GREY,
                    fontsize=style.small if sure else style.small - 1,
                )
        titles = [names.words(claim) for claim in claims]
        ax.set_xticks(range(len(claims)), titles, rotation=25, ha="left", rotation_mode="anchor")
        shown = [", ".join(names.words(part) for part in pair) for pair in pairs]
        ax.set_yticks(range(len(pairs)), shown)
        ax.xaxis.tick_top()
        ax.tick_params(length=0)
        for spine in ax.spines.values():
            spine.set_visible(False)
        ax.set_xticks(np.arange(1, len(claims)) - 0.5, minor=True)
        ax.set_yticks(np.arange(1, len(pairs)) - 0.5, minor=True)
        ax.grid(which="minor", color="white", lw=1.5)
        ax.tick_params(which="minor", length=0)
        bar = drawn.colorbar(picture, ax=ax, ticks=[0, 0.5, 1], pad=0.01, aspect=30)
        bar.set_label("P(claim | runs)")
        bar.outline.set_visible(False)
        tighten(drawn)
    return Drawn("grid", drawn, pd.DataFrame([cell.row() for cell in cells]), _MEANING)


def _layout(cells: Sequence[Judged]) -> tuple[list[str], list[tuple[str, str]], _Cells]:
    """Return claims, pairs, and the cell of each."""
    claims = list(dict.fromkeys(cell.name for cell in cells))
    pairs = list(dict.fromkeys((cell.prior, cell.posterior) for cell in cells))
    return claims, pairs, {(cell.prior, cell.posterior, cell.name): cell for cell in cells}


def _sentence(cell: Judged) -> str:
    named = "" if cell.verdict else f" ({cell.study})"
    return f"{names.words(cell.prior)}, {names.words(cell.posterior)}: {cell.sentence}{named}"


def _place(cell: Judged | None) -> str:
    if cell is None:
        return MISSING
    if cell.verdict is None:
        return cell.word
    # What is nearly sure is not said to be sure.
    shown = min(max(cell.verdict.probability, 0.001), 0.999)
    return f"{shown:.3f}{cell.mark} ({cell.runs})"


def _latex(text: str) -> str:
    return escapes.latex(text).replace("‡", r"\textsuperscript{\ddag}")
