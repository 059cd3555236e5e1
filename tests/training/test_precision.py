"""Lower precision is asked for, changes the layers alone, and is part of what a run is."""

from __future__ import annotations

import pytest
import torch
from families import small_images, small_program
from torch import nn

from pyrovae.training import Trainer, TrainingSettings
from pyrovae.training.precision import computing_in, layers_in

BF16 = TrainingSettings(steps=200, batch_size=16, records=2, precision="bf16")


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(5, 3), (4, 5)),
        (nn.Conv2d(2, 3, 3), (4, 2, 6, 6)),
        (nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1), (4, 2, 6, 6)),
    ],
    ids=["linear", "conv", "transposed conv"],
)
def test_layers_round_to_bfloat16_and_give_float32(layer: nn.Module, shape: tuple) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape)
    rounded = layers_in("bf16", layer)(x)
    reference = layer.bfloat16()(x.bfloat16())
    assert rounded.dtype == torch.float32
    assert torch.equal(rounded, reference.float())


def test_nothing_but_layers_is_rounded() -> None:
    x, y = torch.rand(20, 20), torch.rand(20, 20)
    assert torch.equal(layers_in("bf16", torch.matmul)(x, y), x @ y)
    assert torch.equal(layers_in("bf16", torch.exp)(x), x.exp())


def test_gradients_are_float32_and_near() -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(30, 50), torch.randn(40, 50)

    def loss(w: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, w).square().mean()

    exact = torch.func.grad(loss)(weight)
    rounded = torch.func.grad(layers_in("bf16", loss))(weight)
    assert rounded.dtype == torch.float32
    error = (rounded - exact).norm() / exact.norm()
    # bfloat16 has 8 significant bits: a few roundings of relative size 2**-9 each.
    assert 1e-5 < error < 2e-2


def test_training_in_bfloat16_goes_the_same_way() -> None:
    losses = {}
    for settings in (BF16, BF16.model_copy(update={"precision": "float32"})):
        program = small_program("standard_normal", "full_rank_normal")
        trainer = Trainer(program, small_images(), settings, compiled=False)
        losses[settings.precision] = trainer.train(program, 0)[-1].loss
    assert losses["bf16"] != losses["float32"]
    assert losses["bf16"] == pytest.approx(losses["float32"], rel=0.02)


def test_global_settings_are_put_back() -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    with computing_in("tf32"):
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32
    with computing_in("float32"):
        # torch's own default lets convolutions round.
        assert not torch.backends.cudnn.allow_tf32
    assert before == (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32)


def test_the_default_is_not_part_of_a_runs_identity_but_a_choice_is() -> None:
    default = TrainingSettings()
    assert default.precision == "float32"
    assert "precision" not in default.model_dump()
    assert BF16.model_dump()["precision"] == "bf16"
    assert TrainingSettings.model_validate(BF16.model_dump()) == BF16
    assert TrainingSettings.model_validate(default.model_dump(mode="json")) == default
