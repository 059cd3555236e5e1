"""How tables and sentences look in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd


def as_html(caption: str, table: pd.DataFrame, said: Sequence[str] = ()) -> str:
    """Return a table under its caption, with what is said of it below.

    Parameters
    ----------
    caption, said
        Plain text; each of ``said`` is a paragraph of its own.
    table
        Numbers are shown with four digits. An index that has a name, or holds words, is shown too.
    """
    counted = isinstance(table.index, pd.RangeIndex)
    shown = table.to_html(index=not counted, border=0, float_format=lambda value: f"{value:.4g}")
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in said)
    return f"<div><p><b>{escape(caption)}</b></p>{shown}{paragraphs}</div>"
