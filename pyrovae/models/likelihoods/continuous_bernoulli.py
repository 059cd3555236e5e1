"""Continuous Bernoulli pixels."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distributions.continuous_bernoulli import ContinuousBernoulli as Law
from pyrovae.models.likelihoods.base import LIKELIHOODS, Likelihood


@LIKELIHOODS.register(
    "continuous_bernoulli", source="Loaiza-Ganem & Cunningham 2019, eq. 7; arXiv:1907.06845"
)
class ContinuousBernoulli(Likelihood):
    """Independent continuous Bernoulli pixels: ``bernoulli`` made a density on [0, 1]."""

    support = "unit"

    def forward(self, output: Tensor) -> Distribution:
        """Return continuous Bernoulli pixels with the decoder's output as logits."""
        dims = len(self.event_shape)
        return Law(output.squeeze(-1 - dims)).to_event(dims)
