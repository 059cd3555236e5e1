"""Some more training of a pruned model, which does no harm.

A run that has ended is at the end of its schedules. Begun anew they would undo it: a learning rate
at its peak, a weight of the rate at 0. So whatever follows a schedule stays at its last value, the
learning rate starts at a tenth of its peak and falls to 0, and what comes of it is kept only where
held-out data say that it is better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyrovae.core.scheduled import Scheduled
from pyrovae.core.schedules import at, is_schedule, values
from pyrovae.datasets import Dataset
from pyrovae.measures.collapse.measure import along_points, measure_along_training
from pyrovae.models.vae import VAE
from pyrovae.objectives import OBJECTIVES
from pyrovae.shrink.pruning.compare import RESOLVED, Comparison, compare
from pyrovae.study.config.run import RunConfig
from pyrovae.study.plan.planning import vae_of
from pyrovae.training import LossProgram, Record, Trainer

#: Share of the run's highest learning rate that fine-tuning starts at. 400 steps on MNIST (8,000
#: images, an MLP that had trained for 8,000 steps) changed the ELBO by -0.32 ± 0.05 nats with the
#: run's schedule begun anew; by +0.01 ± 0.01 at a tenth throughout; by +0.03 ± 0.01 falling to 0.
RATE = 0.1


@dataclass(frozen=True)
class FineTuning:
    """What fine-tuning did, in nats per datum.

    Attributes
    ----------
    rate
        Learning rate that it started at.
    elbo
        ELBO of the model that is kept, on as many test data as were asked for.
    change, change_se
        By how much fine-tuning changed the ELBO on test data, with the same noise, and its standard
        error over data and draws.
    gain, gain_se
        The same on the test data that decided, which are others.
    kept
        Whether the gain was above two of its errors; if not, the model is as it was.
    """

    rate: float
    elbo: float
    change: float
    change_se: float
    gain: float
    gain_se: float
    kept: bool


def fine_tune(
    vae: VAE,
    config: RunConfig,
    dataset: Dataset,
    steps: int,
    *,
    points: int,
    samples: int,
    compiled: bool,
) -> tuple[VAE, FineTuning, list[Record]]:
    """Train a model for some more steps, with its run's objective and batch size.

    Parameters
    ----------
    vae, config
        The model, which is left as it is, and what it is built from.
    dataset
        Of its run.
    steps
        Training steps.
    points, samples
        Draws for each of so many test data, for the ELBO before and after; as many others decide,
        or half of all, where there are fewer than twice as many.
    compiled
        Whether training is compiled.

    Returns
    -------
    vae, finetuning, records
        The better of before and after, what was done, and the history of the model returned.
    """
    tuned = vae_of(config, dataset.event_shape)
    tuned.load_state_dict(vae.state_dict())
    for part in tuned.modules():
        if isinstance(part, Scheduled):
            part.hold(config.training.steps)
    rate = RATE * max(values(config.training.lr))
    settings = config.training.model_copy(
        update={
            "steps": steps,
            "until": "steps",
            "records": min(config.training.records, steps),
            "lr": {"schedule": "cosine", "from": rate, "to": 0.0, "steps": steps},
        }
    )
    test, train = along_points(dataset)

    def measure(program: LossProgram) -> Any:
        assert isinstance(program.vae, VAE)
        return measure_along_training(program.vae, test, train, config.seed)

    objective = _held(config.objective, config.training.steps - 1)  # of the last step taken
    binary = dataset.grey is not None
    program = LossProgram(tuned, OBJECTIVES.create(**objective), binary=binary)
    trainer = Trainer(program, dataset.trained_on, settings, compiled=compiled)
    records = trainer.train(program, config.seed, measure=measure)

    def changed(x: Tensor) -> Comparison:
        units = torch.eye(vae.latent_dim)
        return compare(vae, tuned, units, x, samples=samples, seed=config.seed)

    # What is told is of other data than what decided: the larger of two is too large.
    half = min(points, len(dataset.test) // 2)
    told = changed(dataset.test.floats(slice(half)))
    decided = changed(dataset.test.floats(slice(half, 2 * half)))
    every = told if half == points else changed(dataset.test.floats(slice(points)))
    kept = decided.change > RESOLVED * decided.change_data_se
    found = FineTuning(
        rate,
        every.after if kept else every.before,
        told.change,
        told.change_data_se,
        decided.change,
        decided.change_data_se,
        kept,
    )
    return (tuned, found, records) if kept else (vae, found, records[:1])


def _held(part: Any, step: int) -> Any:
    """Return a part's data with every schedule at its value at a step."""
    if is_schedule(part):
        return at(part, step)
    if isinstance(part, dict):
        return {name: _held(value, step) for name, value in part.items()}
    if isinstance(part, list):
        return [_held(value, step) for value in part]
    return part
