"""log p(x) by annealed importance sampling, between two bounds.

From the prior to the posterior by small steps of temperature, each followed by a Hamiltonian
transition: the mean weight is an unbiased estimate of p(x), its log a lower bound in expectation.
Run backwards from an exact draw of the posterior, which exists for data simulated from the model,
the same chain gives an upper bound. Where both meet, the estimate is right.

Sources: Neal 2001 (arXiv:physics/9803008); Grosse, Ancha & Roy 2016, bidirectional Monte Carlo
(arXiv:1606.02275); Wu et al. 2017, for decoders (arXiv:1611.04273).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from pyrovae.core.given import Data, Given, repeated
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.measures.posterior.density import Density, Evaluated, draw_codes
from pyrovae.measures.posterior.warmup import choose
from pyrovae.measures.posterior.weights import Estimate, log_mean
from pyrovae.models.contract import LatentModel

#: Acceptance that step sizes are tuned to (Wu et al. 2017, sec. 3.2).
_TARGET = 0.65
#: Change of the log step size for each unit of acceptance off the target.
_GAIN = 0.3
#: Temperatures of the tuning run: one in so many.
_STRIDE = 2


@dataclass(frozen=True)
class Annealing:
    """How finely is annealed.

    Attributes
    ----------
    chains
        Independent chains for each datum.
    temperatures
        Steps from prior to posterior.
    leapfrog
        Steps of each transition.
    """

    chains: int = 16
    temperatures: int = 500
    leapfrog: int = 5

    def betas(self) -> Tensor:
        """Return the inverse temperatures from 0 to 1, closer at both ends (Wu et al. 2017)."""
        scaled = torch.sigmoid(torch.linspace(-4, 4, self.temperatures + 1, dtype=torch.float64))
        return ((scaled - scaled[0]) / (scaled[-1] - scaled[0])).float()


@only_measures
def log_px(
    vae: LatentModel, x: Data, settings: Annealing, generator: Generator
) -> tuple[Estimate, float]:
    """Estimate log p(x) by annealed importance sampling.

    Returns
    -------
    Estimate
        A stochastic lower bound on log p(x).
    float
        Mean acceptance of the transitions.
    """
    run = _Chains(vae, x, settings, generator)
    start = run.density.draw_prior(generator)
    log_weight, accepted = run.forward(start)
    return log_mean(log_weight), accepted


@dataclass(frozen=True)
class Bracket:
    """Bounds on log p(x) of simulated data, nats, from both sides."""

    lower: Estimate
    upper: Estimate

    @property
    def width(self) -> tuple[float, float]:
        """Mean of upper minus lower bound, and its Monte Carlo standard error."""
        return (self.upper - self.lower).mean()


@only_measures
def simulated_bracket(
    vae: LatentModel,
    n: int,
    settings: Annealing,
    generator: Generator,
    context: Tensor | None = None,
) -> tuple[Bracket, Tensor]:
    """Simulate data from the model and bound their log p(x) from below and above.

    With contexts ``(n, k)``, log p(x|c).

    Returns
    -------
    Bracket
        Of each simulated datum.
    Tensor
        The data, ``(n, *event_shape)``.
    """
    z = draw_codes(vae, n, generator, context)
    x = simulate(vae, z, generator, context)
    data = x if context is None else Given(x, context)
    run = _Chains(vae, data, settings, generator)
    forward, _ = run.forward(run.density.draw_prior(generator))
    exact = run.density.coordinates(z.repeat(settings.chains, 1), generator)
    backward = log_mean(-run.backward(exact))
    return Bracket(log_mean(forward), Estimate(-backward.value, backward.error)), x


@only_measures
def simulate(
    vae: LatentModel, z: Tensor, generator: Generator, context: Tensor | None = None
) -> Tensor:
    """Return a draw of p(x|z) for each code; the global random state is left as it was."""
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.no_grad(), seeded(seed, z.device):
        return vae.decode(z, **({} if context is None else {"context": context})).sample()


class _Chains:
    """Annealed chains of all data, with step sizes that a first run has tuned.

    Step sizes are fixed before the run whose weights count: tuned along with it, they would make
    its transitions depend on the chain's past, and its weights biased.
    """

    def __init__(
        self, vae: LatentModel, x: Data, settings: Annealing, generator: Generator
    ) -> None:
        self._settings, self._generator, self._n = settings, generator, len(x)
        self.density = Density(vae, repeated(x, settings.chains))
        self._betas = settings.betas()
        self._sizes = self._tune()

    def forward(self, u: Tensor) -> tuple[Tensor, float]:
        """Anneal from prior draws ``(b, d)``; return log weights ``(chains, n)``, acceptance."""
        log_weight = torch.zeros(len(u), dtype=torch.float64)
        at, accepted = (u, self.density(u)), 0.0
        for t in range(1, len(self._betas)):
            log_weight += (self._betas[t] - self._betas[t - 1]) * at[1].log_likelihood.double()
            if t < len(self._betas) - 1:
                at, accept = self._move(at, self._betas[t], self._sizes[t])
                accepted += float(accept.mean()) / (len(self._betas) - 2)
        return log_weight.unflatten(0, (-1, self._n)), accepted

    def backward(self, u: Tensor) -> Tensor:
        """Anneal from posterior draws ``(b, d)`` to the prior; return the forward log weights."""
        log_weight = torch.zeros(len(u), dtype=torch.float64)
        at = (u, self.density(u))
        for t in reversed(range(1, len(self._betas))):
            if t < len(self._betas) - 1:
                at, _ = self._move(at, self._betas[t], self._sizes[t])
            log_weight += (self._betas[t] - self._betas[t - 1]) * at[1].log_likelihood.double()
        return log_weight.unflatten(0, (-1, self._n))

    def _tune(self) -> Tensor:
        """Return a step size for each temperature and datum, ``(temperatures + 1, n)``."""
        u = self.density.draw_prior(self._generator)
        at = (u, self.density(u))
        log_size = torch.zeros(self._n)
        sizes = torch.ones(len(self._betas), self._n)
        for t in range(1, len(self._betas), _STRIDE):
            at, accept = self._move(at, self._betas[t], log_size.exp())
            log_size = log_size + _GAIN * (accept.unflatten(0, (-1, self._n)).mean(0) - _TARGET)
            sizes[t : t + _STRIDE] = log_size.exp()
        return sizes

    def _move(
        self, at: tuple[Tensor, Evaluated], beta: Tensor, sizes: Tensor
    ) -> tuple[tuple[Tensor, Evaluated], Tensor]:
        """Do one Hamiltonian transition; return where, and the acceptance probability ``(b,)``."""
        u, here = at
        size = sizes.repeat(self._settings.chains)[:, None]
        momentum = torch.randn(u.shape, generator=self._generator)
        energy = 0.5 * (momentum**2).sum(1) - here.tempered(beta)
        new, found = u, here
        for _ in range(self._settings.leapfrog):
            momentum = momentum + 0.5 * size * found.gradient(beta)
            new = new + size * momentum
            found = self.density(new)
            momentum = momentum + 0.5 * size * found.gradient(beta)
        change = energy - 0.5 * (momentum**2).sum(1) + found.tempered(beta)
        accept = torch.where(change.isnan(), 0.0, change.clamp(max=0).exp())
        take = torch.rand(len(u), generator=self._generator) < accept
        return (choose(take, new, u), choose(take, found, here)), accept
