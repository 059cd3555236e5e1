"""Scores of a study's layers, side by side: a row for each run and layer."""

from __future__ import annotations

import re

import pandas as pd

from pyrovae.report.look.drawn import NothingToDraw

#: Shades of layers, z1 first and darkest: colours stand for what a study varies.
_DARKEST, _LIGHTEST = 0.05, 0.72


def by_layer(table: pd.DataFrame, score: str) -> pd.DataFrame:
    """Return a table of runs, or of records, with a row for each layer that they have.

    Parameters
    ----------
    table
        With columns ``rate_z1`` and so on.
    score
        Whose columns are asked for: ``rate`` for those.

    Returns
    -------
    DataFrame
        The other columns, ``layer`` (``"z1"``, …) and ``score``; without layers that a run has not.

    Raises
    ------
    NothingToDraw
        If no run has layers.
    """
    named = {}
    for column in table:
        found = re.fullmatch(rf"{re.escape(score)}_(z\d+)", str(column))
        if found:
            named[column] = found[1]
    if not named:
        raise NothingToDraw("no run of the study has layers of codes")
    kept = [column for column in table if column not in named and column != score]
    long = table[[*kept, *named]].melt(kept, list(named), var_name="layer", value_name=score)
    long["layer"] = long["layer"].map(named)
    return long.dropna(subset=[score]).reset_index(drop=True)


def layers_of(table: pd.DataFrame) -> list[str]:
    """Return the names of the layers of a table of :func:`by_layer`, z1 first."""
    return sorted(table["layer"].unique(), key=lambda name: int(name[1:]))


def shades(layers: list[str]) -> dict[str, str]:
    """Return the shade of each layer, as a grey of Matplotlib."""
    step = (_LIGHTEST - _DARKEST) / max(1, len(layers) - 1)
    return {layer: f"{_DARKEST + i * step:.3f}" for i, layer in enumerate(layers)}
