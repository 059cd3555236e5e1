"""What commands print, within the width of who reads it.

That is the terminal's, or what ``COLUMNS`` says. Whoever reads a pipe without it gets whole lines,
for ``grep``, and tables wide enough for their names.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

import click
from rich.console import Console

if TYPE_CHECKING:
    import pandas as pd

#: Columns of tables in a pipe that nobody has given a width.
_PIPE = 140


def width() -> int | None:
    """Return how many characters a line may have; ``None`` if it may be of any length."""
    if os.environ.get("COLUMNS", "").isdigit() or sys.stdout.isatty():
        return max(shutil.get_terminal_size().columns, 20)
    return None


def console() -> Console:
    """Return where tables are printed."""
    return Console(width=width() or _PIPE)


def say(text: str, *, err: bool = False) -> None:
    """Print prose: lines that are too long go on below, further in. No word is broken."""
    click.echo(filled(text, width()), err=err)


def filled(text: str, columns: int | None) -> str:
    """Return prose in lines of so many characters.

    >>> print(filled("  a line that goes on", 14))
      a line that
        goes on
    """
    if columns is None:
        return text
    lines = []
    for line in text.expandtabs().splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        lines += textwrap.wrap(
            line,
            columns,
            subsequent_indent=f"{indent}  ",
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return "\n".join(lines)


def brief(value: object) -> object:
    """Return a number for reading, and nothing of what is not known."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3g}"
    return value


def frame(table: pd.DataFrame) -> str:
    """Return a table; columns that have no room stand in further blocks below."""
    shown = table.astype(str)
    columns = width()
    whole = shown.to_string(index=False)
    if columns is None or max(map(len, whole.splitlines())) <= columns:
        return whole
    names = list(shown)
    blocks: list[list[str]] = [[]]
    # Every block begins with the first column, which says what its rows are.
    for name in names[1:]:
        tried = shown[[names[0], *blocks[-1], name]].to_string(index=False)
        if blocks[-1] and max(map(len, tried.splitlines())) > columns:
            blocks.append([])
        blocks[-1].append(name)
    return "\n\n".join(shown[[names[0], *block]].to_string(index=False) for block in blocks)
