"""Encoders of tokens, next to sentences read one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import pyrovae
from pyrovae.core.errors import ConfigError
from pyrovae.models.networks.tokens import Tokens
from pyrovae.objectives import Elbo
from pyrovae.training import LossProgram, Member, Trainer, TrainingSettings

X = torch.tensor([[3.0, 5, 2, 0, 0], [4, 0, 0, 0, 0], [1, 2, 3, 4, 1]])


@pytest.mark.parametrize("reader", ["gru", "lstm", "mean", "conv"])
def test_what_is_behind_an_end_is_not_read(reader: Any) -> None:
    torch.manual_seed(0)
    encoder, width = Tokens(levels=6, embedding=3, hidden=4, reader=reader).encoder((5,))
    found = encoder(X)
    assert found.shape == (3, width)
    assert encoder(X.expand(2, 3, 5)).shape == (2, 3, width)
    beyond = X.clone()
    beyond[0, 4] = 5
    torch.testing.assert_close(encoder(beyond), found)
    assert not torch.allclose(encoder(X.flip(0))[0], found[0])


@pytest.mark.parametrize("reader", ["gru", "lstm"])
def test_the_last_state_is_torchs_of_the_sentence_alone(reader: Any) -> None:
    encoder, _ = Tokens(levels=6, embedding=3, hidden=4, reader=reader).encoder((5,))
    inner: Any = encoder.inner
    theirs: Any = (nn.GRU if reader == "gru" else nn.LSTM)(3, 4, batch_first=True)
    for name, part in (("ih", inner.cell.read), ("hh", inner.cell.remember)):
        getattr(theirs, f"weight_{name}_l0").data = part.weight.data
        getattr(theirs, f"bias_{name}_l0").data = part.bias.data
    for row, length in zip(X, (4, 2, 5), strict=True):
        states, _ = theirs(inner.embed(row[None, :length].long()))
        torch.testing.assert_close(encoder(row), states[0, -1])


@pytest.mark.parametrize(
    "reader",
    ["gru", *(pytest.param(name, marks=pytest.mark.slow) for name in ("lstm", "mean", "conv"))],
)
def test_models_of_tokens_train_beside_each_other_as_alone(reader: str) -> None:
    """Embeddings, loops and word dropout in a traced step, vectorised over models."""
    likelihood = {"name": "recurrent", "levels": 6, "hidden": 4, "embedding": 3, "features": 3}
    settings = TrainingSettings(steps=6, batch_size=4, records=1, lr=1e-2)

    def program(seed: int) -> LossProgram:
        vae = pyrovae.build(
            (3,),
            latent_dim=2,
            network={"name": "tokens", "levels": 6, "embedding": 3, "hidden": 4, "reader": reader},
            likelihood=likelihood | {"word_dropout": 0.3},
            seed=seed,
        )
        return LossProgram(vae, Elbo())

    data = torch.tensor([[3.0, 5, 0], [4, 0, 0], [1, 2, 3], [2, 2, 0]]).repeat(3, 1)
    alone = program(1)
    Trainer(alone, data, settings, compiled=False).train(alone, 1)
    together = [Member(program(seed), seed, settings) for seed in (0, 1)]
    list(
        Trainer(together[0].program, data, settings, compiled=False, size=2).train_together(
            together
        )
    )
    others = dict(together[1].program.named_parameters())
    start = dict(program(1).named_parameters())
    moved = False
    for name, value in alone.named_parameters():
        torch.testing.assert_close(others[name], value, rtol=0, atol=1e-3, msg=name)
        moved |= not torch.equal(start[name], value)
    assert moved


def test_a_condition_is_not_read_as_a_token() -> None:
    from pyrovae.models.condition import Condition

    with pytest.raises(ConfigError, match="reads tokens alone") as raised:
        pyrovae.models.vae.build_vae(
            (3,),
            2,
            network={"name": "tokens", "levels": 6},
            prior={"name": "standard_normal"},
            posterior={"name": "mean_field_normal"},
            likelihood={"name": "recurrent", "levels": 6},
            condition=Condition(size=2, encoder=True, decoder=True, prior=False),
        )
    assert raised.value.place == "network"
