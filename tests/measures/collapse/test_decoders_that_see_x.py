"""Decoders that can do without a code let it collapse, and the remedies bring it back."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import pyrovae
from pyrovae.core.params import OwnParams
from pyrovae.core.seeded import seeded
from pyrovae.datasets import Dataset, load_dataset
from pyrovae.measures.collapse import estimate_bound
from pyrovae.measures.collapse.measure import AlongTraining, measure_along_training
from pyrovae.models.vae import VAE

pytestmark = pytest.mark.slow


def _rate(vae: VAE, data: Dataset, n: int = 300) -> float:
    x = data.test.values[:n]
    with OwnParams():
        bound = estimate_bound(vae.datum_model, vae.datum_guide, x, samples=4)
    return float(bound.rate.mean())


def _used(vae: VAE, data: Dataset) -> int:
    test, train = (part.floats(slice(300)) for part in (data.test, data.train))
    found: AlongTraining = measure_along_training(vae, test, train, 0)
    return found.used_units


def _of_sentences(data: Dataset, objective: Any = "elbo") -> VAE:
    sizes = {"embedding": 16, "hidden": 32}
    vae = pyrovae.build(
        data.event_shape,
        latent_dim=8,
        network={"name": "tokens", "levels": 52, "reader": "mean", **sizes},
        likelihood={"name": "recurrent", "levels": 52, "features": 16, "z": "start", **sizes},
    )
    return pyrovae.fit(
        vae, data, objective, steps=800, batch_size=64, lr=4e-3, records=4, progress=False
    )


def _true_kl(vae: VAE, data: Dataset) -> float:
    """KL(p(z|x) || p(z)) of test data, by draws from the prior that all weigh nearly the same."""
    with torch.no_grad(), seeded(0):
        z = vae.prior_law().sample((1000,))
        logs = [vae.decode(z).log_prob(x).double() for x in data.test.floats(slice(8))]
    weights = torch.stack(logs, 1).softmax(0)
    return float((weights * (weights * len(z)).log()).sum(0).max())


def test_a_recurrent_decoder_of_sentences_ignores_its_code_and_free_bits_bring_it_back() -> None:
    data = load_dataset("grammar")
    plain = _of_sentences(data)
    assert _rate(plain, data) < 0.1
    assert _used(plain, data) == 0
    # The model's doing: the true posterior is the prior too.
    assert _true_kl(plain, data) < 1e-3
    helped = _of_sentences(data, {"name": "free_bits", "floor": 0.5})
    assert _rate(helped, data) > 1
    assert _used(helped, data) > 4


def _of_pixels(data: Dataset, radius: int) -> VAE:
    vae = pyrovae.build(
        data.event_shape,
        latent_dim=4,
        network={"name": "mlp", "hidden": [32]},
        likelihood={"name": "pixelcnn", "radius": radius, "channels": 8, "z": "bias", "layers": 4},
    )
    return pyrovae.fit(vae, data, steps=800, batch_size=64, lr=3e-3, records=4, progress=False)


def test_a_pixelcnn_that_sees_all_pixels_before_ignores_its_code() -> None:
    data = load_dataset("digits", binarize="static")
    whole = _of_pixels(data, 8)
    assert _rate(whole, data) < 0.1
    assert _used(whole, data) == 0
