"""Laplace observation noise."""

from __future__ import annotations

import pyro.distributions as dist
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.schedules import Positive
from pyrovae.models.likelihoods.base import LIKELIHOODS, Likelihood


@LIKELIHOODS.register("laplace")
class Laplace(Likelihood):
    r"""Independent Laplace noise: absolute errors, so that outliers weigh less than squared.

    .. math:: p(x \mid z) = \prod_i \frac{1}{2 b} \exp\left(-\frac{|x_i - \mu_i(z)|}{b}\right)

    Parameters
    ----------
    event_shape
        Shape of one observation.
    scale
        Mean absolute error, in the data's units: the start if learned, else its value or a
        schedule of it.
    learned
        Whether the scale is fitted with the rest.

    References
    ----------
    Higgins et al. 2017 leave the family open; the L1 loss as a density

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.likelihoods import Laplace
    >>> p = Laplace((1, 8, 8), scale=0.5)(torch.zeros(5, 1, 1, 8, 8))
    >>> p.batch_shape, p.event_shape
    (torch.Size([5]), torch.Size([1, 8, 8]))
    >>> p.log_prob(torch.zeros(5, 1, 8, 8))[0]  # -64 log(2 scale)
    tensor(0., grad_fn=<SelectBackward0>)
    """

    log_scale: Tensor

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        scale: Positive = 0.3,
        learned: bool = True,
    ) -> None:
        super().__init__(event_shape)
        self.set_log("scale", scale, learned=learned)

    def forward(self, output: Tensor) -> Distribution:
        """Return Laplace(output, scale) for each element."""
        loc = output.squeeze(-1 - len(self.event_shape))
        return dist.Laplace(loc, self.log_scale.exp().expand_as(loc)).to_event(
            len(self.event_shape)
        )
