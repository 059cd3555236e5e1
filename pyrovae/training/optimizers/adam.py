"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyrovae.training.optimizers.base import (
    OPTIMIZERS,
    Averaging,
    Betas,
    Decay,
    Eps,
    Moments,
    Tensors,
    with_decay,
)


@OPTIMIZERS.register("adam")
class Adam(Averaging):
    r"""Steps of about the learning rate, whatever the scale of the gradient: the default.

    .. math::

        m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad
        v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \quad
        \theta_t = \theta_{t-1}
        - \eta \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    betas
        Decay rates of the moving averages of gradient and squared gradient.
    eps
        Keeps a parameter in place whose gradients are about 0.
    weight_decay
        Times the parameter is added to its gradient.

    References
    ----------
    Kingma & Ba 2015, algorithm 1; arXiv:1412.6980

    Examples
    --------
    >>> import torch
    >>> from pyrovae.training.optimizers import Adam
    >>> adam, params, grads = Adam(), {"w": torch.ones(2)}, {"w": torch.tensor([3.0, -0.01])}
    >>> start, one, lr = adam.start(params), torch.tensor(1.0), torch.tensor(0.1)
    >>> moved, _ = adam.update(params, grads, start, one, lr)
    >>> moved["w"]
    tensor([0.9000, 1.1000])
    """

    slots = ("first", "second")

    def update(
        self, params: Tensors, grads: Tensors, moments: Moments, step: Tensor, lr: Tensor
    ) -> tuple[Tensors, Moments]:
        """Return parameters and moments after a step."""
        return self._adam(params, with_decay(params, grads, self.weight_decay), moments, step, lr)

    def update_in_place(
        self, params: Tensors, grads: Tensors, moments: Moments, step: Tensor, lr: Tensor
    ) -> tuple[Tensors, Moments]:
        """As :meth:`update`, by one kernel for all parameters."""
        return self._fused(torch.ops.aten._fused_adam_, params, grads, moments, step, lr)

    def _fused(
        self,
        kernel: Any,
        params: Tensors,
        grads: Tensors,
        moments: Moments,
        step: Tensor,
        lr: Tensor,
    ) -> tuple[Tensors, Moments]:
        names = list(grads)
        kernel.tensor_lr(
            [params[name] for name in names],
            # It goes through memory in order: as the parameter lies, so must its gradient.
            [_lying_as(params[name], grads[name]) for name in names],
            [moments["first"][name] for name in names],
            [moments["second"][name] for name in names],
            [],
            [step] * len(names),
            lr=lr,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=self.weight_decay,
            eps=self.eps,
            amsgrad=False,
            maximize=False,
        )
        return params, moments

    def _adam(
        self, params: Tensors, grads: Tensors, moments: Moments, step: Tensor, lr: Tensor
    ) -> tuple[Tensors, Moments]:
        beta1, beta2 = self.betas
        first, second = moments["first"], moments["second"]
        new: Tensors = {}
        new_first: Tensors = {}
        new_second: Tensors = {}
        correct1, correct2 = 1 - beta1**step, 1 - beta2**step
        for name, g in grads.items():
            m = torch.lerp(first[name], g, 1 - beta1)
            v = beta2 * second[name] + (1 - beta2) * g * g
            new[name] = params[name] - lr / correct1 * m / ((v / correct2).sqrt() + self.eps)
            new_first[name], new_second[name] = m, v
        return new, {"first": new_first, "second": new_second}


@OPTIMIZERS.register("adamw")
class AdamW(Adam):
    r"""Adam whose weight decay does not pass through its moving averages.

    .. math::

        \theta_t = (1 - \eta \lambda)\, \theta_{t-1}
        - \eta \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    Parameters
    ----------
    betas, eps
        As for ``adam``.
    weight_decay
        The factor λ; it acts on every parameter, biases included.

    References
    ----------
    Loshchilov & Hutter 2019, algorithm 2; arXiv:1711.05101

    Examples
    --------
    >>> import torch
    >>> from pyrovae.training.optimizers import AdamW
    >>> adamw, params, grads = AdamW(weight_decay=0.5), {"w": torch.ones(1)}, {"w": torch.zeros(1)}
    >>> start, one, lr = adamw.start(params), torch.tensor(1.0), torch.tensor(0.1)
    >>> moved, _ = adamw.update(params, grads, start, one, lr)
    >>> moved["w"]
    tensor([0.9500])
    """

    def __init__(
        self,
        *,
        betas: Betas = [0.9, 0.999],  # noqa: B006 - never changed
        eps: Eps = 1e-8,
        weight_decay: Decay = 0.01,
    ) -> None:
        super().__init__(betas=betas, eps=eps, weight_decay=weight_decay)

    def update(
        self, params: Tensors, grads: Tensors, moments: Moments, step: Tensor, lr: Tensor
    ) -> tuple[Tensors, Moments]:
        """Return parameters and moments after a step."""
        shrunk = {name: p * (1 - lr * self.weight_decay) for name, p in params.items()}
        return self._adam(shrunk, grads, moments, step, lr)

    def update_in_place(
        self, params: Tensors, grads: Tensors, moments: Moments, step: Tensor, lr: Tensor
    ) -> tuple[Tensors, Moments]:
        """As :meth:`update`, by one kernel for all parameters."""
        return self._fused(torch.ops.aten._fused_adamw_, params, grads, moments, step, lr)


def _lying_as(place: Tensor, tensor: Tensor) -> Tensor:
    if tensor.stride() == place.stride():
        return tensor
    return torch.empty_like(place).copy_(tensor)
