"""Which training steps are compiled: those of programs that save more than compiling costs.

The decision is part of the plan. It hangs on what is to be trained alone: not on the clock, nor on
what a cache holds or an earlier attempt has done, so that the numbers of a run do not either.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pyrovae.study.plan.batches import Task, programs
from pyrovae.study.plan.planning import Plan

#: Whether steps are compiled, or the programs of which they are.
Compiled = bool | Collection[str]

#: CPU seconds that compiling a step takes from an empty cache: programs of the default study took
#: 25 to 30 each on an idle machine. What follows is from two networks on a loaded one, scaled
#: (``benchmarks/README.md``).
COMPILE_SECONDS = 27.0
#: Seconds that compiling saves of a step: of calls of operations …
SAVED_CALLS = 0.9e-3
#: … and of ways through memory, for each element of a minibatch.
SAVED_ELEMENT = 9e-9


@dataclass(frozen=True)
class Verdict:
    """Whether the steps of a program are compiled, and why.

    Attributes
    ----------
    program
        See :func:`pyrovae.study.plan.batches.program`.
    runs, steps
        How many runs of the plan have it, and how many steps they do at most, all together.
    saved
        CPU seconds that compiling saves of these steps, roughly.
    pays
        Whether they are compiled.
    """

    program: str
    runs: int
    steps: int
    saved: float
    pays: bool


def saving(steps: int, batch_size: int, event_shape: Sequence[int]) -> float:
    """Return the seconds that compiling saves of so many steps on a CPU, roughly."""
    return steps * (SAVED_CALLS + SAVED_ELEMENT * batch_size * math.prod(event_shape))


def pays(steps: int, batch_size: int, event_shape: Sequence[int]) -> bool:
    """Tell whether that is more than compiling costs."""
    return saving(steps, batch_size, event_shape) > COMPILE_SECONDS


def verdicts(plan: Plan, device: str = "cpu") -> list[Verdict]:
    """Return a verdict for each program of a plan, in its order.

    All runs of the plan count, those that are done too: a study that goes on goes on as it began.
    On a GPU all steps are compiled: what that saves there has not been measured.
    """
    runs: Counter[str] = Counter()
    steps: Counter[str] = Counter()
    saved: dict[str, float] = defaultdict(float)
    for run, key in zip(plan.runs, programs(plan.runs), strict=True):
        training = run.config.training
        shape = plan.datasets[run.fingerprint].event_shape
        runs[key] += 1
        steps[key] += training.steps
        saved[key] += saving(training.steps, training.batch_size, shape)
    return [
        Verdict(key, n, steps[key], saved[key], device != "cpu" or saved[key] > COMPILE_SECONDS)
        for key, n in runs.items()
    ]


def told(found: Sequence[Verdict]) -> list[str]:
    """Return which programs are compiled and why, all that are alike in one line."""
    alike = Counter((v.pays, v.runs, v.steps, round(v.saved)) for v in found)
    return [
        f"{'compiled' if pays else 'not compiled'}: {programs} program{'s' * (programs != 1)} of "
        f"{runs} run{'s' * (runs != 1)}, {steps:,} steps in all: saves {saved} CPU-s, "
        f"costs {COMPILE_SECONDS:.0f}"
        for (pays, runs, steps, saved), programs in alike.items()
    ]


def is_compiled(task: Task, compiled: Compiled) -> bool:
    """Tell whether the step of a task's program is compiled."""
    return compiled if isinstance(compiled, bool) else task.program in compiled
