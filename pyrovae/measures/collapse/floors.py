"""The rate that a family of posteriors cannot do without.

No normal law is a Student t law. Under such a prior a unit that says nothing of x still has
KL(q(z_u) || p(z_u)) of at least min_q KL(q || p), with the minimum over the family: its floor. At
it, a unit is as idle as it can be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Distribution, MixtureSameFamily, constraints

from pyrovae.core.given import Data, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.distributions import analytic_kl, marginals
from pyrovae.distributions.fixed_scale import FixedScaleNormal
from pyrovae.distributions.joint import Joint
from pyrovae.distributions.quadrature import Parts, kl_by_quadrature, parts_of
from pyrovae.distributions.rebatched import without_batch
from pyrovae.models.contract import LatentModel
from pyrovae.models.posteriors.relaxed_spike_slab import Bridged

#: Components of a prior whose places a search starts from, and starts that are followed.
_PLACES, _FOLLOWED = 12, 3
#: Scales of the first tries, in widths of what they are at.
_WIDTHS = (0.3, 0.6, 1.0, 1.6)
#: Evaluations of a search, at most.
_STEPS = 60
#: Below this, in nats, a floor is none.
_NOTHING = 1e-6
#: Floors that were found, by family and prior; a learned prior is another one at each step.
_found: dict[tuple[object, ...], float] = {}
_REMEMBERED = 1 << 14


@only_measures
def floors(vae: LatentModel, x: Data) -> Tensor:
    """Return the smallest KL(q(z_u) || p(z_u)) that the family of q(z|x) can reach, in nats.

    The family of a unit's law is what its marginal can be when what an encoder gives is free: its
    location, scale, weights of components, and what :func:`family` is told of other laws. What the
    family has for all data, such as the degrees of freedom of a Student t law, is as it is now.

    0 where no floor is known: for a family or a prior without marginals (of flows, whose units are
    bent at will, 0 is the limit of what they reach; on a sphere the uniform law is in the family),
    for laws that are not made of parameters, for several sites of a user's programs, and for
    labels, whose family has every law. A floor that is too low makes no unit idle. NaN in the lower
    layers of a bottom-up guide, whose units have no KL of their own.

    Parameters
    ----------
    vae
        Of any prior and posterior family.
    x
        Observations ``(n, *event_shape)``, of which the first is encoded.

    Returns
    -------
    Tensor
        Shape ``(latent_dim,)``.
    """
    with torch.no_grad(), seeded(0, x.device):
        first = x[:1]
        # A floor does not change when prior and family are moved and stretched together.
        q = vae.encode(observed(first), **given(first))
        p = vae.prior_law(**given(first))
        if isinstance(q, Joint) and isinstance(p, Joint):
            if not q.blocks.stacked:
                return torch.zeros(vae.latent_dim, device=x.device)
            bases = vae.base_laws()  # type: ignore[operator]
            return _of_layers(q, p, bases, x.device)
    return _floors(q, without_batch(p), torch.zeros(vae.latent_dim, device=x.device))


def _of_layers(q: Joint, p: Joint, bases: Sequence[Distribution], device: torch.device) -> Tensor:
    """Return the floors of each layer, under the law that the layer above moves: it changes none.

    NaN where the KL of a unit is not one: of layers whose guide draws in another order.
    """
    found = []
    for i, (own, base) in enumerate(zip(q.drawn()[1], bases, strict=True)):
        none = torch.zeros(q.blocks.sizes[i], device=device)
        known = p.knows(i) <= q.knows(i)
        found.append(_floors(own, base, none) if known else none + math.nan)
    return torch.cat(found)


def _floors(q: Distribution, p: Distribution, none: Tensor) -> Tensor:
    with torch.no_grad(), seeded(0, none.device):
        try:
            q_u, p_u = marginals(q), marginals(p)
            reached = family(q_u)
            if reached is None:  # of labels, for one: any probabilities are in the family
                return none
            prior = parts_of(p_u, q_u.batch_shape[-1:])
        except (NotImplementedError, AttributeError, TypeError, ValueError):
            return none
    kind = (reached.key, type(prior.law), prior.count)
    rows, unit = prior.rows.detach().unique(dim=0, return_inverse=True)
    keys = [(*kind, row.cpu().numpy().tobytes()) for row in rows]
    unknown = [i for i, key in enumerate(keys) if key not in _found]
    if unknown:
        if len(_found) > _REMEMBERED:
            _found.clear()
        # One unit for each law of the prior that is not known yet.
        units = torch.stack([(unit == i).nonzero()[0, 0] for i in unknown])
        with torch.enable_grad():
            values = _minima(reached, prior, units)
        _found.update(zip((keys[i] for i in unknown), values.tolist(), strict=True))
    return none.new_tensor([_found[key] for key in keys])[unit]


@dataclass(frozen=True)
class Family:
    """The laws of one number that a posterior may give a unit.

    Attributes
    ----------
    key
        Equal for equal families.
    law
        Real numbers ``(*b, size)`` to a law of batch ``b``.
    near
        Places and widths, ``b`` each, to the numbers ``(*b, size)`` of a law that is about there.
    """

    key: tuple[object, ...]
    law: Callable[[Tensor], Distribution]
    near: Callable[[Tensor, Tensor], Tensor]


@singledispatch
def family(law: Distribution) -> Family | None:
    """Return the family that a unit's law is from, ``None`` if there is no telling.

    By default that of all its locations and scales. What else a third party's posterior varies is
    registered here, by the class of its marginals: ``@family.register``.
    """
    if not {"loc", "scale"} <= vars(law).keys() or law.support is not constraints.real:
        return None
    kind: Any = type(law)
    fixed = _fixed(law)
    return Family(
        (kind, *fixed.items()),
        lambda raw: kind(
            loc=raw[..., 0], scale=raw[..., 1].exp(), **_filled(fixed, raw), validate_args=False
        ),
        lambda place, width: torch.stack([place, width.log()], -1),
    )


@family.register
def _(law: FixedScaleNormal) -> Family:
    scale = law.scale.flatten()[0].double()
    return Family(
        (FixedScaleNormal, float(scale)),
        lambda raw: FixedScaleNormal(raw[..., 0], scale.expand(raw.shape[:-1])),
        lambda place, width: place.unsqueeze(-1),
    )


@family.register
def _(law: MixtureSameFamily) -> Family | None:
    # Nested mixtures have components without a location.
    component = family(law.component_distribution)
    if component is None:
        return None
    k = law.mixture_distribution.logits.shape[-1]

    def mixture(raw: Tensor) -> Distribution:
        parts = raw.unflatten(-1, (k, 3))
        mixing = dist.Categorical(logits=parts[..., 2], validate_args=False)
        return MixtureSameFamily(mixing, component.law(parts[..., :2]), validate_args=False)

    def near(place: Tensor, width: Tensor) -> Tensor:
        # Components that coincide would move together: those after the first are a little apart.
        spread = torch.linspace(-0.3, 0.3, k, dtype=place.dtype, device=place.device)
        places = place.unsqueeze(-1) + width.unsqueeze(-1) * spread
        widths = width.unsqueeze(-1) * (2 * spread).exp()
        raw = component.near(places, widths)
        return torch.cat([raw, torch.zeros_like(raw[..., :1])], -1).flatten(-2)

    return Family(("mixture", k, *component.key), mixture, near)


@family.register
def _(law: Bridged) -> Family:
    spike, relaxation = law.spike.flatten()[0].double(), law.relaxation.flatten()[0].double()
    return Family(
        (Bridged, float(spike), float(relaxation)),
        lambda raw: Bridged(
            raw[..., 2],
            raw[..., 0],
            raw[..., 1].exp(),
            spike.expand(raw.shape[:-1]),
            relaxation.expand(raw.shape[:-1]),
        ),
        lambda place, width: torch.stack([place, width.log(), torch.zeros_like(place)], -1),
    )


def _fixed(law: Distribution) -> dict[str, float]:
    """Return the parameters besides location and scale: the same for all units of a family."""
    others = [n for n in law.arg_constraints if n in vars(law) and n not in ("loc", "scale")]
    return {name: float(torch.as_tensor(getattr(law, name)).flatten()[0]) for name in others}


def _filled(fixed: dict[str, float], raw: Tensor) -> dict[str, Tensor]:
    return {name: raw.new_full(raw.shape[:-1], value) for name, value in fixed.items()}


def _minima(reached: Family, prior: Parts, units: Tensor) -> Tensor:
    """Return the minima for some units, ``(m,)``, by descent from several starts each."""
    p = prior.some(units.unsqueeze(1))
    raw = _starts(reached, prior, units)  # (m, starts, size)
    with torch.no_grad():
        first = _kl(reached.law(raw), p)
        order = first.nan_to_num(math.inf).argsort(1)[:, :_FOLLOWED]
        best = first.gather(1, order).amin(1)
        raw = raw.gather(1, order.unsqueeze(2).expand(-1, -1, raw.shape[2]))
    todo = best > _NOTHING
    if todo.any():
        best[todo] = torch.minimum(best[todo], _descended(reached, prior, units[todo], raw[todo]))
    return torch.where(best > _NOTHING, best, 0.0)


def _starts(reached: Family, prior: Parts, units: Tensor) -> Tensor:
    """Return laws at the prior as a whole and at its components, ``(m, starts, size)``."""
    share, place, width = (
        part.reshape(prior.share.shape)[units] for part in (prior.share, prior.place, prior.width)
    )
    mean = (share * place).sum(1, keepdim=True)
    spread = (share * (width**2 + (place - mean) ** 2)).sum(1, keepdim=True).sqrt()
    few = share.topk(min(_PLACES, prior.count), 1).indices
    places = torch.cat([mean, place.gather(1, few)], 1)
    widths = torch.cat([spread, width.gather(1, few)], 1)
    return torch.cat([reached.near(places, share_ * widths) for share_ in _WIDTHS], 1)


def _descended(reached: Family, prior: Parts, units: Tensor, raw: Tensor) -> Tensor:
    """Return the smallest KL along the descents of some units, ``(m,)``."""
    p = prior.some(units.unsqueeze(1))
    raw = raw.detach().clone().requires_grad_()
    best = torch.full_like(raw[..., 0], math.inf)
    # Each law has its own numbers: the sum is smallest where each is.
    search = torch.optim.LBFGS(
        [raw], max_iter=_STEPS, tolerance_grad=1e-6, history_size=20, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        nonlocal best
        search.zero_grad()
        values = _kl(reached.law(raw), p)
        best = torch.fmin(best, values.detach())
        total = values.nan_to_num(0, 0, 0).sum()
        total.backward()
        return total

    search.step(closure)
    return best.amin(1)


def _kl(q: Distribution, p: Distribution) -> Tensor:
    closed = analytic_kl(q, p)
    if closed is not None:
        return closed
    found = kl_by_quadrature(q, p)
    return torch.full(q.batch_shape, math.nan) if found is None else found.value
