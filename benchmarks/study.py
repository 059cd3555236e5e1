"""What whole studies cost, from an empty and from a full compile cache, beside their bare loops.

::

    python -m benchmarks.study                    # all studies
    python -m benchmarks.study quick one          # some
    python -m benchmarks.study quick --stages     # where one spends its time
    python -m benchmarks.study quick --pythae PYTHON

`pyrovae study run` does a study with all that it does: imports, planning, training, measuring,
analysis and report, in as many workers as there are cores. Beside it stand loops that do as many
steps on models of the same layers: by hand in PyTorch, by Pyro's ``SVI`` and by pythae's trainer.
Each is one process that trains one model after the other, and neither measures nor stores. Of
long runs a loop does the first steps only; the rest is taken to cost as much. CPU seconds are of
all processes, so that others on the machine count little. Linux only.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import watched
from benchmarks.contenders import PROBLEMS, Problem
from benchmarks.training import CONTENDERS, _libraries

_SMALL = """
name: {name}
base:
  dataset: {{name: sprites, size: {size}, n_train: 5000, n_test: 1000}}
  network: {network}
  posterior: mean_field_normal
  likelihood: bernoulli
  objective: elbo
  latent_dim: 10
  training: {{steps: {steps}, batch_size: 128, records: 5}}
  evaluation: {{points: 500, metrics: [mig]}}
grid:
  prior: {priors}
seeds: {seeds}
"""
_MLP = "{name: mlp, hidden: [128, 128]}"
#: What `pyrovae study run` is given: the text of a file or the name of a study, and options.
STUDIES: dict[str, tuple[str, list[str]]] = {
    "quick": ("prior_comparison", ["--quick"]),
    "one": (
        _SMALL.format(
            name="one", size=16, network=_MLP, steps=1, priors="[standard_normal]", seeds=1
        ),
        [],
    ),
    "small": (
        _SMALL.format(
            name="small",
            size=16,
            network=_MLP,
            steps=300,
            priors="[standard_normal, laplace, student_t, logistic]",
            seeds=50,
        ),
        [],
    ),
    "conv": (
        _SMALL.format(
            name="conv",
            size=64,
            network="burgess_conv",
            steps=200,
            priors="[standard_normal, student_t]",
            seeds=2,
        ),
        [],
    ),
    "default": ("prior_comparison", []),
}
#: Contenders that do a study's steps and nothing else.
LOOPS = {"torch-eager": "by hand", "pyro-svi": "Pyro, `SVI.step`", "pythae": "pythae"}
#: Steps of each model that a loop does in full.
MOST = 2000


def _command(name: str, folder: Path) -> list[str]:
    study, options = STUDIES[name]
    if study.startswith("\n"):
        file = folder / f"{name}.yaml"
        file.write_text(study)
        study = str(file)
    return ["study", "run", study, "--results", str(folder / "results"), "--quiet", *options]


def _whole(name: str, cache: Path, options: Sequence[str] = ()) -> tuple[watched.Seen, list[int]]:
    """Run a study; return what it took and the steps of each of its runs."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pyrovae", *_command(name, Path(folder)), *options]
        seen = watched.run(command, {"TORCHINDUCTOR_CACHE_DIR": str(cache)})
        from pyrovae.study.store.folders import RunFolder

        runs = Path(folder, "results").glob("*/runs/[!.]*/metrics.json")
        return seen, [int(RunFolder(p.parent).history()["step"].max()) for p in runs]


def _problem(name: str) -> Problem:
    """Return the model and the data of a study's first run, as the loops take them."""
    if name == "conv":
        return replace(PROBLEMS["conv"], n=5000)
    return Problem((1, 16, 16), 5000, 10, {"name": "mlp", "hidden": [128, 128]}, burst=100)


def _loop(contender: str, name: str, steps: Sequence[int], asked: Any) -> watched.Seen:
    """Return what a loop over so many steps of so many models takes."""
    command = [sys.executable, "-m", "benchmarks.study", name, "--loop", contender]
    command += ["--steps", ",".join(str(min(n, MOST)) for n in steps)]
    seen = watched.run(
        command, {"PYTHONPATH": os.pathsep.join([*_libraries(asked, contender), *sys.path])}
    )
    if max(steps) <= MOST:
        return seen
    start = watched.run([*command[:-1], "1"]).cpu
    factor = sum(steps) / sum(min(n, MOST) for n in steps)
    return replace(seen, cpu=start + factor * (seen.cpu - start), wall=float("nan"))


def _train(contender: str, name: str, steps: Sequence[int]) -> None:
    """Train one model after the other; in a process of its own."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for n in steps:
        call, count = CONTENDERS[contender](_problem(name))
        for _ in range(-(-n // count)):
            call()


def _stages(name: str, cache: Path) -> None:
    """Print the CPU seconds of each stage of a study that is done in this process."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache)
    clock = _Clock()
    with clock.stage("imports"):
        from pyrovae import report
        from pyrovae.api import running
        from pyrovae.commands import main, plans
        from pyrovae.measures import evaluate
        from pyrovae.study.execute import execution, runner
        from pyrovae.study.store.folders import Store
        from pyrovae.training import loop, stepper
    for place, function, title in (
        (plans, "planned", "planning"),
        (execution, "Trainer", "tracing"),
        (stepper, "compile_step", "compiling"),
        (loop.Trainer, "train_together", "training"),
        (execution, "measure_along_training", "collapse along training"),
        (evaluate, "score_representation", "disentanglement scores"),
        (execution, "evaluate", "all else that is measured"),
        (Store, "write_run", "storing"),
        (Store, "write_index", "index"),
        (running, "measure_study", "measures of the study"),
        (report, "write_report", "report"),
    ):
        setattr(place, function, clock.timed(getattr(place, function), title))
    assert runner
    with tempfile.TemporaryDirectory() as folder, clock.stage("all else"):
        arguments = [*_command(name, Path(folder)), "--executor", "inline"]
        main.main(arguments, standalone_mode=False)
    total = sum(clock.spent.values())
    print(f"\n{name}, in one process: {total:.1f} CPU s\n\n| | CPU s | |\n|---|---:|---:|")
    for title, seconds in clock.spent.most_common():
        print(f"| {title} | {seconds:.2f} | {seconds / total:.1%} |")


class _Clock:
    """CPU seconds of stages; of stages within each other, to the innermost."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._open: list[str] = []
        self._last = time.process_time()

    def _turn(self) -> None:
        now = time.process_time()
        if self._open:
            self.spent[self._open[-1]] += now - self._last  # type: ignore[assignment]
        self._last = now

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        self._turn()
        self._open.append(title)
        try:
            yield
        finally:
            self._turn()
            self._open.remove(title)

    def timed(self, act: Callable[..., Any], title: str) -> Callable[..., Any]:
        @functools.wraps(act)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.stage(title):
                result = act(*args, **kwargs)
            return self._iterated(result, title) if isinstance(result, Iterator) else result

        return timed

    def _iterated(self, steps: Iterator[Any], title: str) -> Iterator[Any]:
        while True:
            with self.stage(title):
                step = next(steps, self)
            if step is self:
                return
            yield step


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=", ".join(STUDIES))
    parser.add_argument("--stages", action="store_true", help="where the time goes, in one process")
    parser.add_argument("--compile", action="store_true", help="compile whether it pays or not")
    parser.add_argument("--pythae", metavar="PYTHON", help="interpreter that has pythae 0.1.2")
    parser.add_argument("--loop", help=argparse.SUPPRESS)
    parser.add_argument("--steps", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    names = asked.studies or list(STUDIES)
    if asked.loop:
        _train(asked.loop, names[0], [int(n) for n in asked.steps.split(",")])
        return
    if asked.stages:
        with tempfile.TemporaryDirectory() as cache:
            _stages(names[0], Path(cache))
        return
    options = ["--compile"] if asked.compile else []
    print("| study | | CPU s | to by hand | wall s | peak MiB |\n|---|---|---:|---:|---:|---:|")
    for name in names:
        with tempfile.TemporaryDirectory() as cache:
            empty, steps = _whole(name, Path(cache), options)
            full, _ = _whole(name, Path(cache), options)
        rows = {"pyrovae, empty cache": empty, "pyrovae, full cache": full}
        for contender, title in LOOPS.items():
            if contender != "pythae" or asked.pythae:
                rows[title] = _loop(contender, name, steps, asked)
        for title, seen in rows.items():
            print(
                f"| {name}: {len(steps)} runs, {sum(steps):,} steps | {title} | {seen.cpu:.1f} | "
                f"{seen.cpu / rows['by hand'].cpu:.2f} | {seen.wall:.1f} | {seen.memory:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
