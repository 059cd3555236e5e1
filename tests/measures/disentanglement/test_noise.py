"""Scores of noisy codes at several signal-to-noise ratios, from each metric's definition.

A factor takes LEVELS values, and its code is its value plus normal noise; three such pairs are
independent. Expected values are integrals over the normal, or over the definition's own draws from
this population where no integral is at hand (Carbonneau et al. 2020 vary noise likewise).
"""

from typing import NamedTuple

import numpy as np
import pytest
from scipy.special import entr
from scipy.stats import norm

from pyrovae.measures.disentanglement import METRICS

N_BINS = 20
#: 8 levels have variance 5.25, two have 1/4: from a hundred times the noise's to a fifth and less.
NOISE = (0.2, 1.0, 5.0)


class Noisy(NamedTuple):
    codes: np.ndarray
    factors: np.ndarray
    noise: float
    levels: int

    def told(self) -> tuple[float, float, float]:
        """Return H(v), H(bin) and H(bin | v) in nats, means over the three codes.

        p(bin | value) is a difference of normal distribution functions at the bins' edges, which
        lie between the code's extremes.
        """
        spread, left = [], []
        for code in self.codes.T:
            edges = np.linspace(code.min(), code.max(), N_BINS + 1)
            edges[[0, -1]] = -np.inf, np.inf
            away = (edges - np.arange(self.levels)[:, None]) / self.noise
            given_value = np.diff(norm.cdf(away), axis=1)
            spread.append(entr(given_value.mean(axis=0)).sum())
            left.append(entr(given_value).sum(axis=1).mean())
        return np.log(self.levels), np.mean(spread), np.mean(left)

    def correlation(self) -> float:
        variance = (self.levels**2 - 1) / 12
        return np.sqrt(variance / (variance + self.noise**2))


def noisy(noise: float, levels: int, n: int = 60_000) -> Noisy:
    rng = np.random.default_rng(0)
    factors = rng.integers(levels, size=(n, 3))
    return Noisy(factors + noise * rng.normal(size=factors.shape), factors, noise, levels)


def normalised_information(case: Noisy) -> float:
    """The gap of MIG, MIG-sup and DCIMIG alike: nothing else knows of a factor."""
    h, spread, left = case.told()
    return (spread - left) / h


def joint_entropy_less_gap(case: Noisy) -> float:
    """J = H(v) + H(z | v) - I."""
    h, spread, left = case.told()
    return 1 - (h + left - (spread - left)) / (h + np.log(N_BINS))


def left_of_two(noise: float) -> float:
    """H(v | z) of one of two values, 0 and 1, under noise: Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    log_odds = (nodes * noise + 0.5) / noise**2  # of the right value, given 1
    return weights @ np.logaddexp(0, -log_odds) / weights.sum()


def robustness(case: Noisy) -> float:
    """Given its factor, a code deviates by |noise|, whose 99 % quantile is the normal's 99.5 %."""
    largest = np.abs(case.codes - case.codes.mean(axis=0)).max(axis=0)
    return np.average(1 - norm.ppf(0.995) * case.noise / largest, weights=largest)


def won(case: Noisy, statistic) -> float:
    """How often a code varies least when its factor is held: fresh draws, not the points scored."""
    rng = np.random.default_rng(1)
    values = rng.integers(case.levels, size=(3, 4_000, 64, 2)).astype(float)
    values[0] = 0  # the held factor
    held, *others = statistic(values + case.noise * rng.normal(size=values.shape))
    return (held < np.minimum(*others)).mean()


def vote(case: Noisy) -> float:
    return won(case, lambda z: z[..., 0].var(axis=-1))


def distance(case: Noisy) -> float:
    """All features are distributed alike but for the shared one: the smallest is the best guess."""
    return won(case, lambda z: np.abs(z[..., 0] - z[..., 1]).mean(axis=-1))


EXPECTED = {
    "mig": (8, normalised_information, 0.01),
    "mig_sup": (8, normalised_information, 0.01),
    "dcimig": (8, normalised_information, 0.01),
    "jemmig": (8, joint_entropy_less_gap, 0.01),
    # the second factor's information is chance, however little the first one's is
    "modularity": (8, lambda case: 1, 0.01),
    "irs": (8, robustness, 0.01),
    "factor_vae": (8, vote, 0.03),
    "beta_vae": (8, distance, 0.03),
    # two values, told by the side of the middle: gap to the half that is guessed
    "sap": (2, lambda case: norm.cdf(0.5 / case.noise) - 1 / 2, 0.02),
    # the area of two normals at distance 1
    "explicitness": (2, lambda case: norm.cdf(1 / (case.noise * np.sqrt(2))), 0.01),
    # as in a channel of two inputs, whose log odds are linear in what is received
    "infoe": (2, lambda case: 1 - left_of_two(case.noise) / np.log(2), 0.01),
    "mcc": (8, Noisy.correlation, 0.01),
    "gaussian_total_correlation": (8, lambda case: 0, 0.001),
    "wasserstein_correlation": (8, lambda case: 0, 0.01),
    # Miller's bias
    "average_mutual_information": (8, lambda case: 0, 1.2 * (N_BINS - 1) ** 2 / (2 * 60_000)),
}


def test_every_metric_has_an_expected_value():
    elsewhere = {"dci", "infom", "infoc", "intrinsic_dimension"}
    downstream = {"sample_efficiency", "unfairness"}
    assert {*EXPECTED, *elsewhere, *downstream} == set(METRICS)


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("metric", list(EXPECTED))
def test_score(metric, noise):
    levels, expected, tolerance = EXPECTED[metric]
    # learners are dear
    case = noisy(noise, levels, n=15_000 if METRICS.is_costly(metric) else 60_000)
    score = METRICS[metric](case.codes, case.factors, 0).score
    assert score == pytest.approx(expected(case), abs=tolerance)


@pytest.mark.parametrize("noise", NOISE)
def test_dci_by_the_lasso(noise):
    """Weights of independent codes are soft-thresholded correlations r - alpha: noise lowers them
    alike, and is seen in what is left to predict, 1 - 2 w r + w**2."""
    case = noisy(noise, 8)
    result = METRICS["dci"](
        case.codes, case.factors, 0, learner="lasso", n_train=50_000, n_test=10_000
    )
    r = case.correlation()
    w = r - 0.02
    np.testing.assert_allclose(result.parts["importance"], w * np.eye(3), atol=0.01)
    assert result.score == pytest.approx(1, abs=0.01)
    assert result.parts["completeness"] == pytest.approx(1, abs=0.01)
    assert result.parts["informativeness"] == pytest.approx(
        1 - np.sqrt(1 - 2 * w * r + w**2), abs=0.01
    )


@pytest.mark.parametrize("noise", NOISE)
def test_trees_come_close_to_the_best_guess_of_a_noisy_value(noise):
    """The nearer of two values is right with probability Phi(1 / 2 noise)."""
    case = noisy(noise, 2, n=6_000)
    informativeness = METRICS["dci"](case.codes, case.factors, 0).parts["informativeness"]
    # 2,000 test points of three factors; the trees learn some of the noise
    assert -0.05 < informativeness - norm.cdf(0.5 / noise) < 0.02


@pytest.mark.parametrize("metric", ["dci", "sap", "explicitness"])
def test_learners_fall_with_noise(metric):
    """Of more than two values, where no integral is at hand (as Carbonneau et al. 2020, fig. 4)."""
    scores = []
    for noise in (0.1, 0.7, 2, 50):
        case = noisy(noise, 4, n=3_000)
        scores.append(METRICS[metric](case.codes, case.factors, 0).score)
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1] + 0.1


@pytest.mark.parametrize("noise", NOISE)
def test_information_from_neighbours(noise):
    """Without bins: h(z) of a mixture of normals less h(noise), by quadrature."""
    case = noisy(noise, 8, n=4_000)
    grid = np.linspace(-6 * noise, 7 + 6 * noise, 4_001)
    density = norm.pdf((grid - np.arange(8)[:, None]) / noise).mean(axis=0) / noise
    told = entr(density).sum() * (grid[1] - grid[0]) - norm.entropy(scale=noise)
    found = METRICS["infom"](case.codes, case.factors, 0)
    information = np.array(found.parts["information"])
    np.testing.assert_allclose(np.diag(information), told / np.log(8), atol=0.02)
    assert np.max(information - np.diag(np.diag(information))) < 0.01
    if noise == NOISE[0]:
        assert found.score == pytest.approx(1, abs=0.02)


def test_area_does_not_see_a_monotone_map():
    """Two values and one informative code: the order of its points is all that counts."""
    case = noisy(1.0, 2, n=15_000)
    bent = np.column_stack([np.exp(case.codes[:, 0]), np.ones(len(case.codes))])
    score = METRICS["explicitness"](bent, case.factors[:, :1], 0).score
    assert score == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.01)
