"""Priors of codes that are labels."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.core.schedules import Number, Within
from pyrovae.distributions.labels import Label, Switch
from pyrovae.models.priors.base import PRIORS, Prior

#: Number K of labels of a unit.
Classes = Annotated[int, Field(ge=2)]


class _Discrete(Prior):
    properties = frozenset({"density", "factorized"})
    zero: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__(latent_dim)
        self.register_buffer("zero", torch.zeros(latent_dim), persistent=False)


@PRIORS.register("categorical")
class Categorical(_Discrete):
    r"""Independent labels 0 … K-1, all equally likely, or with probabilities that are learned.

    .. math:: p(z) = \prod_u \pi_{u, z_u}, \quad \pi_{u, k} = 1 / K

    Parameters
    ----------
    latent_dim
        Number of labels that make a code.
    classes
        K. The posterior must have as many.
    learned
        Whether each unit's probabilities are parameters, which start equal.

    References
    ----------
    Jang, Gu & Poole 2017, arXiv:1611.01144

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.priors import Categorical
    >>> p = Categorical(3, classes=4)()
    >>> p.event_shape, p.log_prob(torch.tensor([0.0, 3.0, 1.0]))  # -3 log 4
    (torch.Size([3]), tensor(-4.1589))
    """

    space = "labels"

    def __init__(self, latent_dim: int, *, classes: Classes = 10, learned: bool = False) -> None:
        super().__init__(latent_dim)
        self.classes = classes
        self.logits = nn.Parameter(torch.zeros(latent_dim, classes)) if learned else None

    def forward(self) -> Distribution:
        """Return the product of ``latent_dim`` categorical laws."""
        logits: Tensor | None = self.logits
        if logits is None:
            logits = self.zero.unsqueeze(-1).expand(-1, self.classes)
        return Label(logits=logits).to_event(1)


@PRIORS.register("bernoulli")
class Bernoulli(_Discrete):
    r"""Independent switches, 1 with a given probability, else 0.

    .. math:: p(z) = \prod_u \pi^{z_u} (1 - \pi)^{1 - z_u}

    Parameters
    ----------
    latent_dim
        Number of switches that make a code.
    probability
        Of 1, or a schedule of it: below 1/2, sparse codes.

    References
    ----------
    Maddison, Mnih & Teh 2017, sec. 5, arXiv:1611.00712

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.priors import Bernoulli
    >>> p = Bernoulli(3, probability=0.25)()
    >>> p.event_shape, p.log_prob(torch.ones(3))  # 3 log 1/4
    (torch.Size([3]), tensor(-4.1589))
    """

    space = "binary"
    classes = 2
    probability: Tensor

    def __init__(
        self,
        latent_dim: int,
        *,
        probability: Annotated[Number, Within(gt=0, lt=1)] = 0.5,
    ) -> None:
        super().__init__(latent_dim)
        self.set_number("probability", probability)

    def forward(self) -> Distribution:
        """Return the product of ``latent_dim`` Bernoulli laws."""
        logit = torch.logit(self.probability)
        return Switch(logits=logit.expand_as(self.zero)).to_event(1)
