"""What a study does besides training: seconds of each stage of a run, and its share of the run.

::

    python -m benchmarks.overhead [STUDY.yaml]    # the prior comparison by default

The first two runs of the study are executed in this process with one thread, as a worker does it;
the second, whose step is compiled already, is what is told. Times are CPU seconds.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from pyrovae.measures import evaluate as evaluation
from pyrovae.study.config.read import load_study_file
from pyrovae.study.execute import execution
from pyrovae.study.execute.execution import Execution
from pyrovae.study.execute.workers import be_single_threaded
from pyrovae.study.plan.batches import batches
from pyrovae.study.plan.planning import make_plan
from pyrovae.study.store.folders import Store
from pyrovae.training.step import use_persistent_cache

#: What is timed: where it is looked up, its name there, and what it is called in the table.
STAGES = [
    (execution, "measure_along_training", "collapse along training"),
    (evaluation, "measure_collapse", "collapse of the trained model, test and train"),
    (evaluation, "score_representation", "disentanglement scores"),
    (evaluation, "guide_draws", "draws of the guide for ArviZ"),
    (evaluation, "_bound_scores", "ELBO and log p(x), test and train"),
    (evaluation, "_images", "images"),
    (Store, "write_run", "storing"),
]


def main() -> None:
    file = Path(sys.argv[1] if len(sys.argv) > 1 else "studies/prior_comparison.yaml")
    warnings.simplefilter("ignore")
    be_single_threaded()
    use_persistent_cache()
    begun = time.process_time()
    plan = make_plan(load_study_file(file))
    planning = (time.process_time() - begun) / len(plan.runs)
    spent: Counter[str] = Counter()
    for place, name, title in STAGES:
        setattr(place, name, _timed(getattr(place, name), title, spent))
    with tempfile.TemporaryDirectory() as folder:
        worker = Execution(Store(Path(folder)), compiled=True)
        for task in batches(plan.runs, 1)[:2]:
            spent.clear()
            begun = time.process_time()
            worker.execute(task, plan.datasets[task.runs[0].fingerprint], _tell)
            total = time.process_time() - begun
    training = total - sum(spent.values())
    print("| | CPU s a run | to training |\n|---|---:|---:|")
    for title, seconds in [("training", training), *spent.most_common(), ("planning", planning)]:
        print(f"| {title} | {seconds:.2f} | {seconds / training:.1%} |")


def _timed(act: Callable[..., Any], title: str, spent: Counter[str]) -> Callable[..., Any]:
    @wraps(act)
    def timed(*args: Any, **kwargs: Any) -> Any:
        begun = time.process_time()
        try:
            return act(*args, **kwargs)
        finally:
            spent[title] += time.process_time() - begun  # type: ignore[assignment]

    return timed


def _tell(event: execution.Event) -> None:
    if event.kind not in ("progress", "done"):
        sys.exit(f"{event.kind}: {event.reason}")


if __name__ == "__main__":
    main()
