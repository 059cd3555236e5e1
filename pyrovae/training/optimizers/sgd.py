"""Stochastic gradient descent, with momentum or without."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from pyrovae.core.errors import ConfigError
from pyrovae.training.optimizers.base import (
    OPTIMIZERS,
    Decay,
    Moments,
    Optimizer,
    Tensors,
    with_decay,
)


@OPTIMIZERS.register("sgd")
class Sgd(Optimizer):
    r"""Stochastic gradient descent, with momentum or without.

    .. math::

        b_t = \mu b_{t-1} + g_t, \quad \theta_t = \theta_{t-1} - \eta b_t,
        \quad \text{or with Nesterov's momentum} \quad
        \theta_t = \theta_{t-1} - \eta (g_t + \mu b_t)

    Parameters
    ----------
    momentum
        The factor μ; 0 for none.
    nesterov
        Whether the step looks ahead along the momentum.
    weight_decay
        Times the parameter is added to its gradient.

    References
    ----------
    Robbins & Monro 1951, doi:10.1214/aoms/1177729586; Sutskever et al. 2013, eq. 1-4,
    proceedings.mlr.press/v28/sutskever13, in the form that PyTorch has

    Examples
    --------
    >>> import torch
    >>> from pyrovae.training.optimizers import Sgd
    >>> sgd, params, grads = Sgd(momentum=0.5), {"w": torch.ones(1)}, {"w": torch.ones(1)}
    >>> moments = sgd.start(params)
    >>> for step in (1.0, 2.0):
    ...     params, moments = sgd.update(
    ...         params, grads, moments, torch.tensor(step), torch.tensor(0.1)
    ...     )
    >>> params["w"]  # 1 - 0.1 × (1 + 1.5)
    tensor([0.7500])
    """

    def __init__(
        self,
        *,
        momentum: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0,
        nesterov: bool = False,
        weight_decay: Decay = 0.0,
    ) -> None:
        if nesterov and momentum == 0:
            raise ConfigError("needs a momentum above 0", "nesterov")
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        """Without momentum nothing is remembered."""
        return ("velocity",) if self.momentum else ()

    def update(
        self, params: Tensors, grads: Tensors, moments: Moments, step: Tensor, lr: Tensor
    ) -> tuple[Tensors, Moments]:
        """Return parameters and moments after a step."""
        grads = with_decay(params, grads, self.weight_decay)
        if not self.momentum:
            return {name: params[name] - lr * g for name, g in grads.items()}, {}
        before = moments["velocity"]
        velocity = {name: self.momentum * before[name] + g for name, g in grads.items()}
        moves = velocity
        if self.nesterov:
            moves = {name: g + self.momentum * velocity[name] for name, g in grads.items()}
        return {name: params[name] - lr * moves[name] for name in grads}, {"velocity": velocity}
