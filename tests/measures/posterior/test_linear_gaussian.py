"""Everything is known for linear Gaussian data: bounds, gaps, weights, calibration, blame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor

from measures.posterior.linear import data, linear_vae, rotated, scaled_guide
from pyrovae.datasets.linear_gaussian import exact_log_prob, exact_posterior
from pyrovae.measures.arviz import pareto_k
from pyrovae.measures.collapse import ACTIVE_VARIANCE, posterior_means
from pyrovae.measures.posterior import blame
from pyrovae.measures.posterior.annealing import Annealing, log_px, simulated_bracket
from pyrovae.measures.posterior.calibration import (
    Calibration,
    calibrate,
    symmetry,
    uniformity,
)
from pyrovae.measures.posterior.comparison import compare_marginals, wasserstein
from pyrovae.measures.posterior.density import draw_codes
from pyrovae.measures.posterior.gaps import amortisation_gap, best_in_family
from pyrovae.measures.posterior.local import Local, local_c2st
from pyrovae.measures.posterior.reference import Reference, sample_posterior
from pyrovae.measures.posterior.weights import Estimate, draw_guide, elbo, log_mean
from pyrovae.models.vae import VAE

DATA = data()
X = DATA.test.floats(slice(12))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def assert_close(estimate: Estimate, exact: Tensor, slack: float = 0.0) -> None:
    """Compare with known values: five standard errors, and what may be lost otherwise."""
    assert ((estimate.value - exact).abs() < 5 * estimate.error + slack).all()


def mean_field_gap(exact: dict[str, Tensor]) -> float:
    """KL from the best mean-field normal to the posterior: (sum log P_ii - log det P) / 2."""
    _, covariance = exact_posterior(exact, X)
    precision = torch.linalg.inv(covariance)
    return float(0.5 * (precision.diagonal().log().sum() - torch.logdet(precision)))


def test_annealed_importance_sampling_is_exact_within_its_error() -> None:
    exact = rotated(DATA.exact)
    settings = Annealing(chains=16, temperatures=500, leapfrog=4)
    found, accepted = log_px(linear_vae(exact), X, settings, generator())
    assert_close(found, exact_log_prob(exact, X), slack=0.02)
    assert found.error.max() < 0.1
    assert 0.5 < accepted < 0.85


def test_bounds_from_both_sides_hold_the_truth_closely() -> None:
    exact = rotated(DATA.exact)
    vae = linear_vae(exact)
    settings = Annealing(chains=16, temperatures=500, leapfrog=4)
    bracket, simulated = simulated_bracket(vae, 12, settings, generator())
    truth = float(exact_log_prob(exact, simulated).mean())
    lower, lower_error = bracket.lower.mean()
    upper, upper_error = bracket.upper.mean()
    width, _ = bracket.width
    assert -5 * (lower_error**2 + upper_error**2) ** 0.5 < width < 0.1
    assert lower - 5 * lower_error < truth < upper + 5 * upper_error
    iwae = log_mean(draw_guide(vae, simulated, samples=500, seed=1).log_weight)
    assert iwae.mean()[0] < truth + 5 * iwae.mean()[1]


def test_too_few_temperatures_open_the_bracket() -> None:
    vae = linear_vae(rotated(data(noise_scale=0.1).exact))
    bracket, _ = simulated_bracket(vae, 6, Annealing(4, temperatures=10, leapfrog=1), generator())
    assert bracket.width[0] > 1


def one_sided(vae: VAE, factor: float) -> VAE:
    """Multiply the guide's scale where its first mean is positive, in place."""
    exact = vae.encode

    def encode(x: Tensor) -> torch.distributions.Distribution:
        law = exact(x).base_dist
        scale = law.scale * torch.where(law.loc[..., :1] > 0, factor, 1.0)
        return torch.distributions.Independent(torch.distributions.Normal(law.loc, scale), 1)

    vae.encode = encode
    return vae


@pytest.mark.parametrize("turned", [False, True])
def test_gaps_are_the_exact_ones(turned: bool) -> None:
    exact = rotated(DATA.exact) if turned else DATA.exact
    vae = scaled_guide(linear_vae(exact), 1.5)
    truth = exact_log_prob(exact, X)
    best = elbo(best_in_family(vae, X, steps=250, samples=1000, seed=0))
    assert_close(best, truth - mean_field_gap(exact))
    found, error = best.mean()
    assert abs(found - float((truth - mean_field_gap(exact)).mean())) < 3 * error + 0.003
    # A scale that is too large by a factor c costs (c² - 1 - 2 log c) / 2 nats a dimension.
    d, c = vae.latent_dim, 1.5
    bound = elbo(draw_guide(vae, X, samples=4000, seed=1).log_weight)
    gap, error = (best - bound).mean()
    assert abs(gap - d * (c**2 - 1 - 2 * np.log(c)) / 2) < 5 * error + 0.01


def test_what_an_encoder_loses_on_points_not_seen() -> None:
    """It is exact on one side of the data, and half as wide as it should be on the other."""
    vae = one_sided(linear_vae(DATA.exact), 0.5)
    x = DATA.test.floats()
    side = vae.encode(x).mean[:, 0] > 0
    part = {"steps": 200, "samples": 1000, "seed": 0}
    wrong, right = (amortisation_gap(vae, x[rows][:10], **part) for rows in (side, ~side))
    lost = vae.latent_dim * (0.25 - 1 - 2 * np.log(0.5)) / 2
    assert_close(wrong, torch.full((10,), lost), slack=0.02)
    assert_close(right, torch.zeros(10), slack=0.02)


def test_best_bound_of_a_full_rank_family_is_tight() -> None:
    exact = rotated(DATA.exact)
    vae = linear_vae(exact, posterior="full_rank_normal")
    best = elbo(best_in_family(vae, X, steps=400, samples=500, seed=0))
    assert_close(best, exact_log_prob(exact, X), slack=0.02)


def test_pareto_k_tells_exact_narrow_and_wide() -> None:
    def k_of(factor: float) -> np.ndarray:
        vae = scaled_guide(linear_vae(DATA.exact), factor)
        return pareto_k(draw_guide(vae, X, samples=2000, seed=0).log_weight.numpy())

    assert (k_of(1.0) < 0.3).all()
    assert (k_of(1.3) < 0.5).all()
    # Weights of a guide at half the scale have a tail index of 1 - 1/4.
    assert np.median(k_of(0.5)) > 0.6
    assert np.median(k_of(0.3)) > 0.7


def shifted(vae: VAE, by: float = 0.25) -> VAE:
    with torch.no_grad():
        vae.posterior.loc.bias += by * torch.nn.functional.softplus(vae.posterior.scale.bias)
    return vae


def test_calibration_accepts_the_exact_encoder_only() -> None:
    def calibrated(vae: VAE) -> object:
        return calibrate(vae, simulations=500, draws=63, seed=0)

    exact = calibrated(linear_vae(DATA.exact))
    assert exact.p_value > 0.01
    # Binomial standard error at 500 × 3 codes: 0.008.
    assert np.abs(exact.coverage(np.array([0.5, 0.9])).mean(1) - [0.5, 0.9]).max() < 0.065
    for wrong, sign in ((0.6, -1), (1.6, 1)):
        found = calibrated(scaled_guide(linear_vae(DATA.exact), wrong))
        assert found.p_value < 1e-3
        assert (sign * (found.coverage(np.array([0.8])) - 0.8) > 0.05).all()
    biased = calibrated(shifted(linear_vae(DATA.exact)))
    assert biased.p_value < 1e-3
    assert (biased.ranks.mean(0) < 31.5).all()
    # At 500 codes: a standard error of 0.02.
    levels = np.array([0.1, 0.5, 0.9])
    assert exact.tarp_p_value > 0.01
    assert np.abs(exact.expected_coverage(levels) - levels).max() < 0.08
    assert exact.symmetry_p_value > 0.01
    assert biased.symmetry_p_value < 0.01
    # Points lie on either side: a shift is seen to second order only.
    assert calibrated(shifted(linear_vae(DATA.exact), 1.5)).tarp_p_value < 1e-3
    narrow = calibrated(scaled_guide(linear_vae(DATA.exact), 0.5))
    # Balls hold the code too rarely or too often; the centre is right.
    assert narrow.tarp_p_value < 1e-3
    assert narrow.expected_coverage(levels)[0] > 0.15
    assert narrow.expected_coverage(levels)[2] < 0.85
    assert narrow.symmetry_p_value > 0.01


def test_distances_are_ranked_about_random_points() -> None:
    """Pairs of units whose margins are right, and whose dependence is not."""
    rng = np.random.default_rng(0)
    n, draws = 2000, 63
    mixed = np.array([[1.0, 0.0], [0.9, np.sqrt(1 - 0.81)]])
    truth = rng.normal(size=(n, 2)) @ mixed.T
    drawn = rng.normal(size=(draws, n, 2))
    points = rng.normal(size=(n, 2))
    margins = (drawn < truth).sum(0)
    nearer = np.linalg.norm(drawn - points, axis=-1) < np.linalg.norm(truth - points, axis=-1)
    found = Calibration(margins, draws, nearer.sum(0))
    assert found.p_value > 0.01
    assert found.tarp_p_value < 1e-3


def test_symmetry_is_told_from_uniformity() -> None:
    rng = np.random.default_rng(0)
    flat, valley = rng.integers(0, 64, 1000), np.rint(63 * rng.beta(0.5, 0.5, 1000)).astype(int)
    slope = np.rint(63 * rng.beta(1, 1.5, 1000)).astype(int)
    p = symmetry(np.stack([flat, valley, slope], 1), 63)
    assert (p[:2] > 0.01).all()
    assert p[2] < 1e-3
    assert uniformity(valley[:, None], 63)[0] < 1e-3


def test_symmetry_of_a_coin_is_a_binomial_test() -> None:
    heads = np.array([50, 56, 60, 65])
    ranks = (np.arange(100)[:, None] >= heads).astype(int)
    exact = np.array([binomtest(k, 100).pvalue for k in heads])
    assert symmetry(ranks, 1) == pytest.approx(exact, abs=0.03)
    # Where simulation ends, twice the binomial tail bounds it.
    far = (np.arange(100)[:, None] >= 90).astype(int)
    assert symmetry(far, 1)[0] == pytest.approx(2 * binomtest(90, 100).pvalue, rel=1e-6)


def test_calibration_rejects_one_unit_of_many() -> None:
    # Simulation alone ends at 1/4001: times a hundred units, nothing would ever be rejected.
    rng = np.random.default_rng(0)
    ranks = rng.integers(0, 64, (400, 100))
    assert Calibration(ranks, 63).p_value > 0.01
    ranks[:, 7] //= 2
    assert Calibration(ranks, 63).p_value < 1e-6


def test_p_value_is_the_binomial_tests_where_there_is_one_place() -> None:
    # One place only: the ranks are a coin, and the p-value is the binomial test's.
    heads = np.array([58, 60, 70, 80])
    ranks = (np.arange(100)[:, None] >= heads).astype(int)
    exact = np.array([binomtest(k, 100).pvalue for k in heads])
    # Simulation: a standard error of 0.005 at 0.13; beyond its end, the bound.
    assert uniformity(ranks, 1) == pytest.approx(exact, rel=1e-6, abs=0.02)
    assert (uniformity(ranks, 1)[2:] < 1e-3).all()
    assert uniformity(ranks, 1)[3] == pytest.approx(exact[3], rel=1e-6)


@pytest.fixture(scope="module")
def dead_link() -> tuple[VAE, Reference]:
    """Return a model whose fourth unit has no link to the data, and its true posterior."""
    vae = linear_vae(rotated(DATA.exact), latent_dim=4)
    x = DATA.test.floats(slice(8))
    return vae, sample_posterior(vae, x, chains=8, warmup=100, draws=320, seed=0)


def test_reference_passes_its_gate(dead_link: tuple[VAE, Reference]) -> None:
    _, reference = dead_link
    assert reference.passed.mean() > 0.8
    assert not reference.multimodal.any()
    assert reference.z.shape == (8, 320, 8, 4)


def blamed(vae: VAE, reference: Reference) -> list[str]:
    rng = np.random.default_rng(0)
    active = posterior_means(vae, DATA.test.floats()).var(0, correction=0) > ACTIVE_VARIANCE
    means = blame.moving_means(reference.z, reference.ess_bulk, rng)
    prior = draw_codes(vae, 20_000, generator()).numpy()
    kl = blame.marginal_kl(reference.z, prior, reference.ess_bulk, rng)
    return blame.units_table(active.numpy(), active.numpy(), means, kl)["blame"].tolist()


def test_dead_decoder_link_is_the_models_fault(dead_link: tuple[VAE, Reference]) -> None:
    assert blamed(*dead_link) == ["active", "active", "active", "model"]


def test_broken_encoder_is_the_guides_fault(dead_link: tuple[VAE, Reference]) -> None:
    _, reference = dead_link
    # The reference does not depend on the guide: it stays while the encoder loses a unit.
    broken = linear_vae(rotated(DATA.exact), latent_dim=4)
    with torch.no_grad():
        broken.posterior.loc.weight[1] = 0
        broken.posterior.loc.bias[1] = 0
        broken.posterior.scale.bias[1] = 0
    assert blamed(broken, reference) == ["active", "guide", "active", "model"]


def test_marginals_of_a_narrow_guide() -> None:
    narrow = scaled_guide(linear_vae(DATA.exact), 0.5)
    wide = linear_vae(DATA.exact)
    draws = [draw_guide(v, X, samples=4000, seed=0).z.numpy() for v in (narrow, wide)]
    table = compare_marginals(draws[0], draws[1], np.arange(len(X)))
    assert table["sd_ratio"].to_numpy() == pytest.approx(0.5, abs=0.04)
    # W1 of N(m, s²) and N(m, (s/2)²): E|z| s/2.
    assert table["w1_sd"].to_numpy() == pytest.approx(0.5 * np.sqrt(2 / np.pi), abs=0.06)


def test_wasserstein_distance_is_scipys() -> None:
    from scipy.stats import wasserstein_distance

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=500), rng.exponential(size=500)
    assert wasserstein(a, b) == pytest.approx(wasserstein_distance(a, b))


def found_locally(vae: VAE, x: Tensor) -> Local:
    return local_c2st(vae, x, simulations=600, classifiers=39, seed=0)


def test_a_classifier_tells_nothing_from_an_exact_posterior() -> None:
    found = found_locally(linear_vae(DATA.exact), X)
    assert found.p_value > 0.05
    assert (found.p_values > 0.05).mean() > 0.7


@pytest.mark.parametrize("factor", [0.6, 1.7])
def test_a_classifier_tells_a_wrong_width(factor: float) -> None:
    found = found_locally(scaled_guide(linear_vae(DATA.exact), factor), X)
    assert found.p_value == pytest.approx(1 / 40)
    assert (found.p_values < 0.05).mean() > 0.5


def test_a_classifier_tells_a_guide_that_is_the_prior() -> None:
    """Calibration sees nothing wrong with it."""
    vae = linear_vae(DATA.exact)
    with torch.no_grad():
        vae.posterior.loc.weight.zero_()
        vae.posterior.loc.bias.zero_()
        vae.posterior.scale.bias.fill_(1.0)  # whatever stands for a scale of 1
        scale = vae.encode(X).base_dist.scale
    scaled_guide(vae, float(1 / scale[0, 0]))
    calibrated = calibrate(vae, simulations=500, draws=63, seed=0)
    assert calibrated.p_value > 0.01
    assert calibrated.tarp_p_value > 0.01
    assert found_locally(vae, X).p_value == pytest.approx(1 / 40)


def test_a_classifier_tells_where() -> None:
    """The guide's scale is right on one side of the data, and wrong on the other."""
    x = DATA.test.floats()
    vae = one_sided(linear_vae(DATA.exact), 0.4)
    mean = vae.encode(x).mean[:, 0]
    wrong, right = x[mean > 0.5][:20], x[mean < -0.5][:20]
    both = torch.cat([wrong, right])
    found = local_c2st(vae, both, simulations=1500, classifiers=39, seed=0)
    assert (found.p_values[: len(wrong)] < 0.05).mean() > 0.8
    assert (found.p_values[len(wrong) :] < 0.05).mean() < 0.3
    assert found.statistic[: len(wrong)].min() > found.statistic[len(wrong) :].mean()
