"""Every registered prior and posterior as a law of codes: in double precision, off its start.

What is registered is tested: a new entry needs a line here only if its defaults are too large for
quadrature, or if it is several laws.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.priors import PRIORS

FEATURES, DATA = 3, 2
#: Parameters of an entry, once for each law that it is to be tested as.
PARAMETERS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("prior", "flow"): [
        {"kind": "affine", "hidden": [6]},
        {"kind": "spline", "hidden": [6], "bins": 4},
    ],
    ("prior", "gaussian_mixture"): [{"components": 3}],
    ("prior", "generalized_normal"): [{"p": 0.7}, {"p": 1.5, "scale": 0.8}, {"p": 8.0}],
    ("prior", "two_stage"): [{"hidden": [6]}],
    ("prior", "vampprior"): [{"pseudo_inputs": 4}],
    ("posterior", "iaf"): [{"hidden": [6]}],
    ("posterior", "nsf"): [{"hidden": [6], "bins": 4}],
    ("posterior", "planar"): [{"transforms": 2}],
}
#: Families that a prior made of the posterior is tested with: one for each space.
ENCODERS = ("mean_field_normal", "von_mises_fisher")


@dataclass(frozen=True)
class Case:
    """An entry with parameters.

    Attributes
    ----------
    kind
        ``prior`` or ``posterior``.
    name
        As registered.
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
        return (PRIORS if self.kind == "prior" else POSTERIORS)[self.name]

    @property
    def space(self) -> str:
        return POSTERIORS[self.encoder].space if self.encoder else self.entry.space

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
        torch.manual_seed(dim)
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
        if self.is_prior:
            return self.family.fitted()
        if self.family.needs_model:
            return self.family(self.features, _log_joint)
        return self.family(self.features)

    def tensors(self) -> dict[str, Tensor]:
        """Return all real numbers that the law is made of, by name: what it has derivatives by."""
        named = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        return {name: t.detach() for name, t in named.items() if t.is_floating_point()}


def _log_joint(z: Tensor) -> Tensor:
    """Return the log-density of a model whose posterior is not normal."""
    return (z.sin() - 0.5 * z.square()).sum(-1)


def _cases() -> list[Case]:
    cases = []
    for kind, registry in (("prior", PRIORS), ("posterior", POSTERIORS)):
        for name in registry:
            made_of = ENCODERS if getattr(registry[name], "needs_encoder", False) else (None,)
            cases += [
                Case(kind, name, parameters, encoder)
                for parameters in PARAMETERS.get((kind, name), [{}])
                for encoder in made_of
            ]
    return cases


CASES = _cases()


def log_prob(law: Distribution, points: Tensor) -> Tensor:
    """Return the log-densities of points ``(n, d)`` under each law of a batch, ``(n, *b)``."""
    n, d = points.shape
    shape = (n, *law.batch_shape, d)
    return law.log_prob(points.reshape(n, *(1 for _ in law.batch_shape), d).expand(shape))
