"""Mixtures of normal laws whose draws have unbiased pathwise derivatives, the weights' included.

Which component a draw comes from is a discrete choice, without a derivative. The draw itself has
one: that of the quantile at its own level, dz = -dF(z) / f(z), which is found without inverting F
(Graves 2016, arXiv:1607.05690; Figurnov, Mohamed & Mnih 2018, eq. 6, arXiv:1805.08498). A
relaxation of the choice (Gumbel-softmax) would be biased.
"""

from __future__ import annotations

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor

from pyrovae.distributions.mixture import Mixture


class NormalMixture(Mixture):
    """A mixture of K normal laws of one number.

    The derivative with respect to a weight moves draws across the gaps between components. It has
    a large variance where gaps are empty.

    Parameters
    ----------
    logits, loc, scale
        Of the components, last dimension K; they broadcast to ``(*b, K)``.
    """

    has_rsample = True

    def __init__(
        self, logits: Tensor, loc: Tensor, scale: Tensor, *, validate_args: bool | None = None
    ) -> None:
        logits, loc, scale = torch.broadcast_tensors(logits, loc, scale)
        super().__init__(
            dist.Categorical(logits=logits), dist.Normal(loc, scale), validate_args=validate_args
        )

    def expand(self, batch_shape: torch.Size, _instance: Any = None) -> NormalMixture:
        """Return the same law with a larger batch shape."""
        k = (self._num_component,)
        return NormalMixture(
            self.mixture_distribution.logits.expand(*batch_shape, *k),
            self.component_distribution.loc.expand(*batch_shape, *k),
            self.component_distribution.scale.expand(*batch_shape, *k),
            validate_args=self._validate_args,
        )

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *b)``."""
        shape = self._extended_shape(sample_shape)
        weights = self.mixture_distribution.probs
        loc, scale = self.component_distribution.loc, self.component_distribution.scale
        u = loc.new_empty(shape).uniform_()
        noise = loc.new_empty(shape).normal_()
        with torch.no_grad():
            above = (weights.cumsum(-1)[..., :-1] < u.unsqueeze(-1)).sum(-1, keepdim=True)
            chosen_loc = loc.expand(*shape, -1).gather(-1, above).squeeze(-1)
            chosen_scale = scale.expand(*shape, -1).gather(-1, above).squeeze(-1)
            z = chosen_loc + chosen_scale * noise
            density = self.log_prob(z).exp().clamp(min=torch.finfo(z.dtype).tiny)
        t = (z.unsqueeze(-1) - loc) / scale
        below = (weights * torch.special.ndtr(t)).sum(-1)
        above = -(weights * torch.special.ndtr(-t)).sum(-1)
        # The two differ by 1, but each is accurate in its own tail.
        level = torch.where(below < 0.5, below, above)
        return z - (level - level.detach()) / density


class DiagonalNormalMixture(Mixture):
    """A mixture of K normal laws of d numbers, each with diagonal covariance.

    Draws are made one dimension after the other, from the mixture that dimension has given those
    before it; so each has the derivative of a mixture of one number.

    Parameters
    ----------
    logits
        ``(*b, K)``.
    loc, scale
        ``(*b, K, d)``; the three broadcast.
    """

    has_rsample = True

    def __init__(
        self, logits: Tensor, loc: Tensor, scale: Tensor, *, validate_args: bool | None = None
    ) -> None:
        logits, loc, scale = torch.broadcast_tensors(logits.unsqueeze(-1), loc, scale)
        super().__init__(
            dist.Categorical(logits=logits[..., 0]),
            dist.Normal(loc, scale).to_event(1),
            validate_args=validate_args,
        )

    def expand(self, batch_shape: torch.Size, _instance: Any = None) -> DiagonalNormalMixture:
        """Return the same law with a larger batch shape."""
        parts = self.component_distribution.base_dist
        inner = (self._num_component, *self.event_shape)
        return DiagonalNormalMixture(
            self.mixture_distribution.logits.expand(*batch_shape, inner[0]),
            parts.loc.expand(*batch_shape, *inner),
            parts.scale.expand(*batch_shape, *inner),
            validate_args=self._validate_args,
        )

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *b, d)``."""
        shape = torch.Size(sample_shape) + self.batch_shape
        parts = self.component_distribution.base_dist
        logits = self.mixture_distribution.logits
        z = []
        for loc, scale in zip(parts.loc.unbind(-1), parts.scale.unbind(-1), strict=True):
            z.append(NormalMixture(logits, loc, scale, validate_args=False).expand(shape).rsample())
            logits = logits + dist.Normal(loc, scale, validate_args=False).log_prob(
                z[-1].unsqueeze(-1)
            )
        return torch.stack(z, -1)
