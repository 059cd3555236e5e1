"""What every likelihood must do, as checks of a :class:`Subject`."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.distributions import Distribution, Independent
from torch.func import functional_call

from pyrovae.api.checks.charts import Grid, chi_square, real, unit_box
from pyrovae.api.checks.failing import close, named, quietly
from pyrovae.api.checks.latent import DRAWS, FALSE_ALARM
from pyrovae.api.checks.training import SHAPE, trains_alike, vae_with
from pyrovae.models.likelihoods import LIKELIHOODS, Likelihood

PIXELS = 2


@dataclass
class Subject:
    """A likelihood of two pixels, off its start, and what several checks look at.

    Attributes
    ----------
    name
        As registered, or a dotted path.
    parameters
        The user's.
    values
        What one pixel can be, of a discrete law; ``None`` for a density.
    """

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    values: list[float] | None = None
    _seen: Any = None

    def __str__(self) -> str:
        return self.name

    def made(self) -> tuple[Likelihood, Tensor]:
        """Return the likelihood, and a decoder's output."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            likelihood: Likelihood = LIKELIHOODS.create(self.name, (PIXELS,), **self.parameters)
            likelihood.double()
            with torch.no_grad():
                for parameter in likelihood.parameters():
                    parameter.add_(0.3 * torch.randn_like(parameter))
            output = 0.8 * torch.randn(likelihood.outputs_per_element, PIXELS).double()
        return likelihood, output

    def seen(self) -> tuple[float, float, list[float], Tensor]:
        """Return the total mass, how well draws follow it (p), and E[x] by it and as told."""
        if self._seen is None:
            with quietly(), torch.no_grad():
                self._seen = self._look()
        found: tuple[float, float, list[float], Tensor] = self._seen
        return found

    def _look(self) -> tuple[float, float, list[float], Tensor]:
        likelihood, output = self.made()
        law = likelihood(output)
        draws, mean = law.sample((DRAWS,)), likelihood.mean(output)
        support = self.values or _values(law)
        if support is None:
            chart = (unit_box if likelihood.support == "unit" else real)(PIXELS)
            grid = Grid(chart, law.log_prob)
            expected = [grid.mean_of(lambda x, i=i: x[:, i]) for i in range(PIXELS)]  # type: ignore[misc]
            return grid.total(), grid.p_value(draws), expected, mean
        every = torch.tensor(list(itertools.product(support, repeat=PIXELS))).double()
        mass = law.log_prob(every).exp()
        size = len(support)
        known = torch.tensor(support).double()
        places = (draws.double().unsqueeze(-1) - known).abs().argmin(-1)
        counts = np.bincount((places[:, 0] * size + places[:, 1]).numpy(), minlength=size**2)
        p_value = chi_square(counts, mass.numpy(), DRAWS)
        return mass.sum().item(), p_value, (mass @ every).tolist(), mean


def _values(law: Distribution) -> list[float] | None:
    """Return what a pixel can be, where the law is discrete and says so."""
    inside: Any = law.base_dist if isinstance(law, Independent) else law
    # A Bernoulli law here takes grey values too, as the mean of two, and draws 0 and 1.
    if not (inside.has_enumerate_support or inside.support.is_discrete):
        return None
    every = inside.enumerate_support()
    values: list[float] = every.reshape(len(every), -1)[:, 0].tolist()
    return values


def shapes(subject: Subject) -> None:
    """The law has an observation as its event, whatever the batch."""
    for shape in ((PIXELS,), SHAPE):
        likelihood = LIKELIHOODS.create(subject.name, shape, **subject.parameters)
        for batch in ((), (3,), (2, 3)):
            output = torch.zeros(*batch, likelihood.outputs_per_element, *shape)
            law = likelihood(output)
            found = tuple(law.batch_shape), tuple(law.event_shape)
            if found != (batch, shape):
                raise AssertionError(f"batch and event shape are {found}, not {(batch, shape)}")
            mean = tuple(likelihood.mean(output).shape)
            if mean != (*batch, *shape):
                raise AssertionError(f"mean has shape {mean}, not {(*batch, *shape)}")


def mass_is_one(subject: Subject) -> None:
    """The density integrates to 1 over two pixels, or the probabilities sum to it."""
    close(subject.seen()[0], 1, "the total mass of two pixels", rtol=0, atol=1e-3)


def draws_follow_law(subject: Subject) -> None:
    """By the chi-square test of the numbers of draws in cells."""
    p_value = subject.seen()[1]
    if not p_value > FALSE_ALARM:
        raise AssertionError(f"{DRAWS} draws follow log_prob with p = {p_value:.1g}")


def mean_is_expectation(subject: Subject) -> None:
    """``mean``, which a reconstruction shows, is E[x|z]."""
    _, _, expected, mean = subject.seen()
    close(mean, expected, "mean", rtol=0, atol=1e-3)


def derivatives(subject: Subject) -> None:
    """Of log_prob and of differentiable draws: those of finite differences."""
    likelihood, output = subject.made()
    given = {**dict(likelihood.named_parameters()), **dict(likelihood.named_buffers())}
    given = {name: t for name, t in given.items() if t.is_floating_point()}
    with torch.no_grad():
        law = likelihood(output)
        x, has_rsample = law.sample((4,)), law.has_rsample

    def log_prob(output: Tensor, *numbers: Tensor) -> Tensor:
        law = functional_call(likelihood, dict(zip(given, numbers, strict=True)), (output,))
        return law.log_prob(x)

    def draw(output: Tensor, *numbers: Tensor) -> Tensor:
        torch.manual_seed(7)
        law = functional_call(likelihood, dict(zip(given, numbers, strict=True)), (output,))
        return law.rsample((4,))

    numbers = tuple(t.detach().clone().requires_grad_() for t in (output, *given.values()))
    gradcheck(log_prob, numbers, fast_mode=True)
    if has_rsample:
        gradcheck(draw, numbers, fast_mode=True)


def trains(subject: Subject) -> None:
    """A step is traced into a graph, and models that train together end where each ends alone."""
    part = {"name": subject.name, **subject.parameters}
    trains_alike(lambda seed: vae_with(seed, likelihood=part))


#: What is checked of a likelihood, by name.
LIKELIHOOD_CHECKS = named(
    shapes, mass_is_one, draws_follow_law, mean_is_expectation, derivatives, trains
)
