"""A law of x whose elements come one after the other, with a network inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.distributions import constraints
from torch.func import functional_call

from pyrovae.distributions.levels import Levels


class ElementByElement(TorchDistribution):
    """p(x) = prod_i p(x_i | x_1 … x_{i-1}), each factor over K levels.

    ``log_prob`` runs the network once, on x itself (teacher forcing); a draw takes one element
    after the other. There is no mean that could be had without drawing.

    Parameters
    ----------
    network
        ``network(given, x)`` returns the logits of all elements, ``(n, *event_shape, K)``, each of
        which depends on the elements before it alone; ``network(given, u=u)`` draws x with the
        uniform numbers ``u``, ``(n, *event_shape)``, one for each element.
    given
        What the law depends on, ``(*b, *given_shape)``.
    given_dims
        How many dimensions ``given_shape`` has.
    event_shape
        Of x.
    levels, unit
        K, and whether levels are k / (K - 1), else k.
    ends
        Whether 0 ends a sequence: behind the first 0 nothing but 0 can be, and that is certain.

    Notes
    -----
    The parameters and buffers that the network has when the law is made are the law's.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        network: nn.Module,
        given: Tensor,
        given_dims: int,
        event_shape: Sequence[int],
        *,
        levels: int,
        unit: bool,
        ends: bool = False,
        validate_args: bool | None = None,
    ) -> None:
        self._network, self._given, self._given_dims = network, given, given_dims
        self._tensors = _tensors_of(network)
        self.levels, self.unit, self.ends = levels, unit, ends
        batch = given.shape[: given.dim() - given_dims]
        super().__init__(batch, torch.Size(event_shape), validate_args=validate_args)

    @constraints.dependent_property
    def support(self) -> Any:
        """Levels, element by element."""
        inside = (
            constraints.unit_interval
            if self.unit
            else constraints.integer_interval(0, self.levels - 1)
        )
        return constraints.independent(inside, len(self.event_shape))

    @property
    def values(self) -> Tensor:
        """What an element can be, ``(K,)``."""
        every = torch.arange(self.levels, dtype=self._given.dtype, device=self._given.device)
        return every / (self.levels - 1) if self.unit else every

    def expand(
        self, batch_shape: torch.Size, _instance: ElementByElement | None = None
    ) -> ElementByElement:
        """Return the same law with a larger batch shape."""
        new = self._get_checked_instance(ElementByElement, _instance)
        new._network, new._tensors, new._given_dims = self._network, self._tensors, self._given_dims
        new.levels, new.unit, new.ends = self.levels, self.unit, self.ends
        new._given = self._of_batch(torch.Size(batch_shape))
        super(ElementByElement, new).__init__(
            torch.Size(batch_shape), self.event_shape, validate_args=False
        )
        new._validate_args = self._validate_args
        return new

    def _of_batch(self, shape: torch.Size) -> Tensor:
        inner = self._given.shape[self._given.dim() - self._given_dims :]
        return self._given.expand(*shape, *inner)

    def _flat(self, shape: torch.Size) -> Tensor:
        given = self._of_batch(shape)
        return given.reshape(shape.numel(), *given.shape[len(shape) :])

    def _run(self, *args: Tensor, **named: Tensor) -> Tensor:
        """Call the network with the tensors of the law, which are mostly those that it has."""
        here = _tensors_of(self._network)
        if all(here[name] is tensor for name, tensor in self._tensors.items()):
            found: Tensor = self._network(*args, **named)
            return found
        return functional_call(self._network, self._tensors, args, named)

    def elements(self, value: Tensor) -> Levels:
        """Return the laws of the elements of x given those before them: batch ``(*s, *event)``."""
        event = len(self.event_shape)
        shape = torch.broadcast_shapes(value.shape[: value.dim() - event], self.batch_shape)
        x = value.expand(*shape, *self.event_shape).reshape(shape.numel(), *self.event_shape)
        logits = self._run(self._flat(shape), x)
        return Levels(logits.reshape(*shape, *self.event_shape, self.levels), unit=self.unit)

    def numbers(self, value: Tensor) -> Tensor:
        """Return the elements as numbers that can be averaged, ``(*s, *event, m)``.

        Levels on [0, 1] are such numbers (m = 1); codes are vectors of 0 and 1 (m = K).
        """
        if self.unit:
            return value.unsqueeze(-1)
        return (value.unsqueeze(-1) == self.values).to(value.dtype)

    def expected(self, value: Tensor) -> Tensor:
        """Return E[:meth:`numbers` of x_i | x_1 … x_{i-1}], ``(*s, *event, m)``."""
        laws = self.elements(value)
        if self.unit:
            return laws.mean.unsqueeze(-1)
        return laws.logits.softmax(-1) * (~self._is_over(value)).unsqueeze(-1)

    def _is_over(self, value: Tensor) -> Tensor:
        """Return whether an end is before each element of x."""
        if not self.ends:
            return torch.zeros_like(value, dtype=torch.bool)
        flat = (value == 0).flatten(-len(self.event_shape)).to(torch.long)
        return (flat.cumsum(-1) - flat > 0).reshape(value.shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability of x, in nats."""
        if self._validate_args:
            self._validate_sample(value)
        each = self.elements(value).log_prob(value)
        if self.ends:
            certain = torch.where(value == 0, 0.0, -torch.inf)
            each = torch.where(self._is_over(value), certain.to(each.dtype), each)
        return each.flatten(-len(self.event_shape)).sum(-1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *b, *event)``."""
        shape = self._extended_shape(torch.Size(sample_shape))
        return self.drawn(torch.rand(shape, dtype=self._given.dtype, device=self._given.device))

    def drawn(self, u: Tensor) -> Tensor:
        """Return the draws that uniform numbers make, ``(*s, *b, *event)`` as they are."""
        shape = torch.Size(u.shape[: u.dim() - len(self.event_shape)])
        flat = u.reshape(shape.numel(), *self.event_shape)
        with torch.no_grad():
            x = self._run(self._flat(shape), u=flat).reshape(u.shape)
        return x.masked_fill(self._is_over(x), 0.0) if self.ends else x


def _tensors_of(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.named_parameters()) | dict(module.named_buffers())
