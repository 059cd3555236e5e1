"""What a validation split decides: when training ends, and with which parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch

from pyrovae.core.seeded import seeded
from pyrovae.datasets.base import Dataset
from pyrovae.training.settings import TrainingSettings
from pyrovae.training.step import LossProgram, Tensors


@dataclass(frozen=True)
class Kept:
    """The record whose parameters a run ended with.

    Attributes
    ----------
    step
        Steps done at it.
    loss
        On the validation split, nats per datum.
    """

    step: int
    loss: float

    @property
    def told(self) -> str:
        """In words."""
        return f"parameters are the best on validation data, of step {self.step:,}"

    def content(self) -> dict[str, Any]:
        """Return it as data for JSON."""
        return {"step": self.step, "validation_loss": self.loss}

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Kept:
        """Return what :meth:`content` was made of."""
        return cls(content["step"], content["validation_loss"])


@dataclass(frozen=True)
class Validated:
    """What was seen of the validation split so far, since all schedules were over.

    Attributes
    ----------
    best
        The record with the lowest loss; the first of equals.
    since
        Number of records after it.
    tensors
        Parameters, and buffers that steps write, at it, if they are kept.
    """

    best: Kept | None = None
    since: int = 0
    tensors: tuple[Tensors, Tensors] | None = None

    def after(
        self,
        step: int,
        loss: float,
        tensors: Callable[[], tuple[Tensors, Tensors]] | None,
    ) -> Validated:
        """Return what is known with one record more; ``tensors`` is called if it is the best."""
        if self.best is not None and not loss < self.best.loss:
            return replace(self, since=self.since + 1)
        return Validated(Kept(step, loss), tensors=tensors() if tensors else None)

    def ends(self, settings: TrainingSettings) -> bool:
        """Return whether training is over."""
        return settings.until == "validation" and self.since >= settings.patience


def validation(
    dataset: Dataset, settings: TrainingSettings, *, seed: int
) -> Callable[[LossProgram, int], float] | None:
    """Return a function of a program and its step: the loss of training, on the validation split.

    ``None`` for a data set that has none. Noise is the same at each step, so that what changes from
    one record to the next is the model.

    Parameters
    ----------
    dataset
        Its validation split need not fit into memory.
    settings
        Data are taken in parts of nearly the size of a minibatch: losses that compare data within
        one mean the same as in training.
    seed
        Of the noise.
    """
    split, data_size = dataset.validation, len(dataset.train)
    if split is None:
        return None
    n = len(split)
    parts = -(-n // settings.batch_size)
    edges = [n * part // parts for part in range(parts + 1)]

    def loss_of(program: LossProgram, step: int) -> float:
        device = next(program.parameters()).device
        hyper = {name: value.to(device) for name, value in program.hyper(step).items()}
        total = 0.0
        with seeded(seed), torch.no_grad():
            for start, end in pairwise(edges):
                part = split.floats(slice(start, end)).to(device)
                loss, _ = program(part, hyper, data_size)
                total += float(loss) * len(part)
        return total / n

    return loss_of
