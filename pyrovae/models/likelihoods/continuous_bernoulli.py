"""Continuous Bernoulli pixels."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distributions.continuous_bernoulli import ContinuousBernoulli as Law
from pyrovae.models.likelihoods.base import LIKELIHOODS, Likelihood


@LIKELIHOODS.register("continuous_bernoulli")
class ContinuousBernoulli(Likelihood):
    r"""Independent continuous Bernoulli pixels: ``bernoulli`` made a density on [0, 1].

    .. math::

        p(x \mid z) = \prod_i C(\lambda_i)\, \lambda_i^{x_i} (1 - \lambda_i)^{1 - x_i},
        \quad x_i \in [0, 1]

    Parameters
    ----------
    event_shape
        Shape of one observation.

    References
    ----------
    Loaiza-Ganem & Cunningham 2019, eq. 7; arXiv:1907.06845

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.likelihoods import ContinuousBernoulli
    >>> p = ContinuousBernoulli((1, 8, 8))(torch.zeros(5, 1, 1, 8, 8))
    >>> p.batch_shape, p.event_shape
    (torch.Size([5]), torch.Size([1, 8, 8]))
    >>> p.log_prob(torch.full((5, 1, 8, 8), 0.3))[0]  # uniform on [0, 1]
    tensor(0.)
    """

    support = "unit"

    def forward(self, output: Tensor) -> Distribution:
        """Return continuous Bernoulli pixels with the decoder's output as logits."""
        dims = len(self.event_shape)
        return Law(output.squeeze(-1 - dims)).to_event(dims)
