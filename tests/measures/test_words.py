"""NLL and perplexity of a model whose probabilities are known."""

from __future__ import annotations

import math

import pytest
import torch

import pyrovae
from pyrovae.measures.collapse.measure import CollapseSettings
from pyrovae.measures.evaluate import measure_splits
from pyrovae.measures.posterior import guide_draws
from pyrovae.measures.traversal import levels, traverse
from pyrovae.models.likelihoods import LIKELIHOODS


@pytest.fixture
def uniform() -> pyrovae.models.vae.VAE:
    """A model in which each of four tokens is as likely as the others, whatever the code."""
    vae = pyrovae.build(
        (5,),
        latent_dim=2,
        likelihood={"name": "recurrent", "levels": 4, "hidden": 3, "embedding": 2, "z": "start"},
    )
    with torch.no_grad():
        vae.likelihood.conditional.readout.weight.zero_()
        vae.likelihood.conditional.readout.bias.zero_()
        for parameter in vae.posterior.parameters():
            parameter.zero_()
    return vae


X = torch.tensor([[1.0, 2, 3, 0, 0], [3, 0, 0, 0, 0], [1, 1, 2, 3, 1], [2, 2, 0, 0, 0]])


def test_words_up_to_the_end_count(uniform: pyrovae.models.vae.VAE) -> None:
    assert uniform.likelihood.words(X).tolist() == [4, 2, 5, 3]
    endless = LIKELIHOODS.create("attention", (5,), levels=4, ends=False)
    assert endless.words(X).tolist() == [5] * 4
    assert LIKELIHOODS.create("bernoulli", (5,)).words(X) is None
    assert LIKELIHOODS.create("pixelcnn", (5,)).words(X) is None


def test_the_perplexity_of_a_uniform_law_is_the_vocabulary(
    uniform: pyrovae.models.vae.VAE,
) -> None:
    settings = CollapseSettings(information_points=4, sensitivity_points=4)
    found = measure_splits(uniform, X, X[:2], settings, samples=4, seed=0)
    # Posteriors are the prior: the bound is log p(x), 14 words of probability 1/4.
    assert found.scores["rate"] == pytest.approx(0, abs=1e-6)
    assert found.scores["nll_per_word"] == pytest.approx(math.log(4), abs=1e-4)
    assert found.scores["perplexity"] == pytest.approx(4, abs=1e-3)
    assert "train_perplexity" not in found.scores
    # A decoder that ignores its code uses no unit, whichever way that is asked.
    assert found.scores["used_units"] == 0
    assert (found.table["sensitivity"] == 0).all()
    assert (found.table["used_cost"].abs() < 1e-6).all()
    assert found.maps.shape == (2, 5)
    assert "variance_loss" not in found.scores


def test_what_is_shown_are_draws_of_one_noise(uniform: pyrovae.models.vae.VAE) -> None:
    assert uniform.shows == "draw"
    values = levels(uniform, X, steps=3)
    shown = traverse(uniform, torch.zeros(1, 2), values, torch.arange(2))
    assert shown.shape == (1, 2, 3, 5)
    assert (shown == shown[:, :1, :1]).all()  # the code changes nothing
    assert len(uniform.reconstruct(torch.zeros(200, 2)).unique(dim=0)) > 50
    draws = guide_draws(uniform, X, torch.arange(4).numpy(), chains=1, draws=3)
    shape = draws["constant_data"]["reconstruction"].shape
    assert shape == (4, 5)
