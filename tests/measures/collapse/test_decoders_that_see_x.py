"""Decoders that can do without a code let it collapse, and the remedies bring it back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

import pyrovae
from pyrovae.core.measuring import measuring
from pyrovae.core.params import OwnParams
from pyrovae.core.seeded import seeded
from pyrovae.datasets import Dataset, load_dataset
from pyrovae.measures.collapse import ACTIVE_VARIANCE, estimate_bound
from pyrovae.measures.collapse.measure import AlongTraining, measure_along_training
from pyrovae.measures.collapse.moments import moments
from pyrovae.measures.posterior import blame
from pyrovae.models.vae import VAE

pytestmark = pytest.mark.slow
#: Chance of a 1, of the one coin; of the other it is that of a 0.
COIN = 0.65


def _rate(vae: VAE, data: Dataset, n: int = 300) -> float:
    x = data.test.values[:n]
    with OwnParams():
        bound = estimate_bound(vae.datum_model, vae.datum_guide, x, samples=4)
    return float(bound.rate.mean())


def _used(vae: VAE, data: Dataset) -> int:
    test, train = (part.floats(slice(300)) for part in (data.test, data.train))
    found: AlongTraining = measure_along_training(vae, test, train, 0)
    return found.used_units


def _of_sentences(data: Dataset, objective: Any = "elbo", **decoder: Any) -> VAE:
    sizes = {"embedding": 16, "hidden": 32}
    vae = pyrovae.build(
        data.event_shape,
        latent_dim=8,
        network={"name": "tokens", "levels": 52, "reader": "mean", **sizes},
        likelihood={
            "name": "recurrent",
            "levels": 52,
            "features": 16,
            "z": "start",
            **sizes,
            **decoder,
        },
    )
    return pyrovae.fit(
        vae, data, objective, steps=800, batch_size=64, lr=4e-3, records=4, progress=False
    )


def _true_kl(vae: VAE, data: Dataset) -> float:
    """Largest KL(p(z|x) || p(z)) of some test data, by 1000 draws from the prior, weighted."""
    with torch.no_grad(), measuring(vae), seeded(0):
        z = vae.prior_law().sample((1000,))
        logs = [vae.decode(z).log_prob(x).double() for x in data.test.floats(slice(8))]
    weights = torch.stack(logs, 1).softmax(0)
    return float((weights * (weights * len(z)).log()).sum(0).max())


def test_a_recurrent_decoder_of_sentences_ignores_its_code_and_remedies_bring_it_back() -> None:
    data = load_dataset("grammar")
    plain = _of_sentences(data)
    assert _rate(plain, data) < 0.1
    assert _used(plain, data) == 0
    # The model's doing: the true posterior is the prior too.
    assert _true_kl(plain, data) < 1e-3
    helped = _of_sentences(data, {"name": "free_bits", "floor": 0.5})
    assert _rate(helped, data) > 1
    assert _used(helped, data) > 4
    # A decoder that is shown few of the words before has to be told them.
    deaf = _of_sentences(data, z="both", word_dropout=0.8)
    assert _rate(deaf, data) > 0.5
    assert _used(deaf, data) >= 1
    assert _true_kl(deaf, data) > 0.5  # this model's code is wanted, whatever the guide says


def _of_coins(n: int, seed: int) -> np.ndarray:
    """Draw images of 8×8 tosses of one of two coins; which one is all that there is to say."""
    rng = np.random.default_rng(seed)
    coin = rng.integers(0, 2, (n, 1, 1, 1))
    return (rng.random((n, 1, 8, 8)) < np.where(coin, COIN, 1 - COIN)).astype(np.float32)


def _log_px_of_coins(x: np.ndarray) -> float:
    """Return the mean of log p(x) under the law that the images are drawn from, in nats."""
    ones = x.sum((1, 2, 3))
    each = [ones * np.log(p) + (64 - ones) * np.log(1 - p) for p in (COIN, 1 - COIN)]
    return float((np.logaddexp(*each) - np.log(2)).mean())


def _of_pixels(radius: int, layers: int) -> VAE:
    vae = pyrovae.build(
        (1, 8, 8),
        latent_dim=1,
        network={"name": "mlp", "hidden": [16]},
        likelihood={
            "name": "pixelcnn",
            "radius": radius,
            "layers": layers,
            "channels": 8,
            "features": 4,
            "z": "bias",
        },
    )
    x = _of_coins(4000, 0)
    return pyrovae.fit(vae, x, steps=600, batch_size=64, lr=5e-3, records=4, progress=False)


class Posterior(NamedTuple):
    """p(z|x) of data, of a code of one unit, by quadrature."""

    draws: np.ndarray
    kl: float


def _posterior(vae: VAE, x: Tensor, draws: int = 2000) -> Posterior:
    """Return draws ``(1, draws, n, 1)`` and the mean KL(p(z|x) || p(z)), in nats."""
    z = torch.linspace(-6, 6, 601).reshape(-1, 1, 1)
    with torch.no_grad(), seeded(0):
        prior = vae.prior_law().log_prob(z)
        prior = prior - prior.logsumexp(0)
        log_px = torch.cat(
            [vae.decode(part.expand(-1, len(x), 1)).log_prob(x) for part in z.split(50)]
        )
        posterior = (prior + log_px).log_softmax(0)
        chosen = torch.distributions.Categorical(logits=posterior.T).sample((draws,))
        kl = (posterior.exp() * (posterior - prior)).sum(0).mean()
    return Posterior(z.flatten()[chosen].reshape(1, draws, len(x), 1).numpy(), float(kl))


def _blame(vae: VAE, x: Tensor, posterior: Posterior) -> list[str]:
    """Return who collapsed each unit, by the rule of ``diagnose`` for draws of the posterior."""
    rng = np.random.default_rng(0)
    ess = np.full((len(x), 1), float(posterior.draws.shape[1]))
    with torch.no_grad(), seeded(0):
        varying = moments(vae.encode(x)).mean.var(0, correction=0).numpy()
        prior = vae.draw_prior(20_000).numpy()
    means = blame.moving_means(posterior.draws, ess, rng)
    kl = blame.marginal_kl(posterior.draws, prior, ess, rng)
    assert kl.value.tolist() == pytest.approx([posterior.kl], abs=0.05)
    return list(blame.units_table(varying > ACTIVE_VARIANCE, varying, means, kl)["blame"])


def test_a_pixelcnn_that_sees_all_pixels_before_ignores_its_code() -> None:
    x = _of_coins(1000, 1)
    vae, truth = _of_pixels(8, 4), _log_px_of_coins(x)
    scores = pyrovae.collapse(vae, x, points=500).scores
    assert scores["rate"] < 0.1
    assert scores["used_units"] == 0
    # There is nothing left for a code to say.
    assert scores["elbo"] > truth - 0.3
    few = torch.tensor(x[:24])
    assert _blame(vae, few, _posterior(vae, few)) == ["model"]


def test_a_pixelcnn_of_radius_1_uses_its_code_and_a_lost_guide_is_told_from_a_deaf_model() -> None:
    x = _of_coins(1000, 1)
    vae, truth = _of_pixels(1, 2), _log_px_of_coins(x)
    scores = pyrovae.collapse(vae, x, points=500).scores
    assert scores["used_units"] == 1
    # Which coin it is takes log 2 nats, and no code of real numbers is as short.
    assert np.log(2) - 0.2 < scores["rate"] < 1.5
    assert scores["elbo"] > truth - 0.5
    few = torch.tensor(x[:24])
    posterior = _posterior(vae, few)
    assert _blame(vae, few, posterior) == ["active"]
    # A guide that has unlearned everything: the model still wants its unit.
    with torch.no_grad():
        for parameter in vae.posterior.parameters():
            parameter.zero_()
    assert pyrovae.collapse(vae, x, points=500).scores["rate"] < 1e-6
    assert _blame(vae, few, posterior) == ["guide"]
