"""When a difference is asserted: the one rule behind every sentence about a comparison.

A study is looked at in many scores and factors at once. If each were held to a posterior
probability of 95 % by itself, a study in which nothing differs would have its findings: so the
chance of being wrong, 5 %, is shared out among the verdicts that are looked at (Bonferroni), and
all statements that are made of a study hold together with at least 95 %.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

#: Posterior probability with which everything that is asserted of a study holds together.
ENOUGH = 0.95
#: Probability that a difference has another sign in some cells, from which on its average is not
#: told.
_TURNS = 0.5

#: ``differs``: some pair of levels, on average over the other factors; ``within``: some pair for
#: some levels of the others, while nothing is told of the average; ``turns``: which of a pair is
#: higher turns with the others; ``may turn``: it may, so that the average is not told; ``equal``:
#: all pairs practically equal; ``open``: none of these is probable enough.
Finding = Literal["differs", "within", "turns", "may turn", "equal", "open"]
#: The findings that claim a difference.
CLAIMS: tuple[Finding, ...] = ("differs", "within", "turns")
#: Columns of :meth:`~pyrovae.analysis.posterior.CellPosterior.contrasts` that the rule reads.
NEEDED = frozenset({"above", "below", "jointly", "crossing", "everywhere"})


@dataclass(frozen=True)
class Judged:
    """What is found of one factor in one score.

    Attributes
    ----------
    finding
        See :data:`Finding`.
    probability
        Of what is said, all of it together, under the posterior.
    pairs
        Rows of contrasts that it is said of, the surest first; of an open question the surest.
    within
        Rows of :meth:`~pyrovae.analysis.posterior.CellPosterior.within` that are sure by
        themselves.
    """

    finding: Finding
    probability: float
    pairs: pd.DataFrame
    within: pd.DataFrame = field(default_factory=pd.DataFrame)


def bar(*tables: pd.DataFrame) -> float:
    """Return the posterior probability from which something is asserted of a score and factor.

    Parameters
    ----------
    tables
        All contrasts of a study, and all its differences within cells: each score and factor in
        each is one look.

    >>> one = pd.DataFrame({"metric": ["mig"], "factor": ["prior"]})
    >>> bar(one), round(bar(one, one), 3)
    (0.95, 0.975)
    """
    looks = sum(len(t.drop_duplicates(["metric", "factor"])) for t in tables if len(t))
    return 1 - (1 - ENOUGH) / max(looks, 1)


def judge(pairs: pd.DataFrame, within: pd.DataFrame, enough: float) -> Judged:
    """Return what is found of one factor in one score.

    Parameters
    ----------
    pairs
        Its rows of :meth:`~pyrovae.analysis.posterior.CellPosterior.contrasts`, at least one.
    within
        Its rows of :meth:`~pyrovae.analysis.posterior.CellPosterior.within`; empty if it is the
        only factor.
    enough
        From :func:`bar`.
    """
    pairs = pairs.sort_values("jointly", ascending=False, kind="stable")
    alone = _sure(within.sort_values("jointly", ascending=False), enough) if len(within) else within
    turned = pairs[[_both_ways(alone, pair.a, pair.b) for pair in pairs.itertuples()]]
    if len(turned):
        return Judged("turns", float(alone["jointly"].min()), turned, alone)
    sure = _sure(pairs, enough)
    turning = sure[sure["crossing"] >= _TURNS]
    if len(turning) and alone.empty:
        return Judged("may turn", float(turning["crossing"].max()), turning, alone)
    if len(sure) and turning.empty:
        return Judged("differs", float(sure["jointly"].min()), sure, alone)
    if len(alone):
        return Judged("within", float(alone["jointly"].min()), pairs, alone)
    equal = float(pairs["rope"].min())
    if equal >= ENOUGH:
        return Judged("equal", equal, pairs, alone)
    return Judged("open", float(pairs["jointly"].iloc[0]), pairs.head(1), alone)


def _both_ways(alone: pd.DataFrame, a: str, b: str) -> bool:
    """Tell whether one of two levels is surely higher in some cells, the other in others."""
    if alone.empty:
        return False
    mine = alone[(alone["a"] == a) & (alone["b"] == b)]
    return bool((mine["low"] > 0).any() and (mine["high"] < 0).any())


def _sure(pairs: pd.DataFrame, enough: float) -> pd.DataFrame:
    """Return the pairs that may be asserted together: beyond equivalence, and beyond zero."""
    beyond = (pairs["low"] > 0) | (pairs["high"] < 0)
    return pairs[(pairs["jointly"] >= enough) & beyond]
