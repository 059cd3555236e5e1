"""A verdict: how probable a claim is, given the runs, and what that rests on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyro
import torch
from pyro.infer import MCMC, NUTS
from torch import Tensor

#: R-hat above this, or fewer effective draws than that: no verdict.
LARGEST_RHAT, LEAST_ESS = 1.02, 200
_WARMUP, _DRAWS, _CHAINS = 200, 400, 2


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
    converged
        Whether NUTS passed its gate; if not, the probability must not be used.
    """

    probability: float
    quantity: str
    draws: np.ndarray
    region: tuple[float, float]
    evidence: pd.DataFrame
    labels: tuple[str, str]
    converged: bool

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
        if not self.converged:
            return "no verdict: NUTS did not converge"
        for least, word in ((0.95, "supported"), (0.8, "leaning to yes"), (0.2, "undecided")):
            if self.probability >= least:
                return word
        return "leaning to no" if self.probability > 0.05 else "not supported"


def decide(
    fitted: Fitted,
    draws: Tensor,
    region: tuple[float, float],
    *,
    quantity: str,
    evidence: pd.DataFrame,
    labels: tuple[str, str],
) -> Verdict:
    """Return the verdict that a quantity lies in a region."""
    values = draws.double().numpy().ravel()
    inside = (values > region[0]) & (values < region[1])
    return Verdict(
        float(inside.mean()), quantity, values, region, evidence, labels, fitted.converged
    )


@dataclass(frozen=True)
class Fitted:
    """Posterior draws by site, ``(draws, *shape)``, chains one after the other; and the gate."""

    samples: Mapping[str, Tensor]
    converged: bool

    def __getitem__(self, site: str) -> Tensor:
        return self.samples[site]


def fit(model: Callable[..., Any], *data: Any, seed: int = 0) -> Fitted:
    """Sample a Pyro model's posterior by NUTS; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # torch.jit.trace announces its end; Pyro's NUTS has no other way yet.
        warnings.simplefilter("ignore", DeprecationWarning)
        chains = []
        for chain in range(_CHAINS):
            pyro.set_rng_seed(seed + chain)
            # Traced once: run as it is, Pyro's handlers cost ten times the arithmetic.
            kernel = NUTS(model, jit_compile=True, ignore_jit_warnings=True, max_tree_depth=7)
            mcmc = MCMC(kernel, num_samples=_DRAWS, warmup_steps=_WARMUP, disable_progbar=True)
            mcmc.run(*data)
            chains.append(mcmc.get_samples())
    stacked = {site: torch.stack([chain[site] for chain in chains]) for site in chains[0]}
    ok = all(_passes(values) for values in stacked.values())
    return Fitted({site: values.flatten(0, 1) for site, values in stacked.items()}, ok)


def _passes(values: Tensor) -> bool:
    from pyro.ops.stats import effective_sample_size, split_gelman_rubin

    if values.std() == 0:
        return True
    rhat = split_gelman_rubin(values, chain_dim=0, sample_dim=1)
    ess = effective_sample_size(values, chain_dim=0, sample_dim=1)
    return bool((rhat < LARGEST_RHAT).all() and (ess > LEAST_ESS).all())
