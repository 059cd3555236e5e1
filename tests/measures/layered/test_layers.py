"""Measures of layers against a linear model whose laws are all known."""

from __future__ import annotations

import pytest
import torch
from layers import SIZE, Linear, linear

import pyrovae
from pyrovae.measures.collapse.floors import floors
from pyrovae.measures.collapse.information import measure_information
from pyrovae.measures.collapse.interventions import explained
from pyrovae.measures.collapse.measure import CollapseSettings, measure_collapse
from pyrovae.measures.collapse.sensitivity import measure_sensitivity, weight_norms
from pyrovae.measures.collapse.units import measure_units
from pyrovae.measures.collapse.use import measure_use
from pyrovae.measures.posterior.annealing import Annealing, log_px, simulated_bracket
from pyrovae.measures.posterior.calibration import calibrate
from pyrovae.measures.posterior.density import Density
from pyrovae.measures.posterior.gaps import best_in_family
from pyrovae.measures.posterior.reference import sample_posterior
from pyrovae.measures.posterior.weights import draw_guide, elbo
from pyrovae.measures.traversal import levels, traverse

#: Those of no use: the last unit of each layer.
IDLE = [SIZE - 1, 2 * SIZE - 1]


@pytest.fixture(scope="module", params=["bottom_up", "ladder"])
def exact(request: pytest.FixtureRequest) -> Linear:
    return linear(request.param)


def test_moments_and_kl_of_each_unit(exact: Linear) -> None:
    x = exact.data(1500)
    found, law = measure_units(exact.vae, x, samples=64), exact.posterior(x)
    variance = law.covariance_matrix.diagonal(dim1=-2, dim2=-1)
    torch.testing.assert_close(
        found.mean_var, variance.expand(len(x), -1).mean(0), rtol=0.03, atol=0
    )
    torch.testing.assert_close(found.var_mu, law.mean.var(0), rtol=0.05, atol=2e-3)
    expected = exact.unit_rates(x).mean(0)
    if exact.vae.layers.guide == "ladder":
        torch.testing.assert_close(found.kl, expected, rtol=0.03, atol=2e-3)
    else:  # by unit too, terms of both layers add up to what the exact rate has
        sums = (found.kl[:SIZE] + found.kl[SIZE:], expected[:SIZE] + expected[SIZE:])
        torch.testing.assert_close(*sums, rtol=0.05, atol=0.02)
    assert not found.exact_kl


def test_used_units_are_those_that_what_is_generated_heeds(exact: Linear) -> None:
    x = exact.data(1500)
    units = measure_units(exact.vae, x)
    use = measure_use(exact.vae, x, units, start=500, most=1500)
    assert use.turned is None
    assert (~use.counted.used).nonzero().flatten().tolist() == IDLE
    # E (z1 - a z')² - E (z1 - a z)² = 2 a E[z1 z] where z' is of another datum: one law has both.
    law = exact.posterior(x)
    within = law.covariance_matrix[..., :SIZE, SIZE:].diagonal(dim1=-2, dim2=-1)
    between = (law.mean[:, :SIZE] * law.mean[:, SIZE:]).mean(0)
    expected = exact.links * (between + within.reshape(-1, SIZE)[0]) / exact.spread**2
    torch.testing.assert_close(use.units.cost[SIZE:], expected, rtol=0.15, atol=0.05)


def test_layers_that_the_decoder_reads_cost_in_x_too() -> None:
    vae = pyrovae.build(4, layers={"sizes": [2, 2], "skip": True}, network={"name": "mlp"})
    x = torch.rand(5, 4)
    z = vae.encode(x).sample()
    p = vae.prior_law()
    log = p.laws(z)[0].log_prob(z[:, :2]) + vae.decode(z).log_prob(x)
    torch.testing.assert_close(explained(vae, z, x, 1), log)
    torch.testing.assert_close(explained(vae, z, x, 0), vae.decode(z).log_prob(x))


def test_sensitivity_reaches_reconstructions_through_the_layers_below(exact: Linear) -> None:
    x = exact.data(2000)
    found = measure_sensitivity(exact.vae, x)
    # Half the mean square of W a (z2' - z2), by codes and draws of unit variance.
    size = exact.weights.square().sum(0) * exact.links**2
    shown = exact.vae.reconstruct(exact.vae.encode(x).sample()).var(0).sum()
    torch.testing.assert_close(found.share[SIZE:], size / shown, rtol=0.1, atol=1e-4)
    norms = weight_norms(exact.vae)
    torch.testing.assert_close(norms[:SIZE], exact.weights.norm(dim=0))
    assert norms[SIZE:].isnan().all()


def test_information_of_all_layers_is_that_of_the_lowest(exact: Linear) -> None:
    x = exact.data(300)
    found = measure_information(exact.vae, x)
    # p(z1|x) has all that x tells: z2 is drawn from z1 in the model.
    prior, within = exact.variance, 1 / (1 / exact.variance + exact.gains)
    expected = 0.5 * (prior / within).log().sum()
    assert found.mi == pytest.approx(float(expected), abs=5 * found.mi_se + 0.1)
    assert torch.isnan(torch.tensor(found.tc))


def test_floors_are_those_of_each_layer() -> None:
    vae = pyrovae.build(
        4,
        layers={"sizes": [2, 3], "guide": "ladder", "priors": ["laplace"]},
        prior={"name": "student_t", "df": 5},
        network={"name": "mlp", "hidden": [5]},
    )
    found = floors(vae, torch.rand(3, 4))
    flat = [
        floors(pyrovae.build(4, latent_dim=1, prior=prior), torch.rand(3, 4))
        for prior in ("laplace", {"name": "student_t", "df": 5})
    ]
    expected = torch.cat([flat[0].expand(2), flat[1].expand(3)])
    torch.testing.assert_close(found, expected)
    other = pyrovae.build(4, layers=[2, 3], network={"name": "mlp", "hidden": [5]})
    assert floors(other, torch.rand(3, 4))[:2].isnan().all()


def test_the_table_names_layers_and_scores_count_them(exact: Linear) -> None:
    x = exact.data(400)
    settings = CollapseSettings(information_points=100, sensitivity_points=32)
    found = measure_collapse(exact.vae, x, settings, 8, 0)
    assert found.table["layer"].tolist() == ["z1"] * SIZE + ["z2"] * SIZE
    scores = found.scores
    assert scores["used_units_z1"] + scores["used_units_z2"] == scores["used_units"]
    assert scores["used_layers"] == 2
    assert "total_correlation" not in scores
    dead = linear(exact.vae.layers.guide)
    with torch.no_grad():
        dead.vae.below[0].loc.weight.zero_()
    assert measure_collapse(dead.vae, x, settings, 8, 0).scores["used_layers"] == 1


def test_a_traversal_of_an_upper_unit_moves_what_lies_below(exact: Linear) -> None:
    vae, x = exact.vae, exact.data(50)
    values = levels(vae, x, steps=3)
    made = traverse(vae, torch.zeros(1, 2 * SIZE), values, torch.tensor([SIZE, 0]))[0]
    up = exact.weights[:, 0] * exact.links[0] * values[:, SIZE, None]
    torch.testing.assert_close(made[0], up, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(made[1], exact.weights[:, 0] * values[:, 0, None], atol=1e-4, rtol=0)


def test_gaps_are_zero_and_pareto_k_is_small_where_the_guide_is_exact(exact: Linear) -> None:
    x = exact.data(4)
    weighted = draw_guide(exact.vae, x, samples=64, seed=0)
    # Every weight is p(x).
    torch.testing.assert_close(
        weighted.log_weight, exact.log_px(x).double().expand(64, -1), atol=1e-3, rtol=0
    )
    best = elbo(best_in_family(exact.vae, x, steps=10, samples=64, seed=0))
    # Where the search starts at the optimum, it stays there but for its noise.
    torch.testing.assert_close(best.value, exact.log_px(x).double(), atol=0.05, rtol=0)


def test_the_search_finds_what_a_bad_encoder_misses() -> None:
    exact = linear("ladder")
    x = exact.data(3)
    with torch.no_grad():
        for posterior in exact.vae.posteriors:
            posterior.loc.bias.add_(0.7)
    start = elbo(draw_guide(exact.vae, x, samples=64, seed=0).log_weight).value
    best = elbo(best_in_family(exact.vae, x, steps=300, samples=64, seed=0)).value
    assert (start < exact.log_px(x) - 0.5).all()
    torch.testing.assert_close(best, exact.log_px(x).double(), atol=0.15, rtol=0)


def test_annealing_finds_log_px(exact: Linear) -> None:
    x, generator = exact.data(4), torch.Generator().manual_seed(0)
    settings = Annealing(chains=8, temperatures=80, leapfrog=3)
    found, _ = log_px(exact.vae, x, settings, generator)
    apart = found.value - exact.log_px(x)
    assert (apart < 0.4).all()  # a lower bound in expectation
    assert (apart > -1.0).all()
    bracket, simulated = simulated_bracket(exact.vae, 4, settings, generator)
    mean = float(exact.log_px(simulated).mean())
    (low, low_se), (high, high_se) = bracket.lower.mean(), bracket.upper.mean()
    assert low - 4 * low_se < mean < high + 4 * high_se
    assert high - low < 1.5


def test_the_density_that_samplers_move_on_is_the_joint_one(exact: Linear) -> None:
    x = exact.data(3)
    density, law = Density(exact.vae, x), exact.posterior(x)
    u = law.sample().requires_grad_()
    found = density(u.detach())
    torch.testing.assert_close(
        found.tempered(), law.log_prob(u) + exact.log_px(x), atol=1e-3, rtol=0
    )
    (slope,) = torch.autograd.grad(law.log_prob(u).sum(), u)
    torch.testing.assert_close(found.gradient(), slope, atol=1e-3, rtol=1e-3)


@pytest.mark.slow
def test_nuts_samples_all_layers_at_once() -> None:
    exact = linear("ladder")
    x = exact.data(2)
    found = sample_posterior(exact.vae, x, chains=3, warmup=80, draws=150)
    law = exact.posterior(x)
    variance = law.covariance_matrix.diagonal(dim1=-2, dim2=-1)
    error = (variance / torch.from_numpy(found.ess_bulk)).sqrt()
    apart = torch.from_numpy(found.z).mean((0, 1)) - law.mean
    assert (apart.abs() < 5 * error).all()
    spread = torch.from_numpy(found.z).var((0, 1))
    torch.testing.assert_close(spread, variance.expand_as(spread), rtol=0.5, atol=0)


def test_calibration_passes_the_exact_guide_and_fails_another(exact: Linear) -> None:
    assert calibrate(exact.vae, simulations=200, draws=31).p_value > 0.001
    wrong = linear(exact.vae.layers.guide)
    with torch.no_grad():
        wrong.vae.posteriors[1].scale.bias.sub_(1.5)
    found = calibrate(wrong.vae, simulations=200, draws=31)
    assert found.p_values[SIZE:].min() < 1e-3
