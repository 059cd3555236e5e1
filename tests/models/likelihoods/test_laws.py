"""Every likelihood: it sums to 1, draws follow it, means and derivatives are its own."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from distributions.charts import Grid, chi_square, real, unit_box
from torch import Tensor
from torch.autograd import gradcheck
from torch.func import functional_call

from pyrovae.models.likelihoods import LIKELIHOODS, Likelihood

#: Chance that any of the tests of draws here fails although all samplers are right.
FAMILY_WISE = 1e-3
DRAWS = 20_000
PIXELS = 2
#: Parameters of an entry, once for each law that it is to be tested as.
PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "discretized_logistic": [{"levels": 2}, {"levels": 7}, {"levels": 7, "learned": False}],
    "gaussian": [{"sigma_form": form} for form in ("shared", "per_pixel", "decoder")]
    + [{"learned": False}],
    "laplace": [{}, {"learned": False}],
}
CASES = [(name, given) for name in LIKELIHOODS for given in PARAMETERS.get(name, [{}])]


def values(name: str, given: dict[str, Any]) -> list[float] | None:
    """Return what one pixel can be, of a discrete law; ``None`` for a density."""
    count = {"bernoulli": 2, "discretized_logistic": given.get("levels", 256)}.get(name)
    return None if count is None else [k / (count - 1) for k in range(count)]


def made(name: str, given: dict[str, Any]) -> tuple[Likelihood, Tensor]:
    """Return a likelihood of two pixels, off its start, and a decoder's output."""
    torch.manual_seed(3)
    likelihood = LIKELIHOODS.create(name, (PIXELS,), **given).double()
    with torch.no_grad():
        for parameter in likelihood.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return likelihood, 0.8 * torch.randn(likelihood.outputs_per_element, PIXELS).double()


@pytest.mark.parametrize(("name", "given"), CASES, ids=str)
def test_likelihood_is_a_law_of_its_support(name: str, given: dict[str, Any]) -> None:
    likelihood, output = made(name, given)
    with torch.no_grad():
        law = likelihood(output)
        assert (law.batch_shape, law.event_shape) == ((), (PIXELS,))
        draws, mean = law.sample((DRAWS,)), likelihood.mean(output)
        support = values(name, given)
        if support is None:
            chart = (unit_box if likelihood.support == "unit" else real)(PIXELS)
            grid = Grid(chart, law.log_prob)
            total, p_value = grid.total(), grid.p_value(draws)
            expected = [grid.mean_of(lambda x, i=i: x[:, i]) for i in range(PIXELS)]
        else:
            every = torch.tensor(list(itertools.product(support, repeat=PIXELS))).double()
            mass = law.log_prob(every).exp()
            total = mass.sum().item()
            size = len(support)
            places = (draws * (size - 1)).round().long()
            counts = np.bincount((places[:, 0] * size + places[:, 1]).numpy(), minlength=size**2)
            p_value = chi_square(counts, mass.numpy(), DRAWS)
            expected = (mass @ every).tolist()
    assert total == pytest.approx(1, abs=1e-3)
    assert p_value > FAMILY_WISE / len(CASES)
    assert mean.tolist() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("name", "given"), CASES, ids=str)
def test_derivatives_are_those_of_finite_differences(name: str, given: dict[str, Any]) -> None:
    likelihood, output = made(name, given)
    named = {**dict(likelihood.named_parameters()), **dict(likelihood.named_buffers())}
    with torch.no_grad():
        x = likelihood(output).sample((4,))
        rsample = likelihood(output).has_rsample

    def log_prob(output: Tensor, *numbers: Tensor) -> Tensor:
        law = functional_call(likelihood, dict(zip(named, numbers, strict=True)), (output,))
        return law.log_prob(x)

    def draw(output: Tensor, *numbers: Tensor) -> Tensor:
        torch.manual_seed(7)
        law = functional_call(likelihood, dict(zip(named, numbers, strict=True)), (output,))
        return law.rsample((4,))

    inputs = tuple(t.detach().clone().requires_grad_() for t in (output, *named.values()))
    assert gradcheck(log_prob, inputs, fast_mode=True)
    if rsample:
        assert gradcheck(draw, inputs, fast_mode=True)


def test_grey_values_count_as_the_expected_binarisation() -> None:
    likelihood, output = made("bernoulli", {})
    x = torch.tensor([0.3, 0.9]).double()
    law = likelihood(output).base_dist
    ends = [law.log_prob(torch.full_like(x, end)) for end in (0.0, 1.0)]
    torch.testing.assert_close(law.log_prob(x), (1 - x) * ends[0] + x * ends[1])
