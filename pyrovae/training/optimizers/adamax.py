"""Adam with the infinity norm."""

from __future__ import annotations

import torch
from torch import Tensor

from pyrovae.training.optimizers.base import (
    OPTIMIZERS,
    Averaging,
    Moments,
    Tensors,
    with_decay,
)


@OPTIMIZERS.register("adamax")
class Adamax(Averaging):
    r"""Adam with a decaying maximum of the gradient's size in place of its mean square.

    .. math::

        m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad
        u_t = \max(\beta_2 u_{t-1}, |g_t| + \epsilon), \quad
        \theta_t = \theta_{t-1} - \frac{\eta}{1 - \beta_1^t} \frac{m_t}{u_t}

    The original has no epsilon; it stands where PyTorch has it.

    Parameters
    ----------
    betas
        Decay rates of the moving average of the gradient and of the maximum of its size.
    eps
        Keeps a parameter in place whose gradients are about 0.
    weight_decay
        Times the parameter is added to its gradient.

    References
    ----------
    Kingma & Ba 2015, algorithm 2; arXiv:1412.6980

    Examples
    --------
    >>> import torch
    >>> from pyrovae.training.optimizers import Adamax
    >>> adamax, params, grads = Adamax(), {"w": torch.ones(2)}, {"w": torch.tensor([3.0, -0.01])}
    >>> start = adamax.start(params)
    >>> moved, _ = adamax.update(params, grads, start, torch.tensor(1.0), torch.tensor(0.1))
    >>> moved["w"]
    tensor([0.9000, 1.1000])
    """

    slots = ("first", "largest")

    def update(
        self, params: Tensors, grads: Tensors, moments: Moments, step: Tensor, lr: Tensor
    ) -> tuple[Tensors, Moments]:
        """Return parameters and moments after a step."""
        beta1, beta2 = self.betas
        new: Tensors = {}
        first: Tensors = {}
        largest: Tensors = {}
        rate = lr / (1 - beta1**step)
        for name, g in with_decay(params, grads, self.weight_decay).items():
            first[name] = torch.lerp(moments["first"][name], g, 1 - beta1)
            largest[name] = torch.maximum(beta2 * moments["largest"][name], g.abs() + self.eps)
            new[name] = params[name] - rate * first[name] / largest[name]
        return new, {"first": first, "largest": largest}
