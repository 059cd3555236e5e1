"""How often the rule of settling is wrong: runs trained on long after it would have stopped them.

::

    python -m benchmarks.settled --out FOLDER              # every case; some hours on one core
    python -m benchmarks.settled --out FOLDER --case tight # one of them
    python -m benchmarks.settled --out FOLDER --judge      # the table, from what is there

Runs are trained at full learning rate for a fixed number of steps, the same whatever the rule says,
and all that was seen along the way is kept in ``FOLDER/<case>-<member>.parquet``. The rule is then
asked at every record, as training until settled asks it. Of a run that it calls settled at step s
the counts of used and of informative units there are compared with those at step 5 s, each the
median over the records around it, and so is the held-out bound.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import pyrovae
from pyrovae.core.seeded import seeded
from pyrovae.datasets import load_dataset
from pyrovae.measures.collapse.measure import along_points, measure_along_training
from pyrovae.objectives import OBJECTIVES
from pyrovae.study.store.history import history_table, looks_of
from pyrovae.training import LossProgram, Member, Trainer, TrainingSettings
from pyrovae.training.settled import first_settled

#: Training beyond the step at which the rule would have stopped, as a multiple of it.
BEYOND = 5


@dataclass(frozen=True)
class Case:
    """Runs of one program.

    Attributes
    ----------
    dataset, parts, latent_dim
        Of all of them.
    objectives
        One for each kind of run.
    seeds
        Runs of each kind.
    steps, records, lr, batch_size
        Of each run.
    """

    dataset: dict[str, Any]
    parts: dict[str, Any]
    latent_dim: int
    objectives: tuple[dict[str, Any], ...] = ({"name": "elbo"},)
    seeds: int = 4
    steps: int = 50_000
    records: int = 250
    lr: float = 1e-3
    batch_size: int = 128


_LINEAR = {"name": "linear_gaussian", "rank": 5, "dim": 16, "n_train": 8000, "n_test": 1000}
#: The data of the default study.
_ELLIPSES = {
    "name": "sprites",
    "size": 16,
    "n_train": 5000,
    "n_test": 1000,
    "shapes": ["ellipse"],
    "scales": 6,
    "orientations": 1,
    "positions": 32,
}
_MNIST = {"name": "mnist", "split": {"train": 8000, "test": 2000}}
_SMALL = {"name": "mlp", "hidden": [64, 64]}
_BETA = ({"name": "beta", "beta": 2.0},)


def _ellipses(*, steps: int = 50_000, records: int = 250, **parts: Any) -> Case:
    return Case(
        _ELLIPSES,
        {"network": _SMALL, **parts},
        10,
        objectives=_BETA,
        steps=steps,
        records=records,
        lr=2e-3,
    )


CASES = {
    # Known thresholds: beta from far below to far above those of some directions.
    "linear": Case(
        _LINEAR,
        {"network": {"name": "mlp", "hidden": []}, "likelihood": "gaussian"},
        8,
        objectives=tuple({"name": "beta", "beta": beta} for beta in (0.5, 1.0, 2.0, 4.0)),
        steps=50_000,
        lr=2e-3,
    ),
    "beta": Case(
        _ELLIPSES,
        {"network": _SMALL},
        10,
        objectives=tuple({"name": "beta", "beta": beta} for beta in (1.0, 2.0, 4.0)),
        steps=50_000,
        lr=2e-3,
    ),
    "laplace": _ellipses(prior="laplace"),
    # Settles last, and is followed for longer.
    "mixture": _ellipses(
        steps=80_000, records=400, prior={"name": "gaussian_mixture", "standardized": True}
    ),
    "full_rank": _ellipses(posterior="full_rank_normal"),
    "mnist": Case(_MNIST, {"network": {"name": "mlp", "hidden": [128]}}, 16, steps=120_000),
}


def train(case: Case, compiled: bool) -> list[pd.DataFrame]:
    """Return the history of each run of a case."""
    dataset = load_dataset(**case.dataset)
    points = along_points(dataset)
    settings = TrainingSettings(
        steps=case.steps, records=case.records, lr=case.lr, batch_size=case.batch_size
    )
    histories = []
    for objective in case.objectives:
        members = []
        for seed in range(case.seeds):
            vae = pyrovae.build(
                dataset.event_shape, latent_dim=case.latent_dim, seed=seed, **case.parts
            )
            with seeded(seed):
                program = LossProgram(vae, OBJECTIVES.create(**objective))
            members.append(
                Member(
                    program,
                    seed,
                    settings,
                    measure=lambda p, s=seed: measure_along_training(p.vae, *points, s),
                )
            )
        trainer = Trainer(
            members[0].program,
            dataset.train.values,
            settings,
            compiled=compiled,
            size=len(members),
        )
        ended = sorted(trainer.train_together(members), key=lambda e: e.member)
        histories += [history_table(e.records) for e in ended if e.failure is None]
    return histories


def judged(history: pd.DataFrame) -> dict[str, Any]:
    """Return when the rule calls a run settled, and what changed until five times that step."""
    looks = looks_of(history)
    assert looks is not None
    step = first_settled(looks, lambda step: 1.0)
    if step is None:
        return {"settled": np.nan}
    later = BEYOND * step
    found: dict[str, Any] = {"settled": step, "later": later <= looks.step[-1]}
    if not found["later"]:
        return found
    at, then = (int(np.abs(looks.step - s).argmin()) for s in (step, later))
    for name in ("used", "informative"):
        counts = getattr(looks, name)
        before = np.median(counts[max(at - 2, 0) : at + 1])
        after = np.median(counts[max(then - 2, 0) : then + 3])
        found |= {name: before, f"{name}_change": after - before}
    found["bound_change"] = (
        looks.bound[then - 2 : then + 3].mean() - looks.bound[at - 2 : at + 1].mean()
    )
    return found


def table(folder: Path) -> pd.DataFrame:
    """Return :func:`judged` of all stored histories."""
    rows = []
    for path in sorted(folder.glob("*.parquet")):
        case, _, member = path.stem.rpartition("-")
        rows.append({"case": case, "member": member, **judged(pd.read_parquet(path))})
    return pd.DataFrame(rows)


def main() -> None:
    """Train what is asked for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--case", choices=list(CASES), action="append")
    parser.add_argument("--judge", action="store_true", help="train nothing")
    parser.add_argument("--no-compile", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    for name in [] if given.judge else (given.case or list(CASES)):
        for member, history in enumerate(train(CASES[name], not given.no_compile)):
            history.to_parquet(given.out / f"{name}-{member}.parquet", index=False)
    found = table(given.out)
    print(found.to_string(index=False))


if __name__ == "__main__":
    main()
