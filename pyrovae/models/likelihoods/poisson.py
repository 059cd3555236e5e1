"""Counts whose variance is their mean."""

from __future__ import annotations

import pyro.distributions as dist
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.models.likelihoods.base import LIKELIHOODS, Likelihood


@LIKELIHOODS.register("poisson")
class Poisson(Likelihood):
    r"""Independent Poisson counts; the decoder gives the log of the rate.

    .. math::

        P(x \mid z) = \prod_i \frac{e^{-\lambda_i} \lambda_i^{x_i}}{x_i!},
        \quad \lambda = e^{a(z)}

    Parameters
    ----------
    event_shape
        Shape of one observation.

    References
    ----------
    McCullagh & Nelder 1989, Generalized linear models, ch. 6; with a decoder: Zhao, Park et al.
    2020, arXiv:1910.12911

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.likelihoods import Poisson
    >>> p = Poisson((3,))(torch.zeros(5, 1, 3))
    >>> p.batch_shape, p.event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> p.log_prob(torch.ones(5, 3))[0]  # rate 1: three times log(1/e)
    tensor(-3.)
    """

    support = "count"

    def forward(self, output: Tensor) -> Distribution:
        """Return Poisson(exp(output)) for each element."""
        dims = len(self.event_shape)
        return dist.Poisson(output.squeeze(-1 - dims).exp()).to_event(dims)
