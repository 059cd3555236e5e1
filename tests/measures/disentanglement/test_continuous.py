"""Rotation and curvature by degrees, against integrals of the definition."""

import numpy as np
import pytest
from scipy.special import entr
from scipy.stats import spearmanr

from pyrovae.measures.disentanglement import (
    METRICS,
    beta_vae,
    dci,
    dcimig,
    factor_vae,
    mig,
    mig_sup,
    sap,
)

LEVELS = 8
N_BINS = 20


def information(bins_given_value: np.ndarray) -> float:
    """Mutual information, in nats, of a bin with a uniform value, from p(bin | value)."""
    return entr(bins_given_value.mean(axis=0)).sum() - entr(bins_given_value).sum(axis=1).mean()


def rotated_uniforms(angle: float, n: int, seed: int = 0):
    """Two uniforms rotated in their plane; the factors are their octiles."""
    u = np.random.default_rng(seed).uniform(size=(n, 2))
    cos, sin = np.cos(angle), np.sin(angle)
    return u @ np.array([[cos, -sin], [sin, cos]]), np.floor(u * LEVELS).astype(int)


def rotated_information(angle: float) -> np.ndarray:
    """I(binned code; factor), (2, 2), by quadrature over the factor's uniform.

    Given u_1, code 1 is cos u_1 + sin u_2 with u_2 uniform: its distribution function is linear,
    and its bins reach from the code's smallest to its largest value.
    """
    nodes, weights = np.polynomial.legendre.leggauss(200)
    matrix = np.empty((2, 2))
    for code, slopes in enumerate(
        [(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))]
    ):
        edges = np.linspace(sum(min(s, 0) for s in slopes), sum(max(s, 0) for s in slopes), 21)
        for factor in range(2):
            own, other = slopes[factor], slopes[1 - factor]
            given_value = []
            for level in range(LEVELS):
                u = (level + (nodes + 1) / 2) / LEVELS
                below = (edges[:, None] - own * u) / other
                cdf = np.clip(below if other > 0 else 1 - below, 0, 1)
                given_value.append(np.abs(np.diff(cdf @ weights / 2)))
            matrix[code, factor] = information(np.array(given_value))
    return matrix


@pytest.mark.parametrize("degrees", [10, 25, 40])
def test_information_metrics_of_a_rotated_code_by_quadrature(degrees):
    n = 200_000
    codes, factors = rotated_uniforms(np.radians(degrees), n)
    expected = rotated_information(np.radians(degrees))
    bias = (N_BINS - 1) * (LEVELS - 1) / (2 * n)
    h = np.log(LEVELS)
    result = mig(codes, factors)
    np.testing.assert_allclose(
        result.parts["mutual_information"], expected, atol=bias + 4 / np.sqrt(n)
    )
    gap = abs(expected[0, 0] - expected[1, 0]) / h
    assert 0.02 < gap < 0.9
    assert result.score == pytest.approx(gap, abs=0.01)
    # by symmetry of the two codes and the two factors
    assert mig_sup(codes, factors).score == pytest.approx(gap, abs=0.01)
    assert dcimig(codes, factors).score == pytest.approx(gap, abs=0.01)


def test_squared_correlation_of_a_rotated_code():
    angle = np.radians(25)
    codes, factors = rotated_uniforms(angle, 200_000)
    # the octile's number explains 1 - 1/64 of the variance of its uniform
    explained = 1 - 1 / LEVELS**2
    expected = explained * (np.cos(angle) ** 2 - np.sin(angle) ** 2)
    assert sap(codes, factors, factor_kind="continuous").score == pytest.approx(expected, abs=0.01)


def test_votes_ignore_rotation_until_codes_are_equal():
    """Known failure (Carbonneau et al. 2020, sec. 5.3): only the order of variances counts."""
    assert factor_vae(*rotated_uniforms(np.radians(25), 10_000), rng=0).score > 0.99
    equal = factor_vae(*rotated_uniforms(np.radians(45), 200_000), rng=0).score
    assert equal == pytest.approx(0.5, abs=0.03)


def test_dci_falls_from_one_to_zero_with_the_angle():
    scores = [
        dci(*rotated_uniforms(np.radians(degrees), 1_500), rng=0).score
        for degrees in (0, 10, 25, 45)
    ]
    assert scores[0] > 0.95
    assert scores[-1] < 0.02
    assert scores == sorted(scores, reverse=True)


def curved(degree: float):
    """The map of Carbonneau et al. 2020, eq. 10, standardised: from linear (0) to a tangent (1)."""
    factors = np.random.default_rng(0).integers(16, size=(4_000, 3))
    omega = 2 * np.arctan(1000 ** (degree - 0.25) / 2)
    codes = np.tan(omega * ((factors + 0.5) / 16 - 0.5))
    return codes / codes.std(axis=0), factors


@pytest.mark.parametrize("metric", ["mig", "mig_sup", "dcimig", "modularity"])
def test_quantile_bins_do_not_see_curvature(metric):
    straight, bent = (METRICS[metric](*curved(d), binning="quantile").score for d in (0, 1))
    assert bent == pytest.approx(straight, abs=1e-12)


def test_equal_bins_lose_what_curvature_squeezes_together():
    """The code is a function of its factor: I(bin; v) = H(bin), counted here by numpy."""
    codes, factors = curved(1.0)
    expected = []
    for z, v in zip(codes.T, factors.T, strict=True):
        bins, _ = np.histogram(z, bins=N_BINS)
        expected.append(entr(bins / len(z)).sum() / entr(np.bincount(v) / len(v)).sum())
    assert max(expected) < 0.9
    # the runner-up knows what 4,000 points leave to chance
    assert mig(codes, factors).score == pytest.approx(np.mean(expected), abs=0.01)


@pytest.mark.parametrize(("metric", "worst"), [(factor_vae, 0.99), (beta_vae, 0.99), (dci, 0.98)])
def test_order_is_enough_for_votes_and_trees(metric, worst):
    assert metric(*curved(1.0), rng=0).score > worst


def test_squared_correlation_sees_curvature():
    codes, factors = curved(1.0)
    expected = np.mean(
        [np.corrcoef(z, v)[0, 1] ** 2 for z, v in zip(codes.T, factors.T, strict=True)]
    )
    assert expected < 0.9
    assert sap(codes, factors, factor_kind="continuous").score == pytest.approx(expected, abs=0.01)


def test_fast_trees_rank_representations_as_the_classical_ones_do():
    """The default learner of DCI next to Locatello et al.'s, on codes of all qualities."""
    rng = np.random.default_rng(0)
    factors = rng.integers(2, size=(450, 3))
    fast, classical = [], []
    for mixing in np.linspace(0, 1, 3):
        for noise in (0.1, 0.7, 3.0):
            rotation = (1 - mixing) * np.eye(3) + mixing * rng.uniform(size=(3, 3))
            codes = factors @ rotation + noise * rng.normal(size=factors.shape)
            fast.append(dci(codes, factors, 0))
            classical.append(dci(codes, factors, 0, learner="gradient_boosting"))
    for part in ("disentanglement", "completeness", "informativeness"):
        a = [result.parts[part] for result in fast]
        b = [result.parts[part] for result in classical]
        assert spearmanr(a, b).statistic > 0.95
        np.testing.assert_allclose(a, b, atol=0.1)
