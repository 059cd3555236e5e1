"""Regularised autoencoders: each part of the loss by a loop; the estimate of the Jacobian."""

from __future__ import annotations

import pytest
import torch
from torch.func import jacrev

import pyrovae
from objectives.test_rate import scalars
from pyrovae.core.noise import draw_one
from pyrovae.measures.flops import step_flops
from pyrovae.models.vae import VAE
from pyrovae.objectives import OBJECTIVES, Rae
from pyrovae.objectives.regularized import squared_jacobian
from pyrovae.training import LossProgram, Trainer, TrainingSettings
from pyrovae.training.step import trace


def model(**network: object) -> VAE:
    return pyrovae.build(
        5,
        latent_dim=3,
        posterior={"name": "fixed_scale_normal", "scale": 0.1},
        likelihood="gaussian",
        network={"name": "mlp", "hidden": [8], "activation": "tanh", **network},
    )


def test_the_gradient_penalty_is_the_squared_norm_of_the_jacobian() -> None:
    vae, z = model(), torch.randn(3, 3)
    exact = torch.stack(
        [jacrev(lambda code: vae.decode(code).mean)(code).square().sum() for code in z]
    )
    torch.manual_seed(0)
    many = z.repeat_interleave(20_000, 0)
    with torch.no_grad():
        found = squared_jacobian(vae, many, many[:, :1]).reshape(3, -1)
    error = found.std(1) / 20_000**0.5
    assert ((found.mean(1) - exact).abs() < 4 * error).all()


@pytest.mark.parametrize("penalty", ["none", "l2"])
def test_the_loss_is_its_three_parts(penalty: str) -> None:
    vae, x = model(), torch.randn(7, 5)
    weights = scalars(weight=0.3, beta=0.7)
    loss, found = Rae(penalty=penalty)(vae, x, weights, 7)  # type: ignore[arg-type]
    again, _ = Rae(penalty=penalty)(vae, x, weights, 7)  # type: ignore[arg-type]
    assert torch.equal(loss, again)  # nothing is drawn
    total = 0.0
    for datum in x:
        z = vae.encode(datum).mean
        total += float(-vae.decode(z).log_prob(datum)) + 0.35 * sum(float(u) ** 2 for u in z)
    if penalty == "l2":
        own = [*vae.decoder.parameters(), *vae.likelihood.parameters()]
        total += 7 * 0.3 * sum(float(v) ** 2 for p in own for v in p.flatten())
    assert float(loss) == pytest.approx(total / 7, rel=1e-5)
    torch.testing.assert_close(found.z, vae.encode(x).mean)


def test_the_penalty_makes_a_decoder_flat() -> None:
    x, norms = torch.randn(64, 5, generator=torch.Generator().manual_seed(0)), []
    for weight in (0.0, 3.0):
        vae = model()
        program = LossProgram(vae, Rae(weight=weight))
        settings = TrainingSettings(steps=150, batch_size=32, lr=1e-2, records=1)
        Trainer(program, x, settings, compiled=False).train(program, seed=0)
        with torch.no_grad():
            z = vae.encode(x).mean
            norms.append(float(squared_jacobian(vae, z.repeat(50, 1), x).mean()))
    assert norms[1] < norms[0] / 4


def test_its_step_can_be_kept_as_a_graph_and_counted() -> None:
    """Dynamo takes no forward-mode derivative: its graph has calls that return no tensor."""
    program = LossProgram(model(), Rae())
    x = torch.randn(6, 5)
    noise = [draw_one(draw, None) for draw in program.record(x)]

    def step(*weights: torch.Tensor) -> torch.Tensor:
        params = dict(zip(dict(program.named_parameters()), weights, strict=True))
        return program.gradients(params, {}, x, noise, program.hyper(0), 6)[2]

    graph = trace(step, *(p.detach() for p in program.parameters()))
    assert "is_same_size" not in graph.code
    assert step_flops(program, x) > step_flops(LossProgram(model(), Rae(penalty="none")), x)


def test_what_it_goes_with() -> None:
    asked = OBJECTIVES["rae"].requirements(OBJECTIVES.resolve("rae", {}))
    assert {"posterior.fixed_scale", "likelihood.mean"} <= asked
    assert "likelihood.mean" not in OBJECTIVES["rae"].requirements({"penalty": "l2"})
