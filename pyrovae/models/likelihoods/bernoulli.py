"""Bernoulli pixels."""

from __future__ import annotations

import pyro.distributions as dist
from torch import Tensor
from torch.distributions import Distribution, constraints

from pyrovae.models.likelihoods.base import LIKELIHOODS, Likelihood


class _CrossEntropy(dist.Bernoulli):
    """Bernoulli whose log-density also takes intensities.

    For x in (0, 1) the log-density is that of a random binarisation, in expectation:
    E_{b ~ Bernoulli(x)} log p(b|z). On binary data it is the Bernoulli itself.
    """

    support = constraints.unit_interval


@LIKELIHOODS.register("bernoulli", source="Kingma & Welling 2014, appendix C.1; arXiv:1312.6114")
class Bernoulli(Likelihood):
    """Independent Bernoulli pixels; grey values count as the expected binarisation."""

    support = "unit"

    def forward(self, output: Tensor) -> Distribution:
        """Return Bernoulli pixels with the decoder's output as logits."""
        return _CrossEntropy(logits=output.squeeze(-1 - len(self.event_shape))).to_event(
            len(self.event_shape)
        )
