"""A verdict: how probable a claim is, given the runs, and what that rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pyrovae.claims.exact import Found
from pyrovae.core.errors import PyrovaeError


class Undecidable(PyrovaeError):
    """A claim that a study's runs cannot decide, with the reason.

    Attributes
    ----------
    word
        What stands in place of a verdict.
    """

    word = "no verdict"


class NoLaw(Undecidable):
    """A claim that is not made of such runs at all: there is nothing to be judged."""

    word = "no law"


@dataclass(frozen=True)
class Verdict:
    """What the runs say about a claim.

    Attributes
    ----------
    quantity
        What decides: what ``found`` is of, with its unit if it has one.
    found
        The quantity's draws, from the posterior and from the prior alone.
    region
        The claim holds where the quantity lies between these two; either may be infinite.
    evidence
        Tidy table with columns ``x``, ``y`` and ``group``, and ``error`` where it is known: what
        the model saw.
    labels
        Of ``x`` and ``y``.
    beside
        Further quantities, which decide nothing, by what they are.
    """

    quantity: str
    found: Found
    region: tuple[float, float]
    evidence: pd.DataFrame
    labels: tuple[str, str]
    beside: Mapping[str, Found] = field(default_factory=dict)

    @property
    def draws(self) -> np.ndarray:
        """Draws of the quantity from the posterior."""
        return self.found.draws

    @property
    def probability(self) -> float:
        """Posterior probability of the claim."""
        return self._inside(self.found.draws)

    @property
    def prior_probability(self) -> float:
        """Probability of the claim under the prior alone: what would be said without a run."""
        return self._inside(self.found.prior)

    @property
    def mean(self) -> float:
        """Posterior mean of the quantity."""
        return float(self.draws.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """Central 95 % interval of the quantity."""
        return interval(self.found)

    @property
    def claimed(self) -> str:
        """Where the claim has the quantity lie, in words."""
        low, high = self.region
        if math.isinf(low):
            return f"below {high:.3g}"
        return f"above {low:.3g}" if math.isinf(high) else f"between {low:.3g} and {high:.3g}"

    @property
    def word(self) -> str:
        """The verdict in a word, for reading; the probability is the verdict."""
        for least, word in ((0.95, "supported"), (0.8, "leaning to yes"), (0.2, "undecided")):
            if self.probability >= least:
                return word
        return "leaning to no" if self.probability > 0.05 else "not supported"

    def _inside(self, draws: np.ndarray) -> float:
        return float(((draws > self.region[0]) & (draws < self.region[1])).mean())


def interval(found: Found) -> tuple[float, float]:
    """Return the central 95 % interval of a quantity."""
    low, high = np.quantile(found.draws, [0.025, 0.975])
    return float(low), float(high)
