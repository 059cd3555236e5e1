"""The joint law of several codes of a datum, each given others: the layers of one model.

A code of L layers is one vector, z1 first: what works with a flat code works with it. The law of
that vector is made of the laws of its blocks, each given those that were drawn before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Size, Tensor
from torch.distributions import Distribution, constraints


@dataclass(frozen=True)
class Blocks:
    """Where the layers of a code stand in it.

    Attributes
    ----------
    names
        Of the sites, ``z1`` first, which is nearest to the data.
    sizes
        Units of each.
    stacked
        Whether each is the layer that the one before is generated from, and the first is nearest to
        the data; blocks of a user's programs may hang together in other ways.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    stacked: bool = True

    @classmethod
    def of(cls, sizes: Sequence[int]) -> Blocks:
        """Return the blocks ``z1``, ``z2`` … of so many units."""
        return cls(tuple(f"z{i + 1}" for i in range(len(sizes))), tuple(sizes))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Place of each block among the units."""
        ends = list(accumulate(self.sizes))
        return tuple(slice(end - size, end) for end, size in zip(ends, self.sizes, strict=True))

    @property
    def of_units(self) -> tuple[int, ...]:
        """Number of the block that each unit is in."""
        return tuple(i for i, size in enumerate(self.sizes) for _ in range(size))

    def split(self, z: Tensor) -> tuple[Tensor, ...]:
        """Return the blocks of codes ``(*b, d)``, ``(*b, size)`` each."""
        return z.split(self.sizes, -1)


#: From a block's number and the codes that are known, by number, to its law given them.
Conditional = Callable[[int, Mapping[int, Tensor]], Distribution]


class Joint(TorchDistribution):
    r"""A law of vectors made of blocks, each given blocks that are drawn before it.

    .. math:: p(z) = \prod_i p(z_{o_i} \mid z_{o_1}, \dots, z_{o_{i-1}})

    It has a density and draws. Moments and marginals of the whole are not known in closed form;
    those of each block, given the others, are (:meth:`laws`).

    Parameters
    ----------
    blocks
        Names and sizes.
    order
        Numbers of the blocks in the order in which they are drawn.
    conditional
        The law of a block, given codes of all blocks before it: batch ``(*s, *b)`` for codes
        ``(*s, *b, size)``, ``b`` for the first.
    batch_shape
        ``b``.

    Examples
    --------
    >>> import pyro.distributions as dist, torch
    >>> def conditional(i, known):
    ...     centre = torch.zeros(2) if i == 1 else known[1]
    ...     return dist.Normal(centre, torch.ones(2)).to_event(1)
    >>> law = Joint(Blocks.of([2, 2]), (1, 0), conditional)
    >>> z = law.sample((3,))
    >>> z.shape, law.log_prob(z).shape, [part.batch_shape for part in law.laws(z)]
    (torch.Size([3, 4]), torch.Size([3]), [torch.Size([3]), torch.Size([])])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = True

    def __init__(
        self,
        blocks: Blocks,
        order: Sequence[int],
        conditional: Conditional,
        batch_shape: Size | tuple[int, ...] = (),
    ) -> None:
        self.blocks, self.order, self._conditional = blocks, tuple(order), conditional
        super().__init__(Size(batch_shape), Size((sum(blocks.sizes),)), validate_args=False)

    @property
    def support(self) -> Any:
        """All vectors."""
        return constraints.real_vector

    def knows(self, block: int) -> frozenset[int]:
        """Return the numbers of the blocks that are drawn before one."""
        return frozenset(self.order[: self.order.index(block)])

    def laws(self, z: Tensor) -> list[Distribution]:
        """Return the law of each block, ``z1`` first, given the blocks of codes ``z`` before it."""
        parts = dict(enumerate(self.blocks.split(z)))
        return [self.law(i, parts) for i in range(len(self.blocks))]

    def law(self, block: int, known: Mapping[int, Tensor]) -> Distribution:
        """Return the law of one block, given codes of those before it."""
        return self._conditional(block, {i: known[i] for i in self.knows(block)})

    def drawn(self, sample_shape: Sequence[int] = ()) -> tuple[Tensor, list[Distribution]]:
        """Return draws with derivatives, ``(*sample_shape, *b, d)``, and :meth:`laws` at them."""
        known: dict[int, Tensor] = {}
        laws: dict[int, Distribution] = {}
        full = Size(sample_shape) + self.batch_shape
        for i in self.order:
            laws[i] = self.law(i, known)
            # What is given codes that were drawn has their batch already.
            missing = full[: len(full) - len(laws[i].batch_shape)]
            known[i] = (laws[i].rsample if laws[i].has_rsample else laws[i].sample)(missing)
        every = range(len(self.blocks))
        return torch.cat([known[i] for i in every], -1), [laws[i] for i in every]

    def rsample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw, ``(*sample_shape, *b, d)``."""
        return self.drawn(sample_shape)[0]

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw without derivatives, ``(*sample_shape, *b, d)``."""
        with torch.no_grad():
            return self.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats of codes ``(*s, *b, d)``, ``(*s, *b)``."""
        parts = self.blocks.split(value)
        logs = [law.log_prob(part) for law, part in zip(self.laws(value), parts, strict=True)]
        return sum(logs[1:], logs[0])
