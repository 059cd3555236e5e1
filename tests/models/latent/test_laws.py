"""Every prior and posterior: a density, draws from it, and the derivatives of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from scipy import integrate, optimize, stats
from torch import Tensor
from torch.func import functional_call

from models.latent.laws import CASES
from pyrovae.api.checks.charts import Grid, real
from pyrovae.api.checks.failing import run
from pyrovae.api.checks.latent import FALSE_ALARM, LATENT_CHECKS, Subject, draw, is_mixture
from pyrovae.api.checks.laws import Case
from pyrovae.distributions.normal_mixture import DiagonalNormalMixture
from pyrovae.models.priors import PRIORS

#: Chance that any of the tests of draws here fails although all samplers are right.
FAMILY_WISE = 1e-3
DRAWS = 20_000
#: Runs of a program that makes one draw.
PROGRAMS = 2000
#: Their number: laws of one datum, in two dimensions each, and the priors' programs.
TESTS = sum(2 * (1 if case.kind == "prior" else 2) for case in CASES) + 3


def assert_draws(p_value: float) -> None:
    assert p_value > FAMILY_WISE / TESTS


# --- what anybody's family is checked for ---------------------------------------------------------

#: Of those that look at densities on a grid, so that each grid is made once.
ON_GRIDS = {
    "shapes",
    "density_integrates_to_one",
    "draws_follow_density",
    "moments",
    "marginal_densities",
}
#: ``trains`` is left to tests/training, where pairs of families share the work.
APART = ("draws_are_functions_of_noise", "log_prob_derivatives", "draw_derivatives")


def test_no_check_is_left_out() -> None:
    assert {name for name, _ in LATENT_CHECKS} == {*ON_GRIDS, *APART, "trains"}
    assert FALSE_ALARM <= 2 * FAMILY_WISE / TESTS


@pytest.mark.parametrize("case", CASES, ids=str)
def test_density_integrates_to_one_and_draws_follow_it(case: Case) -> None:
    run([(name, check) for name, check in LATENT_CHECKS if name in ON_GRIDS], Subject(case))


@pytest.mark.parametrize("name", APART)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_draws_and_derivatives(case: Case, name: str) -> None:
    run([(name, dict(LATENT_CHECKS)[name])], Subject(case))


# --- priors that are more than one law -----------------------------------------------------------


def _half_cauchy_product(x: np.ndarray) -> np.ndarray:
    """Return the distribution function at ``x`` of |z|, z ~ N(0, (t l)²), t and l half-Cauchy.

    The product u of two half-Cauchy numbers has density (4 / pi²) log(u) / (u² - 1).
    """
    log_u = np.linspace(-30, 30, 2400)  # an even number: none is 0
    u = np.exp(log_u)
    density = 4 / np.pi**2 * log_u / (u**2 - 1) * u
    inside = stats.chi.cdf(x[:, None] / u, 1) * density
    return integrate.trapezoid(inside, log_u, axis=-1)


def _log_scale(cdf: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Tabulate a distribution function of |z|, over many powers of ten."""
    grid = np.linspace(-20, 20, 401)
    table = cdf(np.exp(grid))
    return lambda x: np.interp(np.log(x), grid, table)


#: By hierarchical prior: parameters, and the distribution function of |z_u| without the scales.
MARGINALS: dict[str, tuple[dict[str, float], Callable[[np.ndarray], np.ndarray]]] = {
    # A Gamma(a, b) precision makes a normal law a t law with 2 a degrees of freedom.
    "ard": (
        {"shape": 2.0, "rate": 3.0},
        lambda x: 2 * stats.t(4.0, 0, (3.0 / 2.0) ** 0.5).cdf(x) - 1,
    ),
    "horseshoe": (
        {"global_scale": 0.5},
        _log_scale(lambda x: _half_cauchy_product(x / 0.5)),
    ),
}


@pytest.mark.parametrize("name", [n for n in PRIORS if PRIORS[n].global_sites])
def test_hierarchical_programs_draw_from_their_marginal_law(name: str) -> None:
    parameters, cdf = MARGINALS[name]
    prior = PRIORS.create(name, 1, **parameters).double()
    z = torch.stack([prior().sample() for _ in range(PROGRAMS)]).squeeze(-1)
    assert_draws(stats.kstest(z.abs().numpy(), cdf).pvalue)
    assert abs((z > 0).double().mean() - 0.5) < 4 * 0.5 / PROGRAMS**0.5


def test_the_second_stage_draws_from_its_own_law_and_bounds_it() -> None:
    (case,) = [c for c in CASES if c.kind == "prior" and "density" not in c.entry.properties]
    assert case.name == "two_stage"
    module = case.law(1)
    prior = module.family
    u = torch.linspace(-8, 8, 401, dtype=torch.float64).unsqueeze(-1)
    with torch.no_grad():
        given, log_pu = prior._given(u), dist.Normal(0.0, 1.0).log_prob(u).squeeze(-1)

        def log_joint(z: Tensor) -> Tensor:  # (n, 1) to (n, u)
            return given.log_prob(z.unsqueeze(1)) + log_pu

        def log_density(z: Tensor) -> Tensor:
            return log_joint(z).logsumexp(-1) + torch.log(u[1, 0] - u[0, 0])

        grid = Grid(real(1), log_density)
        assert grid.total() == pytest.approx(1, abs=1e-3)
        assert_draws(grid.p_value(module().sample((DRAWS,))))
        # The bound misses log p(z) by KL(q(u|z) || p(u|z)).
        z = torch.tensor([[-0.7], [0.4]], dtype=torch.float64)
        bounds = torch.stack([prior.second_bound(z) for _ in range(PROGRAMS)])
        loc, raw = prior.encoder(z).chunk(2, -1)
        q = dist.Normal(loc, torch.nn.functional.softplus(raw) + 1e-6)
        log_q = q.log_prob(u.T)  # (2, u)
        gap = (log_q.exp() * (log_q - log_joint(z))).sum(-1) * (u[1, 0] - u[0, 0])
        error = bounds.std(0) / PROGRAMS**0.5
        assert ((bounds.mean(0) + gap).abs() < 4 * error + 1e-6).all()


# --- derivatives ---------------------------------------------------------------------------------


IMPLICIT = [case for case in CASES if is_mixture(case.law(case.dims[1])())]


#: (logits (K,), loc (K, m), scale (K, m)) of each independent part of a mixture.
Parts = list[tuple[np.ndarray, np.ndarray, np.ndarray]]


def _parts(law: Any, i: int) -> Parts:
    """Return the parts of the law of datum ``i``."""
    whole = isinstance(law, DiagonalNormalMixture)
    mixture = law if whole else law.base_dist
    inside = mixture.component_distribution
    if whole:
        inside = inside.base_dist
    logits, loc, scale = mixture.mixture_distribution.logits, inside.loc, inside.scale
    one = [t.detach()[i] if law.batch_shape else t.detach() for t in (logits, loc, scale)]
    if whole:
        return [tuple(t.numpy() for t in one)]  # type: ignore[list-item]
    return [(w, m[:, None], s[:, None]) for w, m, s in zip(*(t.numpy() for t in one), strict=True)]


def _conditional(part: Any, z: list[float]) -> Callable[[float], float]:
    """Return the distribution function of the next number, given those before it."""
    logits, loc, scale = part
    for u, value in enumerate(z):
        logits = logits + stats.norm.logpdf(value, loc[:, u], scale[:, u])
    weights = np.exp(logits - logits.max())
    weights = weights / weights.sum()
    u = len(z)
    return lambda x: float(weights @ stats.norm.cdf(x, loc[:, u], scale[:, u]))


def _levels(parts: Parts, z: np.ndarray) -> list[float]:
    """Return F(z_1), F(z_2 | z_1) and so on."""
    levels, left = [], z.tolist()
    for part in parts:
        before: list[float] = []
        for _ in range(part[1].shape[1]):
            value = left.pop(0)
            levels.append(_conditional(part, before)(value))
            before.append(value)
    return levels


def _quantiles(parts: Parts, levels: list[float]) -> np.ndarray:
    """Return the numbers that have the given levels."""
    found, left = [], list(levels)
    for part in parts:
        before: list[float] = []
        for _ in range(part[1].shape[1]):
            cdf, level = _conditional(part, before), left.pop(0)
            before.append(
                optimize.brentq(lambda x, f=cdf, u=level: f(x) - u, -40, 40, xtol=1e-14, rtol=1e-14)
            )
        found += before
    return np.array(found)


@pytest.mark.parametrize("case", IMPLICIT, ids=str)
def test_implicit_derivatives_are_those_of_the_quantile(case: Case) -> None:
    """A mixture's draw moves as its quantile at fixed levels, in a direction of all parameters."""
    module = case.law(case.dims[1])
    tensors = module.tensors()
    torch.manual_seed(1)
    towards = {name: torch.randn_like(t) for name, t in tensors.items()}
    step = torch.zeros((), dtype=torch.float64, requires_grad=True)

    def moved(by: Any) -> dict[str, Tensor]:
        return {name: t + by * towards[name] for name, t in tensors.items()}

    z = draw(module, moved(step), 4)
    flat = z.reshape(4, -1, z.shape[-1])
    for i in range(flat.shape[1]):
        at, up, down = (
            _parts(functional_call(module, moved(h), ()), i) for h in (0.0, 1e-5, -1e-5)
        )
        for row in flat[:, i]:
            levels = _levels(at, row.detach().numpy())
            expected = (_quantiles(up, levels) - _quantiles(down, levels)) / 2e-5
            own = [torch.autograd.grad(e, step, retain_graph=True)[0].item() for e in row]
            np.testing.assert_allclose(own, expected, rtol=1e-5, atol=1e-6)
