"""Laws of quantised codes: labels that stand for vectors, of which the nearest is taken."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Size, Tensor
from torch.distributions import Distribution, constraints, kl_divergence, register_kl

from pyrovae.distributions.labels import Label
from pyrovae.distributions.marginals import marginals

#: Log-probability of a label that is not the nearest: finite, so that 0 times it is 0.
_NEVER = -1e4


def words_of(labels: Tensor, codewords: Tensor) -> Tensor:
    """Return the vectors that labels ``(*b, d)`` stand for, ``(*b, d, D)``.

    Parameters
    ----------
    labels
        Numbers 0 … K-1.
    codewords
        Of each unit, ``(d, K, D)``, or of all units, ``(1, K, D)``.

    Examples
    --------
    >>> import torch
    >>> words_of(torch.tensor([[0.0, 1.0]]), torch.tensor([[[5.0], [7.0]]])).flatten()
    tensor([5., 7.])
    """
    own = labels.round().long().unsqueeze(-1) == torch.arange(
        codewords.shape[-2], device=labels.device
    )
    # A sum of one term and zeros: it has derivatives, and gathers nothing by number.
    return (own.to(codewords.dtype).unsqueeze(-1) * codewords).sum(-2)


class Nearest(Label):
    """The label of the codeword that is nearest to a vector, with certainty.

    Parameters
    ----------
    vectors
        ``(*b, d, D)``.
    codewords
        ``(d, K, D)``, or ``(1, K, D)`` for all units.

    Examples
    --------
    >>> import torch
    >>> law = Nearest(torch.tensor([[0.2], [0.9]]), torch.tensor([[[0.0], [1.0]]]))
    >>> law.batch_shape, law.sample()
    (torch.Size([2]), tensor([0., 1.]))
    """

    def __init__(self, vectors: Tensor, codewords: Tensor, validate_args: Any = None) -> None:
        self.vectors, self.codewords = vectors, codewords
        away = (vectors.detach().unsqueeze(-2) - codewords.detach()).square().sum(-1)
        nearest = away.argmin(-1, keepdim=True)
        logits = torch.full_like(away, _NEVER).scatter(-1, nearest, 0.0)
        super().__init__(logits=logits, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Nearest:
        """Return the same laws with a larger batch shape."""
        vectors = self.vectors.expand(*batch_shape, self.vectors.shape[-1])
        return Nearest(vectors, self.codewords, validate_args=self._validate_args)


class Codewords(TorchDistribution):
    """Laws of labels as they are trained: of the vectors that a network reads, side by side.

    Of :class:`Nearest` labels, draws are codewords whose derivatives are those of the vectors that
    they are nearest to (straight through). Whatever the draws, log_prob and KL are those of labels.

    Parameters
    ----------
    units
        The law of each unit: batch ``(*b, d)``, no event.
    codewords
        ``(d, K, D)``, or ``(1, K, D)`` for all units.

    References
    ----------
    van den Oord et al. 2017, sec. 3; arXiv:1711.00937

    Examples
    --------
    >>> import torch
    >>> law = Codewords(Label(logits=torch.zeros(5, 2, 3)), torch.randn(2, 3, 4))
    >>> law.batch_shape, law.event_shape
    (torch.Size([5]), torch.Size([8]))
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = True

    def __init__(self, units: Label, codewords: Tensor) -> None:
        self.units, self.codewords = units, codewords
        *batch, d = units.batch_shape
        super().__init__(Size(batch), Size((d * codewords.shape[-1],)), validate_args=False)

    @property
    def support(self) -> Any:
        """Real numbers, of which codewords are a few."""
        return constraints.independent(constraints.real, 1)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Codewords:
        """Return the same laws with a larger batch shape."""
        units = self.units.expand(Size(batch_shape) + self.units.batch_shape[-1:])
        return Codewords(units, self.codewords)

    @property
    def chosen(self) -> Tensor:
        """The most probable codewords, ``(*b, d, D)``."""
        return words_of(self.units.logits.argmax(-1), self.codewords)

    def rsample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw with derivatives, ``(*sample_shape, *b, d D)``."""
        if not isinstance(self.units, Nearest):
            return words_of(self.units.sample(sample_shape), self.codewords).flatten(-2)
        vectors = self.units.vectors
        drawn = vectors + (self.chosen - vectors).detach()
        return drawn.flatten(-2).expand(*sample_shape, *self.batch_shape, *self.event_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability of the labels whose codewords are nearest, in nats."""
        vectors = value.unflatten(-1, (-1, self.codewords.shape[-1]))
        labels = Nearest(vectors, self.codewords).logits.argmax(-1)
        return self.units.log_prob(labels).sum(-1)

    def entropy(self) -> Tensor:
        """Return the entropy of the labels, in nats."""
        return self.units.entropy().sum(-1)


@register_kl(Codewords, Codewords)
def _kl_codewords(q: Codewords, p: Codewords) -> Tensor:
    return kl_divergence(q.units, p.units).sum(-1)


@marginals.register
def _(distribution: Codewords) -> Distribution:
    return distribution.units
