"""How long a run trains, when it is looked at, and its learning rate at each step."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable

from pyrovae.core.schedules import Plateau, at
from pyrovae.training.settings import TrainingSettings

#: The learning rate falls over so many steps for each step before: a sixth of the whole.
_FALL = 5


class Course:
    """The course of one run's training.

    A run that trains for a number of steps follows its learning rate. One that trains until it is
    settled keeps it until then, and lets it fall to 0 over a fifth of the steps taken, along half a
    cosine wave; ``steps`` is then the most that there are, the fall included. A learning rate that
    falls on a plateau is a function of the run's own records, which :meth:`see` is told.

    Parameters
    ----------
    settings
        Of the run.

    Attributes
    ----------
    end
        The last step, as far as is known.
    turn
        The step from which on the learning rate falls, as far as is known; of a run that trains for
        a number of steps it says nothing.
    seen
        Step of each record so far, and the loss that the learning rate hangs on; empty if it hangs
        on none.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        self._settings = settings
        self.end = settings.steps
        self.turn = settings.steps - settings.steps // (_FALL + 1)
        self._turned = settings.until == "steps"
        n, steps = settings.records, settings.steps
        self._marks = sorted({round(steps * (i + 1) / n) for i in range(n)})
        self.seen: list[tuple[int, float]] = []
        self._rates: list[float] = []

    @property
    def waits(self) -> bool:
        """Whether the run's end depends on what is seen of it."""
        return not self._turned

    @property
    def heeds(self) -> bool:
        """Whether what follows a record depends on it."""
        return self.waits or isinstance(self._settings.lr, Plateau)

    def see(self, records: Iterable[tuple[int, float, float]]) -> None:
        """Take in step, training loss and validation loss of records made since, in order."""
        rule = self._settings.lr
        if isinstance(rule, Plateau):
            self.seen += [
                (int(step), float(loss if rule.watch == "loss" else validation_loss))
                for step, loss, validation_loss in records
            ]
            self._rates = rule.rates([loss for _, loss in self.seen])

    def settle(self, step: int) -> None:
        """Let the learning rate fall from a step on, at which the run was seen settled."""
        self._turned = True
        if step < self.turn:
            self.turn = step
            self.end = step + max(1, round(step / _FALL))

    def stop(self, step: int) -> None:
        """Let the run end after so many steps, which it has done."""
        self._turned = True
        self.end = step

    def is_mark(self, step: int) -> bool:
        """Return whether a record is made after so many steps."""
        return step in self._marks or step == self.end

    def next_mark(self, step: int) -> int:
        """Return the first mark beyond ``step``."""
        return min([self.end, *(mark for mark in self._marks if mark > step)])

    def rate(self, step: int) -> float:
        """Return the learning rate at a step, counted from 0."""
        if isinstance(self._settings.lr, Plateau):
            # The last record at or before the step decides.
            made = bisect_right(self.seen, step, key=lambda record: record[0])
            return self._rates[made - 1] if made else self._settings.lr.start
        rate = at(self._settings.lr, step)
        if self._settings.until != "settled" or step < self.turn:
            return rate
        done = (step - self.turn) / (self.end - self.turn)
        return rate * (1 + math.cos(math.pi * done)) / 2
