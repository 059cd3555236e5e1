"""Laws of one number, next to scipy's: density, draws, moments, entropy, derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.autograd import gradcheck

from distributions.checks import (
    assert_draws_follow,
    assert_mean,
    integral,
    pathwise_gradient_error,
)
from pyrovae.distributions.continuous_bernoulli import ContinuousBernoulli
from pyrovae.distributions.discretized_logistic import DiscretizedLogistic
from pyrovae.distributions.generalized_normal import GeneralizedNormal, unit_variance_scale
from pyrovae.distributions.logistic import Logistic
from pyrovae.distributions.student_t import StudentT


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


class Tilted:
    """Density on [0, 1] proportional to exp(t x), from scipy's truncated exponential."""

    def __init__(self, t: float) -> None:
        self.falling = t < 0
        self.law = stats.truncexpon(abs(t), 0, 1 / abs(t))

    def cdf(self, x: np.ndarray) -> np.ndarray:
        return self.law.cdf(x) if self.falling else self.law.sf(1 - x)

    def logpdf(self, x: np.ndarray) -> np.ndarray:
        return self.law.logpdf(x if self.falling else 1 - x)

    def mean(self) -> float:
        return self.law.mean() if self.falling else 1 - self.law.mean()

    def var(self) -> float:  # scipy's own loses six digits for a nearly flat density
        off = self.mean()
        return integrate.quad(lambda x: (x - off) ** 2 * np.exp(self.logpdf(x)), 0, 1)[0]


# name: (the law, scipy's, an interval that holds all but 1e-4 of it)
LAWS: dict[str, tuple[Any, Any, tuple[float, float]]] = {
    "generalized_normal_0.8": (
        GeneralizedNormal(tensor(0.5), tensor(0.7), tensor(0.8)),
        stats.gennorm(0.8, 0.5, 0.7),
        (-39.5, 40.5),
    ),
    "generalized_normal_1.5": (
        GeneralizedNormal(tensor(0.5), tensor(0.7), tensor(1.5)),
        stats.gennorm(1.5, 0.5, 0.7),
        (-9.5, 10.5),
    ),
    "generalized_normal_6": (
        GeneralizedNormal(tensor(-0.5), tensor(2.0), tensor(6.0)),
        stats.gennorm(6.0, -0.5, 2.0),
        (-6, 6),
    ),
    "logistic": (Logistic(tensor(0.3), tensor(0.6)), stats.logistic(0.3, 0.6), (-30, 30)),
    "student_t_2.5": (
        StudentT(tensor(2.5), tensor(0.3), tensor(0.6)),
        stats.t(2.5, 0.3, 0.6),
        (-400, 400),
    ),
    "student_t_30": (
        StudentT(tensor(30.0), tensor(0.3), tensor(0.6)),
        stats.t(30, 0.3, 0.6),
        (-10, 10),
    ),
    **{
        f"continuous_bernoulli_{t}": (ContinuousBernoulli(tensor(t)), Tilted(t), (0, 1))
        for t in (-30.0, -0.2, 1e-4, 0.26, 5.0)
    },
}


@pytest.fixture(params=LAWS)
def case(request: pytest.FixtureRequest) -> tuple[Any, Any, tuple[float, float]]:
    return LAWS[request.param]


def test_density_integrates_to_one_and_is_scipys(case: Any) -> None:
    law, reference, (low, high) = case
    assert integral(law.log_prob, low, high).item() == pytest.approx(1, abs=1e-3)
    x = torch.linspace(low, high, 101, dtype=torch.float64)
    expected = torch.as_tensor(reference.logpdf(x.numpy()))
    torch.testing.assert_close(law.log_prob(x), expected, rtol=1e-7, atol=1e-7)


def test_draws_follow_the_law(case: Any) -> None:
    law, reference, _ = case
    assert_draws_follow(law.rsample((20_000,)).squeeze(-1), reference.cdf)


def test_moments_are_scipys(case: Any) -> None:
    law, reference, _ = case
    assert law.mean.item() == pytest.approx(reference.mean(), rel=1e-6)
    assert law.variance.item() == pytest.approx(reference.var(), rel=1e-6)


@pytest.mark.parametrize("name", [n for n in LAWS if "bernoulli" not in n])
def test_entropy_is_scipys(name: str) -> None:
    law, reference, _ = LAWS[name]
    assert law.entropy().item() == pytest.approx(float(reference.entropy()), rel=1e-5)


def test_generalized_normal_cdf_is_scipys() -> None:
    law, reference, _ = LAWS["generalized_normal_1.5"]
    x = torch.linspace(-3, 3, 13, dtype=torch.float64)
    torch.testing.assert_close(law.cdf(x), torch.as_tensor(reference.cdf(x.numpy())))


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 7.0])
def test_unit_variance_scale(p: float) -> None:
    law = GeneralizedNormal(tensor(0), tensor(unit_variance_scale(p)), tensor(p))
    assert law.variance.item() == pytest.approx(1)


def test_derivatives_of_the_log_densities() -> None:
    x = tensor(-1.3, 0.2, 2.1).requires_grad_()
    loc, scale = tensor(0.1, 0.1, 0.4).requires_grad_(), tensor(0.5, 1, 2).requires_grad_()
    shape = tensor(0.7, 1.5, 4).requires_grad_()
    assert gradcheck(lambda *a: GeneralizedNormal(*a[1:]).log_prob(a[0]), (x, loc, scale, shape))
    assert gradcheck(lambda *a: Logistic(*a[1:]).log_prob(a[0]), (x, loc, scale))
    unit = tensor(0.0, 0.3, 1.0, 0.5, 0.9)
    logits = tensor(-30, -0.2, 0.001, 0.3, 9).requires_grad_()
    assert gradcheck(lambda t: ContinuousBernoulli(t).log_prob(unit), (logits,))
    assert gradcheck(lambda t: ContinuousBernoulli(t).mean, (logits,))
    levels = tensor(0, 7, 128, 254, 255) / 255
    at, width = tensor(0.1, -0.4, 0.6, 2, 0.5).requires_grad_(), tensor(0.05).requires_grad_()
    assert gradcheck(lambda m, s: DiscretizedLogistic(m, s).log_prob(levels), (at, width))


@pytest.mark.parametrize("df", [2.5, 8.0])
def test_student_t_draws_are_differentiable_in_all_parameters(df: float) -> None:
    n = 20_000

    def f(z: torch.Tensor) -> torch.Tensor:
        return torch.tanh(z - 0.5) ** 2

    for laws in (
        lambda v: StudentT(v, tensor(0.3).expand_as(v), tensor(0.8).expand_as(v)),
        lambda v: StudentT(tensor(df).expand_as(v), v, tensor(0.8).expand_as(v)),
        lambda v: StudentT(tensor(df).expand_as(v), tensor(0.3).expand_as(v), v),
    ):
        off, error = pathwise_gradient_error(laws, tensor(df).expand(n), f)
        assert 0 < error < 0.05
        assert abs(off) < 4 * error


def test_logistic_draws_stay_finite_at_the_ends_of_the_noise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    law = Logistic(torch.zeros(2), torch.ones(2))
    ends = torch.tensor([0.0, 1 - 2**-24])
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda self, *a, **k: ends)
    low, high = law.rsample().tolist()
    assert -20 < low < -16
    assert 15 < high < 20


def test_student_t_draws_stay_finite_at_the_ends_of_the_noise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    df = torch.tensor([5.0, 5.0], requires_grad=True)
    law = StudentT(df, torch.zeros(2), torch.ones(2))
    monkeypatch.setattr(torch.Tensor, "exponential_", lambda self: torch.tensor([0.0, 104.0]))
    z = law.rsample()
    assert z.isfinite().all()
    assert torch.autograd.grad(z.sum(), df)[0].isfinite().all()


@pytest.mark.parametrize("logit", [-200.0, -17.5, 0.0, 17.5, 200.0])
def test_continuous_bernoulli_is_finite_in_single_precision(logit: float) -> None:
    t = torch.tensor(logit, requires_grad=True)
    law = ContinuousBernoulli(t)
    log_prob = law.log_prob(torch.tensor([0.0, 0.5, 1.0]))
    (gradient,) = torch.autograd.grad(log_prob.sum(), t)
    assert log_prob.isfinite().all()
    # The gradient of the log-density is x - E[x].
    assert gradient.item() == pytest.approx(1.5 - 3 * law.mean.item(), abs=1e-5)
    assert 0 <= law.mean <= 1
    assert law.variance >= 0


def levels(law: DiscretizedLogistic) -> torch.Tensor:
    return torch.arange(law.levels, dtype=torch.float64).unsqueeze(-1) / (law.levels - 1)


@pytest.mark.parametrize(("count", "scale"), [(256, 0.002), (256, 0.3), (2, 0.3), (5, 3.0)])
def test_discretized_logistic_sums_to_one_and_is_the_rounded_logistic(
    count: int, scale: float
) -> None:
    law = DiscretizedLogistic(tensor(-0.1, 0.31, 1.0), tensor(scale), count)
    x = levels(law)
    mass = law.log_prob(x).exp()
    torch.testing.assert_close(mass.sum(0), torch.ones(3, dtype=torch.float64))
    edges = (np.arange(count - 1) + 0.5) / (count - 1)
    cdf = stats.logistic.cdf(edges[:, None], law.loc.numpy(), scale)
    expected = np.diff(np.concatenate([np.zeros((1, 3)), cdf, np.ones((1, 3))]), axis=0)
    np.testing.assert_allclose(mass.numpy(), expected, atol=1e-12)
    torch.testing.assert_close(law.mean, (mass * x).sum(0))
    torch.testing.assert_close(law.variance, (mass * x**2).sum(0) - law.mean**2)


def test_discretized_logistic_draws_follow_the_law() -> None:
    law = DiscretizedLogistic(tensor(0.4), tensor(0.2), 9)
    draws = law.sample((20_000,)).squeeze(-1)
    counts = torch.bincount((draws * 8).round().long(), minlength=9).numpy()
    expected = law.log_prob(levels(law)).exp().squeeze(-1).numpy() * 20_000
    assert stats.chisquare(counts, expected).pvalue > 1e-6
    assert_mean(draws, law.mean)


def test_discretized_logistic_far_away_is_finite_in_single_precision() -> None:
    loc = torch.tensor([-50.0, 0.5, 80.0], requires_grad=True)
    log_prob = DiscretizedLogistic(loc, torch.tensor(0.01)).log_prob(torch.tensor([0.5]))
    assert log_prob.isfinite().all()
    assert torch.autograd.grad(log_prob.sum(), loc)[0].isfinite().all()
