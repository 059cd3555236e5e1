"""Gaussian observation noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro.distributions as dist
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.schedules import Positive
from pyrovae.models.likelihoods.base import LIKELIHOODS, Likelihood, ScaleForm


@LIKELIHOODS.register("gaussian")
class Gaussian(Likelihood):
    r"""Independent normal noise; by default one learned scale for all elements.

    .. math:: p(x \mid z) = \prod_i \mathcal{N}(x_i \mid \mu_i(z), \sigma^2)

    Parameters
    ----------
    event_shape
        Shape of one observation.
    sigma
        Standard deviation, in the data's units: the start if learned, else its value or a schedule
        of it.
    learned
        Whether sigma is fitted with the rest.
    sigma_form
        ``shared``: one number. ``per_pixel``: one for each element, the same for every datum.
        ``decoder``: a further output of the decoder for each element of each datum, in units of
        ``sigma`` and above ``sigma`` / 100.

    References
    ----------
    Rybkin, Daniilidis & Levine 2021, arXiv:2006.13202

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.likelihoods import Gaussian
    >>> p = Gaussian((1, 8, 8), sigma_form="decoder")(torch.zeros(5, 2, 1, 8, 8))
    >>> p.batch_shape, p.event_shape
    (torch.Size([5]), torch.Size([1, 8, 8]))
    >>> Gaussian((1, 8, 8), sigma=0.1).log_sigma.exp()
    tensor(0.1000, grad_fn=<ExpBackward0>)
    """

    log_sigma: Tensor

    @classmethod
    def facts(cls, parameters: Mapping[str, Any]) -> frozenset[str]:
        """Return the base's facts, and ``squared_error`` for the shared form."""
        shared = parameters.get("sigma_form", "shared") == "shared"
        return super().facts(parameters) | ({"squared_error"} if shared else set())

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        sigma: Positive = 0.5,
        learned: bool = True,
        sigma_form: ScaleForm = "shared",
    ) -> None:
        super().__init__(event_shape)
        self.set_scale("sigma", sigma, learned=learned, form=sigma_form)

    def forward(self, output: Tensor) -> Distribution:
        """Return N(loc, sigma²) for each element; loc is the decoder's first output."""
        law = dist.Normal(*self.loc_and_scale(output, self.log_sigma))
        return law.to_event(len(self.event_shape))
