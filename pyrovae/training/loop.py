"""The training loop: the same for every prior, posterior, likelihood and objective.

Models of one program can train together (:mod:`pyrovae.training.ensemble`). Each has its own
minibatches, noise and schedules, is measured and stops on its own, and may start from a snapshot.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from pyrovae.core.errors import diverged
from pyrovae.core.given import Given
from pyrovae.core.measuring import measuring, untouched
from pyrovae.datasets.base import as_float
from pyrovae.datasets.streamed import Streamed
from pyrovae.training.course import Course
from pyrovae.training.descent import Descent
from pyrovae.training.ensemble import many, stacked, step_of
from pyrovae.training.ensemble import member as member_of
from pyrovae.training.optimizers import Moments
from pyrovae.training.precision import computing_in, layers_in
from pyrovae.training.settings import TrainingSettings
from pyrovae.training.stage import Stage
from pyrovae.training.step import LossProgram, State, Tensors
from pyrovae.training.stepper import Stepper
from pyrovae.training.streams import CHUNK, BatchStream, NoiseStream
from pyrovae.training.validation import Kept, Validated


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
        super().__init__(diverged(step, cause))


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
    validation_loss
        What ``validate`` returned; NaN without one.
    """

    step: int
    loss: float
    distortion: float
    rate: float
    measured: Any
    validation_loss: float = math.nan


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
    buffers
        Those that steps write, after that step.
    validated
        What was seen of the validation split until then.
    seen
        Step and loss of each record so far, ``(n, 2)`` in double precision, where the learning rate
        hangs on them; else empty.
    heeded
        Step of each record so far and its value of what the objective heeds, ``(n, 2)``; empty if
        it heeds nothing.
    """

    step: int
    params: Tensors
    moments: Moments
    window: Tensor
    buffers: Tensors = field(default_factory=dict)
    validated: Validated = field(default_factory=Validated)
    seen: Tensor = field(default_factory=lambda: torch.empty(0, 2, dtype=torch.float64))
    heeded: Tensor = field(default_factory=lambda: torch.empty(0, 2, dtype=torch.float64))


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
        Steps, records and learning rate are the member's own; the rest is the trainer's.
    measure
        Called with the program at step 0, at each record, and at the end.
    progress
        Called with the step and the loss every few steps.
    keep
        Called now and then, and before :class:`Stopped`, with a snapshot and the records so far.
    start
        Where to go on: earlier records are not made again.
    settled
        Asked, of a run that trains until it is settled, at the start and after each record; called
        with the records since the start, and returns the step at which the run was first seen
        settled, if it was.
    validate
        Called with the program and the step at each record: the loss on the validation split.
    constant_from
        Step from which on nothing that is scheduled changes: what is validated before decides
        nothing.
    """

    program: LossProgram
    seed: int
    settings: TrainingSettings
    measure: Callable[[LossProgram], Any] = lambda program: None
    progress: Callable[[int, float], None] = lambda step, loss: None
    keep: Callable[[Snapshot, list[Record]], None] = lambda snapshot, records: None
    start: Snapshot | None = None
    settled: Callable[[list[Record]], int | None] = lambda records: None
    validate: Callable[[LossProgram, int], float] | None = None
    constant_from: float = 0


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
    kept
        The record whose parameters it ended with, if they are not the last ones by settings.
    """

    member: int
    records: list[Record]
    failure: Diverged | None = None
    kept: Kept | None = None


class Trainer:
    """Trains models of one program: the traced, compiled step is made once and used for each.

    Parameters
    ----------
    program
        Any model of the kind to be trained: its structure is what counts.
    data
        The training set, ``(n, *event_shape)``, with its context where it has one; training happens
        on its device. Of one that stays in its file, the minibatches of the next steps are read.
    settings
        The batch size, the precision and how gradients move parameters (``optimizer``, clipping,
        ``rates``), and what :meth:`train` needs.
    compiled
        Whether the step is compiled; if not, the traced graph is run as it is.
    size
        How many models are trained at once.
    """

    def __init__(
        self,
        program: LossProgram,
        data: Tensor | Streamed | Given,
        settings: TrainingSettings,
        *,
        compiled: bool,
        size: int = 1,
    ) -> None:
        self._data, self._settings, self._size = data, settings, size
        self._program = program
        index = torch.arange(settings.batch_size) % len(data)
        own = next((p.device for p in program.parameters()), data.device)
        with torch.device(own):
            some: Any = data[index.to(data.device)].to(own)
            self._draws = program.record(as_float(some))
        lead = (CHUNK,) if size == 1 else (CHUNK, size)
        with torch.device(data.device):
            inputs = (
                torch.zeros(lead),
                torch.zeros(lead),
                torch.zeros((*lead, settings.batch_size), dtype=torch.long),
                [torch.zeros((*lead, *draw.shape), dtype=draw.dtype) for draw in self._draws],
                {name: torch.zeros(lead) for name in program.hyper(0)},
            )
        lean = not compiled and size == 1 and data.device.type == "cpu"
        self._descent = Descent.of(settings, in_place=lean)
        state = many(State.of(program, self._descent), size, data.device)
        # What a layer keeps of a traced pass (a weight that it computes) is of no use outside.
        with torch.device(data.device), computing_in(settings.precision), untouched(program):
            step = layers_in(settings.precision, step_of(program, size, len(data), self._descent))
            self._stage = Stage(data, settings.batch_size * size)
            self._stepper = Stepper(step, state, inputs, self._stage.data, compiled=compiled)

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
        written = self._program.written
        data, most = self._data, self._stage.steps
        slots = [
            _Slot(i, each, self._draws, data, written, most, self._descent)
            for i, each in enumerate(members)
        ]
        # Places that nobody takes do somebody's work again, and nobody looks at the result.
        padding = [slots[0]] * (self._size - len(slots))
        self._stepper.load(stacked([slot.start() for slot in [*slots, *padding]]))
        state = self._stepper.state
        live = [slot for slot in slots if not slot.over]
        for slot in slots:
            if slot.over:  # nothing was left to be done after the snapshot
                yield slot.ended(state, self._size)
        kept = time.monotonic()
        feed = _Feed([*slots, *padding], self._stage)
        while live:
            inputs, n = feed.next(live)
            with computing_in(self._settings.precision):
                self._stage.enter()
                told = self._stepper.advance(inputs, n)
            feed.prepare([slot for slot in live if not slot.over_after(n)], ahead=n)
            values = told.movedim(0, -2).to("cpu", copy=True)
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

    def _healthy(self, state: State, values: Tensor) -> list[bool]:
        """Return for each member whether all its numbers are finite: one transfer for all."""
        finite = [p.isfinite().reshape(self._size, -1).all(1) for p in state.params.values()]
        told = values.isfinite().reshape(self._size, -1).all(1)
        return (torch.stack(finite).all(0).cpu() & told).tolist()


class _Feed:
    """The inputs of the next steps, made while a GPU is still busy with the last ones.

    Parameters
    ----------
    slots
        Whose inputs stand beside each other; those that are over get another's.
    stage
        Where minibatches come from.
    """

    def __init__(self, slots: Sequence[_Slot], stage: Stage) -> None:
        self._slots, self._stage = slots, stage
        self._made: tuple[list[_Slot], Any, int] = ([], None, 0)

    def prepare(self, live: list[_Slot], ahead: int = 0) -> None:
        """Make the inputs for the time in ``ahead`` steps."""
        self._made = ([], None, 0)
        if not live or any(slot.undecided_after(ahead) for slot in live if ahead):
            return
        n = min(slot.until_pause(ahead) for slot in live)
        feeding = [slot if slot in live else live[0] for slot in self._slots]
        count, lr, index, noise, hyper = stacked([slot.inputs(n, ahead) for slot in feeding], dim=1)
        self._made = (live, (count, lr, self._stage.prepare(index), noise, hyper), n)

    def next(self, live: list[_Slot]) -> tuple[Any, int]:
        """Return the inputs, ``(n, …)`` each, and n."""
        if self._made[0] != live:  # nothing is prepared, or somebody has diverged meanwhile
            self.prepare(live)
        return self._made[1:]


class _Slot:
    """A member's place in the batch, and how far it is."""

    def __init__(
        self,
        place: int,
        member: Member,
        draws: Sequence[Any],
        data: Tensor | Streamed | Given,
        written: Sequence[str],
        most: int,
        descent: Descent,
    ) -> None:
        self.place, self.member, self._device, self._most = place, member, data.device, most
        self._written, self._descent = written, descent
        member.program.train()
        settings = member.settings
        self._noise = NoiseStream(draws, member.seed, data.device)
        self._batches = BatchStream(len(data), settings.batch_size, member.seed, data.device)
        self._course = Course(settings)
        self.records: list[Record] = []
        self._validated = Validated() if member.start is None else member.start.validated
        self._heeded: list[tuple[int, float]] = []
        if member.start is None:
            self.step, self._window = 0, torch.empty(0, 3)
            nan = float("nan")
            self.records.append(Record(0, nan, nan, nan, *self._measured()))
            self._heed(self.records[-1])
        else:
            self._heeded = [(int(step), value) for step, value in member.start.heeded.tolist()]
            member.program.objective.heed(self._heeded)
            self.step, self._window = member.start.step, member.start.window
            self._course.see((step, loss, loss) for step, loss in member.start.seen.tolist())
        self._look()

    def start(self) -> State:
        """Return what to begin with."""
        state, before = State.of(self.member.program, self._descent), self.member.start
        if before is not None:
            buffers = state.buffers | before.buffers
            state = State(params=before.params, moments=before.moments, buffers=buffers)
        # A checkpoint comes on the CPU; to be stacked, all have to be on one device.
        return tree_map(lambda tensor: tensor.to(self._device), state)

    @property
    def over(self) -> bool:
        return self.over_after(0)

    def over_after(self, n: int) -> bool:
        """Return whether nothing is left to be done in ``n`` steps."""
        return self.step + n >= self._course.end

    def undecided_after(self, n: int) -> bool:
        """Return whether what follows in ``n`` steps depends on what is seen then."""
        heeds = self._course.heeds or bool(self.member.program.objective.heeds)
        return heeds and self._course.is_mark(self.step + n)

    def until_pause(self, ahead: int) -> int:
        """Return the number of steps, in ``ahead`` steps, until something is to be looked at."""
        first = self.step + ahead
        return min(self._course.next_mark(first) - first, self._most)

    def inputs(self, n: int, ahead: int) -> Any:
        """Return count, lr, index, noise and hyper of ``n`` steps, ``(n, …)`` each."""
        first = self.step + ahead
        steps = range(first, first + n)
        return (
            torch.arange(first + 1, first + n + 1, dtype=torch.float32),
            torch.tensor([self._course.rate(step) for step in steps]),
            self._batches.span(first, n),
            self._noise.span(first, n),
            self.member.program.hypers(steps),
        )

    def advance(self, values: Tensor, n: int) -> None:
        self._recent = values
        self._window = torch.cat([self._window, values])
        self.step += n

    def report(self, state: State, size: int) -> None:
        """Tell the progress, and make a record if it is time."""
        self.member.progress(self.step, float(self._recent[-1, 0]))
        if not self._course.is_mark(self.step):
            return
        loss, distortion, rate = self._window.mean(0).tolist()
        self._write(state, size)
        measured, validation_loss = self._measured()
        self.records.append(Record(self.step, loss, distortion, rate, measured, validation_loss))
        self._window = torch.empty(0, 3)
        self._heed(self.records[-1])
        self._course.see([(self.step, loss, validation_loss)])
        if self.member.validate and self.step >= self.member.constant_from:
            best = self.member.settings.keep == "best"
            self._validated = self._validated.after(
                self.step, validation_loss, (lambda: self._here(state, size)) if best else None
            )
        self._look()

    def _heed(self, record: Record) -> None:
        """Tell the objective what it heeds of a record."""
        objective = self.member.program.objective
        found = getattr(record.measured, "columns", {}).get(objective.heeds)
        if found is not None:
            self._heeded.append((record.step, float(found)))
        objective.heed(self._heeded)

    def _look(self) -> None:
        if self._validated.ends(self.member.settings):
            self._course.stop(self.step)
        elif self.member.settings.until == "settled" and self._course.waits:
            step = self.member.settled(self.records)
            if step is not None:
                self._course.settle(step)

    def _measured(self) -> tuple[Any, float]:
        """Return what is measured, and the loss on the validation split."""
        program, validate = self.member.program, self.member.validate
        with measuring(program):
            loss = validate(program, self.step) if validate else math.nan
            return self.member.measure(program), loss

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
        validated = self._validated
        if validated.tensors is None:
            self._write(state, size)
            return Ended(self.place, self.records)
        self._put(*validated.tensors)
        return Ended(self.place, self.records, kept=validated.best)

    def keep(self, state: State, size: int) -> None:
        params, buffers = self._here(state, size)
        moments = tree_map(_copied, member_of(state.moments, self.place, size))
        seen = torch.tensor(self._course.seen, dtype=torch.float64).reshape(-1, 2)
        heeded = torch.tensor(self._heeded, dtype=torch.float64).reshape(-1, 2)
        snapshot = Snapshot(
            self.step, params, moments, self._window, buffers, self._validated, seen, heeded
        )
        self.member.keep(snapshot, self.records)

    def _here(self, state: State, size: int) -> tuple[Tensors, Tensors]:
        """Return copies of the parameters and of the buffers that steps write."""
        here = member_of((state.params, self._carried(state)), self.place, size)
        params, buffers = tree_map(_copied, here)
        return params, buffers

    def _carried(self, state: State) -> Tensors:
        return {name: state.buffers[name] for name in self._written}

    def _write(self, state: State, size: int) -> None:
        self._put(*member_of((state.params, self._carried(state)), self.place, size))

    def _put(self, params: Tensors, buffers: Tensors) -> None:
        State(params=params, moments={}, buffers=buffers).write_to(self.member.program)
        self.member.program.stand_at(self.step)


def _copied(tensor: Tensor) -> Tensor:
    # The next steps overwrite it.
    return tensor.to("cpu", copy=True)
