"""Seaborn's own grids of a study's tables, in the look of its report.

What comes back is Seaborn's, to go on with: here are only colours, markers, order and words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn as sns

from pyrovae.measures.scores import score_of
from pyrovae.report.look import names
from pyrovae.report.look.encoding import Encoding
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import PAPER, Style, theme


def catplot(
    presented: Presented, score: str, options: Mapping[str, Any], *, style: Style = PAPER
) -> sns.FacetGrid:
    """Return a strip for each level of the first label, a column for each of the second."""
    encoding = presented.encoding
    chosen: dict[str, Any] = {
        "x": score,
        "y": names.title(encoding.first),
        "hue": names.title(encoding.first),
        "col": names.title(encoding.second) if encoding.second else None,
        "kind": "strip",
        "height": 1.8 * style.scale,
        "aspect": 1.5,
        "palette": _palette(encoding),
        "legend": False,
    }
    with theme(style):
        grid = sns.catplot(_in_words(presented.runs, encoding), **{**chosen, **options})
        grid.set_axis_labels(score_of(score).axis_label, names.title(encoding.first))
        return grid


def relplot(
    presented: Presented,
    x: str,
    y: str,
    data: pd.DataFrame,
    options: Mapping[str, Any],
    *,
    style: Style = PAPER,
) -> sns.FacetGrid:
    """Return one column over another: colour for the first label, shape for the second."""
    encoding = presented.encoding
    second = names.title(encoding.second) if encoding.second else None
    shown = {encoding.show(str(encoding.second), v) if second else v: v for v in encoding.seconds()}
    chosen: dict[str, Any] = {
        "x": x,
        "y": y,
        "hue": names.title(encoding.first),
        "style": second,
        "palette": _palette(encoding),
        "height": 2.2 * style.scale,
        "aspect": 1.2,
    }
    if second and options.get("kind") == "line":
        chosen["dashes"] = {text: encoding.dashes()[value] for text, value in shown.items()}
    elif second:
        chosen["markers"] = {text: encoding.markers()[value] for text, value in shown.items()}
    with theme(style):
        grid = sns.relplot(_in_words(data, encoding), **{**chosen, **options})
        grid.set_axis_labels(score_of(x).axis_label, score_of(y).axis_label)
        return grid


def _palette(encoding: Encoding) -> dict[str, Any]:
    colours = encoding.colours()
    return {encoding.show(encoding.first, level): colour for level, colour in colours.items()}


def _in_words(data: pd.DataFrame, encoding: Encoding) -> pd.DataFrame:
    """Return a table with the labels as figures show them, under their titles, in their order."""
    made = data.copy()
    for label in encoding.labels:
        shown = [encoding.show(label, level) for level in encoding.levels[label]]
        words = made[label].map(lambda level, label=label: encoding.show(label, level))
        made[names.title(label)] = pd.Categorical(words, categories=shown)
    return made
