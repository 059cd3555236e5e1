"""A layered model without some of its units, or without its upper layers: pruning as a view.

Removed units stand at the mean of their codes, and what a layer is generated from, or inferred
from, sees them there. A layer without any unit left is gone, and with it all above it: the prior
of the layer below is then what it was at the mean of the one that died.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyro
import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.errors import PyrovaeError
from pyrovae.distributions.joint import Blocks, Joint
from pyrovae.models.contract import LatentModel
from pyrovae.models.layered import LayeredVAE
from pyrovae.shrink.pruning.some_units import restricted_law
from pyrovae.shrink.pruning.surgery import NothingLeft


def reachable(blocks: Blocks, keep: Tensor, *, skip: bool) -> Tensor:
    """Return those of some units that reach the data: none above a layer without any.

    With skip connections the decoder reads every layer, but a layer is still generated from the
    one above it: there too a dead layer cuts off what is above.

    Parameters
    ----------
    blocks
        Of the whole code.
    keep
        Units, in order, ``(k,)``.
    skip
        Whether the decoder reads every layer.

    Raises
    ------
    NothingLeft
        If no unit of z1 stays.
    PyrovaeError
        With skip connections, if a layer above a dead one is used.
    """
    of = torch.tensor(blocks.of_units)[keep]
    living = [bool((of == i).any()) for i in range(len(blocks))]
    if not living[0]:
        raise NothingLeft("cannot prune: no unit of z1 stays, nothing would be generated from")
    last = living.index(False) if False in living else len(living)
    if skip and any(living[last:]):
        raise PyrovaeError(
            f"cannot prune: no unit of {blocks.names[last]} stays, and the decoder reads layers "
            "above it"
        )
    return keep[of < last]


class RestrictedLayers(LatentModel):
    """A layered model that has some of another's units.

    Parameters
    ----------
    vae
        Whose units they are.
    keep
        Units that stay, in order: :func:`reachable` ones.
    means
        Of the codes, ``(latent_dim,)``: where the removed units stand.

    Raises
    ------
    PyrovaeError
        If the top prior is not known to be closed under marginals.
    """

    keep: Tensor
    means: Tensor

    def __init__(self, vae: LayeredVAE, keep: Tensor, means: Tensor) -> None:
        super().__init__()
        of = torch.tensor(vae.blocks.of_units)[keep]
        first = [place.start for place in vae.blocks.slices]
        sizes = [int((of == i).sum()) for i in range(len(vae.blocks)) if (of == i).any()]
        self.whole, self.event_shape = vae, vae.event_shape
        self.blocks: Blocks = Blocks.of(sizes)
        self.latent_dim, self.likelihood = len(keep), vae.likelihood
        self.register_buffer("keep", keep)
        self.register_buffer("means", means)
        #: Of each layer that is left, its units among those of the whole layer.
        self._units = [keep[of == i] - first[i] for i in range(len(sizes))]
        self.prior_law()

    def _full(self, known: Mapping[int, Tensor], shape: torch.Size) -> dict[int, Tensor]:
        """Return codes of whole layers, of which some units are known, the others at their means.

        ``shape`` is the batch that layers of which nothing is known get.
        """
        found = {}
        for i, mean in enumerate(self.whole.blocks.split(self.means)):
            if i in known:
                whole = mean.expand(*known[i].shape[:-1], -1)
                found[i] = whole.index_copy(-1, self._units[i], known[i])
            else:
                found[i] = mean.expand(*shape, -1)
        return found

    def _joint(self, law: Joint) -> Joint:
        def conditional(i: int, known: Mapping[int, Tensor]) -> Distribution:
            full = self._full(known, law.batch_shape)
            return restricted_law(law.law(i, full), self._units[i])

        left = range(len(self.blocks))
        order = [i for i in law.order if i in left]
        return Joint(self.blocks, order, conditional, law.batch_shape)

    def prior_law(self) -> Joint:
        """Return p(z) of the units that stay."""
        law = self._joint(self.whole.prior_law())
        top = law.order[0]
        law.law(top, {})  # refused here, and not at the first draw
        return law

    def encode(self, x: Tensor) -> Joint:
        """Return q(z|x) of the units that stay, given the others' means."""
        return self._joint(self.whole.encode(x))

    def _codes(self, z: Tensor) -> Tensor:
        every = self.means.expand(*z.shape[:-1], -1)
        return every.index_copy(-1, self.keep, z)

    def decode(self, z: Tensor) -> Distribution:
        """Return p(x|z) with the other units at their means."""
        return self.whole.decode(self._codes(z))

    def decode_with_mean(self, z: Tensor) -> tuple[Distribution, Tensor]:
        """Return :meth:`decode` and E[x|z] of the same codes, decoded once."""
        return self.whole.decode_with_mean(self._codes(z))

    def latents(self, z: Tensor) -> dict[str, Tensor]:
        """Return the values of the latent sites at codes ``(*b, latent_dim)``."""
        return dict(zip(self.blocks.names, self.blocks.split(z), strict=True))

    def heeds(self, block: int) -> bool:
        """Return whether the decoder itself reads a layer."""
        return self.whole.heeds(block)

    def model(self, x: Tensor | None = None, n: int = 1) -> Tensor:
        """Generative model of the units that stay."""
        with pyro.plate("data", n if x is None else len(x), dim=-1):
            z = self._sampled(self.prior_law())
            return pyro.sample("x", self.decode(z), obs=x)

    def guide(self, x: Tensor, n: int = 1) -> Tensor:
        """q(z|x) of the units that stay."""
        with pyro.plate("data", len(x), dim=-1):
            return self._sampled(self.encode(x))

    def _sampled(self, law: Joint) -> Tensor:
        known: dict[int, Tensor] = {}
        for i in law.order:
            known[i] = pyro.sample(self.blocks.names[i], law.law(i, known))
        return torch.cat([known[i] for i in range(len(self.blocks))], -1)

    def regenerated(self, z: Tensor, block: int, noise: list[Tensor] | None = None) -> Tensor:
        """Return codes whose layers below one are generated anew from it."""
        return self.whole.regenerated(self._codes(z), block, noise)[..., self.keep]

    def noise_below(self, block: int, n: int) -> list[Tensor]:
        """Draw what :meth:`regenerated` takes for ``n`` codes."""
        return self.whole.noise_below(block, n)

    def base_laws(self) -> list[Distribution]:
        """Return the law of each layer before it is moved by the one above, z1 first."""
        laws = zip(self.whole.base_laws(), self._units, strict=False)
        return [restricted_law(law, units) for law, units in laws]

    def is_guide_parameter(self, name: str) -> bool:
        """Return whether a parameter belongs to q(z|x)."""
        return self.whole.is_guide_parameter(name.removeprefix("whole."))
