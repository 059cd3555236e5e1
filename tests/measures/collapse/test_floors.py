"""The least rate of a unit against minima that SciPy finds, with densities of SciPy's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit, logsumexp
from scipy.stats import gennorm, laplace, logistic, norm, t
from torch import Tensor

import pyrovae.measures.collapse.floors as floors_module
from pyrovae.measures.collapse.floors import floors
from pyrovae.models.contract import LatentModel
from pyrovae.models.vae import VAE, build_vae

Density = Callable[[np.ndarray], np.ndarray]
#: Fine around 0, where spikes are; far enough for the tails of a t law.
GRID = 0.02 * np.sinh(np.linspace(-8.5, 8.5, 1601))


def _mixture(weights: Sequence[float], loc: Sequence[float], scale: Sequence[float]) -> Density:
    return lambda z: logsumexp(
        [np.log(w) + norm.logpdf(z, m, s) for w, m, s in zip(weights, loc, scale, strict=True)], 0
    )


def _bridged(raw: np.ndarray) -> Density:
    loc, scale, gate = raw[0], np.exp(raw[1]), expit(raw[2])
    bridge = np.sqrt(loc**2 / 12 + (scale**2 + 0.05**2) / 2)
    weights = [0.9 * (1 - gate) + 1e-300, 0.9 * gate + 1e-300, 0.1]
    return _mixture(weights, [0, loc, loc / 2], [0.05, scale, bridge])


def _two(raw: np.ndarray) -> Density:
    share = expit(raw[4])
    scales = np.exp(raw[[1, 3]])
    return _mixture([1 - share + 1e-300, share + 1e-300], raw[[0, 2]], scales)


Q: dict[str, tuple[Callable[[np.ndarray], Density], int]] = {
    "mean_field_normal": (lambda r: lambda z: norm.logpdf(z, r[0], np.exp(r[1])), 2),
    "fixed_scale_normal": (lambda r: lambda z: norm.logpdf(z, r[0], 0.1), 2),
    "full_rank_normal": (lambda r: lambda z: norm.logpdf(z, r[0], np.exp(r[1])), 2),
    "laplace": (lambda r: lambda z: laplace.logpdf(z, r[0], np.exp(r[1])), 2),
    "logistic": (lambda r: lambda z: logistic.logpdf(z, r[0], np.exp(r[1])), 2),
    "student_t": (lambda r: lambda z: t.logpdf(z, 5, r[0], np.exp(r[1])), 2),
    "relaxed_spike_slab": (_bridged, 3),
    "gaussian_mixture": (_two, 5),
}
P: dict[str, Density] = {
    "standard_normal": norm.logpdf,
    "laplace": lambda z: laplace.logpdf(z, 0, 0.5**0.5),
    "student_t": lambda z: t.logpdf(z, 5),
    "generalized_normal": lambda z: gennorm.logpdf(z, 1.5, 0, gennorm.std(1.5) ** -1),
    "spike_slab": _mixture([0.7, 0.3], [0, 0], [0.05, 1]),
}


def _least(q: str, p: Density) -> float:
    family, size = Q[q]
    log_p = p(GRID)

    def kl(raw: np.ndarray) -> float:
        log_q = family(raw)(GRID)
        mass = np.exp(log_q)
        ratio = np.where(mass > 0, log_q, 0) - np.where(mass > 0, log_p, 0)
        return float(np.trapezoid(mass * ratio, GRID))

    found = []
    for start in range(4):
        first = 0.1 * np.random.default_rng(start).normal(size=size)
        first[1] = np.log([0.06, 0.3, 0.7, 1.2][start])
        options = {"xatol": 1e-3, "fatol": 1e-7, "maxiter": 300 * size}
        found.append(minimize(kl, first, method="Nelder-Mead", options=options).fun)
    return min(found)


def _vae(prior: str, posterior: str, latent_dim: int = 3) -> VAE:
    return build_vae(
        (4,),
        latent_dim,
        network={"name": "mlp", "hidden": [6]},
        prior={"name": prior},
        posterior={
            "name": posterior,
            **({"components": 2} if posterior == "gaussian_mixture" else {}),
        },
        likelihood={"name": "gaussian"},
    )


@pytest.mark.parametrize(
    ("posterior", "prior"),
    [
        *(("mean_field_normal", prior) for prior in P),
        ("fixed_scale_normal", "standard_normal"),
        ("full_rank_normal", "student_t"),
        ("laplace", "standard_normal"),
        ("laplace", "spike_slab"),
        ("logistic", "generalized_normal"),
        ("student_t", "standard_normal"),
        ("student_t", "laplace"),
        ("relaxed_spike_slab", "spike_slab"),
        ("relaxed_spike_slab", "standard_normal"),
        ("gaussian_mixture", "laplace"),
    ],
)
def test_floors_are_scipys_minima(posterior: str, prior: str) -> None:
    found = floors(_vae(prior, posterior), torch.rand(2, 4))
    exact = _least(posterior, P[prior])
    assert found.tolist() == pytest.approx([exact] * 3, abs=1e-4)
    if (posterior, prior) == ("mean_field_normal", "student_t"):
        assert exact == pytest.approx(0.018, abs=2e-4)


def test_each_unit_has_its_own_under_a_learned_prior() -> None:
    vae = _vae("gaussian_mixture", "mean_field_normal", latent_dim=2)
    prior = vae.prior
    with torch.no_grad():
        prior.loc[:, 0] = torch.linspace(-2, 2, 10)
        prior.loc[:, 1] = 0
        prior.raw_scale[:, 0] = -1.5
    found = floors(vae, torch.rand(2, 4))
    scale = torch.nn.functional.softplus(torch.tensor(-1.5 + 0.541324854612918)).item()
    exact = _least("mean_field_normal", _mixture([0.1] * 10, np.linspace(-2, 2, 10), [scale] * 10))
    # All components of the second unit coincide: that is a normal law.
    assert found.tolist() == pytest.approx([exact, 0.0], abs=1e-4)
    with torch.no_grad():
        prior.raw_scale[:, 0] = 0.0
    assert floors(vae, torch.rand(2, 4))[0] < exact / 2


@pytest.mark.parametrize(
    ("prior", "posterior"),
    [
        ("laplace", "planar"),
        ("laplace", "nsf"),
        ("flow", "mean_field_normal"),
        ("hyperspherical_uniform", "power_spherical"),
        ("standard_normal", "low_rank_normal"),
        ("ard", "semi_amortized"),
        ("standard_normal", "gaussian_mixture"),
        ("two_stage", "mean_field_normal"),
    ],
)
def test_none_where_none_is_known_or_the_prior_is_in_the_family(prior: str, posterior: str) -> None:
    assert floors(_vae(prior, posterior), torch.rand(2, 4)).tolist() == [0.0, 0.0, 0.0]


class Two(LatentModel):
    """A user's model with laws of other people's."""

    latent_dim = 2

    def encode(self, x: Tensor) -> dist.Distribution:
        return dist.SoftLaplace(torch.zeros(len(x), 2), torch.ones(2)).to_event(1)

    def prior_law(self) -> dist.Distribution:
        return dist.Normal(torch.tensor([0.0, 5.0]), torch.tensor([1.0, 0.1])).to_event(1)


def test_a_users_own_laws() -> None:
    found = floors(Two(), torch.rand(2, 4))

    def hyperbolic_secant(r: np.ndarray) -> Density:
        y = lambda z: (z - r[0]) / np.exp(r[1])  # noqa: E731
        return lambda z: np.log(2 / np.pi) - r[1] - np.logaddexp(y(z), -y(z))

    Q["soft_laplace"] = hyperbolic_secant, 2
    # The family has all places and scales, and so has the prior: both units are alike.
    assert found.tolist() == pytest.approx([_least("soft_laplace", norm.logpdf)] * 2, abs=1e-4)


def test_a_floor_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x, state = torch.rand(2, 4), torch.random.get_rng_state()
    first = floors(_vae("laplace", "logistic"), x)
    monkeypatch.delattr(floors_module, "_minima", raising=False)
    assert torch.equal(floors(_vae("laplace", "logistic", latent_dim=5), x)[:3], first)
    assert torch.equal(torch.random.get_rng_state(), state)
