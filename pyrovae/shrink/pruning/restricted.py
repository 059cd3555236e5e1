"""Any model without some of its latent units: pruning as a view, for networks that stay whole.

What belongs to a unit in another's network is not known, so nothing is cut. What is left of the
code is the law of the units that stay, and the decoder sees the others at their means: the same
model as surgery would give, at the old cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pyro
import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.utils.flop_counter import FlopCounterMode

from pyrovae.core.errors import PyrovaeError
from pyrovae.core.measuring import measuring
from pyrovae.measures.collapse import posterior_means
from pyrovae.measures.flops import reconstruction_flops
from pyrovae.models.contract import LatentModel
from pyrovae.models.layered import LayeredVAE
from pyrovae.shrink.pruning.compare import compare
from pyrovae.shrink.pruning.layers import RestrictedLayers, reachable
from pyrovae.shrink.pruning.prune_run import (
    CRITERIA,
    NothingToPrune,
    PrunedModel,
    kept_units,
    parameters_of,
)
from pyrovae.shrink.pruning.some_units import restricted_law
from pyrovae.shrink.pruning.surgery import NO_LABELS, NothingLeft, unit_directions


class Restricted(LatentModel):
    """A model that has some of another's units.

    Parameters
    ----------
    vae
        Whose units they are.
    keep
        Units that stay, in order, ``(k,)`` with k > 0.
    means
        Of the codes, ``(latent_dim,)``: where the removed units stand.

    Raises
    ------
    PyrovaeError
        If a family is not known to be closed under marginals, or no unit would be left.
    """

    keep: Tensor
    means: Tensor

    def __init__(self, vae: LatentModel, keep: Tensor, means: Tensor) -> None:
        super().__init__()
        if not len(keep):
            raise NothingLeft("cannot prune: no unit stays, no code would be left")
        if vae.classes is not None:
            raise PyrovaeError(NO_LABELS)
        if vae.space != "real":
            raise PyrovaeError("cannot prune: on a sphere all units share one length")
        self.whole = vae
        self.latent_dim, self.event_shape, self.space = len(keep), vae.event_shape, vae.space
        self.register_buffer("keep", keep)
        self.register_buffer("means", means)
        restricted_law(vae.prior_law(), keep)

    def prior_law(self) -> Distribution:
        """Return p(z) of the units that stay: batch ``()``, event ``(k,)``."""
        return restricted_law(self.whole.prior_law(), self.keep)

    def encode(self, x: Tensor) -> Distribution:
        """Return q(z|x) of the units that stay: batch ``(*b,)``, event ``(k,)``."""
        return restricted_law(self.whole.encode(x), self.keep)

    def decode(self, z: Tensor) -> Distribution:
        """Return p(x|z) with the other units at their means."""
        return self.whole.decode(self._every(z))

    @property
    def shows(self) -> str:
        """What :meth:`reconstruct` returns."""
        return self.whole.shows

    def decode_with_mean(self, z: Tensor) -> tuple[Distribution, Tensor]:
        """Return :meth:`decode` and E[x|z] of the same codes, decoded once."""
        return self.whole.decode_with_mean(self._every(z))

    def _every(self, z: Tensor) -> Tensor:
        every = self.means.expand(*z.shape[:-1], -1)
        return every.index_copy(-1, self.keep, z)

    def model(self, x: Tensor | None = None, n: int = 1) -> Tensor:
        """Generative model p(z) p(x|z)."""
        with pyro.plate("data", n if x is None else len(x), dim=-1):
            z = pyro.sample("z", self.prior_law())
            return pyro.sample("x", self.decode(z), obs=x)

    def guide(self, x: Tensor, n: int = 1) -> Tensor:
        """q(z|x) of the units that stay."""
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", self.encode(x))

    def is_guide_parameter(self, name: str) -> bool:
        """Return whether a parameter belongs to q(z|x)."""
        return self.whole.is_guide_parameter(name.removeprefix("whole."))


def prune_view(
    vae: LatentModel,
    train: Tensor,
    x: Tensor,
    *,
    name: str,
    criterion: str,
    active: Callable[[str], Iterable[bool]],
    samples: int,
    seed: int,
) -> PrunedModel:
    """Look at a model without its inactive units, and compare.

    Parameters and errors are those of :func:`pyrovae.shrink.pruning.prune_run.prune_model`.
    """
    keep = kept_units(active(CRITERIA[criterion]))
    if isinstance(vae, LayeredVAE):
        keep = reachable(vae.blocks, keep, skip=vae.layers.skip)
    if len(keep) == vae.latent_dim:
        raise NothingToPrune(
            f"{name}: all {len(keep)} units are active by {criterion}: nothing to prune"
        )
    means = posterior_means(vae, train).mean(0)
    pruned: LatentModel = (
        RestrictedLayers(vae, keep, means)
        if isinstance(vae, LayeredVAE)
        else Restricted(vae, keep, means)
    )
    directions = unit_directions(keep, vae.latent_dim)
    flops = _flops(vae, x)
    return PrunedModel(
        criterion=criterion,
        kept=keep.tolist(),
        removed=sorted(set(range(vae.latent_dim)) - set(keep.tolist())),
        turned=False,
        hidden={},
        parameters=(parameters_of(vae), parameters_of(pruned)),
        flops=(flops, flops),
        comparison=compare(vae, pruned, directions, x, samples=samples, seed=seed),
        model=pruned,
        config=None,
        directions=directions,
    )


def _flops(vae: LatentModel, x: Tensor) -> float:
    if vae.blocks is not None:
        return reconstruction_flops(vae, x)
    with measuring(vae), torch.no_grad(), FlopCounterMode(display=False) as counter:
        vae.decode(vae.encode(x[:1]).mean)
    return float(counter.get_total_flops())
