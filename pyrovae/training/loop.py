"""The training loop: the same for every prior, posterior, likelihood and objective.

Models of one program can train together (:mod:`pyrovae.training.ensemble`). Each has its own
minibatches, noise and schedules, is measured and stops on its own, and may start from a snapshot.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from pyrovae.datasets.base import as_float
from pyrovae.schedules import at
from pyrovae.training.ensemble import member as member_of
from pyrovae.training.ensemble import stacked, trace_ensemble
from pyrovae.training.settings import TrainingSettings
from pyrovae.training.step import LossProgram, State, StepFunction, Tensors, compile_step
from pyrovae.training.streams import CHUNK, BatchStream, NoiseStream


class Diverged(ArithmeticError):
    """A run whose loss or parameters are no longer finite.

    Attributes
    ----------
    step
        The first step, counted from 1, at which that was seen.
    cause
        Which quantity it was.
    """

    def __init__(self, step: int, cause: str) -> None:
        self.step, self.cause = step, cause
        super().__init__(f"diverged at step {step}: {cause}")


class Stopped(Exception):
    """Training was asked to stop before its end; what is done is in the last snapshots."""


@dataclass(frozen=True)
class Record:
    """The state of a run after ``step`` steps.

    Attributes
    ----------
    step
        Steps done.
    loss, distortion, rate
        Training minibatch means since the last record, nats per datum; NaN at step 0.
    measured
        What ``measure`` returned.
    """

    step: int
    loss: float
    distortion: float
    rate: float
    measured: Any


@dataclass(frozen=True)
class Snapshot:
    """All that the rest of a run's training depends on, besides its configuration.

    Noise and minibatches are functions of the seed and the step, so none of them is kept.

    Attributes
    ----------
    step
        Steps done.
    params, moments
        After that step.
    window
        (loss, distortion, rate) of the steps since the last record, ``(n, 3)``.
    """

    step: int
    params: Tensors
    moments: tuple[Tensors, Tensors]
    window: Tensor


@dataclass(frozen=True)
class Member:
    """A model to be trained.

    Attributes
    ----------
    program
        Its parameters are the start, unless ``start`` is given, and the end.
    seed
        Decides the minibatches and the noise, and nothing else does.
    settings
        Steps, records and learning rate are the member's own; the batch size is the trainer's.
    measure
        Called with the program at step 0, at each record, and at the end.
    progress
        Called with the step and the loss every few steps.
    keep
        Called now and then, and before :class:`Stopped`, with a snapshot and the records so far.
    start
        Where to go on: earlier records are not made again.
    """

    program: LossProgram
    seed: int
    settings: TrainingSettings
    measure: Callable[[LossProgram], Any] = lambda program: None
    progress: Callable[[int, float], None] = lambda step, loss: None
    keep: Callable[[Snapshot, list[Record]], None] = lambda snapshot, records: None
    start: Snapshot | None = None


@dataclass(frozen=True)
class Ended:
    """A member whose training is over.

    Attributes
    ----------
    member
        Its place in the sequence.
    records
        Its history.
    failure
        Why it ended before its last step, if it did.
    """

    member: int
    records: list[Record]
    failure: Diverged | None = None


class Trainer:
    """Trains models of one program: the traced, compiled step is made once and used for each.

    Parameters
    ----------
    program
        Any model of the kind to be trained: its structure is what counts.
    data
        The training set, ``(n, *event_shape)``; training happens on its device.
    settings
        The batch size, and what :meth:`train` needs.
    compiled
        Whether the step is compiled; if not, the traced graph is run as it is.
    size
        How many models are trained at once.
    """

    def __init__(
        self,
        program: LossProgram,
        data: Tensor,
        settings: TrainingSettings,
        *,
        compiled: bool,
        size: int = 1,
    ) -> None:
        self._data, self._settings, self._size = data, settings, size
        index = torch.arange(settings.batch_size) % len(data)
        self._draws = program.record(as_float(data[index].cpu()))
        graph = trace_ensemble(program, data, settings.batch_size, self._draws, size)
        self._step: StepFunction = compile_step(graph) if compiled else graph

    def train(
        self,
        program: LossProgram,
        seed: int,
        *,
        measure: Callable[[LossProgram], Any] = lambda program: None,
        progress: Callable[[int, float], None] = lambda step, loss: None,
    ) -> list[Record]:
        """Train ``program`` in place and return its history; see :class:`Member`.

        Raises
        ------
        Diverged
            When the loss or a parameter is no longer finite.
        """
        alone = Member(program, seed, self._settings, measure=measure, progress=progress)
        (ended,) = self.train_together([alone])
        if ended.failure:
            raise ended.failure
        return ended.records

    def train_together(
        self,
        members: Sequence[Member],
        *,
        stop: Callable[[], bool] = lambda: False,
        keep_seconds: float = math.inf,
    ) -> Iterator[Ended]:
        """Train at most ``size`` members in place; yield each as soon as it ends.

        A member that diverges is frozen there; the others go on as if nothing had happened.

        Parameters
        ----------
        members
            Of the structure that the trainer was made for.
        stop
            Asked every few steps whether to end early.
        keep_seconds
            Time between snapshots.

        Raises
        ------
        Stopped
            When asked to stop, after handing out snapshots.
        """
        slots = [_Slot(i, each, self._draws, len(self._data)) for i, each in enumerate(members)]
        # Places that nobody takes do somebody's work again, and nobody looks at the result.
        padding = [slots[0]] * (self._size - len(slots))
        device = self._data.device
        starts = stacked([slot.start() for slot in [*slots, *padding]])
        state = State(*_on(device, starts))
        live = [slot for slot in slots if not slot.over]
        for slot in slots:
            if slot.over:  # nothing was left to be done after the snapshot
                yield slot.ended(state, self._size)
        kept = time.monotonic()
        while live:
            n = min(slot.until_pause() for slot in live)
            feeding = [slot if slot in live else live[0] for slot in [*slots, *padding]]
            inputs = _on(device, stacked([slot.inputs(n) for slot in feeding], dim=1))
            state, values = self._advance(state, inputs, n)
            healthy = self._healthy(state, values)
            for slot in list(live):
                slot.advance(member_of(values, slot.place, self._size), n)
                if not healthy[slot.place]:
                    live.remove(slot)
                    yield Ended(slot.place, slot.records, slot.failure(state, self._size))
                    continue
                slot.report(state, self._size)
                if slot.over:
                    live.remove(slot)
                    yield slot.ended(state, self._size)
            if not live:
                return
            stopping = stop()
            if stopping or time.monotonic() - kept >= keep_seconds:
                for slot in live:
                    slot.keep(state, self._size)
                kept = time.monotonic()
            if stopping:
                raise Stopped

    def _advance(self, state: State, inputs: Any, n: int) -> tuple[State, Tensor]:
        """Do ``n`` steps; return the state and the values, ``(n, 3)`` or ``(size, n, 3)``."""
        leaves, form = tree_flatten(inputs)
        told = []
        params, moments = state.params, state.moments
        for row in zip(*(leaf.unbind() for leaf in leaves), strict=True):
            count, lr, index, noise, hyper = tree_unflatten(row, form)
            params, moments, values = self._step(
                params, moments, state.buffers, count, lr, self._data, index, noise, hyper
            )
            told.append(values)
        after = State(params=params, moments=moments, buffers=state.buffers)
        return after, torch.stack(told, dim=0 if self._size == 1 else 1).cpu()

    def _healthy(self, state: State, values: Tensor) -> list[bool]:
        """Return for each member whether all its numbers are finite: one transfer for all."""
        tensors = [values, *(p for p in state.params.values())]
        finite = torch.stack(
            [t.isfinite().reshape(self._size, -1).all(1).to("cpu", torch.bool) for t in tensors]
        )
        return finite.all(0).tolist()


class _Slot:
    """A member's place in the batch, and how far it is."""

    def __init__(self, place: int, member: Member, draws: Sequence[Any], n_data: int) -> None:
        self.place, self.member = place, member
        settings = member.settings
        self._noise = NoiseStream(draws, member.seed)
        self._batches = BatchStream(n_data, settings.batch_size, member.seed)
        self._marks = sorted(
            {round(settings.steps * (i + 1) / settings.records) for i in range(settings.records)}
        )
        self.records: list[Record] = []
        if member.start is None:
            self.step, self._window = 0, torch.empty(0, 3)
            nan = float("nan")
            self.records.append(Record(0, nan, nan, nan, member.measure(member.program)))
        else:
            self.step, self._window = member.start.step, member.start.window

    def start(self) -> tuple[Tensors, tuple[Tensors, Tensors], Tensors]:
        """Return parameters, moments and buffers to begin with."""
        new, snapshot = State.of(self.member.program), self.member.start
        if snapshot is None:
            return new.params, new.moments, new.buffers
        return snapshot.params, snapshot.moments, new.buffers

    @property
    def over(self) -> bool:
        return self.step >= self.member.settings.steps

    def until_pause(self) -> int:
        """Return the number of steps until something is to be looked at."""
        mark = next(mark for mark in self._marks if mark > self.step)
        return min(mark - self.step, CHUNK)

    def inputs(self, n: int) -> Any:
        """Return count, lr, index, noise and hyper of the next ``n`` steps, ``(n, …)`` each."""
        steps = range(self.step, self.step + n)
        return (
            torch.arange(self.step + 1, self.step + n + 1, dtype=torch.float32),
            torch.tensor([at(self.member.settings.lr, step) for step in steps]),
            self._batches.span(self.step, n),
            self._noise.span(self.step, n),
            tree_map(
                lambda *scalars: torch.stack(scalars),
                *[self.member.program.hyper(step) for step in steps],
            ),
        )

    def advance(self, values: Tensor, n: int) -> None:
        self._recent = values
        self._window = torch.cat([self._window, values])
        self.step += n

    def report(self, state: State, size: int) -> None:
        """Tell the progress, and make a record if it is time."""
        self.member.progress(self.step, float(self._recent[-1, 0]))
        if self.step not in self._marks:
            return
        loss, distortion, rate = self._window.mean(0).tolist()
        self._write(state, size)
        measured = self.member.measure(self.member.program)
        self.records.append(Record(self.step, loss, distortion, rate, measured))
        self._window = torch.empty(0, 3)

    def failure(self, state: State, size: int) -> Diverged:
        """Return the first step whose numbers, or whose result, are not finite."""
        first = self.step - len(self._recent) + 1
        bad = (~self._recent.isfinite()).any(1).nonzero()
        if len(bad):
            row = self._recent[bad[0, 0]]
            named = dict(zip(("loss", "distortion", "rate"), row.tolist(), strict=True))
            cause = ", ".join(f"{name} = {value:.4g}" for name, value in named.items())
            return Diverged(first + int(bad[0, 0]), cause)
        params = member_of(state.params, self.place, size)
        name = next(name for name, p in params.items() if not p.isfinite().all())
        return Diverged(self.step, f"parameter {name} is not finite")

    def ended(self, state: State, size: int) -> Ended:
        self._write(state, size)
        return Ended(self.place, self.records)

    def keep(self, state: State, size: int) -> None:
        params, moments = member_of((state.params, state.moments), self.place, size)
        self.member.keep(Snapshot(self.step, params, moments, self._window), self.records)

    def _write(self, state: State, size: int) -> None:
        params = member_of(state.params, self.place, size)
        State(params=params, moments=({}, {}), buffers={}).write_to(self.member.program)
        self.member.program.stand_at(self.step)


def _on(device: torch.device, tree: Any) -> Any:
    """Return the tensors on a device; those that are there already, as they are."""
    return tree_map(lambda tensor: tensor.to(device, non_blocking=True), tree)
