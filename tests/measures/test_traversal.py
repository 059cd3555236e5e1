"""Traversals: which values, around which codes."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from pyrovae.measures.traversal import ENDS, levels, traverse
from pyrovae.models.vae import build_vae


def vae(prior="standard_normal", posterior="mean_field_normal"):
    return build_vae(
        (1, 8, 8),
        3,
        network={"name": "mlp", "hidden": [8]},
        prior={"name": prior},
        posterior={"name": posterior},
        likelihood={"name": "bernoulli"},
    )


def test_levels_are_the_quantiles_of_the_prior() -> None:
    values = levels(vae(), torch.rand(5, 1, 8, 8), steps=5)
    expected = stats.norm.ppf(torch.linspace(*ENDS, 5))
    # Five standard errors of the outermost quantile of 10,000 draws.
    error = 5 * (0.05 * 0.95 / 10_000) ** 0.5 / stats.norm.pdf(expected[0])
    for unit in range(3):
        assert values[:, unit].numpy() == pytest.approx(expected, abs=error)


def test_levels_over_the_posterior_follow_the_data() -> None:
    """A posterior that sits at 7 with little spread, whatever the prior."""
    model = vae()
    with torch.no_grad():
        for parameter in model.posterior.parameters():
            parameter.zero_()
        x = torch.rand(5, 1, 8, 8)
        loc = model.encode(x).mean
        width = model.encode(x).variance.sqrt().mean()
    values = levels(model, x, steps=3, over="posterior")
    assert values[1] == pytest.approx(loc.mean(0), abs=0.1)
    assert (values[2] - values[0]).numpy() == pytest.approx(
        (2 * stats.norm.ppf(0.95) * width).expand(3).numpy(), rel=0.1
    )


def test_levels_leave_the_global_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    levels(vae(), torch.rand(2, 1, 8, 8, generator=torch.Generator()), steps=3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_one_unit_at_a_time_changes() -> None:
    model = vae()
    centre = torch.randn(2, 3)
    values = torch.tensor([[-1.0, -2.0, -3.0], [1.0, 2.0, 3.0]])
    images = traverse(model, centre, values, torch.tensor([2, 0]))
    assert images.shape == (2, 2, 2, 1, 8, 8)
    with torch.no_grad():
        code = centre[1].clone()
        code[2] = 3.0
        torch.testing.assert_close(images[1, 0, 1], model.reconstruct(code))
        code = centre[0].clone()
        code[0] = -1.0
        torch.testing.assert_close(images[0, 1, 0], model.reconstruct(code))


def test_codes_stay_on_their_sphere() -> None:
    model = vae("hyperspherical_uniform", "power_spherical")
    values = torch.tensor([[-0.9] * 3, [0.9] * 3])
    images = traverse(model, torch.tensor([[1.0, 0.0, 0.0]]), values, torch.tensor([1]))
    code = torch.tensor([1.0, 0.9, 0.0])
    with torch.no_grad():
        torch.testing.assert_close(images[0, 0, 1], model.reconstruct(code / code.norm()))
