"""Collapse of codes that are labels: usage, information, and who uses them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import pyrovae
from pyrovae.core.errors import ConfigError
from pyrovae.measures.collapse import (
    enumerate_posterior,
    measure_information,
    measure_units,
    measure_usage,
    measure_use,
)
from pyrovae.measures.collapse.measure import CollapseSettings, measure_collapse
from pyrovae.measures.collapse.usage import summed_scores
from pyrovae.measures.traversal import between, levels
from pyrovae.models.vae import VAE, build_vae

#: Three units of four labels: x tells the first, half of the second's labels, nothing of the third.
CLASSES, PIXELS = 4, 8


def known_vae() -> VAE:
    """Return a VAE whose encoder reads the label off x, one-hot in its first four pixels.

    Unit 0 is that label; unit 1 its parity, as label 0 or 1; unit 2 is uniform. The decoder puts
    unit 0 back into these pixels, and ignores the others.
    """
    vae = build_vae(
        (PIXELS,),
        3,
        network={"name": "mlp", "hidden": []},
        prior={"name": "categorical", "classes": CLASSES},
        posterior={"name": "categorical", "classes": CLASSES},
        likelihood={"name": "bernoulli"},
    )
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.zero_()
        sharp = 40.0
        for k in range(CLASSES):
            vae.posterior.logits.weight[k, k] = sharp
            vae.posterior.logits.weight[CLASSES + k % 2, k] = sharp
        out = [m for m in vae.decoder.modules() if isinstance(m, torch.nn.Linear)][-1]
        out.weight[:CLASSES, :CLASSES] = 8 * torch.eye(CLASSES)
        out.bias[:CLASSES] = -4
    return vae


def known_data(n: int = 400) -> Tensor:
    x = torch.zeros(n, PIXELS)
    x[torch.arange(n), torch.arange(n) % CLASSES] = 1
    return x


@pytest.fixture(scope="module")
def vae() -> VAE:
    vae = known_vae()
    # The encoder of a network without hidden layers hands x on.
    assert vae.features(known_data(2)).shape == (2, PIXELS)
    return vae


def test_perplexity_and_dead_labels(vae: VAE) -> None:
    usage = measure_usage(vae, known_data())
    assert usage is not None
    torch.testing.assert_close(
        usage.perplexity, torch.tensor([4.0, 2.0, 4.0]), rtol=1e-4, atol=1e-4
    )
    assert usage.dead.tolist() == [0, 2, 0]


def test_information_of_each_unit_is_exact_and_bounds_that_of_the_code(vae: VAE) -> None:
    found = measure_information(vae, known_data())
    exact = torch.tensor([math.log(4), math.log(2), 0.0])
    torch.testing.assert_close(found.unit, exact, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        found.unit_kl, torch.tensor([0.0, math.log(2), 0.0]), atol=0.02, rtol=0
    )
    # Units 0 and 1 say the same thing twice: the code tells log 4, its units log 8 in total.
    assert found.mi == pytest.approx(math.log(4), abs=0.02)
    assert found.mi <= found.mi_upper <= math.log(8) + 1e-4
    assert found.tc == pytest.approx(math.log(2), abs=0.05)


def test_ginis_variance_obeys_the_law_of_total_variance(vae: VAE) -> None:
    x = known_data()
    units = measure_units(vae, x)
    usage = measure_usage(vae, x)
    assert usage is not None
    torch.testing.assert_close(
        units.var_mu + units.mean_var, (1 - usage.shares.square().sum(-1)) / 2, rtol=1e-4, atol=1e-5
    )
    assert units.exact_kl
    torch.testing.assert_close(
        units.kl, torch.tensor([math.log(4), math.log(4), 0.0]), rtol=1e-4, atol=1e-4
    )


def test_informative_is_not_used(vae: VAE) -> None:
    x = known_data()
    use = measure_use(vae, x, measure_units(vae, x), start=64, most=400).units
    assert use.informative.tolist() == [True, True, False]
    assert use.used.tolist() == [True, False, False]


def test_numbers_do_not_depend_on_the_names_of_labels(vae: VAE) -> None:
    """Labels renamed in encoder, decoder: the same measures."""
    x, other = known_data(), known_vae()
    order = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        rows = torch.cat([order + CLASSES * u for u in range(3)])
        other.posterior.logits.weight.copy_(other.posterior.logits.weight[rows])
        first = next(m for m in other.decoder.modules() if isinstance(m, torch.nn.Linear))
        first.weight.copy_(first.weight[:, rows])
    a, b = measure_units(vae, x), measure_units(other, x)
    for name in ("kl", "var_mu", "mean_var"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name))
    torch.testing.assert_close(measure_information(vae, x).unit, measure_information(other, x).unit)


def test_the_table_of_units_has_labels(vae: VAE) -> None:
    found = measure_collapse(vae, known_data(100), CollapseSettings(), 4, 0)
    assert found.table["classes"].tolist() == [4, 4, 4]
    assert found.table["dead_labels"].tolist() == [0, 2, 0]
    assert found.scores["code_perplexity"] == pytest.approx(10 / 3, rel=1e-3)
    assert found.scores["dead_labels"] == 2
    assert "variance_law_error" not in found.scores
    assert found.table["weight_norm"].round(3).tolist() == [16.0, 0.0, 0.0]


def test_traversals_go_through_labels(vae: VAE) -> None:
    assert levels(vae, known_data(8), steps=4)[:, 0].tolist() == [0, 1, 2, 3]
    a, b = torch.zeros(1, 3), torch.full((1, 3), 3.0)
    shown = between(vae, a, b, steps=4)[0]
    torch.testing.assert_close(shown[0], shown[1])
    assert shown[1].argmax() == 0
    assert shown[2].argmax() == 3


def test_sums_over_too_many_codes_are_refused() -> None:
    vae = build_vae(
        (2,),
        15,
        network={"name": "mlp", "hidden": []},
        prior={"name": "bernoulli"},
        posterior={"name": "bernoulli"},
        likelihood={"name": "bernoulli"},
    )
    with pytest.raises(ConfigError, match=r"3.28e\+04 codes"):
        enumerate_posterior(vae, torch.zeros(2, 2))


def test_a_report_tells_perplexity_and_dead_labels(vae: VAE) -> None:
    told = str(pyrovae.collapse(vae, known_data(60), sensitivity_points=8))
    assert "labels: perplexity of each unit (0: 4.0 of 4, 1: 2.0 of 4, 2: 4.0 of 4)" in told
    assert "2 of 12 are dead" in told


def test_sums_are_over_all_data_or_none(vae: VAE) -> None:
    x = known_data(300)
    found, exact = summed_scores(vae, x), enumerate_posterior(vae, x)
    assert found["summed_log_px"] == pytest.approx(float(exact.log_px.mean()))
    assert found["kl_to_posterior"] == pytest.approx(float(exact.kl.mean()), abs=1e-6)
    assert not summed_scores(vae, x.repeat(200, 1))
