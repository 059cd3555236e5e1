"""A latent site of a user's programs, as units of one code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pyro.distributions as dist
import torch
from pyro.distributions import MaskedDistribution
from torch import Tensor
from torch.distributions import Distribution, Independent

from pyrovae.core.errors import ConfigError
from pyrovae.distributions.labels import Label, Switch, as_numbers
from pyrovae.distributions.rebatched import Rebatched
from pyrovae.models.sites import Site

Kind = Literal["real", "one_hot", "label", "switch"]


@dataclass(frozen=True)
class LatentSite:
    """How the values of a site are units of a code.

    Attributes
    ----------
    name
        Of the site.
    kind
        ``real`` units; one unit that is a label, drawn as a number or ``one_hot``; or switches.
    units
        How many.
    classes
        Labels of each; 0 for real units.
    scalar
        Whether the site's event is a single number.
    enumerated
        Whether training sums over its values.
    """

    name: str
    kind: Kind
    units: int
    classes: int
    scalar: bool
    enumerated: bool = False

    @classmethod
    def of(cls, q: Site, p: Site, *, name: str) -> LatentSite:
        """Return what a pair of sites is.

        Raises
        ------
        ConfigError
            If the guide's law and the model's are of two kinds, or of none that is known here.
        """
        kinds = [_kind(site["fn"]) for site in (q, p)]
        told = " and ".join(type(_base(site["fn"])).__name__ for site in (p, q))
        place = f"at its latent site '{q['name']}'"
        if kinds[0] != kinds[1] or q["fn"].event_shape != p["fn"].event_shape:
            raise ConfigError(f"{place} has laws of two kinds in model and guide: {told}")
        law = q["fn"]
        if len(law.event_shape) > 1:
            raise ConfigError(f"{place} needs an event of numbers in a row, got {told}")
        if kinds[0] == "real" and not law.has_rsample:
            raise ConfigError(
                f"{place} the guide has a {type(_base(law)).__name__}, which has no "
                "reparameterised draws (rsample) and is no law of labels: objectives here "
                "differentiate through draws"
            )
        wide = law.event_shape.numel()
        classes = {"real": 0, "switch": 2, "one_hot": wide}.get(kinds[0])
        if classes is None:
            classes = _base(law).logits.shape[-1]
        labels = kinds[0] in ("one_hot", "label")
        marked = bool(q["infer"].get("enumerate"))
        if marked and not labels:
            raise ConfigError(
                f"enumerates its site '{q['name']}': labels are (Categorical, OneHotCategorical), "
                "one for each datum"
            )
        return cls(name, kinds[0], 1 if labels else wide, classes, not law.event_shape, marked)

    def code(self, value: Tensor) -> Tensor:
        """Return values of the site, ``(*b, *event)``, as units ``(*b, units)``."""
        if self.kind == "one_hot":
            return value.argmax(-1, keepdim=True).to(value.dtype)
        return value.unsqueeze(-1).to(torch.get_default_dtype()) if self.scalar else value

    def value(self, code: Tensor) -> Tensor:
        """Return units ``(*b, units)`` as values of the site."""
        if self.kind == "one_hot":
            return as_numbers(code, self.classes)
        if self.kind == "label":
            return code.round().long().squeeze(-1)
        return code.squeeze(-1) if self.scalar else code

    def law(self, found: Distribution, batch: tuple[int, ...]) -> Distribution:
        """Return a site's law as that of its units: batch ``batch``, event ``(units,)``.

        Parameters
        ----------
        found
            Of as many data as ``batch`` has.
        """
        base = _base(found)
        if not _whole(found):
            raise ConfigError(
                f"masks units of its latent site '{self.name}': a unit that some data lack (later "
                "steps of shorter sequences) has no law for them; take data of one length"
            )
        if self.kind == "switch":
            logits = base.logits.expand(*found.batch_shape, *found.event_shape)
            return Switch(logits=logits.reshape(*batch, self.units)).to_event(1)
        if self.kind != "real":
            logits = base.logits.expand(*found.batch_shape, self.classes)
            return Label(logits=logits.reshape(*batch, 1, self.classes)).to_event(1)
        if isinstance(found, Independent) or self.scalar:
            whole = (*found.batch_shape, *found.event_shape)
            parameters = {
                name: torch.as_tensor(getattr(base, name)).expand(whole).reshape(*batch, self.units)
                for name in base.arg_constraints
                if name in vars(base)
            }
            family: Any = type(base)
            if parameters:
                return family(**parameters, validate_args=False).to_event(1)
        return Rebatched.of(found, batch)


def _whole(law: Distribution) -> bool:
    """Return whether no element of an event is masked."""
    while isinstance(law, Independent | MaskedDistribution):
        if isinstance(law, MaskedDistribution) and not torch.as_tensor(law._mask).all():
            return False
        law = law.base_dist
    return True


def _base(law: Distribution) -> Any:
    while isinstance(law, Independent | MaskedDistribution):
        law = law.base_dist
    return law


def _kind(law: Distribution) -> Kind:
    base = _base(law)
    if isinstance(base, torch.distributions.OneHotCategorical):
        return "one_hot"
    if isinstance(base, dist.Categorical | torch.distributions.Categorical):
        return "label"
    return "switch" if isinstance(base, torch.distributions.Bernoulli) else "real"
