"""Gaussian observation noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import pyro.distributions as dist
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.core.schedules import Positive
from pyrovae.models.likelihoods.base import LIKELIHOODS, Likelihood

#: A decoder's scale stays above this share of ``sigma``: a pixel that never varies would otherwise
#: have an unbounded density.
_LEAST_SHARE = 0.01


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
        sigma_form: Literal["shared", "per_pixel", "decoder"] = "shared",
    ) -> None:
        super().__init__(event_shape)
        if sigma_form == "decoder" and not learned:
            raise ConfigError(
                "likelihood 'gaussian': sigma_form 'decoder' is learned by its nature, "
                "so learned: false cannot be kept",
                "learned",
            )
        self.sigma_form = sigma_form
        self.outputs_per_element = 2 if sigma_form == "decoder" else 1
        # To a decoder's scales sigma is the unit: they are learned, it is not.
        learned = learned and sigma_form != "decoder"
        shape = event_shape if sigma_form == "per_pixel" else ()
        self.set_log("sigma", sigma, learned=learned, shape=shape)

    def forward(self, output: Tensor) -> Distribution:
        """Return N(loc, sigma²) for each element; loc is the decoder's first output."""
        dims = len(self.event_shape)
        loc, *raw = output.unbind(-1 - dims)
        sigma = self.log_sigma.exp()
        if raw:
            # softplus(x + log(e - 1)) is 1 at x = 0: an untrained decoder starts at sigma.
            share = nn.functional.softplus(raw[0] + math.log(math.e - 1))
            sigma = sigma * (share + _LEAST_SHARE)
        return dist.Normal(loc, sigma.expand_as(loc)).to_event(dims)
