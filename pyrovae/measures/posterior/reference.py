"""The true posterior of test points by NUTS, and whether it can be relied on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrovae.core.given import Data, repeated
from pyrovae.core.measuring import only_measures
from pyrovae.measures.arviz import ess, rhat
from pyrovae.measures.posterior import nuts
from pyrovae.measures.posterior.convergence import MAX_R_HAT, MIN_ESS
from pyrovae.measures.posterior.density import Density
from pyrovae.models.contract import LatentModel

#: Chains that disagree by this R-hat, although each agrees with itself to the other, are in
#: different modes.
_APART, _STEADY = 1.2, 1.1
#: A valley of a marginal density below this share of the lower of two peaks separates modes that
#: hold at least this share of the draws.
_VALLEY, _MASS = 0.5, 0.05

Floats = NDArray[np.floating]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Reference:
    """Draws from p(z|x), and their diagnostics.

    Attributes
    ----------
    z
        ``(chain, draw, n, d)``.
    statistics
        ``lp`` (log p(x, z), nats), ``acceptance_rate``, ``step_size``, ``n_steps``,
        ``tree_depth``, ``diverging``: ``(chain, draw, n)`` each.
    rhat, ess_bulk, ess_tail
        ``(n, d)``.
    modes
        Modes of each marginal that are seen, or that chains are stuck in, ``(n, d)``.
    main_modes
        Modes seen along the direction of largest correlation, ``(n,)``: those that are far apart
        in many units together, in none by much.
    """

    z: Floats
    statistics: dict[str, NDArray]
    rhat: Floats
    ess_bulk: Floats
    ess_tail: Floats
    modes: NDArray[np.integer]
    main_modes: NDArray[np.integer]

    @property
    def passed(self) -> Booleans:
        """Which points may be relied on, ``(n,)``: no dimension beyond R-hat 1.01 or ESS 400.

        A dimension that does not move at all has no R-hat, and fails.
        """
        good = (self.rhat <= MAX_R_HAT) & (np.minimum(self.ess_bulk, self.ess_tail) >= MIN_ESS)
        return np.asarray(good.all(1))

    @property
    def multimodal(self) -> Booleans:
        """Which points have several modes, in a marginal or along the main direction, ``(n,)``."""
        return np.asarray((self.modes > 1).any(1) | (self.main_modes > 1))

    @property
    def divergences(self) -> NDArray[np.integer]:
        """Divergent iterations of each point, ``(n,)``."""
        return self.statistics["diverging"].sum((0, 1))


@only_measures
def sample_posterior(
    vae: LatentModel,
    x: Data,
    *,
    chains: int = 4,
    warmup: int = 1000,
    draws: int = 1000,
    seed: int = 0,
    compiled: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Reference:
    """Sample p(z|x) of many observations at once.

    Chains start from the prior: scattered more widely than the posterior, and without a look at
    the guide, which the reference is to judge.

    Parameters
    ----------
    vae
        The trained model; its guide is not used.
    x
        Observations ``(n, *event_shape)``.
    chains, warmup, draws
        For each observation.
    seed
        Of all randomness; the global random state is left as it was.
    compiled
        Whether the sampler's step is compiled.
    progress
        Called with the share that is done.

    Raises
    ------
    PyrovaeError
        If the prior has no density.
    """
    generator = torch.Generator().manual_seed(seed)
    density = Density(vae, repeated(x, chains))
    found = nuts.sample(
        density,
        density.draw_prior(generator),
        warmup=warmup,
        draws=draws,
        generator=generator,
        compiled=compiled,
        progress=progress,
    )

    def by_chain(values: Tensor) -> NDArray:
        return values.unflatten(0, (chains, -1)).transpose(1, 2).contiguous().numpy()

    z = by_chain(density.codes(found.z))
    statistics = {
        "lp": found.log_density,
        "acceptance_rate": found.acceptance_rate,
        "step_size": found.step_size,
        "n_steps": found.n_steps,
        "tree_depth": found.tree_depth,
        "diverging": found.diverging,
    }
    between = rhat(z)
    return Reference(
        z,
        {name: by_chain(value) for name, value in statistics.items()},
        between,
        ess(z, "bulk"),
        ess(z, "tail"),
        _modes(z, between),
        np.array(
            [
                count_modes(values)
                for values in (_pooled(z) @ main_directions(z)[..., None]).squeeze(-1)
            ]
        ),
    )


def main_directions(z: Floats) -> Floats:
    """Return where each posterior is longest, in units of its standard deviations.

    Parameters
    ----------
    z
        ``(chain, draw, n, d)``.

    Returns
    -------
    ndarray
        ``(n, d)``: draws times it are a line of codes that modes apart in many units lie along.
    """
    pooled = _pooled(z)
    scale = np.maximum(pooled.std(1), np.finfo(z.dtype).tiny)
    standard = (pooled - pooled.mean(1, keepdims=True)) / scale[:, None]
    _, vectors = np.linalg.eigh(standard.swapaxes(1, 2) @ standard)
    return vectors[..., -1] / scale


def _pooled(z: Floats) -> Floats:
    """Return ``(chain, draw, n, d)`` as ``(n, draws, d)``."""
    return z.reshape(-1, *z.shape[2:]).swapaxes(0, 1)


def _modes(z: Floats, between: Floats) -> NDArray[np.integer]:
    """Count the modes of each marginal, ``(n, d)``."""
    chains, draws, n, d = z.shape
    pooled = z.reshape(chains * draws, n * d).T
    counts = np.array([count_modes(column) for column in pooled]).reshape(n, d)
    # Each chain alone, split in two: it agrees with itself, but not with the others.
    halves = z[:, : draws // 2 * 2].reshape(chains, 2, draws // 2, n, d)
    alone = np.max([rhat(half) for half in halves], axis=0)
    stuck = (between > _APART) & (alone <= _STEADY)
    return np.where(stuck, np.maximum(counts, 2), counts)


def count_modes(values: Floats, bins: int = 128) -> int:
    """Count the peaks of a sample's density that a deep valley separates, each with enough mass.

    The density is a kernel estimate with Silverman's bandwidth for the smaller of standard
    deviation and scaled interquartile range, which keeps two narrow peaks apart.
    """
    # Imported late: `list` and `plan` do without it, and it takes longer than they do.
    from scipy.signal import find_peaks

    sd, quartiles = values.std(), np.quantile(values, [0.25, 0.75])
    scale = min(sd, (quartiles[1] - quartiles[0]) / 1.349) or sd
    if scale == 0:
        return 1
    edges = np.linspace(values.min() - 3 * scale, values.max() + 3 * scale, bins + 1)
    counts, _ = np.histogram(values, edges)
    width = 0.9 * scale * len(values) ** -0.2 / (edges[1] - edges[0])
    offsets = np.arange(-bins // 2, bins // 2 + 1)
    kernel = np.exp(-0.5 * (offsets / max(width, 1.0)) ** 2)
    density = np.convolve(counts, kernel / kernel.sum(), mode="same")
    peaks, about = find_peaks(np.pad(density, 1), prominence=0)
    peaks = peaks - 1
    peaks = peaks[about["prominences"] >= (1 - _VALLEY) * density[peaks]]
    valleys = [a + int(density[a:b].argmin()) for a, b in pairwise(peaks)]
    masses = [part.sum() for part in np.split(counts, valleys)]
    return max(sum(mass >= _MASS * len(values) for mass in masses), 1)
