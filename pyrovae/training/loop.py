"""The training loop: the same for every prior, posterior, likelihood and objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyrovae.datasets.base import as_float
from pyrovae.schedules import at
from pyrovae.training.settings import TrainingSettings
from pyrovae.training.step import (
    LossProgram,
    State,
    StepFunction,
    compile_step,
    trace_step,
)
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


class Trainer:
    """Trains models of one program: the traced, compiled step is made once and used for each.

    Parameters
    ----------
    program
        Any model of the kind to be trained: its structure is what counts.
    data
        The training set, ``(n, *event_shape)``.
    settings
        Steps, batch size, learning rate.
    compiled
        Whether the step is compiled; if not, the traced graph is run as it is.
    """

    def __init__(
        self, program: LossProgram, data: Tensor, settings: TrainingSettings, *, compiled: bool
    ) -> None:
        self._data, self._settings = data, settings
        index = torch.arange(settings.batch_size) % len(data)
        self._draws = program.record(as_float(data[index]))
        graph = trace_step(program, data, settings.batch_size, self._draws)
        self._step: StepFunction = compile_step(graph) if compiled else graph

    def train(
        self,
        program: LossProgram,
        seed: int,
        *,
        measure: Callable[[LossProgram], Any] = lambda program: None,
        progress: Callable[[int, float], None] = lambda step, loss: None,
    ) -> list[Record]:
        """Train ``program`` in place and return its history.

        Parameters
        ----------
        program
            Of the structure that the trainer was made for; its parameters are the start.
        seed
            Decides the minibatches and the noise, and nothing else does.
        measure
            Called with the program at step 0, at each record, and at the end.
        progress
            Called with the step and the loss every few steps.

        Raises
        ------
        Diverged
            When the loss or a parameter is no longer finite.
        """
        settings = self._settings
        state = State.of(program)
        noise = NoiseStream(self._draws, seed)
        batches = BatchStream(len(self._data), settings.batch_size, seed)
        marks = {
            round(settings.steps * (i + 1) / settings.records) for i in range(settings.records)
        }
        nan = float("nan")
        history = [Record(0, nan, nan, nan, measure(program))]
        window: list[Tensor] = []
        unchecked = 0
        for step in range(1, settings.steps + 1):
            params, moments, values = self._step(
                state.params,
                state.moments,
                state.buffers,
                torch.tensor(float(step)),
                torch.tensor(at(settings.lr, step - 1)),
                self._data,
                batches.at(step - 1),
                noise.at(step - 1),
                program.hyper(step - 1),
            )
            state = State(params=params, moments=moments, buffers=state.buffers)
            window.append(values)
            unchecked += 1
            record = step in marks
            if record or unchecked == CHUNK:
                recent = torch.stack(window[-unchecked:])
                _check(recent, state, first=step - unchecked + 1)
                progress(step, recent[-1, 0].item())
                unchecked = 0
            if record:
                loss, distortion, rate = torch.stack(window).mean(0).tolist()
                state.write_to(program)
                history.append(Record(step, loss, distortion, rate, measure(program)))
                window = []
        return history


def _check(values: Tensor, state: State, first: int) -> None:
    """Raise for the first step whose numbers, or whose result, are not finite."""
    bad = (~values.isfinite()).any(1).nonzero()
    if len(bad):
        row = values[bad[0, 0]]
        named = dict(zip(("loss", "distortion", "rate"), row.tolist(), strict=True))
        cause = ", ".join(f"{name} = {value:.4g}" for name, value in named.items())
        raise Diverged(first + int(bad[0, 0]), cause)
    for name, parameter in state.params.items():
        if not parameter.isfinite().all():
            raise Diverged(first + len(values) - 1, f"parameter {name} is not finite")
