"""A prior of codes that are partly real and partly labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.core.registry import Registry
from pyrovae.distributions.columns import Columns
from pyrovae.models.priors.base import PRIORS, Prior
from pyrovae.models.priors.discrete import Categorical, Classes

#: Number of units that are labels.
Labels = Annotated[int, Field(ge=1)]


def family_of(registry: Registry) -> Callable[[Any], dict[str, Any]]:
    """Return a validator of the family of real units: a name, or ``{name, …}``, with defaults."""

    def resolve(given: Any) -> dict[str, Any]:
        part = {"name": given} if isinstance(given, str) else given
        if not isinstance(part, Mapping) or not isinstance(part.get("name"), str):
            raise _refused(f"must be a {registry.kind}'s name or a mapping with 'name'")
        name = part["name"]
        try:
            entry = registry[name]
            parameters = registry.resolve(name, {k: v for k, v in part.items() if k != "name"})
        except ConfigError as error:
            raise _refused(str(error)) from None
        if entry.space != "real" or "factorized" not in entry.properties:
            raise _refused(f"{registry.kind} '{name}' has no independent real dimensions")
        return {"name": name, **parameters}

    return resolve


def _refused(told: str) -> PydanticCustomError:
    return PydanticCustomError("part", "{told}", {"told": told})


def real_units(latent_dim: int, labels: int) -> int:
    """Return how many units of a code are real.

    Raises
    ------
    ConfigError
        If none is.
    """
    if labels >= latent_dim:
        raise ConfigError(
            f"counts all units, real ones and labels: {labels} labels leave none of {latent_dim} "
            "real ('categorical' has labels alone)",
            "latent_dim",
        )
    return latent_dim - labels


@PRIORS.register("mixed")
class Mixed(Prior):
    r"""Real units first, then labels, all independent.

    .. math:: p(z, c) = p(z) \prod_u \frac{1}{K}

    Parameters
    ----------
    latent_dim
        Number of all units.
    real
        The prior of the real ones: any with independent real dimensions.
    labels
        How many units are labels: the last ones.
    classes
        Number K of labels of each.

    References
    ----------
    Dupont 2018, sec. 3.1, arXiv:1804.00104

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.priors import Mixed
    >>> p = Mixed(3, labels=1, classes=4)()
    >>> p.event_shape, p.log_prob(torch.tensor([0.0, 0.0, 3.0]))  # -log(2 pi) - log 4
    (torch.Size([3]), tensor(-3.2242))
    """

    space = "mixed"
    smallest_latent_dim = 2

    def __init__(
        self,
        latent_dim: int,
        *,
        real: Annotated[dict[str, Any], BeforeValidator(family_of(PRIORS))] = {  # noqa: B006 - never changed
            "name": "standard_normal"
        },
        labels: Labels = 1,
        classes: Classes = 10,
    ) -> None:
        super().__init__(latent_dim)
        parameters = {key: value for key, value in real.items() if key != "name"}
        self.real = PRIORS.create(real["name"], real_units(latent_dim, labels), **parameters)
        self.labels = Categorical(labels, classes=classes)

    @property
    def unit_classes(self) -> tuple[int, ...] | None:
        """Labels of each unit, 0 for the real ones."""
        return (0,) * self.real.latent_dim + (self.labels.unit_classes or ())

    def forward(self) -> Distribution:
        """Return the real law and that of the labels, side by side."""
        return Columns([self.real(), self.labels()])
