"""Each likelihood next to scipy's law, written from its formula and not from its code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyro
import pytest
import torch
from scipy import special, stats
from torch import Tensor

import pyrovae
from pyrovae.api.checks.failing import CheckFailed, run
from pyrovae.api.checks.observed import LIKELIHOOD_CHECKS, Subject
from pyrovae.api.checks.training import images, vae_with
from pyrovae.core.errors import ConfigError
from pyrovae.models.likelihoods import LIKELIHOODS, Categorical, Likelihood, Mixed

#: One with each kind of column, for observations of 16 numbers.
COLUMNS: list[dict[str, Any]] = [
    {"family": "gaussian", "sigma_form": "decoder", "count": 3},
    {"family": "categorical", "levels": 5, "of": "codes", "count": 2},
    {"family": "student_t", "scale_form": "per_pixel"},
    {"family": "poisson"},
    {"family": "negative_binomial"},
    {"family": "bernoulli", "count": "rest"},
]
#: What no other test trains: parameters that change a program.
TRAINED = [
    ("categorical", {"levels": 2, "of": "codes"}),
    ("discretized_logistic", {"scale_form": "decoder", "scale": 1.0, "loc_form": "sigmoid"}),
    ("negative_binomial", {"concentration_form": "decoder"}),
    ("student_t", {"scale_form": "decoder"}),
    ("mixed", {"columns": COLUMNS}),
]


def outputs(likelihood: Likelihood, *batch: int) -> Tensor:
    return 0.7 * torch.randn(*batch, *likelihood.output_shape, dtype=torch.float64)


def made(name: str, shape: tuple[int, ...], **parameters: Any) -> Likelihood:
    torch.manual_seed(0)
    likelihood: Likelihood = LIKELIHOODS.create(name, shape, **parameters).double()
    return likelihood


def softplus_share(raw: np.ndarray) -> np.ndarray:
    """A decoder's scale in units of the start."""
    return np.log1p((np.e - 1) * np.exp(raw)) + 0.01


def close(found: Tensor, expected: Any) -> None:
    # Logs of scales start in single precision.
    torch.testing.assert_close(found.detach(), torch.as_tensor(expected), rtol=1e-6, atol=1e-6)


def test_heteroscedastic_gaussian_of_a_table() -> None:
    likelihood = made("gaussian", (4,), sigma=0.3, sigma_form="decoder")
    output = outputs(likelihood, 5)
    loc, raw = output.unbind(1)
    x = torch.randn(5, 4, dtype=torch.float64)
    sigma = 0.3 * softplus_share(raw.numpy())
    close(likelihood(output).log_prob(x), stats.norm.logpdf(x, loc, sigma).sum(-1))


@pytest.mark.parametrize("form", ["shared", "per_pixel", "decoder"])
def test_student_t(form: str) -> None:
    likelihood = made("student_t", (4,), df=3.0, scale=0.4, scale_form=form)
    output = outputs(likelihood, 5)
    x = 3 * torch.randn(5, 4, dtype=torch.float64)
    scale = 0.4 * (softplus_share(output[:, 1].numpy()) if form == "decoder" else 1)
    expected = stats.t.logpdf(x, 3, output[:, 0], scale).sum(-1)
    close(likelihood(output).log_prob(x), expected)


def test_poisson_and_negative_binomial() -> None:
    x = torch.arange(20.0, dtype=torch.float64).reshape(5, 4)
    poisson = made("poisson", (4,))
    output = outputs(poisson, 5)
    rate = output[:, 0].exp().numpy()
    close(poisson(output).log_prob(x), stats.poisson.logpmf(x, rate).sum(-1))
    law = made("negative_binomial", (4,), concentration=2.5, learned=False)
    p = 2.5 / (2.5 + rate)
    close(law(output).log_prob(x), stats.nbinom.logpmf(x, 2.5, p).sum(-1))
    close(law(output).variance, rate + rate**2 / 2.5)


@pytest.mark.parametrize("of", ["grey", "codes"])
def test_categorical(of: str) -> None:
    likelihood = made("categorical", (1, 2, 3), levels=256, of=of)
    output = outputs(likelihood, 5)
    levels = torch.randint(256, (5, 1, 2, 3))
    x = levels.double() / (255 if of == "grey" else 1)
    table = special.log_softmax(output.numpy(), axis=1)
    expected = np.take_along_axis(table, levels.numpy()[:, None], axis=1).sum((1, 2, 3, 4))
    close(likelihood(output).log_prob(x), expected)
    # As uint8 images arrive, in single precision, each level is found again.
    every = torch.arange(256, dtype=torch.uint8).float() / 255
    if of == "grey":
        law = made("categorical", (256,))(output.new_zeros(256, 256))
        drawn = torch.eye(256, dtype=torch.float64) * 50
        hit = made("categorical", (256,))(drawn).log_prob(every.double())
        assert float(hit) > -1e-12
        assert law.batch_shape == ()
    shown = likelihood.mean(output)
    if of == "grey":
        close(shown, (np.exp(table) * np.arange(256)[:, None, None, None]).sum(1) / 255)
    else:
        close(shown, table.argmax(1).astype(float))


def test_logistic_with_a_decoders_scale_is_tomczak_and_wellings_but_for_the_bins() -> None:
    """Their ``log_Logistic_256``: bins of 1/256, none of them open."""
    likelihood = made(
        "discretized_logistic",
        (50,),
        scale=1.0,
        scale_form="decoder",
        log_scale_bounds=[-4.5, 0.0],
        loc_form="sigmoid",
    )
    output = 3 * outputs(likelihood)
    mean, log_scale = special.expit(output[0].numpy()), output[1].numpy().clip(-4.5, 0)
    k = torch.randint(1, 255, (50,)).numpy()
    scale = np.exp(log_scale)

    def theirs(x: np.ndarray, width: float) -> np.ndarray:
        floor = np.floor(x / width) * width
        above, below = (special.expit((floor + w - mean) / scale) for w in (width, 0))
        return np.log(above - below)

    found = likelihood(output).base_dist.log_prob(torch.as_tensor(k / 255))
    # Centres are k / 255 here and (k + 0.5) / 256 there: up to half a bin apart.
    np.testing.assert_allclose(found.numpy(), theirs((k + 0.5) / 256, 1 / 256), rtol=0, atol=0.2)
    high, low = (special.expit((k / 255 + w - mean) / scale) for w in (0.5 / 255, -0.5 / 255))
    np.testing.assert_allclose(found.numpy(), np.log(high - low), rtol=1e-6)
    # Beyond the bounds a scale stays where it is.
    far = likelihood(torch.stack([torch.zeros(50), torch.full((50,), -9.0)]).double())
    close(far.base_dist.scale, np.full(50, np.exp(-4.5)))


def test_mixed_columns_are_their_families_side_by_side() -> None:
    likelihood = made("mixed", (16,), columns=COLUMNS)
    assert likelihood.output_shape == (1, 3 * 2 + 2 * 5 + 1 + 1 + 1 + 8)
    output = outputs(likelihood, 3, 2)
    flat = output.squeeze(-2).numpy()
    law = likelihood(output)
    x = law.sample()
    z = x.numpy()
    loc, raw = flat[..., 0:3], flat[..., 3:6]
    expected = stats.norm.logpdf(z[..., :3], loc, 0.5 * softplus_share(raw)).sum(-1)
    # The outputs of a column stand beside those of its neighbours, level by level.
    table = special.log_softmax(flat[..., 6:16].reshape(3, 2, 5, 2), axis=-2)
    codes = z[..., 3:5].astype(int)
    expected += np.take_along_axis(table, codes[..., None, :], axis=-2).sum((-2, -1))
    expected += stats.t.logpdf(z[..., 5], 5, flat[..., 16], 0.5)
    expected += stats.poisson.logpmf(z[..., 6], np.exp(flat[..., 17]))
    expected += stats.nbinom.logpmf(z[..., 7], 1, 1 / (1 + np.exp(flat[..., 18])))
    expected += stats.bernoulli.logpmf(z[..., 8:], special.expit(flat[..., 19:])).sum(-1)
    close(law.log_prob(x), expected)
    shown = likelihood.mean(output)
    close(shown[..., 3:5], table.argmax(-2).astype(float))
    close(shown[..., 6], np.exp(flat[..., 17]))
    # Columns are elements in row-major order, whatever the shape.
    square = made("mixed", (4, 4), columns=COLUMNS)
    close(square(output).log_prob(x.reshape(3, 2, 4, 4)), law.log_prob(x).detach())


@pytest.mark.parametrize(("name", "given"), TRAINED, ids=str)
def test_forms_train_alone_as_beside_another(name: str, given: dict[str, Any]) -> None:
    run([check for check in LIKELIHOOD_CHECKS if check[0] == "trains"], Subject(name, given))


def test_pyro_takes_mixed_columns_as_any_law() -> None:
    vae = vae_with(0, likelihood={"name": "mixed", "columns": COLUMNS})
    x = images()
    pyro.set_rng_seed(0)
    drawn = pyro.infer.Predictive(vae.model, num_samples=3)(n=2)["x"]
    assert drawn.shape == (3, 2, *x.shape[1:])
    masked = pyro.poutine.mask(vae.model, mask=torch.arange(16) < 4)
    trace = pyro.poutine.trace(masked).get_trace(x)
    trace.compute_log_prob()
    law = vae.decode(trace.nodes["z"]["value"])
    torch.testing.assert_close(
        trace.nodes["x"]["log_prob"], law.log_prob(x) * (torch.arange(16) < 4)
    )
    loss = pyro.infer.SVI(
        vae.model, vae.guide, pyro.optim.Adam({"lr": 1e-3}), pyro.infer.Trace_ELBO()
    ).step(x)
    assert np.isfinite(loss)


@pytest.mark.parametrize(
    ("columns", "place", "told"),
    [
        ([{"family": "gaussian", "count": 3}], "columns", "3 columns for observations of 4"),
        ([{"family": "gaussian", "count": 5}], "columns", "5 columns for observations of 4"),
        (
            [{"family": "gaussian", "count": 4}, {"family": "poisson", "count": "rest"}],
            "columns",
            "4 columns and a 'rest' for observations of 4",
        ),
        ([{"family": "gaussian", "count": "rest"}] * 2, "columns", "of one group only"),
        ([{"count": 4}], "columns.0", "name the 'family'"),
        ([{"family": "poisson", "count": 0}], "columns.0", "whole number above 0"),
        ([{"family": "poisson", "count": True}], "columns.0", "whole number above 0"),
        ([{"family": "poison"}], "columns.0", "did you mean 'poisson'?"),
        ([{"family": "poisson", "rate": 1}], "columns.0", "no parameter 'rate'"),
        ([{"family": "gaussian", "sigma": 0}], "columns.0", "greater than 0"),
        ([{"family": "mixed", "count": 4}], "columns.0", "list their families"),
        ([], "columns", "at least 1 item"),
    ],
)
def test_columns_that_cannot_be_are_told(columns: Any, place: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        pyrovae.build((4,), latent_dim=2, likelihood={"name": "mixed", "columns": columns})
    assert raised.value.place == f"likelihood.{place}"
    assert told in raised.value.message
    assert "\n" not in str(raised.value)


def test_defaults_of_columns_are_filled_in() -> None:
    found = LIKELIHOODS.resolve("mixed", {"columns": [{"family": "gaussian"}]})
    wanted = {"family": "gaussian", "count": 1, "sigma": 0.5, "learned": True}
    assert found == {"columns": [wanted | {"sigma_form": "shared"}]}


def test_what_was_stored_before_there_were_forms_is_as_it_was() -> None:
    before = {"scale": 0.1, "learned": True, "levels": 256}
    assert LIKELIHOODS.resolve("discretized_logistic", {}) == before


class Next(Categorical):
    """A likelihood that shows another code than the most probable."""

    def mean(self, output: Tensor) -> Tensor:
        return (super().mean(output) + 1) % 3


class Lopsided(Mixed):
    """Columns of which one is shown by neither its mean nor its mode."""

    def mean(self, output: Tensor) -> Tensor:
        return super().mean(output) + 0.5


def test_what_shows_neither_mean_nor_mode_is_caught() -> None:
    pyrovae.check_likelihood("categorical", levels=3, of="codes")
    for family, given in ((Next, {"levels": 3, "of": "codes"}), (Lopsided, {})):
        checks = dict(pyrovae.api.checks.likelihood_checks(family, **given))
        with pytest.raises(CheckFailed, match="mean_is_expectation"):
            checks["mean_is_expectation"]()
