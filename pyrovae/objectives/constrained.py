"""The ELBO's halves as a constrained problem, whose multiplier is found in training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from pyrovae.core.schedules import Number, Positive, at
from pyrovae.models.sites import Terms
from pyrovae.objectives.base import OBJECTIVES, Objective

#: The multiplier stays within this factor of 1: one that a target out of reach drives on for ever
#: would leave the range of single precision.
_RANGE = 1e6


@OBJECTIVES.register("geco")
class Geco(Objective):
    r"""The least rate at a given distortion, or the other way round, by a multiplier that adapts.

    .. math::

        \mathcal{L} = R + \lambda_t\, (D - \kappa), \quad
        \lambda_{t+1} = \lambda_t\, e^{\nu \bar C_t}, \quad
        \bar C_t = \alpha \bar C_{t-1} + (1 - \alpha) (\bar D_t - \kappa)

    Where it comes to rest with the constraint met, it stands at the model of ``beta`` = 1/lambda
    whose distortion is kappa. ``constrain: rate`` exchanges D and R, and lambda is that beta. A
    target that no model of the family reaches drives lambda to a millionth or a million.

    Parameters
    ----------
    target
        kappa, in nats for each datum, or a schedule of it: the mean distortion (or rate) that is
        allowed. It has to fit the data: what a model that is good enough has. The original's
        constraint on a squared error is this one, but for a constant, under a Gaussian likelihood
        of fixed sigma.
    constrain
        Whether the ``distortion`` is held, and the rate as low as can be, or the ``rate`` is, and
        the distortion as low as can be.
    speed
        nu, the change of log lambda in one step for each nat that the target is missed by, or a
        schedule of it.
    average
        alpha, the weight of the past in the moving average of misses, which lambda follows.
    start
        lambda before the first step.

    References
    ----------
    Rezende & Viola 2018, algorithm 1; arXiv:1810.00597

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Geco
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = Geco(target=2.0, speed=0.5, average=0.0)
    >>> hyper = {name: torch.tensor(v) for name, v in objective.hyperparameters(0).items()}
    >>> loss, terms = objective(vae, x, hyper, data_size=16)
    >>> miss = terms.distortion.mean() - 2
    >>> torch.allclose(loss, terms.rate.mean() + miss)  # lambda was 1
    True
    >>> torch.allclose(objective.multiplier, (0.5 * miss).exp())
    True
    """

    moves = True
    multiplier: Tensor
    miss: Tensor
    seen: Tensor

    def __init__(
        self,
        *,
        target: Number = 100.0,
        constrain: Literal["distortion", "rate"] = "distortion",
        speed: Positive = 1e-3,
        average: Annotated[float, Field(ge=0, lt=1)] = 0.99,
        start: Annotated[float, Field(ge=1 / _RANGE, le=_RANGE)] = 1.0,
    ) -> None:
        super().__init__()
        self.target, self.constrain, self.speed, self.average = target, constrain, speed, average
        # Buffers that training writes: the step carries them, and checkpoints have them.
        self.register_buffer("multiplier", torch.tensor(float(start)))
        self.register_buffer("miss", torch.tensor(0.0))
        self.register_buffer("seen", torch.tensor(0.0))

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return the target and the speed at a step."""
        return {"target": at(self.target, step), "speed": at(self.speed, step)}

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the free half and the weighted miss of the other; in training, move lambda on."""
        held, free = terms.distortion.mean(), terms.rate.mean()
        if self.constrain == "rate":
            held, free = free, held
        miss = held - hyper["target"]
        multiplier = self.multiplier.clone()
        if self.training:
            self._follow(miss.detach(), hyper["speed"])
        return free + multiplier * miss + terms.shared

    def _follow(self, miss: Tensor, speed: Tensor) -> None:
        past = torch.where(self.seen > 0, self.average, 0.0)  # the first miss is all there is
        average = past * self.miss + (1 - past) * miss
        moved = self.multiplier * (speed * average).exp()
        self.miss.copy_(average)
        self.multiplier.copy_(moved.clamp(1 / _RANGE, _RANGE))
        self.seen.fill_(1)
