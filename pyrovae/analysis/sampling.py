"""NUTS on the comparison, all chains side by side, with the global random state left alone.

A Pyro program costs a few milliseconds to run and to differentiate, whatever its size, and NUTS
does so some ten thousand times. So the program runs once, under a tracer: its log density and
gradient, for all chains at once, become part of the sampler's step
(:mod:`pyrovae.measures.posterior.nuts`), which is one graph of tensor operations. The data are an
input of it, so that what is compiled for one metric serves all others that have as many runs and
the same law.

NUTS takes as many steps as the longest direction of a posterior has lengths of the shortest. So
the space is measured twice. First from a guess, along and in units of the curvature there, for a
pilot run of every chain from a far start. Then from the mean of all pilots' draws, in units of
their common covariance, shrunk towards the first units; each chain goes on in these units from
where its pilot ended. The law that is sampled stays the same, whatever the units.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.infer.autoguide import init_to_value
from pyro.infer.mcmc.util import initialize_model
from torch import Tensor
from torch.func import grad_and_value, vmap

from pyrovae.core.errors import PyrovaeError
from pyrovae.measures.posterior.nuts import Sampler


@dataclass(frozen=True)
class Sampling:
    """How NUTS is run.

    Parameters
    ----------
    chains
        Independent, each from a start of its own.
    draws
        In each chain.
    warmup
        In each chain, in three parts of one length: the pilot's own warm-up, its draws, and the
        warm-up of what is kept.
    target_accept
        Nearer to one: smaller steps, fewer divergences.
    seed
        Of all chains.
    thin
        Only every so manieth draw is kept.
    """

    chains: int = 4
    draws: int = 600
    warmup: int = 600
    target_accept: float = 0.95
    seed: int = 0
    thin: int = 1

    def careful(self) -> Sampling:
        """Return what is tried once more where these chains do not pass their gate.

        Steps are shorter (Stan's reference manual, on divergent transitions), and each draw that is
        kept stands for four times as many.
        """
        shorter = max(_CAREFUL, self.target_accept)
        return replace(self, target_accept=shorter, thin=4 * self.thin)

    @property
    def compiled(self) -> bool:
        """Whether the step is compiled: that costs about as much as 300 iterations without."""
        return self.draws + self.warmup > _WORTH_COMPILING


#: Iterations of a chain from which on compiling pays, though nothing be in the cache.
_WORTH_COMPILING = 500
#: Acceptance aimed at the second time.
_CAREFUL = 0.99


class NoStart(PyrovaeError):
    """A model whose density is not finite where sampling would start: the data are degenerate."""


def run_nuts(
    model: Callable[..., None],
    reads: tuple[Any, ...],
    guess: dict[str, Tensor],
    sampling: Sampling,
) -> tuple[dict[str, Tensor], float]:
    """Sample a model's posterior.

    Parameters
    ----------
    model
        Of ``reads``; its sites are continuous and of fixed shape.
    reads
        Nested tensors: all numbers that another data set would have otherwise.
    guess
        Value of each site, somewhere in the bulk of the posterior.
    sampling
        How.

    Returns
    -------
    dict
        Site to draws, ``(chains, draws, *event)``.
    float
        Share of transitions that diverged.

    Raises
    ------
    NoStart
        If there is no place to start from.
    """
    # Tracing would trace the checks, and warns about every number that is no tensor: the program's
    # shape does not depend on values.
    with (
        torch.random.fork_rng(devices=[]),
        pyro.validation_enabled(False),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        try:
            start, _, transforms, _ = initialize_model(
                model, model_args=reads, init_strategy=init_to_value(values=guess)
            )
        except ValueError as failure:  # what Pyro raises then
            raise NoStart(
                "these runs leave nothing to estimate: the model's density is not finite at their "
                "least-squares fit"
            ) from failure
        shapes = {site: value.shape for site, value in start.items()}

        def log_density(flat: Tensor, *reads: Any) -> Tensor:
            free = _split(flat, shapes)
            values = {site: transforms[site].inv(free[site]) for site in free}
            trace = poutine.trace(poutine.condition(model, values)).get_trace(*reads)
            jacobians = [
                transforms[site].log_abs_det_jacobian(values[site], free[site]).sum()
                for site in free
            ]
            return trace.log_prob_sum() - sum(jacobians)

        def target(z: Tensor, centre: Tensor, axes: Tensor, *reads: Any) -> tuple[Tensor, Tensor]:
            def at(one: Tensor) -> Tensor:
                return log_density(centre + axes @ one, *reads)

            gradient, value = vmap(grad_and_value(at))(z)
            return value, gradient

        centre = torch.cat([value.detach().reshape(-1) for value in start.values()])
        unit = torch.eye(len(centre)).to(centre)
        axes = _axes(lambda z: target(z, centre, unit, *reads)[1], len(centre))
        generator = torch.Generator().manual_seed(sampling.seed)
        # Farther out than the posterior, so that R-hat can tell whether chains forget it.
        starts = 4 * torch.rand(sampling.chains, len(centre), generator=generator).to(centre) - 2
        part = max(sampling.warmup // 3, 1)
        run = Sampler(target, warmup=part, compiled=sampling.compiled)
        how: dict[str, Any] = {"generator": generator, "target_accept": sampling.target_accept}
        pilot = run(starts, centre, axes, *reads, draws=part, **how).z
        mean, root = _shape(pilot.flatten(0, 1))
        starts = torch.linalg.solve(root, (pilot[:, -1] - mean).T).T.contiguous()
        centre, axes = centre + axes @ mean, axes @ root
        found = run(starts, centre, axes, *reads, draws=sampling.thin * sampling.draws, **how)
    free = _split(centre + found.z[:, :: sampling.thin] @ axes.T, shapes)
    draws = {
        site: transforms[site].inv(value) if site in transforms else value
        for site, value in free.items()
    }
    return draws, float(found.diverging.double().mean())


#: Draws of a pilot that are worth one independent draw, about.
_CORRELATED = 3
#: What the curvature at the guess is worth, in independent draws for each dimension.
_TRUSTED = 2


def _shape(draws: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and a root of the covariance of a pilot's draws ``(n, d)``.

    The draws are in units of the curvature, where the covariance is the identity if the posterior
    is normal. That is the prior mean of an inverse-Wishart law, and the result its posterior mean:
    a short pilot of many dimensions must not invent long and short directions, each of which costs
    steps.
    """
    n, d = draws.shape
    told, trusted = n / _CORRELATED, _TRUSTED * d
    unit = torch.eye(d, dtype=draws.dtype)
    covariance = (trusted * unit + told * torch.cov(draws.T)) / (trusted + told)
    return draws.mean(0), torch.linalg.cholesky(covariance)


def _split(flat: Tensor, shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    parts = flat.split([shape.numel() for shape in shapes.values()], dim=-1)
    batch = flat.shape[:-1]
    return {
        site: part.reshape((*batch, *shape))
        for (site, shape), part in zip(shapes.items(), parts, strict=True)
    }


#: Curvatures count as at least this: less would mean steps longer than any prior is wide.
_FLAT = 0.25


def _axes(gradient: Callable[[Tensor], Tensor], d: int) -> Tensor:
    """Return the principal axes of the posterior at a point, as columns of its length there.

    The curvature is taken by central differences of the gradient; where it is negative its size
    counts (Betancourt 2013, the SoftAbs metric).

    Parameters
    ----------
    gradient
        Of the log density, at shifts ``(n, d)`` from the point.
    d
        Coordinates.
    """
    shifts = 1e-4 * torch.eye(d, dtype=torch.float64)
    hessian = (gradient(shifts) - gradient(-shifts)) / 2e-4
    size, directions = torch.linalg.eigh((hessian + hessian.T) / 2)
    # As what it becomes later: other strides would be compiled apart.
    return (directions / size.abs().clamp(min=_FLAT).sqrt()).contiguous()
