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


@LIKELIHOODS.register("bernoulli")
class Bernoulli(Likelihood):
    r"""Independent Bernoulli pixels; grey values count as the expected binarisation.

    .. math:: p(x \mid z) = \prod_i \lambda_i^{x_i} (1 - \lambda_i)^{1 - x_i}

    Parameters
    ----------
    event_shape
        Shape of one observation.

    References
    ----------
    Kingma & Welling 2014, appendix C.1; arXiv:1312.6114

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.likelihoods import Bernoulli
    >>> p = Bernoulli((1, 8, 8))(torch.zeros(5, 1, 1, 8, 8))
    >>> p.batch_shape, p.event_shape
    (torch.Size([5]), torch.Size([1, 8, 8]))
    >>> p.log_prob(torch.full((5, 1, 8, 8), 0.3))[0]  # 64 log(1/2), whatever x is
    tensor(-44.3614)
    """

    support = "unit"

    def forward(self, output: Tensor) -> Distribution:
        """Return Bernoulli pixels with the decoder's output as logits."""
        return _CrossEntropy(logits=output.squeeze(-1 - len(self.event_shape))).to_event(
            len(self.event_shape)
        )
