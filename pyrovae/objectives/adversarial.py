"""Objectives with a discriminator that is trained beside the model."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.func import functional_call
from torch.nn.functional import softplus

from pyrovae.core.schedules import LearningRate, at
from pyrovae.models.contract import LatentModel
from pyrovae.models.sites import Terms
from pyrovae.objectives.base import Objective, Update

Hidden = Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=1)]


def told_apart(true: Tensor, false: Tensor) -> Tensor:
    """Return the cross-entropy of the logits of two kinds of codes, in nats; log 2 at chance."""
    return (softplus(-true) + softplus(false)).mean() / 2


class Adversarial(Objective):
    """An objective whose network tells codes apart, trained in the same step by an Adam of its own.

    A subclass says what the model's loss is, given what the discriminator says of codes
    (:meth:`model_loss`), and what the discriminator's is (:meth:`discriminator_loss`).

    Parameters
    ----------
    hidden
        Widths of the discriminator's hidden layers.
    discriminator_lr
        Learning rate of its Adam, whose betas are 0.5 and 0.9, or a schedule of it.
    """

    def __init__(self, *, hidden: Hidden, discriminator_lr: LearningRate) -> None:
        super().__init__()
        self.lr = discriminator_lr
        # Its input's width is known at the first code.
        layers: list[nn.Module] = [nn.LazyLinear(hidden[0]), nn.LeakyReLU(0.2)]
        for inputs, outputs in pairwise(hidden):
            layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2)]
        self.discriminator = nn.Sequential(*layers, nn.Linear(hidden[-1], 1))

    def prepare(self, vae: LatentModel) -> None:
        """Give the discriminator the width of a code."""
        self.discriminator(torch.zeros(1, vae.latent_dim))

    def groups(self, step: int) -> dict[str, Update]:
        """Return that the discriminator has an Adam of its own."""
        return {"objective": Update(count=step + 1, lr=at(self.lr, step), betas=(0.5, 0.9))}

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the model's loss; the discriminator's is added with value 0.

        Each has a gradient for its own parameters only.
        """
        fixed = {name: p.detach() for name, p in self.discriminator.named_parameters()}
        said = functional_call(self.discriminator, fixed, (terms.z,)).squeeze(-1)
        own = self.discriminator_loss(terms.z.detach(), terms.p)
        return self.model_loss(terms, said, hyper) + terms.shared + (own - own.detach())

    def model_loss(self, terms: Terms, said: Tensor, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the loss of the model and the guide, given the discriminator's logits ``(n,)``."""
        raise NotImplementedError

    def discriminator_loss(self, z: Tensor, p: Distribution) -> Tensor:
        """Return the discriminator's loss at codes ``(n, latent_dim)`` of prior p, a scalar."""
        raise NotImplementedError
