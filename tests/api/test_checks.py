"""The checks for third parties: built-in classes pass, wrong ones fail by the right name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

import pyrovae
from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement import MetricResult, mig
from pyrovae.models.likelihoods import Bernoulli, Likelihood
from pyrovae.models.networks import Mlp
from pyrovae.models.posteriors import Posterior
from pyrovae.models.posteriors.base import head, positive
from pyrovae.models.priors import Prior
from pyrovae.objectives import Elbo
from pyrovae.training.optimizers import OPTIMIZERS, Adam, Sgd


class Good(Prior):
    """Independent normal laws with learned scales."""

    properties = Prior.properties | {"factorized"}

    def __init__(self, latent_dim: int, *, scale: float = 1.0) -> None:
        super().__init__(latent_dim)
        self.log_scale = nn.Parameter(torch.full((latent_dim,), scale).log())

    def law(self) -> Distribution:
        return dist.Normal(torch.zeros_like(self.log_scale), self.log_scale.exp())

    def forward(self) -> Distribution:
        return self.law().to_event(1)


class _Twice(dist.Normal):
    def log_prob(self, value: Tensor) -> Tensor:
        return super().log_prob(value) + 0.7


class Unnormalised(Good):
    def law(self) -> Distribution:
        normal = super().law()
        return _Twice(normal.loc, normal.scale)


class _Wide(dist.Normal):
    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return 1.1 * super().rsample(sample_shape)


class OtherScale(Good):
    def law(self) -> Distribution:
        normal = super().law()
        return _Wide(normal.loc, normal.scale)


class WrongShape(Good):
    def forward(self) -> Distribution:
        return self.law()


class _Detached(dist.Normal):
    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return super().rsample(sample_shape).detach()


class NoGradient(Good):
    def law(self) -> Distribution:
        normal = super().law()
        return _Detached(normal.loc, normal.scale)


class _Frozen(dist.Normal):
    def log_prob(self, value: Tensor) -> Tensor:
        return super().log_prob(value.detach())


class FlatDensity(Good):
    def law(self) -> Distribution:
        normal = super().law()
        return _Frozen(normal.loc, normal.scale)


class Untraceable(Good):
    def law(self) -> Distribution:
        if self.log_scale.sum().item() > 1e9:
            raise ValueError
        return super().law()


class _OwnNoise(dist.Normal):
    def rsample(self, sample_shape: Any = ()) -> Tensor:
        noise = np.random.default_rng().standard_normal((*sample_shape, *self.batch_shape))
        return self.loc + self.scale * torch.as_tensor(noise, dtype=self.loc.dtype)


class NumpyNoise(Good):
    def law(self) -> Distribution:
        normal = super().law()
        return _OwnNoise(normal.loc, normal.scale)


class Heavy(Good):
    """A law that has two in a hundred draws beyond any grid."""

    def law(self) -> Distribution:
        normal = super().law()
        return dist.Cauchy(normal.loc, 2 * normal.scale)


class Raising(Good):
    def forward(self) -> Distribution:
        raise KeyError("scale")


@pytest.mark.parametrize(
    ("prior", "name"),
    [
        (Unnormalised, "density_integrates_to_one"),
        (OtherScale, "draws_follow_density"),
        (WrongShape, "shapes"),
        (NoGradient, "draw_derivatives"),
        (FlatDensity, "log_prob_derivatives"),
        (Untraceable, "trains"),
        (NumpyNoise, "draws_are_functions_of_noise"),
        (Raising, "shapes"),
    ],
)
def test_a_wrong_prior_is_caught_by_name(prior: type[Prior], name: str) -> None:
    before = torch.get_rng_state()
    with pytest.raises(AssertionError, match=f"^{name}: .*{prior.__name__}") as raised:
        pyrovae.check_prior(prior)
    assert raised.value.check == name
    assert torch.equal(before, torch.get_rng_state())
    assert Distribution._validate_args


def test_numbers_are_told() -> None:
    with pytest.raises(AssertionError, match=r"integral is 2.01375, not 1"):
        pyrovae.check_prior(Unnormalised)
    with pytest.raises(AssertionError, match=r"mean and sd are .* and .*, the density's \("):
        pyrovae.check_prior(OtherScale)


@pytest.mark.parametrize(("name", "check"), pyrovae.prior_checks(Good, scale=0.5))
def test_a_right_prior_passes(name: str, check: Callable[[], None]) -> None:
    check()


def test_heavy_tails_are_no_fault() -> None:
    pyrovae.check_prior(Heavy)


class Shifted(Posterior):
    """A normal law whose mean is not what it says."""

    properties = Posterior.properties | {"moments"}

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__(features, latent_dim)
        self.loc, self.scale = head(features, latent_dim), head(features, latent_dim)

    def forward(self, features: Tensor) -> Distribution:
        return _Lying(self.loc(features), positive(self.scale(features))).to_event(1)


class _Lying(dist.Normal):
    @property
    def mean(self) -> Tensor:
        return self.loc + 0.1


def test_posteriors() -> None:
    pyrovae.check_posterior("mean_field_normal")
    pyrovae.check_posterior("von_mises_fisher")
    with pytest.raises(AssertionError, match=r"^moments: .* the mean of unit 0 is"):
        pyrovae.check_posterior(Shifted)


class TooMuch(Likelihood):
    support = "real"

    def forward(self, output: Tensor) -> Distribution:
        return _Twice(output[..., 0, :], 1.0).to_event(len(self.event_shape))


class Squared(Bernoulli):
    def mean(self, output: Tensor) -> Tensor:
        return super().mean(output) ** 2


def test_likelihoods() -> None:
    pyrovae.check_likelihood("bernoulli")
    pyrovae.check_likelihood("gaussian", sigma_form="decoder")
    with pytest.raises(AssertionError, match=r"^mean_is_expectation: "):
        pyrovae.check_likelihood(Squared)
    with pytest.raises(AssertionError, match=r"^shapes: "):
        pyrovae.check_likelihood(TooMuch)


class Mixing(Mlp):
    def encoder(self, event_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        inside, features = super().encoder(event_shape)
        return nn.Sequential(inside, nn.BatchNorm1d(features)), features


class Lying(Mlp):
    def encoder(self, event_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        return super().encoder(event_shape)[0], 7


def test_networks() -> None:
    pyrovae.check_network("mlp", hidden=[6])
    for network, name in ((Mixing, "encoder_shapes|data_do_not_mix"), (Lying, "encoder_shapes")):
        with pytest.raises(AssertionError, match=f"^({name}): "):
            pyrovae.check_network(network, hidden=[6])


class Deaf(Elbo):
    def loss(self, terms: Any, hyper: Any) -> Tensor:
        return terms.distortion.mean().detach() + terms.rate.mean()


class PerDatum(Elbo):
    def loss(self, terms: Any, hyper: Any) -> Tensor:
        return terms.distortion + terms.rate


def test_objectives() -> None:
    pyrovae.check_objective("beta", beta=4.0)
    with pytest.raises(AssertionError, match=r"^loss_moves_every_part: .* of the model"):
        pyrovae.check_objective(Deaf)
    with pytest.raises(AssertionError, match=r"^loss_is_finite: "):
        pyrovae.check_objective(PerDatum)


class Uphill(Sgd):
    def update(self, params: Any, grads: Any, moments: Any, step: Any, lr: Any) -> Any:
        return super().update(params, {n: -g for n, g in grads.items()}, moments, step, lr)


class Forgetful(Adam):
    def update(self, params: Any, grads: Any, moments: Any, step: Any, lr: Any) -> Any:
        moved, after = super().update(params, grads, moments, step, lr)
        return moved, {"first": after["first"]}


class InPlace(Adam):
    def update(self, params: Any, grads: Any, moments: Any, step: Any, lr: Any) -> Any:
        for name, g in grads.items():
            moments["first"][name].lerp_(g, 0.1)
        return {n: params[n] - lr * moments["first"][n] for n in grads}, moments


class Counting(Sgd):
    """Its rate falls with a number of its own, which a traced step does not see change."""

    def update(self, params: Any, grads: Any, moments: Any, step: Any, lr: Any) -> Any:
        return super().update(params, grads, moments, step, lr / float(step))


def test_optimisers() -> None:
    for name in OPTIMIZERS:
        pyrovae.check_optimizer(name)
    pyrovae.check_optimizer("sgd", momentum=0.9, nesterov=True)
    for optimizer, name in (
        (Uphill, "goes_downhill"),
        (Forgetful, "moments_keep_their_form"),
        (InPlace, "arguments_stay"),
        (Counting, "optimizer_trains"),
    ):
        with pytest.raises(AssertionError, match=f"^{name}: "):
            pyrovae.check_optimizer(optimizer)


def chance(codes: Any, factors: Any, rng: Any = None) -> MetricResult:
    return MetricResult(float(np.random.default_rng().random()))


def number(codes: Any, factors: Any, rng: Any = None) -> float:
    return 0.5


def writing(codes: Any, factors: Any, rng: Any = None) -> MetricResult:
    codes -= codes.mean(0)
    return MetricResult(0.5)


def first(codes: Any, factors: Any, rng: Any = None, *, scale: float = 1.0) -> MetricResult:
    return MetricResult(scale * float(codes[:, 0].var()))


def test_metrics() -> None:
    pyrovae.check_metric("mig")
    pyrovae.check_metric(mig, n_bins=5)
    for metric, name in (
        (chance, "same_seed_same_score"),
        (number, "result_is_a_score"),
        (writing, "arrays_are_left_alone"),
        (first, "order_of_units_does_not_matter"),
    ):
        with pytest.raises(AssertionError, match=f"^{name}: "):
            pyrovae.check_metric(metric)


def test_what_is_no_part_is_told_before_any_check() -> None:
    with pytest.raises(ConfigError, match="is no prior"):
        pyrovae.check_prior(nn.Linear)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert next(name for name, _ in pyrovae.likelihood_checks("laplace")) == "shapes"
