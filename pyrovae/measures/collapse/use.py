"""Two questions of each unit: does the encoder say something with it, does the decoder heed it?

*Informative* is what the encoder says. Of the variance of a unit's code, the share that is noise is
E_x Var(z_u|x) / (Var_x(E[z_u|x]) + E_x Var(z_u|x)): 1 for a unit that says nothing of x. Below 0.8
a unit is informative. (Under a standard normal prior and the law of variance the sum is 1, and this
is the mean of sigma² by which Asperti's group tells units that are switched off.) For a normal
channel it is I(x; z_u) > 0.11 nats, whatever the scale of the prior.

*Used* is what the generator heeds, by intervention: replace the unit by that of another datum's
code, and see what that costs in E[log p(x|z)]. A unit is used whose cost is above 0.1 nats and
above twice its standard error. Each unit is replaced in as many data as it takes for the error to
decide, or in all of them. (A draw from the prior would do where codes are distributed as the prior.
Where they are not, such as under a Laplace prior that a normal guide cannot reach, it takes the
decoder to places where it has never been, and idle units seem to be of use.) Given a context, the
other datum is one of the same context (:mod:`pyrovae.measures.collapse.within`): what is asked is
what a unit says that the context does not.

In a model with layers a unit of z_l, l > 1, is one of the code that z_{l-1} is generated from: what
counts is the cost in log p(z_{l-1}|z_l), and in log p(x|z) where the decoder reads that layer too.

Under a prior with several modes, units may carry a bit that no decoder heeds: informative, and not
used. That is why the two are never one count.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pyrovae.core.given import Data, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.measures.collapse.directions import Directions, aligned, find_directions
from pyrovae.measures.collapse.interventions import CHUNK, explained, layers_of, replaced
from pyrovae.measures.collapse.units import NOISE_SHARE, Units
from pyrovae.measures.collapse.within import others
from pyrovae.models.contract import LatentModel

#: Cost of replacement, in nats, above which a unit is used; and the standard errors it must exceed.
USED_NATS, USED_ERRORS = 0.1, 2.0
#: A unit is replaced in more data until its cost is so many standard errors from the threshold.
_DECIDED = 3.0


@dataclass(frozen=True)
class Use:
    """What each unit of a code is good for, or each direction of one that no axis is special in.

    Attributes
    ----------
    noise_share
        E_x Var(z_u|x) / (Var_x(E[z_u|x]) + E_x Var(z_u|x)), ``(k,)``.
    cost, cost_se
        Rise of E[-log p(x|z)] when the unit is replaced by that of another datum, nats, and its
        standard error over data and draws, ``(k,)``; of an upper layer, of what is generated from
        it (:func:`pyrovae.measures.collapse.interventions.explained`).
    points
        In how many data each was replaced, ``(k,)``.
    first
        The cost in each of the first data, in which all were replaced, ``(n, k)``.
    """

    noise_share: Tensor
    cost: Tensor
    cost_se: Tensor
    points: Tensor
    first: Tensor

    @property
    def informative(self) -> Tensor:
        """Whether the encoder says something with it."""
        return self.noise_share < NOISE_SHARE

    @property
    def used(self) -> Tensor:
        """Whether the decoder heeds it."""
        return (self.cost > USED_NATS) & (self.cost > USED_ERRORS * self.cost_se)


@dataclass(frozen=True)
class UseOfCode:
    """:class:`Use` of each unit, and of the directions where those are what is counted.

    Attributes
    ----------
    units
        Of each unit.
    turned
        Of each direction, by falling information; ``None`` where the axes are special.
    directions
        Which these are.
    """

    units: Use
    turned: Use | None = None
    directions: Directions | None = None

    @property
    def counted(self) -> Use:
        """What counts of informative and used units are taken from."""
        return self.units if self.turned is None else self.turned


def measure_use(
    vae: LatentModel, x: Data, units: Units, *, start: int, most: int, seed: int = 0
) -> UseOfCode:
    """Measure what the units of a code are good for, and its directions if axes are not special.

    Parameters
    ----------
    vae
        Of any prior and posterior family.
    x
        Observations ``(n, *event_shape)``, n > 1.
    units
        What :func:`pyrovae.measures.collapse.units.measure_units` found on ``x``.
    start, most
        In how many data every unit is replaced, and in how many at most.
    seed
        Of the draws; the global random state is left as it was.
    """
    noise = units.mean_var / (units.var_mu.clamp(min=0) + units.mean_var)
    single = interventions(vae, x, noise, start=start, most=most, seed=seed)
    if aligned(vae, x):
        return UseOfCode(single)
    found = find_directions(vae, x, seed=seed)
    return UseOfCode(single, use_of(vae, x, found, start=start, most=most, seed=seed), found)


def use_of(
    vae: LatentModel, x: Data, directions: Directions, *, start: int, most: int, seed: int = 0
) -> Use:
    """Return :class:`Use` of the directions of a code; parameters as for :func:`measure_use`."""
    noise = directions.within / (directions.between + directions.within)
    return interventions(vae, x, noise, directions, start=start, most=most, seed=seed)


@only_measures
def interventions(
    vae: LatentModel,
    x: Data,
    noise_share: Tensor,
    directions: Directions | None = None,
    *,
    start: int,
    most: int,
    seed: int = 0,
) -> Use:
    """Replace each unit, or direction, in as many data as it takes to tell whether it is used.

    Parameters
    ----------
    vae, x, start, most, seed
        As for :func:`measure_use`.
    noise_share
        Of each unit or direction, ``(k,)``.
    directions
        ``None`` for the units.
    """
    k, n = len(noise_share), min(most, len(x))
    costs: list[Tensor] = [torch.empty(0, device=x.device)] * k
    open_, first, size = list(range(k)), 0, min(start, n)
    with torch.no_grad(), seeded(seed, x.device):
        while open_ and first < n:
            part = x[first : first + size]
            z = vae.encode(observed(part), **given(part)).sample()
            other = z[others(part, len(part), z.device)]
            for block, mine in layers_of(vae, open_):
                before = explained(vae, z, part, block)
                for some in _split(mine, max(1, CHUNK // len(part))):
                    codes = torch.stack(
                        [
                            replaced(z, u, other[:, u], vae.space)
                            if directions is None
                            else directions.replaced(z, u, other)
                            for u in some
                        ]
                    )
                    after = explained(vae, codes, part, block)
                    for u, cost in zip(some, before - after, strict=True):
                        costs[u] = torch.cat([costs[u], cost])
            first += len(part)
            size = first  # twice as many data as so far
            open_ = [u for u in open_ if not _decided(costs[u])]
    return Use(
        noise_share,
        torch.stack([cost.mean() for cost in costs]),
        torch.stack([cost.std() / len(cost) ** 0.5 for cost in costs]),
        torch.tensor([len(cost) for cost in costs]),
        torch.stack([cost[:start] for cost in costs], -1),
    )


def _decided(cost: Tensor) -> bool:
    mean, error = float(cost.mean()), float(cost.std()) / len(cost) ** 0.5
    if mean > USED_NATS and mean <= _DECIDED * error:
        return False
    return abs(mean - USED_NATS) > _DECIDED * error


def _split(items: list[int], size: int) -> list[list[int]]:
    return [items[i : i + size] for i in range(0, len(items), size)]
