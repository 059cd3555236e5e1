"""Which runs train together: those whose training program is the same."""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel

from pyrovae.core import dotted
from pyrovae.core.digest import short_digest
from pyrovae.core.registry import Registry, parameters_of
from pyrovae.study.config.resolve import REGISTRIES
from pyrovae.study.plan.planning import PlannedRun

#: Settings of training that are constants of the step.
_DESCENT = {"optimizer", "clip_value", "clip_norm", "rates"}


@dataclass(frozen=True)
class Task:
    """Runs that one process trains together.

    Attributes
    ----------
    runs
        Of one program.
    size
        Places in the ensemble; at least the number of runs. Tasks of one program share it, so that
        they share the compiled step too.
    program
        See :func:`program`.
    """

    runs: tuple[PlannedRun, ...]
    size: int
    program: str

    def without(self, ended: Iterable[str]) -> Task:
        """Return the task that is left when the runs of these ids are over."""
        over = set(ended)
        return Task(tuple(r for r in self.runs if r.id not in over), self.size, self.program)


def program(run: PlannedRun) -> str:
    """Return the hash of what a run's training program depends on.

    That is its configuration without what enters the program as an input: the seed, the learning
    rate, the number of steps and records, and those parameters that may be schedules, as a
    schedule's value changes from step to step.
    """
    config = run.config
    content = config.model_dump(mode="json", exclude={"evaluation", "seed", "training"})
    for part, registry in REGISTRIES.items():
        # What a function of the user's own is given decides its data, whose fingerprint is here.
        if content[part] is not None and not dotted.is_path(content[part]["name"]):
            inputs = scheduled(registry, content[part]["name"])
            content[part] = {k: v for k, v in content[part].items() if k not in inputs}
    # Where one has its default, it is left out.
    descent = config.training.model_dump(mode="json", include=_DESCENT)
    content |= {
        "batch_size": config.training.batch_size,
        "precision": config.training.precision,
        "data": run.fingerprint,
        **descent,
    }
    return short_digest(json.dumps(content, sort_keys=True))


def programs(runs: Iterable[PlannedRun]) -> list[str]:
    """Return the :func:`program` of each run; those of a cell share theirs."""
    known: dict[str, str] = {}
    found = []
    for run in runs:
        if run.structure not in known:
            known[run.structure] = program(run)
        found.append(known[run.structure])
    return found


def scheduled(registry: Registry, name: str) -> frozenset[str]:
    """Return the parameters of an entry that a schedule may stand for."""
    return _scheduled(registry[name])


@cache  # by the entry: another may have taken its name
def _scheduled(entry: Callable[..., Any]) -> frozenset[str]:
    fields = parameters_of(entry, "scheduled").model_fields
    return frozenset(name for name, field in fields.items() if _may_be_schedule(field.annotation))


def _may_be_schedule(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "schedule" in annotation.model_fields
    return any(_may_be_schedule(part) for part in typing.get_args(annotation))


def batches(runs: Sequence[PlannedRun], largest: int) -> list[Task]:
    """Return the tasks for ``runs``, each of at most ``largest``, of about equal size.

    Tasks of one program stand together; otherwise the order of the runs is kept.
    """
    groups: dict[str, list[PlannedRun]] = {}
    for run, key in zip(runs, programs(runs), strict=True):
        groups.setdefault(key, []).append(run)
    tasks = []
    for key, group in groups.items():
        size = -(-len(group) // -(-len(group) // largest))
        tasks += [Task(tuple(group[i : i + size]), size, key) for i in range(0, len(group), size)]
    return tasks
