"""Randomness as an input: what a Pyro program draws is recorded once and supplied ever after.

A traced graph must not hold random operations: drawn inside, their numbers would depend on the
compiler, on other models in the process, and, when many models train as one batch, on a model's
batch mates. So the program is run once under :class:`Recorder`, which notes every draw that does
not depend on data or parameters (standard normal and uniform noise: all that reparameterised
families need). Under :class:`Supply` the same program takes those draws from tensors that the
caller made, e.g. with :func:`draw` from a generator that belongs to one run alone.

Both are :class:`torch.overrides.TorchFunctionMode`\\ s: they see ``torch.randn`` or
``Tensor.normal_`` as Python calls, so any distribution's ``rsample`` works unchanged. Dropout and
Bernoulli draws compare uniform noise with their probability.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True)
class Draw:
    """One draw of noise that a program makes: ``kind`` in place on a tensor of ``shape``."""

    kind: str  # the in-place method's name: normal_, uniform_, …
    shape: tuple[int, ...]
    dtype: torch.dtype
    arguments: tuple[float, ...] = ()


_IN_PLACE = {"normal_": 2, "uniform_": 2, "exponential_": 1, "cauchy_": 2}
_FACTORIES: dict[Any, tuple[str, tuple[float, ...]]] = {
    torch.randn: ("normal_", (0.0, 1.0)),
    torch.randn_like: ("normal_", (0.0, 1.0)),
    torch.rand: ("uniform_", (0.0, 1.0)),
    torch.rand_like: ("uniform_", (0.0, 1.0)),
}
#: How many dimensions are dropped as one; ``None``: single elements are.
_DROPOUTS: dict[Any, int | None] = {
    nn.functional.dropout: None,
    nn.functional.dropout1d: 1,
    nn.functional.dropout2d: 2,
    nn.functional.dropout3d: 3,
}


class _Intercept(TorchFunctionMode):
    """Calls ``answer`` for each draw of noise instead of drawing it."""

    def __init__(self, answer: Callable[[Draw], Tensor]) -> None:
        super().__init__()
        self._answer = answer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if isinstance(kwargs.get("out"), Tensor):
            # ``torch.func`` has no functions that write to an argument (spectral norm calls some).
            given = {k: v for k, v in kwargs.items() if k != "out"}
            return kwargs["out"].copy_(self.__torch_function__(func, types, args, given))
        if func in _DROPOUTS:
            return self._dropped(_DROPOUTS[func], *args, **kwargs)
        if func is torch.bernoulli:
            return self._coins(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name in _IN_PLACE and isinstance(args[0], Tensor):
            numbers = (*args[1:], *(v for k, v in kwargs.items() if k != "generator"))
            draw = Draw(name, tuple(args[0].shape), args[0].dtype, tuple(map(float, numbers)))
            return self._answer(draw)
        if func in _FACTORIES:
            kind, numbers = _FACTORIES[func]
            # Only shape and type are wanted; an empty tensor of either has them.
            like = torch.empty_like if func in (torch.randn_like, torch.rand_like) else torch.empty
            blank = like(*args, **{k: v for k, v in kwargs.items() if k != "generator"})
            return self._answer(Draw(kind, tuple(blank.shape), blank.dtype, numbers))
        return func(*args, **kwargs)

    def _coins(self, chance: Tensor, *, generator: Generator | None = None) -> Tensor:
        noise = self._answer(Draw("uniform_", tuple(chance.shape), chance.dtype, (0.0, 1.0)))
        return (noise < chance).to(chance.dtype)

    def _dropped(
        self,
        spatial: int | None,
        input: Tensor,
        p: float = 0.5,
        training: bool = True,
        inplace: bool = False,
    ) -> Tensor:
        """Return what dropout leaves; ``spatial``: dimensions of a channel, which goes as one."""
        if not training or p == 0:
            return input
        if p == 1:
            return input * 0
        shape = tuple(input.shape)
        if spatial is not None:
            shape = (*shape[: len(shape) - spatial], *[1] * spatial)
        noise = self._answer(Draw("uniform_", shape, input.dtype, (0.0, 1.0)))
        return input * (noise >= p) / (1 - p)


class Recorder(_Intercept):
    """Notes each draw in :attr:`draws` while making it from the global generator."""

    def __init__(self) -> None:
        self.draws: list[Draw] = []
        super().__init__(self._record)

    def _record(self, draw: Draw) -> Tensor:
        self.draws.append(draw)
        return draw_one(draw, generator=None)


class Supply(_Intercept):
    """Hands out the given tensors, one for each draw, in order.

    Raises
    ------
    RuntimeError
        If the program draws more often, or other shapes, than was recorded: its structure depends
        on its data.
    """

    def __init__(self, noise: Sequence[Tensor]) -> None:
        self._left: Iterator[Tensor] = iter(noise)
        super().__init__(self._supply)

    def _supply(self, draw: Draw) -> Tensor:
        tensor = next(self._left, None)
        if tensor is None or tuple(tensor.shape) != draw.shape:
            raise RuntimeError(
                f"the program draws noise of shape {draw.shape} that was not recorded: "
                "its structure must not change from step to step"
            )
        return tensor


def draw_one(draw: Draw, generator: Generator | None, *leading: int) -> Tensor:
    """Return noise of shape ``(*leading, *draw.shape)`` from ``generator``, on its device."""
    device = generator.device if generator else None
    blank = torch.empty((*leading, *draw.shape), dtype=draw.dtype, device=device)
    return getattr(blank, draw.kind)(*draw.arguments, generator=generator)
