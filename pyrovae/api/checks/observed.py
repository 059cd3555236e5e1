"""What every likelihood must do, as checks of a :class:`Subject`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.distributions import Distribution, Independent
from torch.func import functional_call

from pyrovae.api.checks.charts import Chart, Grid, chi_square, real, unit_box
from pyrovae.api.checks.failing import close, named, quietly
from pyrovae.api.checks.latent import DRAWS, FALSE_ALARM
from pyrovae.api.checks.training import SHAPE, images, trains_alike, vae_with
from pyrovae.core.seeded import seeded
from pyrovae.distributions.columns import Columns
from pyrovae.distributions.element_by_element import ElementByElement
from pyrovae.models.likelihoods import LIKELIHOODS, Likelihood, Mixed

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
            output = 0.8 * torch.randn(likelihood.output_shape).double()
        return likelihood, output

    def seen(self) -> _Seen:
        """Return what is seen of the law of two pixels."""
        if self._seen is None:
            with quietly(), torch.no_grad():
                self._seen = self._look()
        found: _Seen = self._seen
        return found

    def _look(self) -> _Seen:
        likelihood, output = self.made()
        law = likelihood(output)
        draws, shown = law.sample((DRAWS,)).double(), likelihood.mean(output)
        pixels = _pixels(likelihood, law)
        if self.values is not None:
            pixels = [_Pixel(pixel.chart, self.values) for pixel in pixels]
        several = [pixel.values for pixel in pixels if pixel.values is not None]
        if not several:
            chart = unit_box if pixels[0].chart is unit_box else real
            grid = Grid(chart(PIXELS), law.log_prob)
            expected = [grid.mean_of(lambda x, i=i: x[:, i]) for i in range(PIXELS)]  # type: ignore[misc]
            return _Seen(grid.total(), grid.p_value(draws), expected, expected, shown)
        if len(several) < PIXELS:
            return _half_discrete(law, pixels, draws, shown)
        every = torch.tensor(list(itertools.product(*several))).double()
        mass = law.log_prob(every).exp()
        table = mass.reshape([len(values) for values in several])
        places = [_nearest(draws[:, i], values) for i, values in enumerate(several)]
        counts = np.bincount(np.ravel_multi_index(places, table.shape), minlength=len(mass))
        p_value = chi_square(counts, mass.numpy(), DRAWS)
        modes = [float(values[int(table.sum(1 - i).argmax())]) for i, values in enumerate(several)]
        return _Seen(mass.sum().item(), p_value, (mass @ every).tolist(), modes, shown)


@dataclass(frozen=True)
class _Seen:
    """What is seen of a law of two pixels.

    Attributes
    ----------
    total
        Its mass.
    p_value
        How likely its draws are to lie so far off.
    expected, modes
        E[x|z] and, of discrete pixels, the most probable x, by the law.
    shown
        What the likelihood says a reconstruction shows.
    """

    total: float
    p_value: float
    expected: list[float]
    modes: list[float]
    shown: Tensor


@dataclass(frozen=True)
class _Pixel:
    """What one pixel can be: some values, or what a chart is of."""

    chart: Callable[[int], Chart]
    values: list[float] | None


#: Counts up to here are all that a law off its start has.
_MOST = 400


def _pixels(likelihood: Likelihood, law: Distribution) -> list[_Pixel]:
    """Return what each of two pixels can be."""
    if isinstance(likelihood, Mixed) and isinstance(law, Columns):
        groups = zip(likelihood.groups, law.laws, strict=True)
        return [pixel for group, inner in groups for pixel in _pixels(group, inner)]
    chart = unit_box if likelihood.support == "unit" else real
    return [_Pixel(chart, _values(likelihood, law))] * law.event_shape[0]


def _values(likelihood: Likelihood, law: Distribution) -> list[float] | None:
    """Return what a pixel can be, where the law is discrete and says so."""
    inside: Any = law.base_dist if isinstance(law, Independent) else law
    if likelihood.support == "count":
        return [float(k) for k in range(_MOST)]
    # A Bernoulli law here takes grey values too, as the mean of two, and draws 0 and 1.
    if isinstance(inside, ElementByElement):
        values: list[float] = inside.values.tolist()
        return values
    if not (inside.has_enumerate_support or inside.support.is_discrete):
        return None
    every = inside.enumerate_support()
    found: list[float] = every.reshape(len(every), -1)[:, 0].tolist()
    return found


def _nearest(draws: Tensor, values: list[float]) -> np.ndarray:
    """Return the position among rising values of the one nearest to each draw."""
    known = torch.tensor(values).double()
    edges = (known[1:] + known[:-1]) / 2
    return torch.bucketize(draws.double().contiguous(), edges).numpy()


def _half_discrete(law: Distribution, pixels: list[_Pixel], draws: Tensor, shown: Tensor) -> _Seen:
    """Look at a law of which one pixel is discrete and the other has a density, value by value."""
    which = next(i for i, pixel in enumerate(pixels) if pixel.values is not None)
    values, chart = pixels[which].values or [], pixels[1 - which].chart(1)
    places = _nearest(draws[:, which], values)

    def both(value: float, x: Tensor) -> Tensor:
        fixed = torch.full_like(x, value)
        return torch.cat([fixed, x] if which == 0 else [x, fixed], -1)

    grids = [Grid(chart, lambda x, v=v: law.log_prob(both(v, x))) for v in values]  # type: ignore[misc]
    mass = np.array([grid.total() for grid in grids])
    counts = np.bincount(places, minlength=len(values))
    chances = [chi_square(counts, mass, len(draws))]
    for k, (value, total) in enumerate(zip(values, mass, strict=True)):
        if counts[k] > 5:
            given = Grid(chart, lambda x, v=value, t=total: law.log_prob(both(v, x)) - math.log(t))  # type: ignore[misc]
            chances.append(given.p_value(draws[places == k, 1 - which].unsqueeze(-1)))
    expected = [float(mass @ values), sum(grid.mean_of(lambda x: x[:, 0]) for grid in grids)]
    modes = [values[int(mass.argmax())], expected[1]]
    if which == 1:
        expected, modes = expected[::-1], modes[::-1]
    # Any of so many tests may fail by chance.
    return _Seen(float(mass.sum()), min(chances) * len(chances), expected, modes, shown)


def shapes(subject: Subject) -> None:
    """The law has an observation as its event, whatever the batch."""
    for shape in ((PIXELS,), SHAPE):
        likelihood = LIKELIHOODS.create(subject.name, shape, **subject.parameters)
        for batch in ((), (3,), (2, 3)):
            output = torch.zeros(*batch, *likelihood.output_shape)
            law = likelihood(output)
            found = tuple(law.batch_shape), tuple(law.event_shape)
            if found != (batch, shape):
                raise AssertionError(f"batch and event shape are {found}, not {(batch, shape)}")
            mean = tuple(likelihood.mean(output).shape)
            if mean != (*batch, *shape):
                raise AssertionError(f"mean has shape {mean}, not {(*batch, *shape)}")


def mass_is_one(subject: Subject) -> None:
    """The density integrates to 1 over two pixels, or the probabilities sum to it."""
    close(subject.seen().total, 1, "the total mass of two pixels", rtol=0, atol=1e-3)


def draws_follow_law(subject: Subject) -> None:
    """By the chi-square test of the numbers of draws in cells."""
    p_value = subject.seen().p_value
    if not p_value > FALSE_ALARM:
        raise AssertionError(f"{DRAWS} draws follow log_prob with p = {p_value:.1g}")


def mean_is_expectation(subject: Subject) -> None:
    """``mean``, which a reconstruction shows, is what ``shows`` says: E[x|z], the mode, a draw."""
    seen = subject.seen()
    likelihood, output = subject.made()
    if likelihood.shows == "draw":
        with torch.no_grad():
            possible = likelihood(output).log_prob(seen.shown).isfinite()
        if not possible.all():
            raise AssertionError(f"what is shown cannot be drawn: {seen.shown.tolist()}")
        return
    known = {"mean": [seen.expected], "mode": [seen.modes], "either": [seen.expected, seen.modes]}
    of_each = zip(*known[likelihood.shows], strict=True)
    shown = seen.shown.tolist()
    nearest = [min(of, key=lambda v, s=s: abs(v - s)) for of, s in zip(of_each, shown, strict=True)]  # type: ignore[misc]
    close(shown, nearest, "mean", rtol=0, atol=1e-3)


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
    likelihood = LIKELIHOODS.create(subject.name, SHAPE, **subject.parameters)
    data = None
    if likelihood.refusal(images()) is not None:  # what the law itself draws can be
        with seeded(0), torch.no_grad():
            data = likelihood(torch.zeros(16, *likelihood.output_shape)).sample()
    trains_alike(lambda seed: vae_with(seed, likelihood=part), data=data)


#: What is checked of a likelihood, by name.
LIKELIHOOD_CHECKS = named(
    shapes, mass_is_one, draws_follow_law, mean_is_expectation, derivatives, trains
)
