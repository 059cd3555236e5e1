"""NUTS on the comparison, chain by chain, with the global random state left alone.

A Pyro program costs a few milliseconds to run and to differentiate, whatever its size, and NUTS
does so some ten thousand times. So the program runs once, under a tracer: its log density and
gradient become one graph on one flat vector, which takes a tenth of the time.

NUTS takes as many steps as the longest direction of a posterior has lengths of the shortest. So
the vector is measured twice. First from a guess, along and in units of the curvature there, for a
pilot run of every chain from a far start. Then from the mean of all pilots' second halves, in units
of their common covariance, shrunk towards the first units; each chain goes on in these units from
where its pilot ended. The law that is sampled stays the same, whatever the units.

If too many transitions diverge for the gate, the step was too long somewhere: all chains are run
once more from where they ended, with shorter steps, and the first ones are thrown away.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyro
import torch
from pyro.infer import MCMC, NUTS
from pyro.infer.autoguide import init_to_value
from pyro.infer.mcmc.util import initialize_model
from torch import Tensor
from torch.func import grad_and_value

from pyrovae.core.errors import PyrovaeError
from pyrovae.measures.posterior.convergence import MAX_DIVERGENT
from pyrovae.training.step import trace

#: From a flat vector to gradient and value of the potential energy.
Program = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Sampling:
    """How NUTS is run.

    Parameters
    ----------
    chains
        Independent, each from a start of its own.
    draws, warmup
        In each chain. Half of the warm-up is the pilot.
    target_accept
        Nearer to one: smaller steps, fewer divergences. Where too many transitions diverge, chains
        are run again at :data:`CAREFUL`.
    seed
        Of all chains.
    """

    chains: int = 4
    draws: int = 600
    warmup: int = 240
    target_accept: float = 0.85
    seed: int = 0


#: Acceptance aimed at where too many transitions diverged (Stan's reference manual, on divergent
#: transitions, has the same remedy).
CAREFUL = 0.95


class NoStart(PyrovaeError):
    """A model whose density is not finite where sampling would start: the data are degenerate."""


def run_nuts(
    model: Callable[[], None], guess: dict[str, Tensor], sampling: Sampling
) -> tuple[dict[str, Tensor], int]:
    """Sample a model's posterior.

    Parameters
    ----------
    model
        Without arguments; its sites are continuous and of fixed shape.
    guess
        Value of each site, somewhere in the bulk of the posterior.
    sampling
        How.

    Returns
    -------
    dict
        Site to draws, ``(chains, draws, *event)``.
    int
        Number of transitions that diverged.

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
            start, potential, transforms, _ = initialize_model(
                model, init_strategy=init_to_value(values=guess)
            )
        except ValueError as failure:  # what Pyro raises then
            raise NoStart(
                "these runs leave nothing to estimate: the model's density is not finite at their "
                "least-squares fit"
            ) from failure
        shapes = {site: value.shape for site, value in start.items()}
        centre = torch.cat([value.detach().reshape(-1) for value in start.values()])
        axes = _axes(_traced(lambda flat: potential(_split(flat, shapes)), centre), centre)

        def in_units(centre: Tensor, axes: Tensor) -> Program:
            # Traced at another tensor than `centre`, which the tracer would take for the input.
            origin = torch.zeros_like(centre)
            return _traced(lambda flat: potential(_split(centre + axes @ flat, shapes)), origin)

        torch.manual_seed(sampling.seed)
        # Farther out than the posterior, so that R-hat can tell whether chains forget it.
        far = [4 * torch.rand_like(centre) - 2 for _ in range(sampling.chains)]
        accept, half = sampling.target_accept, sampling.warmup // 2
        pilot, _ = _chains(in_units(centre, axes), far, half - half // 2, half // 2, accept)
        mean, root = _shape(pilot.flatten(0, 1))
        starts = [torch.linalg.solve(root, chain[-1] - mean) for chain in pilot]
        centre, axes = centre + axes @ mean, axes @ root
        program, lengths = in_units(centre, axes), (sampling.draws, sampling.warmup - half)
        found, divergent = _chains(program, starts, *lengths, accept)
        too_many = divergent > MAX_DIVERGENT * sampling.chains * sampling.draws
        if too_many and accept < CAREFUL:
            found, divergent = _chains(program, list(found[:, -1]), *lengths, CAREFUL)
        found = centre + found @ axes.T
    free = _split(found, shapes)
    draws = {
        site: transforms[site].inv(value) if site in transforms else value
        for site, value in free.items()
    }
    return draws, divergent


def _chains(
    program: Program, starts: Sequence[Tensor], draws: int, warmup: int, accept: float
) -> tuple[Tensor, int]:
    """Run NUTS from each start; return draws ``(chains, draws, d)`` and how many diverged."""
    found, divergent = [], 0
    for first in starts:
        kernel = NUTS(potential_fn=_Potential(program), target_accept_prob=accept)
        mcmc = MCMC(kernel, draws, warmup, initial_params={"flat": first}, disable_progbar=True)
        mcmc.run()
        found.append(mcmc.get_samples()["flat"])
        divergent += len(mcmc.diagnostics()["divergences"]["chain 0"])
    return torch.stack(found), divergent


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


def _traced(potential: Callable[[Tensor], Tensor], flat: Tensor) -> Program:
    graph = trace(grad_and_value(potential), flat)
    return torch.jit.trace(graph, flat, check_trace=False)


#: Curvatures count as at least this: less would mean steps longer than any prior is wide.
_FLAT = 0.25


def _axes(program: Program, centre: Tensor) -> Tensor:
    """Return the principal axes of the posterior at a point, as columns of its length there.

    The curvature is taken by central differences of the gradient; where it is negative its size
    counts (Betancourt 2013, the SoftAbs metric).
    """
    step = 1e-4
    shifts = step * torch.eye(len(centre), dtype=centre.dtype)
    rows = [(program(centre + d)[0] - program(centre - d)[0]) / (2 * step) for d in shifts]
    hessian = torch.stack(rows)
    size, directions = torch.linalg.eigh((hessian + hessian.T) / 2)
    return directions / size.abs().clamp(min=_FLAT).sqrt()


class _Potential:
    """The traced program as NUTS wants it: differentiable, on a dictionary of sites."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def __call__(self, sites: dict[str, Tensor]) -> Tensor:
        return _Known.apply(sites["flat"], self._program)


class _Known(torch.autograd.Function):
    """A value whose gradient came along with it."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, program: Program) -> Tensor:
        gradient, value = program(flat.detach())
        ctx.save_for_backward(gradient)
        return value

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return outer[0] * gradient, None
