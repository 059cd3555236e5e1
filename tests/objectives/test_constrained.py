"""The multiplier of ``geco`` by a loop, and where it comes to rest by water-filling."""

from __future__ import annotations

import math

import pyro.distributions as dist
import pytest
import torch

import pyrovae
from objectives.test_decomposition import codes, made
from objectives.test_rate import scalars
from pyrovae.objectives import Elbo, Geco
from pyrovae.study.plan.compatibility import training_conflict
from pyrovae.training import LossProgram, Trainer, TrainingSettings


@pytest.mark.parametrize("constrain", ["distortion", "rate"])
def test_the_multiplier_follows_the_moving_average(constrain: str) -> None:
    objective = Geco(constrain=constrain, average=0.8, start=2.0)  # type: ignore[arg-type]
    multiplier, average = 2.0, None
    for distortion in (7.0, 3.0, 9.0, 1.0):
        law = dist.Normal(*codes(6, seed=int(distortion))).to_event(1)
        found = made(law, distortion=torch.full((6,), distortion).double())
        rate = float(found.rate.mean())
        held, free = (distortion, rate) if constrain == "distortion" else (rate, distortion)
        loss = objective.loss(found, scalars(target=4.0, speed=0.3))
        assert float(loss) == pytest.approx(free + multiplier * (held - 4), rel=1e-6)
        average = held - 4 if average is None else 0.8 * average + 0.2 * (held - 4)
        multiplier *= math.exp(0.3 * average)
        assert float(objective.multiplier) == pytest.approx(multiplier, rel=1e-5)
    objective.eval()
    objective.loss(found, scalars(target=4.0, speed=0.3))
    assert float(objective.multiplier) == pytest.approx(multiplier, rel=1e-5)
    objective.train()
    objective.loss(found, scalars(target=-1e9, speed=1.0))
    assert float(objective.multiplier) == 1e6


@pytest.mark.parametrize(("key", "value"), [("keep", "best"), ("until", "validation")])
def test_no_loss_is_the_best_while_weights_move(key: str, value: str) -> None:
    settings = TrainingSettings(steps=10).model_copy(update={key: value})
    found = training_conflict(torch.nn.Linear(1, 1), Geco(), "geco", settings)
    assert found is not None
    assert found[0] == f"training.{key}"
    assert training_conflict(torch.nn.Linear(1, 1), Elbo(), "elbo", settings) is None


def spectrum() -> tuple[torch.Tensor, list[float]]:
    """Return data whose covariance has these eigenvalues exactly."""
    generator = torch.Generator().manual_seed(0)
    white = torch.randn(64, 4, generator=generator, dtype=torch.float64)
    white = white - white.mean(0)
    white = white @ torch.linalg.inv(torch.linalg.cholesky(white.T @ white / 64)).T
    turned, _ = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64))
    values = [6.0, 3.0, 0.3, 0.2]
    return (white * torch.tensor(values).double().sqrt() @ turned.T).float(), values


@pytest.mark.parametrize("constrain", ["distortion", "rate"])
def test_the_optimum_is_that_of_reverse_water_filling(constrain: str) -> None:
    """A linear model with two units keeps an error of s = beta sigma² in both directions.

    Its rate is log(l / s) / 2 in each (Cover & Thomas 2006, theorem 10.3.3).
    """
    x, values = spectrum()
    sigma, s = 0.5, 0.75
    beta = s / sigma**2
    distortion = (2 * s + sum(values[2:])) / (2 * sigma**2) + 2 * math.log(2 * math.pi * sigma**2)
    rate = sum(math.log(value / s) / 2 for value in values[:2])
    expected = {"distortion": (distortion, 1 / beta), "rate": (rate, beta)}
    target, multiplier = expected[constrain]
    torch.manual_seed(0)
    vae = pyrovae.build(
        4,
        latent_dim=2,
        likelihood={"name": "gaussian", "sigma": sigma, "learned": False},
        network={"name": "mlp", "hidden": []},
    )
    objective = Geco(target=target, constrain=constrain, speed=5e-3, average=0.9)  # type: ignore[arg-type]
    program = LossProgram(vae, objective)
    lr = {"schedule": "cosine", "from": 3e-2, "to": 0.0, "steps": 800}
    settings = TrainingSettings(steps=800, batch_size=64, lr=lr, records=8)  # type: ignore[arg-type]
    history = Trainer(program, x, settings, compiled=False).train(program, seed=0)
    assert history[-1].distortion == pytest.approx(distortion, abs=0.15)
    assert history[-1].rate == pytest.approx(rate, abs=0.05)
    assert float(objective.multiplier) == pytest.approx(multiplier, rel=0.07)
