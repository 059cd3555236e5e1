"""Whether a part can be trained here: in a traced step, alone and beside others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pyrovae.api.checks.failing import close
from pyrovae.models.contract import LatentModel
from pyrovae.models.vae import VAE, build_vae
from pyrovae.objectives import Elbo, Objective
from pyrovae.training import LossProgram, Member, Trainer, TrainingSettings

SHAPE = (1, 4, 4)
_LR = 1e-3
_SETTINGS: dict[str, Any] = {"steps": 4, "batch_size": 8, "records": 1, "lr": _LR}


def vae_with(seed: int, **parts: Any) -> VAE:
    """Return a small VAE with some parts, each ``{"name": …}``; the others are the usual ones."""
    usual: dict[str, Any] = {
        "network": {"name": "mlp", "hidden": [6]},
        "prior": {"name": "standard_normal"},
        "posterior": {"name": "mean_field_normal"},
        "likelihood": {"name": "bernoulli"},
    }
    return build_vae(SHAPE, 3, **(usual | parts), seed=seed, data=images())


def images() -> Tensor:
    """Return data in [0, 1], ``(16, *SHAPE)``."""
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(16, *SHAPE, generator=generator) > 0.6).float()


def trains_alike(
    build: Callable[[int], LatentModel],
    objective: Callable[[], Objective] = Elbo,
    *,
    data: Tensor | None = None,
    **settings: Any,
) -> None:
    """Train two seeds together and each alone, and compare what they end with.

    ``data`` are by default :func:`images`; ``settings`` are of training, beside few steps.

    Raises
    ------
    AssertionError
        If they differ by more than rounding, which moves a parameter whose gradient is zero but
        for it by at most the learning rate a step; or if nothing moves.
    """
    chosen = TrainingSettings(**(_SETTINGS | settings))
    values = (images() * 255).to(torch.uint8) if data is None else data

    def program(seed: int) -> LossProgram:
        return LossProgram(build(seed), objective())

    alone = [program(seed) for seed in (0, 1)]
    start = {name: p.detach().clone() for name, p in alone[0].named_parameters()}
    trainer = Trainer(alone[0], values, chosen, compiled=False)
    losses = [trainer.train(each, seed)[-1].loss for seed, each in enumerate(alone)]
    if not any((p != start[name]).any() for name, p in alone[0].named_parameters()):
        raise AssertionError("training moves no parameter")
    together = [program(seed) for seed in (0, 1)]
    both = Trainer(together[0], values, chosen, compiled=False, size=2)
    members = [Member(each, seed, chosen) for seed, each in enumerate(together)]
    for ended in both.train_together(members):
        if ended.failure:
            raise AssertionError(f"beside another: {ended.failure}")
        seed = ended.member
        close(
            ended.records[-1].loss, losses[seed], "beside another, the loss", rtol=1e-3, atol=1e-3
        )
        # Close to all that Adam can move a parameter by in so few steps.
        bound = 0.2 * _LR * chosen.steps
        pairs = zip(alone[seed].named_parameters(), together[seed].parameters(), strict=True)
        for (name, one), other in pairs:
            off = (one - other).abs().detach()
            if not (off <= bound).float().mean() > 0.9:
                raise AssertionError(
                    f"beside another, '{name}' ends {float(off.max()):.2g} from where it ends alone"
                )
