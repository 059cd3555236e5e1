"""Sparsity appears in a latent space that is larger than needed (Asperti 2019, sec. 4)."""

from __future__ import annotations

import os
from typing import Any

import pytest

from pyrovae.datasets import load_dataset
from pyrovae.measures.collapse import Units, measure_units
from pyrovae.models.vae import build_vae
from pyrovae.objectives import Elbo
from pyrovae.training import LossProgram, Trainer, TrainingSettings


def _trained_units(dataset: dict[str, Any], steps: int) -> Units:
    data = load_dataset(**dataset)
    vae = build_vae(
        data.event_shape,
        32,
        network={"name": "mlp", "hidden": [256, 256]},
        prior={"name": "standard_normal"},
        posterior={"name": "mean_field_normal"},
        likelihood={"name": "bernoulli"},
    )
    program = LossProgram(vae, Elbo())
    settings = TrainingSettings(steps=steps)
    Trainer(program, data.train.values, settings, compiled=False).train(program, seed=0)
    return measure_units(vae, data.test.floats(slice(2000)))


def _assert_sparse(units: Units) -> None:
    active, error = int(units.active.sum()), float(units.variance_law.median())
    print(f"{active} of 32 units active; median |Var(mu) + E(sigma²) - 1| = {error:.4f}")
    assert 3 <= active <= 29
    assert error < 0.05
    # The dead ones really are at the prior: no rate, no variance of the mean.
    dead = ~units.active
    assert float(units.kl[dead].max()) < 0.05
    # And the living ones carry the code.
    assert float(units.kl[units.active].sum()) > 20 * float(units.kl[dead].sum())


def test_sprites() -> None:
    _assert_sparse(
        _trained_units({"name": "sprites", "size": 16, "n_train": 20000, "n_test": 2000}, 1500)
    )


@pytest.mark.slow
@pytest.mark.skipif("PYROVAE_DATA" not in os.environ, reason="needs MNIST's files in PYROVAE_DATA")
def test_mnist() -> None:
    split = {"train": 8000, "test": 2000}
    _assert_sparse(_trained_units({"name": "mnist", "split": split}, 2000))
