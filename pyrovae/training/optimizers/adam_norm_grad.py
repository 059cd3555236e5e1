"""Adam on gradients of norm 1."""

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

#: Added to a norm before a gradient is divided by it, as the original has it.
_LEAST_NORM = 1e-7


@OPTIMIZERS.register("adam_norm_grad")
class AdamNormGrad(Averaging):
    r"""Adam that sees the direction of each tensor's gradient only: steps cannot explode.

    .. math::

        \hat g = \frac{g_t}{\|g_t\|_2 + 10^{-7}} + \lambda \theta_{t-1}, \quad
        \theta_t = \theta_{t-1}
        - \eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \frac{m_t}{\sqrt{v_t} + \epsilon}

    with Adam's moving averages :math:`m_t` and :math:`v_t` of :math:`\hat g`. The norm is that of
    one parameter tensor: a layer's weights, or its biases.

    Parameters
    ----------
    betas
        Decay rates of the moving averages of gradient and squared gradient.
    eps
        Added to the square root before the averages are corrected, other than in ``adam``.
    weight_decay
        The factor λ.

    References
    ----------
    Tomczak & Welling 2018, section 5, arXiv:1705.07120; its code, utils/optimizer.py

    Examples
    --------
    >>> import torch
    >>> from pyrovae.training.optimizers import AdamNormGrad
    >>> rule, params = AdamNormGrad(), {"w": torch.zeros(2)}
    >>> small, large = ({"w": torch.tensor([3.0, -4.0]) * scale} for scale in (1e-3, 1e3))
    >>> start, one, lr = rule.start(params), torch.tensor(1.0), torch.tensor(0.1)
    >>> _, after = rule.update(params, small, start, one, lr)
    >>> after["first"]["w"]  # a tenth of the direction, (0.6, -0.8)
    tensor([ 0.0600, -0.0800])
    >>> torch.allclose(rule.update(params, large, start, one, lr)[1]["first"]["w"],
    ...                after["first"]["w"], rtol=1e-4)
    True
    """

    slots = ("first", "second")

    def update(
        self, params: Tensors, grads: Tensors, moments: Moments, step: Tensor, lr: Tensor
    ) -> tuple[Tensors, Moments]:
        """Return parameters and moments after a step."""
        beta1, beta2 = self.betas
        new: Tensors = {}
        first: Tensors = {}
        second: Tensors = {}
        rate = lr * (1 - beta2**step).sqrt() / (1 - beta1**step)
        directions = {
            name: g / (torch.linalg.vector_norm(g) + _LEAST_NORM) for name, g in grads.items()
        }
        for name, g in with_decay(params, directions, self.weight_decay).items():
            first[name] = torch.lerp(moments["first"][name], g, 1 - beta1)
            second[name] = beta2 * moments["second"][name] + (1 - beta2) * g * g
            new[name] = params[name] - rate * first[name] / (second[name].sqrt() + self.eps)
        return new, {"first": first, "second": second}
