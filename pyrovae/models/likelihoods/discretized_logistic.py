"""Grey levels as rounded logistic numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.schedules import Positive
from pyrovae.distributions.discretized_logistic import DiscretizedLogistic as Law
from pyrovae.models.likelihoods.base import LIKELIHOODS, Likelihood


@LIKELIHOODS.register(
    "discretized_logistic", source="Salimans et al. 2017, eq. 2; arXiv:1701.05517"
)
class DiscretizedLogistic(Likelihood):
    """Probability of each grey level under a rounded logistic law: bits a pixel mean something.

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
