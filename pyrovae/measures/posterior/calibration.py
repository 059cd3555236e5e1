"""Simulation-based calibration of the encoder, with simultaneous bands.

Codes from the prior make data; the rank of each code among draws from q(z|x) of its datum is
uniform if q is the posterior of the model (Talts et al. 2018, arXiv:1804.06788). Too narrow a q
gives too many extreme ranks, too wide a q too few, a biased one a slope.

Two more are read from the same draws. The rank of a code's distance from a random point, among the
draws' distances, is of all units at once (Lemos et al. 2023, arXiv:2302.03026: TARP). And ranks may
be symmetric where they are not uniform: then q has the right centre, if not the right width, which
is what variational inference can be asked for (Yao et al. 2018, arXiv:1802.02538: VSBC).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.measures.posterior.annealing import simulate
from pyrovae.measures.posterior.density import draw_codes
from pyrovae.models.contract import LatentModel

#: Observations that are encoded at a time.
_CHUNK = 250
#: Simulated samples that bands and p-values are taken from.
_TRIALS = 4000

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Calibration:
    """Ranks of true codes among the guide's draws.

    Attributes
    ----------
    ranks
        From 0 to ``draws``, ``(simulations, d)``.
    draws
        Draws from q(z|x) for each simulated datum.
    distance_ranks
        Ranks of the codes' distances from random points, ``(simulations,)``; ``None`` if unknown,
        as in results of earlier versions.
    """

    ranks: NDArray[np.integer]
    draws: int
    distance_ranks: NDArray[np.integer] | None = None

    @property
    def p_values(self) -> Floats:
        """Of uniformity for each unit, by the largest deviation of its ECDF, ``(d,)``."""
        return uniformity(self.ranks, self.draws)

    @property
    def p_value(self) -> float:
        """Of the uniformity of all units together (Bonferroni)."""
        return _bonferroni(self.p_values)

    @property
    def symmetry_p_values(self) -> Floats:
        """Of symmetry for each unit, ``(d,)``: see :func:`symmetry`."""
        return symmetry(self.ranks, self.draws)

    @property
    def symmetry_p_value(self) -> float:
        """Of the symmetry of all units together (Bonferroni)."""
        return _bonferroni(self.symmetry_p_values)

    @property
    def tarp_p_value(self) -> float:
        """Of the uniformity of the distances' ranks; NaN if unknown."""
        if self.distance_ranks is None:
            return float("nan")
        return float(uniformity(self.distance_ranks[:, None], self.draws)[0])

    def expected_coverage(self, nominal: Floats) -> Floats:
        """Return how often balls of given content under q hold the code, ``(k,)``.

        Each is around a random point (Lemos et al. 2023, eq. 4). It is the content itself for an
        exact q; the balls of too narrow a q hold all of it or nothing.
        """
        if self.distance_ranks is None:
            return np.full(len(nominal), np.nan)
        place = (self.distance_ranks + 0.5) / (self.draws + 1)
        return (place[None] < np.asarray(nominal)[:, None]).mean(1)

    def coverage(self, nominal: Floats) -> Floats:
        """Return how often central intervals of the given content hold the code, ``(k, d)``."""
        centred = np.abs((self.ranks + 0.5) / (self.draws + 1) - 0.5)
        return (2 * centred[None] <= np.asarray(nominal)[:, None, None]).mean(1)


@only_measures
def calibrate(
    vae: LatentModel,
    *,
    simulations: int = 1000,
    draws: int = 127,
    seed: int = 0,
    context: Tensor | None = None,
) -> Calibration:
    """Rank simulated codes among the guide's draws for the data that they made.

    Parameters
    ----------
    vae
        The trained model and guide.
    simulations
        Simulated data.
    draws
        From q(z|x) for each; one less than a power of two divides well into bins.
    seed
        Of all draws; the global random state is left as it was.
    context
        Contexts that data are simulated with, in turn, ``(m, k)``, for a conditional model.

    Notes
    -----
    The points that distances are taken from are draws of the prior, in units of its interquartile
    range. They lie on either side of the code, so that a shift is seen by TARP to second order
    only, which SBC and VSBC see to first. They do not depend on x; so TARP sees nothing wrong in a
    q that is the prior itself, as SBC does not (Lemos et al. 2023, sec. 3).
    :func:`pyrovae.measures.posterior.local.local_c2st` does.
    """
    generator = Generator().manual_seed(seed)
    if context is not None:
        context = context[torch.arange(simulations) % len(context)]
    z = draw_codes(vae, simulations, generator, context)
    near = draw_codes(vae, simulations, Generator().manual_seed(seed + 2), context)
    spread = _spread(near)
    ranks, distance_ranks = [], []
    with torch.no_grad(), seeded(seed + 1, z.device):
        for start in range(0, simulations, _CHUNK):
            part = z[start : start + _CHUNK]
            told = {} if context is None else {"context": context[start : start + _CHUNK]}
            q = vae.encode(simulate(vae, part, generator, **told), **told)
            drawn, points = q.sample((draws,)), near[start : start + _CHUNK]
            ranks.append((drawn < part).sum(0))
            far = torch.linalg.vector_norm((part - points) / spread, dim=-1)
            away = torch.linalg.vector_norm((drawn - points) / spread, dim=-1)
            distance_ranks.append((away < far).sum(0))
    return Calibration(torch.cat(ranks).numpy(), draws, torch.cat(distance_ranks).numpy())


def _spread(z: Tensor) -> Tensor:
    """Return each unit's interquartile range, which heavy tails leave alone; 1 where it is 0."""
    low, high = torch.quantile(z, z.new_tensor([0.25, 0.75]), dim=0)
    return torch.where(high > low, high - low, 1.0)


def _bonferroni(p: Floats) -> float:
    return float(min(1.0, len(p) * p.min()))


def symmetry(ranks: NDArray[np.integer], draws: int) -> Floats:
    """Return p-values that ranks from 0 to ``draws`` are symmetric about their middle.

    By the largest difference of the ECDFs of ranks and of mirrored ranks, as Yao et al. 2018
    (arXiv:1802.02538, sec. 3). Theirs is a test of two independent samples, which a sample and
    its mirror image are not; here each rank is mirrored at random, which a symmetric law allows.
    By simulation; where that ends, Lévy's inequality bounds them.

    Parameters
    ----------
    ranks
        ``(n, d)``.
    draws
        The largest rank.

    Returns
    -------
    ndarray
        ``(d,)``.
    """
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from scipy import stats

    rng = np.random.default_rng(0)
    p_values = np.empty(ranks.shape[1])
    half = (draws + 1) // 2
    for u, column in enumerate(ranks.T):
        counts = np.bincount(column, minlength=draws + 1)
        below, above = counts[:half], counts[::-1][:half]
        found = np.abs(np.cumsum(below - above)).max()
        pairs = below + above
        mirrored = 2 * rng.binomial(pairs, 0.5, (_TRIALS, half)) - pairs
        largest = np.abs(np.cumsum(mirrored, axis=1)).max(1)
        n = pairs.sum()
        # The largest of partial sums is beyond a place at most twice as often as the last one is.
        bound = 4 * stats.binom.sf((n + found) / 2 - 1, n, 0.5)
        p_values[u] = min((1 + (largest >= found).sum()) / (1 + _TRIALS), bound)
    return p_values


def uniformity(ranks: NDArray[np.integer], draws: int) -> Floats:
    """Return p-values that ranks from 0 to ``draws`` are uniform: simultaneous over the ECDF.

    By simulation; where that ends, the smallest tail times the number of places bounds them.

    Parameters
    ----------
    ranks
        ``(n, d)``.
    draws
        The largest rank.

    Returns
    -------
    ndarray
        ``(d,)``.
    """
    n = len(ranks)
    least = _least_tail(_ecdf_counts(ranks.T, draws), n)
    simulated = (1 + (_null(n, draws) <= least[:, None]).sum(1)) / (1 + _TRIALS)
    # Without the bound, simulation's smallest p times a large number of units rejects nothing.
    return np.minimum(simulated, draws * least)


def band(n: int, draws: int, content: float = 0.95) -> tuple[Floats, Floats, Floats]:
    """Return where uniform ranks keep their ECDF throughout, with a given probability.

    Säilynoja, Bürkner & Vehtari 2022, sec. 3 (arXiv:2103.10522), the band's level by simulation.

    Returns
    -------
    places, low, high
        The ECDF's arguments, and the band's limits of ECDF minus arguments; ``(draws,)`` each.
    """
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from scipy import stats

    level = np.quantile(_null(n, draws), 1 - content)
    places = np.arange(1, draws + 1) / (draws + 1)
    low = stats.binom.ppf(level / 2, n, places) / n - places
    high = stats.binom.ppf(1 - level / 2, n, places) / n - places
    return places, low, high


def ecdf_difference(ranks: NDArray[np.integer], draws: int) -> Floats:
    """Return ECDF minus its expectation at the places of :func:`band`, ``(draws,)``."""
    places = np.arange(1, draws + 1) / (draws + 1)
    return _ecdf_counts(ranks[None], draws)[0] / len(ranks) - places


def _ecdf_counts(ranks: NDArray[np.integer], draws: int) -> NDArray[np.integer]:
    """Count the ranks below 1, …, ``draws``: ``(trials, n)`` to ``(trials, draws)``."""
    counts = np.apply_along_axis(np.bincount, 1, ranks, minlength=draws + 1)
    return counts.cumsum(1)[:, :-1]


def _least_tail(counts: NDArray[np.integer], n: int) -> Floats:
    """Return the smallest two-sided binomial tail along each ECDF, ``(trials,)``."""
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from scipy import stats

    draws = counts.shape[1]
    grid = np.arange(n + 1)[:, None]
    places = np.arange(1, draws + 1) / (draws + 1)
    below = stats.binom.cdf(grid, n, places)
    above = stats.binom.sf(grid - 1, n, places)
    tails = 2 * np.minimum(below, above)
    return tails[counts, np.arange(draws)].min(1)


@lru_cache(maxsize=8)
def _null(n: int, draws: int) -> Floats:
    """Return the smallest tails of simulated uniform ranks."""
    rng = np.random.default_rng(0)
    return _least_tail(_ecdf_counts(rng.integers(0, draws + 1, (_TRIALS, n)), draws), n)
