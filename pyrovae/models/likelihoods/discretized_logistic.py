"""Grey levels as rounded logistic numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.schedules import Positive
from pyrovae.distributions.discretized_logistic import DiscretizedLogistic as Law
from pyrovae.models.likelihoods.base import LIKELIHOODS, Likelihood


@LIKELIHOODS.register("discretized_logistic")
class DiscretizedLogistic(Likelihood):
    r"""Probability of each grey level under a rounded logistic law: bits a pixel mean something.

    .. math::

        P(x_i \mid z) = F\left(\frac{x_i + h - \mu_i}{s_i}\right) - F\left(\frac{x_i - h
        - \mu_i}{s_i}\right), \quad F(t) = \frac{1}{1 + e^{-t}}

    Parameters
    ----------
    event_shape
        Shape of one observation.
    scale
        Of the logistic law, where black to white is 1: the start if learned, else its value or a
        schedule of it.
    learned
        Whether the scale, one for all elements, is fitted with the rest.
    levels
        Number of grey values on [0, 1]; 256 is what 8-bit images have.

    References
    ----------
    Salimans et al. 2017, eq. 2; arXiv:1701.05517

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.likelihoods import DiscretizedLogistic
    >>> p = DiscretizedLogistic((1, 8, 8))(torch.zeros(5, 1, 1, 8, 8))
    >>> p.batch_shape, p.event_shape
    (torch.Size([5]), torch.Size([1, 8, 8]))
    >>> levels = torch.linspace(0, 1, 256)
    >>> one = DiscretizedLogistic((1,))(torch.full((256, 1, 1), 0.4))
    >>> one.log_prob(levels[:, None]).exp().sum()
    tensor(1.0000, grad_fn=<SumBackward0>)
    """

    support = "unit"
    log_scale: Tensor

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        scale: Positive = 0.1,
        learned: bool = True,
        levels: Annotated[int, Field(gt=1)] = 256,
    ) -> None:
        super().__init__(event_shape)
        self.levels = levels
        self.set_log("scale", scale, learned=learned)

    def forward(self, output: Tensor) -> Distribution:
        """Return rounded logistic laws around the decoder's output."""
        dims = len(self.event_shape)
        loc = output.squeeze(-1 - dims)
        return Law(loc, self.log_scale.exp().expand_as(loc), self.levels).to_event(dims)
