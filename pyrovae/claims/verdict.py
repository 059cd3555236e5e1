"""A verdict: how probable a claim is, given the runs, and what that rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor

from pyrovae.analysis.sampling import NoStart, Sampling, run_nuts
from pyrovae.claims.models import Posed
from pyrovae.core.errors import PyrovaeError
from pyrovae.measures.posterior.convergence import Convergence, convergence


class Undecidable(PyrovaeError):
    """A claim that a study's runs cannot decide, with the reason."""


#: How NUTS is run for a verdict.
SAMPLING = Sampling()


@dataclass(frozen=True)
class Verdict:
    """What the runs say about a claim.

    Attributes
    ----------
    probability
        Posterior probability of the claim.
    quantity
        What ``draws`` are of.
    draws
        From the posterior of the quantity that decides, one-dimensional.
    region
        The claim holds where the quantity lies between these two; either may be infinite.
    evidence
        Tidy table with columns ``x``, ``y`` and ``group``: what the model saw.
    labels
        Of ``x`` and ``y``.
    convergence
        Of the draws, ``None`` if they are no chains; unless it has passed, the probability must not
        be used.
    """

    probability: float
    quantity: str
    draws: np.ndarray
    region: tuple[float, float]
    evidence: pd.DataFrame
    labels: tuple[str, str]
    convergence: Convergence | None

    @property
    def converged(self) -> bool:
        """Whether the probability may be used."""
        return self.convergence is None or self.convergence.passed

    @property
    def mean(self) -> float:
        """Posterior mean of the quantity."""
        return float(self.draws.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """Central 95 % interval of the quantity."""
        low, high = np.quantile(self.draws, [0.025, 0.975])
        return float(low), float(high)

    @property
    def word(self) -> str:
        """The verdict in a word, for reading; the probability is the verdict."""
        if self.convergence is not None and not self.convergence.passed:
            return f"no verdict: {self.convergence.reason}"
        for least, word in ((0.95, "supported"), (0.8, "leaning to yes"), (0.2, "undecided")):
            if self.probability >= least:
                return word
        return "leaning to no" if self.probability > 0.05 else "not supported"


def decide(
    draws: Tensor,
    region: tuple[float, float],
    *,
    quantity: str,
    evidence: pd.DataFrame,
    labels: tuple[str, str],
    divergent: int | None,
) -> Verdict:
    """Return the verdict that a quantity lies in a region.

    Parameters
    ----------
    draws
        Of the quantity, ``(chains, draws)``.
    region, quantity, evidence, labels
        See :class:`Verdict`.
    divergent
        Number of transitions that diverged; ``None`` if the draws are exact.
    """
    values = draws.double().numpy()
    gate = None if divergent is None else convergence({"": values}, divergent=divergent)
    values = values.ravel()
    inside = (values > region[0]) & (values < region[1])
    return Verdict(float(inside.mean()), quantity, values, region, evidence, labels, gate)


@dataclass(frozen=True)
class Fitted:
    """Posterior draws by site, ``(chains, draws, *shape)``, and how many transitions diverged."""

    samples: Mapping[str, Tensor]
    divergent: int

    def __getitem__(self, site: str) -> Tensor:
        return self.samples[site]


def fit(posed: Posed) -> Fitted:
    """Sample a model's posterior by NUTS; the global random state is left as it was.

    Raises
    ------
    Undecidable
        If the runs leave nothing to estimate.
    """
    try:
        return Fitted(*run_nuts(posed.program, posed.guess, SAMPLING))
    except NoStart as reason:
        raise Undecidable(str(reason)) from reason
