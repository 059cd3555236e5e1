"""Counts that vary more than Poisson's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro.distributions as dist
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.schedules import Positive
from pyrovae.models.likelihoods.base import LIKELIHOODS, Likelihood, ScaleForm


@LIKELIHOODS.register("negative_binomial")
class NegativeBinomial(Likelihood):
    r"""Independent negative binomial counts: Poisson whose rate is a gamma variable.

    .. math::

        P(x \mid z) = \prod_i \frac{\Gamma(x_i + r)}{x_i!\, \Gamma(r)}
        \left(\frac{r}{r + \mu_i}\right)^r \left(\frac{\mu_i}{r + \mu_i}\right)^{x_i},
        \quad \mu = e^{a(z)}

    The variance is mu + mu² / r: the larger r, the nearer to Poisson.

    Parameters
    ----------
    event_shape
        Shape of one observation.
    concentration
        r, the shape of the gamma law: the start if learned, else its value or a schedule of it.
    learned
        Whether r is fitted with the rest.
    concentration_form
        ``shared``: one number. ``per_pixel``: one for each element, the same for every datum.
        ``decoder``: a further output of the decoder for each element of each datum, in units of
        ``concentration`` and above ``concentration`` / 100.

    References
    ----------
    Lopez et al. 2018, eq. 3, doi:10.1038/s41592-018-0229-2; Hilbe 2011, Negative binomial
    regression, ch. 8

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.likelihoods import NegativeBinomial
    >>> p = NegativeBinomial((3,), concentration=2.0)(torch.zeros(5, 1, 3))
    >>> p.batch_shape, p.event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> p.variance[0]  # 1 + 1 / 2
    tensor([1.5000, 1.5000, 1.5000], grad_fn=<SelectBackward0>)
    """

    support = "count"
    log_concentration: Tensor

    @classmethod
    def facts(cls, parameters: Mapping[str, Any]) -> frozenset[str]:
        """Return the properties: what is learned is no scale."""
        return cls.properties

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        concentration: Positive = 1.0,
        learned: bool = True,
        concentration_form: ScaleForm = "shared",
    ) -> None:
        super().__init__(event_shape)
        self.set_scale("concentration", concentration, learned=learned, form=concentration_form)

    def forward(self, output: Tensor) -> Distribution:
        """Return laws of mean exp(first output) and of the concentration."""
        log_mean, r = self.loc_and_scale(output, self.log_concentration)
        law = dist.NegativeBinomial(r, logits=log_mean - r.log())
        return law.to_event(len(self.event_shape))
