"""A mixture of normal laws as posterior."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distributions.normal_mixture import DiagonalNormalMixture
from pyrovae.models.posteriors.base import POSTERIORS, Posterior, head, positive


@POSTERIORS.register("gaussian_mixture")
class GaussianMixture(Posterior):
    r"""Mixture of K diagonal normals: q(z|x) may have several modes.

    .. math::

        q(z \mid x) = \sum_{k=1}^K \pi_k(x)\,
        \mathcal{N}(z \mid \mu_k(x), \mathrm{diag}(\sigma_k(x)^2))

    Gradients are unbiased, the weights' too (implicit reparameterisation); theirs get noisy when
    components move apart.

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension of the code.
    components
        Number K of components.

    References
    ----------
    Figurnov, Mohamed & Mnih 2018, sec. 4, arXiv:1805.08498; Morningstar et al. 2021,
    arXiv:2003.01687

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import GaussianMixture
    >>> q = GaussianMixture(16, 3, components=2)(torch.randn(5, 16))
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([3]))
    """

    properties = Posterior.properties | {"marginals", "moments"}

    def __init__(
        self, features: int, latent_dim: int, *, components: Annotated[int, Field(gt=0)] = 3
    ) -> None:
        super().__init__(features, latent_dim)
        self.components = components
        self.logits = head(features, components)
        self.loc = head(features, components * latent_dim)
        self.scale = head(features, components * latent_dim)
        # Components that coincide would stay together.
        torch.nn.init.normal_(self.loc.bias, std=0.1)

    def forward(self, features: Tensor) -> Distribution:
        """Return the mixture."""
        shape = (self.components, self.latent_dim)
        return DiagonalNormalMixture(
            self.logits(features),
            self.loc(features).unflatten(-1, shape),
            positive(self.scale(features)).unflatten(-1, shape),
        )
