"""A prior or posterior family as a law of codes: in double precision, off its start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.priors import PRIORS

FEATURES, DATA = 3, 2


@dataclass(frozen=True)
class Case:
    """An entry with parameters.

    Attributes
    ----------
    kind
        ``prior`` or ``posterior``.
    name
        As registered, or a dotted path.
    parameters
        The user's.
    encoder
        The family that a prior is made of.
    """

    kind: str
    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    encoder: str | None = None

    @property
    def entry(self) -> Any:
        """The class."""
        return (PRIORS if self.kind == "prior" else POSTERIORS)[self.name]

    @property
    def space(self) -> str:
        """Where codes live."""
        space: str = POSTERIORS[self.encoder].space if self.encoder else self.entry.space
        return space

    @property
    def dims(self) -> tuple[int, int]:
        """The least two dimensions of a code: those in which quadrature is cheap."""
        return (2, 3) if self.space == "sphere" else (1, 2)

    def __str__(self) -> str:
        given = "-".join(str(v) for v in self.parameters.values() if not isinstance(v, list))
        return "-".join(filter(None, [self.kind, self.name, given, self.encoder]))

    def law(self, dim: int) -> Law:
        """Return the law of codes of ``dim`` numbers."""
        return Law(self, dim)


class Law(nn.Module):
    """A module that returns the law: of p(z), batch ``()``; of q(z|x) for :data:`DATA` data."""

    features: Tensor

    def __init__(self, case: Case, dim: int) -> None:
        super().__init__()
        torch.manual_seed(dim)  # the caller keeps the global state
        self.is_prior = case.kind == "prior"
        self.encoder = POSTERIORS.create(case.encoder, FEATURES, dim) if case.encoder else None
        if self.is_prior:
            self.family = PRIORS.create(case.name, dim, **case.parameters)
            if self.encoder is not None:
                # Far apart, or the mixture of their posteriors would be as good as one of them.
                self.family.bind(self.encoder, (FEATURES,), 2 * torch.randn(8, FEATURES))
        else:
            self.family = POSTERIORS.create(case.name, FEATURES, dim, **case.parameters)
        self.register_buffer("features", torch.randn(DATA, FEATURES))
        self.double()
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                # Locations far apart; scales and flows such that no density is too sharp to add up.
                spread = 0.6 if "loc" in name else 0.2
                parameter.add_(spread * torch.randn_like(parameter))

    def forward(self) -> Distribution:
        """Return the law."""
        given: list[Any] = [] if self.is_prior else [self.features]
        if not self.is_prior and self.family.needs_model:
            given.append(_log_joint)
        law: Distribution = self.family.fitted() if self.is_prior else self.family(*given)
        return law

    def tensors(self) -> dict[str, Tensor]:
        """Return all real numbers that the law is made of, by name: what it has derivatives by."""
        named = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        return {name: t.detach() for name, t in named.items() if t.is_floating_point()}


def _log_joint(z: Tensor) -> Tensor:
    """Return the log-density of a model whose posterior is not normal."""
    return (z.sin() - 0.5 * z.square()).sum(-1)


def log_prob(law: Distribution, points: Tensor) -> Tensor:
    """Return the log-densities of points ``(n, d)`` under each law of a batch, ``(n, *b)``."""
    n, d = points.shape
    shape = (n, *law.batch_shape, d)
    return law.log_prob(points.reshape(n, *(1 for _ in law.batch_shape), d).expand(shape))
