"""A second VAE on the codes of the first."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import pyro
import pyro.distributions as dist
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution, kl_divergence
from torch.nn.functional import softplus

from pyrovae.models.priors.base import PRIORS, Prior


@PRIORS.register("two_stage")
class TwoStage(Prior):
    r"""N(0, I) while codes are learned; new codes are drawn from a second VAE of the codes.

    .. math::

        p(z) = \mathcal{N}(z \mid 0, I) \text{ in training};
        \quad z \sim p(z \mid u),\; u \sim \mathcal{N}(0, I) \text{ afterwards}

    The first stage is trained as with ``standard_normal``: its bound, its rate and its gradients
    are the same. The second stage, p(u) p(z|u) with u ~ N(0, I), is trained beside it on the codes
    q(z|x) gives, behind a stopped gradient, by the factor site ``prior.second_stage`` whose value
    is 0. The original trains it afterwards; at the end of training both see the same codes.

    So ``log_prob`` is N(0, I), and ``sample`` is the second stage's: two laws, and ``density`` is
    not among its properties. :meth:`second_bound` bounds the density of what is sampled. What a
    run's evaluation calls ``elbo``, ``rate`` and ``log_px`` is of the first stage, with N(0, I);
    its images are samples of the second. A diagnosis against the true posterior is refused.

    Parameters
    ----------
    latent_dim
        Dimension of the code, and of u.
    hidden
        Widths of the hidden layers of the second stage's encoder and decoder.

    References
    ----------
    Dai & Wipf 2019, sec. 4; arXiv:1903.05789

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.priors import TwoStage
    >>> prior = TwoStage(3)
    >>> prior().log_prob(torch.zeros(3))  # N(0, I)
    tensor(-2.7568)
    >>> prior().sample((5,)).shape, prior.second_bound(torch.zeros(5, 3)).shape
    (torch.Size([5, 3]), torch.Size([5]))
    """

    properties = (Prior.properties | {"factorized"}) - {"density"}
    zero: Tensor

    def __init__(
        self,
        latent_dim: int,
        *,
        hidden: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=1)] = [64, 64],  # noqa: B006 - never changed
    ) -> None:
        super().__init__(latent_dim)
        self.register_buffer("zero", torch.zeros(latent_dim), persistent=False)
        self.encoder = _dense(latent_dim, *hidden, 2 * latent_dim)
        self.decoder = _dense(latent_dim, *reversed(hidden), latent_dim)
        self.log_sigma = nn.Parameter(torch.tensor(0.0))

    def forward(self) -> Distribution:
        """Return N(0, I) with draws from the second stage."""
        return _FromSecondStage(self)

    def learn_from(self, z: Tensor) -> None:
        """Add the second stage's bound at the codes ``z`` to what is maximised, as 0."""
        bound = self.second_bound(z.detach())
        pyro.factor("prior.second_stage", bound - bound.detach())

    def second_bound(self, z: Tensor) -> Tensor:
        """Return a one-sample lower bound of the second stage's log p(z), in nats, shape ``b``."""
        loc, raw = self.encoder(z).chunk(2, -1)
        q = dist.Normal(loc, softplus(raw) + 1e-6).to_event(1)
        u = q.rsample()
        rate = kl_divergence(q, _standard_normal(loc))
        return self._given(u).log_prob(z) - rate

    def draw(self, sample_shape: tuple[int, ...]) -> Tensor:
        """Return codes ``(*sample_shape, latent_dim)`` from the second stage."""
        u = _standard_normal(self.zero).rsample(torch.Size(sample_shape))
        return self._given(u).rsample()

    def _given(self, u: Tensor) -> Distribution:
        loc = self.decoder(u)
        return dist.Normal(loc, self.log_sigma.exp().expand_as(loc)).to_event(1)


class _FromSecondStage(dist.Independent):
    """N(0, I) in all but its draws."""

    def __init__(self, prior: TwoStage) -> None:
        self._prior = prior
        zero = prior.zero
        super().__init__(dist.Normal(zero, torch.ones_like(zero)), 1)

    def expand(
        self, batch_shape: torch.Size, _instance: _FromSecondStage | None = None
    ) -> _FromSecondStage:
        new = self._get_checked_instance(_FromSecondStage, _instance)
        new._prior = self._prior
        return super().expand(batch_shape, _instance=new)

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        return self._prior.draw((*sample_shape, *self.batch_shape))

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        with torch.no_grad():
            return self.rsample(sample_shape)


def _standard_normal(like: Tensor) -> Distribution:
    return dist.Normal(torch.zeros_like(like), torch.ones_like(like)).to_event(1)


def _dense(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
