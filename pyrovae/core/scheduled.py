"""Numbers of a model's parts that may change along training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pyrovae.core.schedules import at, ends, is_schedule


class Scheduled(nn.Module):
    """Base of the parts of a model whose numbers may be schedules.

    Each number is a buffer, so that the compiled step takes it as an input and members of one
    ensemble may differ in it. Before the first step it has its value at step 0, after training that
    at the number of steps done. The buffer of a schedule is stored with the parameters: a trained
    model has the value that its training ended with.
    """

    def __init__(self) -> None:
        super().__init__()
        self._courses: dict[str, tuple[Any, Callable[[float], float]]] = {}

    def set_number(
        self,
        name: str,
        value: Any,
        *,
        shape: tuple[int, ...] = (),
        transform: Callable[[float], float] = float,
        stored: bool = False,
    ) -> None:
        """Keep a number as the buffer ``name``.

        Parameters
        ----------
        name
            Of the buffer, which the part may declare as a ``Tensor``.
        value
            A number, a schedule or a schedule's data.
        shape
            Of the buffer, whose elements are all alike.
        transform
            From the number to what the buffer holds.
        stored
            Whether the buffer of a constant is stored too.
        """
        start = torch.full(shape, transform(at(value, 0)))
        self.register_buffer(name, start, persistent=stored or is_schedule(value))
        self._courses[name] = value, transform

    @property
    def schedules(self) -> dict[str, Any]:
        """The numbers that are schedules, by the names of their buffers."""
        return {name: value for name, (value, _) in self._courses.items() if is_schedule(value)}

    @property
    def constant_from(self) -> float:
        """Step from which on every number is constant."""
        return max(map(ends, self.schedules.values()), default=0)

    def numbers(self, step: int) -> dict[str, float]:
        """Return what each buffer holds at a step, counted from 0."""
        return {
            name: transform(at(value, step)) for name, (value, transform) in self._courses.items()
        }

    def hold(self, step: int) -> None:
        """Make a constant of each number: what it was at a step. What is stored stays the same."""
        self._courses = {
            name: (at(value, step), transform) for name, (value, transform) in self._courses.items()
        }
