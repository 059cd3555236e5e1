"""A mixture of normal laws, fitted by expectation maximisation."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pyro.distributions as dist
import torch
from pydantic import Field
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.measures.samplers.base import SAMPLERS, Sampler

#: Of expectation maximisation, at most: scikit-learn's 100 leave many codes' fits on their way.
_ITERATIONS = 1000


@SAMPLERS.register("mixture")
class MixtureSampler(Sampler):
    r"""Mixture of normal laws, fitted to the codes by expectation maximisation (scikit-learn).

    .. math:: r(z) = \sum_k \pi_k\, \mathcal{N}(z \mid m_k, S_k)

    Parameters
    ----------
    components
        Number of normal laws; 1 is the normal law of the codes' mean and covariance.
    covariance
        ``full`` matrices, or ``diag``, which has far fewer numbers where a code has many units.

    References
    ----------
    Ghosh et al. 2020, sec. 4; arXiv:1903.12436

    Examples
    --------
    >>> import torch
    >>> from pyrovae.measures.samplers import MixtureSampler
    >>> codes = torch.randn(500, 2) @ torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    >>> law = MixtureSampler(components=1).fit(codes, seed=0)
    >>> torch.allclose(law.mean, codes.mean(0), atol=1e-5)
    True
    """

    def __init__(
        self,
        *,
        components: Annotated[int, Field(gt=0)] = 10,
        covariance: Literal["full", "diag"] = "full",
    ) -> None:
        self.components, self.covariance = components, covariance

    def fit(self, codes: Tensor, seed: int) -> Distribution:
        """Return the mixture, in the type of the codes."""
        from sklearn.mixture import GaussianMixture  # takes a second, and few ask for it

        if len(codes) < 2 * self.components:
            raise ConfigError(
                f"{self.components} components are too many for {len(codes)} codes", "components"
            )
        found = GaussianMixture(
            self.components,
            covariance_type=self.covariance,
            max_iter=_ITERATIONS,
            random_state=seed,
        ).fit(codes.double().numpy())

        def tensor(values: np.ndarray) -> Tensor:
            return torch.from_numpy(values).to(codes.dtype)

        covariances = tensor(found.covariances_)
        if self.covariance == "diag":
            law: Distribution = dist.Normal(tensor(found.means_), covariances.sqrt()).to_event(1)
        else:
            factors = torch.linalg.cholesky(torch.from_numpy(found.covariances_)).to(codes.dtype)
            law = dist.MultivariateNormal(tensor(found.means_), scale_tril=factors)
        return dist.MixtureSameFamily(dist.Categorical(probs=tensor(found.weights_)), law)
