"""Labels as figures of codes show them: as colours, or as groups of points."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.study.store.folders import RunFolder

#: Values that colours, or rows, can be told apart of; labels in a figure.
GROUPS, LABELS = 10, 6
#: What the words are one group as that are too many.
OTHERS = "others"


def labels_of(folder: RunFolder) -> pd.DataFrame:
    """Return the first labels of a run's points that vary.

    Raises
    ------
    NothingToDraw
        If there are none.
    """
    table = folder.labels()
    varying = [name for name in table if table[name].nunique() > 1]
    if not varying:
        raise NothingToDraw("the data has no labels and no ground-truth factors that vary")
    return table[varying[:LABELS]]


def is_grouped(column: pd.Series) -> bool:
    """Return whether a label is a few groups: words, or few whole numbers."""
    return column.dtype.kind not in "fiu" or (
        column.dtype.kind in "iu" and column.nunique() <= GROUPS
    )


def groups(column: pd.Series) -> pd.Series:
    """Return a label as so few groups that each has a colour, or a row: ordered categories of text.

    Of words the most frequent are kept, and the others are one; numbers of many values are cut at
    their deciles.

    >>> groups(pd.Series(["b", "a", "b"])).cat.categories.tolist()
    ['a', 'b']
    >>> groups(pd.Series(np.arange(100.0))).cat.categories.tolist()[:2]
    ['0 to 9.9', '9.9 to 19.8']
    """
    if not is_grouped(column):
        edges = np.unique(np.quantile(column, np.linspace(0, 1, GROUPS + 1)))
        told = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges)]
        cut: pd.Series = pd.cut(column, edges, include_lowest=True, labels=told, ordered=True)
        return cut
    counts = column.value_counts()
    kept = sorted(counts.index if len(counts) <= GROUPS else counts.index[: GROUPS - 1])
    rest = [OTHERS] if len(counts) > GROUPS else []
    words = column.where(column.isin(kept), OTHERS).astype(str)
    return pd.Series(pd.Categorical(words, [*map(str, kept), *rest], ordered=True), column.index)
