"""A Dirichlet law as prior, in log-ratio coordinates."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.schedules import Positive
from pyrovae.distributions.log_ratio import LogRatioDirichlet, contrasts
from pyrovae.models.priors.base import PRIORS, Prior


@PRIORS.register("dirichlet")
class Dirichlet(Prior):
    r"""Symmetric Dirichlet law on the simplex, of codes that are isometric log-ratios.

    .. math::

        p(z) = \frac{\sqrt{K}}{B(\alpha)} \prod_{k=1}^K \pi_k^\alpha, \quad
        \pi = \mathrm{softmax}(V z), \quad z \in \mathbb{R}^d, \; K = d + 1

    A code of d units stands for d + 1 parts that sum to 1
    (:func:`pyrovae.distributions.log_ratio.contrasts` is V). Normal posteriors are logistic-normal
    laws of the parts: ``mean_field_normal`` and ``full_rank_normal`` need no other name here, and
    the rate is the same on the simplex. With small alpha most parts are near 0 and codes far out.

    Parameters
    ----------
    latent_dim
        Number d of units, one less than parts.
    concentration
        alpha of each part, or a schedule of it; 1 is the uniform law.

    References
    ----------
    Srivastava & Sutton 2017, sec. 3, arXiv:1703.01488; Egozcue et al. 2003,
    doi:10.1023/A:1023818214614 (coordinates)

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.priors import Dirichlet
    >>> p = Dirichlet(2, concentration=1.0)()
    >>> p.event_shape
    torch.Size([2])
    >>> p.log_prob(torch.zeros(2))  # log(2 sqrt(3) / 27)
    tensor(-2.0534)
    """

    # A Gamma draw is no function of standard noise that a compiled step could be handed.
    properties = Prior.properties - {"reparameterizable"}
    concentration: Tensor
    basis: Tensor

    def __init__(self, latent_dim: int, *, concentration: Positive = 1.0) -> None:
        super().__init__(latent_dim)
        self.set_number("concentration", concentration, shape=(latent_dim + 1,))
        self.register_buffer("basis", contrasts(latent_dim + 1), persistent=False)

    def forward(self) -> Distribution:
        """Return the law of the log-ratios."""
        return LogRatioDirichlet(self.concentration, self.basis)
