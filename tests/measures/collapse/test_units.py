"""Moments, KL and collapse of single units, for families with and without closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Distribution, Independent, Normal

from measures.collapse.encoders import linear_vae
from pyrovae.distributions import marginals
from pyrovae.measures.collapse import measure_sensitivity, measure_units, moments, weight_norms
from pyrovae.measures.collapse.measure import (
    CollapseSettings,
    measure_along_training,
    measure_collapse,
)
from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.priors import PRIORS
from pyrovae.models.vae import build_vae
from pyrovae.study.plan.compatibility import latent_conflict


class Unknown(Distribution):
    """A normal law that knows neither its mean nor its marginals."""

    def __init__(self, loc: torch.Tensor, scale: torch.Tensor) -> None:
        self._law = Independent(Normal(loc, scale), 1)
        super().__init__(self._law.batch_shape, self._law.event_shape, validate_args=False)

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> torch.Tensor:
        return self._law.rsample(torch.Size(sample_shape))

    def sample(self, sample_shape: tuple[int, ...] = ()) -> torch.Tensor:
        return self._law.sample(torch.Size(sample_shape))

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        return self._law.log_prob(value)


WEIGHT = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.5]])


def test_a_family_without_moments_gets_them_without_bias() -> None:
    vae = linear_vae(WEIGHT, torch.tensor([0.2, 1.0, 0.5]))
    x = torch.randn(1500, 3)
    exact = measure_units(vae, x)
    encode = vae.encode
    vae.encode = lambda x: Unknown(encode(x).mean, encode(x).stddev)  # type: ignore[method-assign]
    found = measure_units(vae, x)
    assert exact.exact_kl
    assert not found.exact_kl
    # 64 draws: the mean of a dead unit has an error of variance 1/64, above the threshold of 0.01
    # were it not taken out. Its own error then is (1/64) sqrt(2/1500) = 6e-4.
    torch.testing.assert_close(found.var_mu, exact.var_mu, rtol=0.02, atol=5 * 6e-4)
    torch.testing.assert_close(found.mean_var, exact.mean_var, rtol=0.02, atol=0)
    torch.testing.assert_close(found.kl, exact.kl, rtol=0.12, atol=0.02)
    assert found.active.tolist() == exact.active.tolist() == [True, False, True]
    assert exact.collapsed.tolist() == [False, True, False]


def test_standard_errors_are_the_spread_over_samples_of_data() -> None:
    vae = linear_vae(WEIGHT, torch.tensor([0.2, 1.0, 0.5]))
    replicates = [measure_units(vae, torch.randn(300, 3)) for _ in range(200)]
    for name in ("kl", "var_mu"):
        spread = torch.stack([getattr(r, name) for r in replicates]).std(0)
        claimed = torch.stack([getattr(r, f"{name}_se") for r in replicates]).mean(0)
        # 200 replicates: a standard deviation is known to 5 %.
        torch.testing.assert_close(claimed[[0, 2]], spread[[0, 2]], rtol=0.25, atol=0)


def test_regimes_and_data_that_collapse() -> None:
    """Of three units one is used by nearly all data, one by those of positive x, one by none."""
    vae = linear_vae(torch.eye(3), 1.0)
    x = torch.linspace(-2, 2, 2001)[:, None].expand(-1, 3)

    def encode(x: torch.Tensor) -> Distribution:
        used = torch.stack([x[:, 0].abs() > 0.04, x[:, 1] > 0, x[:, 2] > 9], 1)
        # Codes are spread as far as the prior, as training has them.
        loc = 3**0.5 * torch.stack([x[:, 0] / 2, x[:, 1] - 1, x[:, 2]], 1)
        loc = torch.where(used, loc, 0.0)
        return Independent(Normal(loc, torch.where(used, 0.1, 1.0)), 1)

    vae.encode = encode  # type: ignore[method-assign]
    units = measure_units(vae, x)
    assert units.regime == ["active", "mixed", "passive"]
    torch.testing.assert_close(
        units.passive_share, torch.tensor([0.02, 0.5, 1.0]), rtol=0, atol=1e-3
    )
    assert units.collapsed_data == pytest.approx(0.01, abs=1e-3)  # half of those near 0
    # The same under a prior of another scale: no law is compared with.
    wide = linear_vae(torch.eye(3), 1.0)
    wide.encode = lambda x: Independent(  # type: ignore[method-assign]
        Normal(7 * encode(x).mean, 7 * encode(x).stddev), 1
    )
    assert measure_units(wide, x).regime == units.regime


def test_regimes_are_unknown_where_variances_are_rough() -> None:
    vae = linear_vae(WEIGHT, torch.tensor([0.2, 1.0, 0.5]))
    encode = vae.encode
    vae.encode = lambda x: Unknown(encode(x).mean, encode(x).stddev)  # type: ignore[method-assign]
    units = measure_units(vae, torch.randn(100, 3))
    assert units.regime == ["unknown"] * 3
    assert math.isnan(units.collapsed_data)


def test_effective_dimension_counts_units_of_equal_variance() -> None:
    x = torch.randn(4000, 3)
    units = measure_units(linear_vae(torch.eye(3), 0.5), x)
    assert units.effective_dimension == pytest.approx(3, abs=0.05)
    one = measure_units(linear_vae(torch.diag(torch.tensor([1.0, 0, 0])), 0.5), x)
    assert one.effective_dimension == pytest.approx(1, abs=1e-3)


FACTORIZED = [
    (prior, posterior)
    for prior in sorted(PRIORS)
    for posterior in sorted(POSTERIORS)
    if "factorized" in PRIORS[prior].properties & POSTERIORS[posterior].properties
    and latent_conflict(prior, posterior) is None
]


@pytest.mark.parametrize(("prior", "posterior"), FACTORIZED)
def test_unit_kls_of_independent_dimensions_sum_to_the_rate(prior: str, posterior: str) -> None:
    # Scales from 0.01 to 10, one for each unit; locations near and far.
    d, scale = 7, torch.tensor([0.01, 0.05, 0.3, 1.0, 1.0, 3.0, 10.0])
    vae = build_vae(
        (d,),
        d,
        network={"name": "mlp", "hidden": []},
        prior={"name": prior},
        posterior={"name": posterior},
        likelihood={"name": "gaussian"},
    )
    with torch.no_grad():
        for name, parameter in vae.posterior.named_parameters():
            parameter.zero_()
            if name == "scale.bias":
                parameter.copy_(scale.expm1().log() - math.log(math.e - 1))
            elif name == "loc.weight":
                parameter.copy_(torch.diag(torch.tensor([1.0, 1, 1, 0, 1, 1, 1])))
        x = torch.tensor([[0.0], [0.4], [2.5]]).expand(3, d)
        if posterior == "semi_amortized":
            # Its ascent draws noise: the law is another at each call.
            law = vae.encode(x)
            vae.encode = lambda _: law  # type: ignore[method-assign]
        units = measure_units(vae, x)
        assert units.exact_kl
        torch.manual_seed(0)
        q, p = marginals(vae.encode(x)), marginals(vae.prior_law())
        z = q.sample((6_000,))
        ratio = (q.log_prob(z) - p.log_prob(z)).mean(1).double()  # over data
        error = ratio.std(0) / len(z) ** 0.5
        # Of each unit, so that large ones do not hide small ones; and of their sum, the rate.
        assert ((units.kl - ratio.mean(0)).abs() < 5 * error + 1e-5 * (1 + units.kl)).all()
        rate = (vae.encode(x).log_prob(z) - vae.prior_law().log_prob(z)).mean(1).double()
        assert (
            abs(float(units.kl.sum() - rate.mean())) < 5 * float(rate.std()) / len(z) ** 0.5 + 1e-3
        )


def test_a_kl_that_no_rule_agrees_on_is_drawn_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    vae = linear_vae(WEIGHT, 1.0, prior="student_t")
    x = torch.randn(400, 3)
    exact = measure_units(vae, x)
    monkeypatch.setattr("pyrovae.distributions.quadrature._KNOWN", -1.0)
    drawn = measure_units(vae, x, samples=50)
    assert (exact.exact_kl, drawn.exact_kl) == (True, False)
    # Of a unit that is the same for each datum, all that scatters is draws.
    assert float(exact.kl_se[1]) < 1e-6 < float(drawn.kl_se[1])
    assert abs(float(drawn.kl[1] - exact.kl[1])) < 5 * float(drawn.kl_se[1])


def test_moments_in_closed_form_have_no_error() -> None:
    found = moments(Independent(Normal(torch.ones(4, 2), 2 * torch.ones(4, 2)), 1))
    assert found.mean.unique().tolist() == [1.0]
    assert found.variance.unique().tolist() == [4.0]
    assert found.error.unique().tolist() == [0.0]


def test_sensitivity_of_a_linear_decoder() -> None:
    # E[x|z] = W' z: replacing z_u changes it by w_u (e - z_u), e ~ N(0, 1), z_u ~ N(0, v + s²).
    scale = torch.tensor([0.2, 1.0, 0.5])
    vae = linear_vae(WEIGHT, scale)
    found = measure_sensitivity(vae, torch.randn(20000, 3), seed=1)
    v = torch.tensor([1.0, 0.0, 0.25]) + scale**2
    w = torch.tensor([1.0, 0.0, 0.5])
    share = w**2 * (1 + v) / (2 * (w**2 * v).sum())
    assert found.share.tolist() == pytest.approx(share.tolist(), rel=0.05)
    assert found.used.tolist() == [True, False, True]
    assert found.maps.shape == (3, 3)
    # x_u = (e_u + ...): the distortion rises by (w² E[(e - z)²] + 2 w E[(e - z)(w z - x)]) / 2.
    covariance = torch.tensor([1.0, 0.0, 0.5])  # of z_u and x_u
    cost = (w**2 * (1 + v) + 2 * w * (-w * v + covariance)) / 2
    assert found.cost.tolist() == pytest.approx(cost.tolist(), abs=0.05)
    torch.testing.assert_close(weight_norms(vae), w)


def test_a_decoder_that_hardly_says_anything_uses_no_unit() -> None:
    # Of a hundred-thousandth of the data's variance each unit may have a large share.
    vae = linear_vae(1e-3 * WEIGHT, torch.tensor([0.2, 1.0, 0.5]))
    assert not measure_sensitivity(vae, torch.randn(2000, 3), seed=1).used.any()


@pytest.mark.parametrize(
    ("prior", "posterior"),
    [
        ("gaussian_mixture", "laplace"),
        ("flow", "iaf"),
        ("hyperspherical_uniform", "power_spherical"),
        ("horseshoe", "gaussian_mixture"),
        ("spike_slab", "relaxed_spike_slab"),
        ("two_stage", "low_rank_normal"),
    ],
)
def test_every_kind_of_family_is_measured(prior: str, posterior: str) -> None:
    vae = build_vae(
        (1, 8, 8),
        3,
        network={"name": "mlp", "hidden": [8]},
        prior={"name": prior},
        posterior={"name": posterior},
        likelihood={"name": "bernoulli"},
    )
    x = torch.rand(80, 1, 8, 8)
    state = torch.random.get_rng_state()
    settings = CollapseSettings(information_points=60, sensitivity_points=10)
    measured = measure_collapse(vae, x, settings, 16, 0)
    assert torch.equal(state, torch.random.get_rng_state())
    unknown = ["aggregate_kl_se", "passive_share"]  # of families known by draws alone
    numbers = measured.table.drop(columns=unknown).astype(float)
    assert numbers.notna().to_numpy().all()
    assert measured.maps.shape == (3, 1, 8, 8)
    # An untrained encoder says next to nothing about its input.
    assert measured.scores["mutual_information"] < 0.5
    assert measured.table["mi"].abs().max() < 0.1


def test_measures_along_training_on_both_splits() -> None:
    scale = torch.tensor([0.2, 1.0, 0.5])
    vae = linear_vae(WEIGHT, scale)
    # Training data vary twice as much: what is measured on which split can be told apart.
    found = measure_along_training(vae, torch.randn(1000, 3), 2 * torch.randn(1000, 3), 7)
    for prefix, variance in (("", 1.0), ("train_", 4.0)):
        v = variance * torch.tensor([1.0, 0.0, 0.25])
        columns = {name: found.columns[prefix + name] for name in ("var_mu", "mi", "sensitivity")}
        # 1000 points, 200 for the information.
        assert columns["var_mu"] == pytest.approx(v.tolist(), rel=0.25)
        exact = 0.5 * (1 + v / scale**2).log()
        assert columns["mi"] == pytest.approx(exact.tolist(), abs=0.3)
        assert columns["sensitivity"][1] == 0  # type: ignore[index]
        assert found.columns[prefix + "active_units"] == 2
    assert found.units.active.tolist() == [True, False, True]


def test_costly_measures_are_left_out_along_training() -> None:
    vae = build_vae(
        (6,),
        2,
        network={"name": "mlp", "hidden": [4]},
        prior={"name": "standard_normal"},
        posterior={"name": "iaf"},
        likelihood={"name": "gaussian"},
    )
    found = measure_along_training(vae, torch.rand(20, 6), torch.rand(20, 6), 0)
    moments = {"active_units", "kl", "var_mu", "mean_var", "collapsed"}
    use = {"used_units", "informative_units", "noise_share", "used", "used_cost", "turned"}
    assert set(found.columns) == moments | use | {"elbo"}
