"""What studies of thousands of runs cost around their training, which is left out.

::

    python -m benchmarks.scale                 # all parts
    python -m benchmarks.scale plan store      # some of: plan store report events

``plan``: 12,600 runs, as in Locatello et al. (2019). ``store``: `status` and index of a study of
as many finished runs. ``report``: analysis, report and page of 1,000 runs. ``events``: what 10,000
workers tell the process that follows them. One run is trained, of one step; the others are copies
of it with a configuration and scores of their own, taken for settled. CPU seconds are of all
processes. Linux only.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import watched

_OBJECTIVES = [
    *(f"{{name: beta, beta: {b}}}" for b in (1, 2, 4, 6, 8, 16)),
    *(f"{{name: capacity, capacity: {c}}}" for c in (5, 10, 25, 50, 75, 100)),
    *(f"{{name: factor, gamma: {g}}}" for g in (10, 20, 30, 40, 50, 100)),
    *(f"{{name: dip_i, off_diagonal: {w}}}" for w in (1, 2, 5, 10, 20, 50)),
    *(f"{{name: dip_ii, off_diagonal: {w}}}" for w in (1, 2, 5, 10, 20, 50)),
    *(f"{{name: beta_tc, beta: {b}}}" for b in (1, 2, 4, 6, 8, 10)),
]
_STUDY = """
name: scale
base:
  network: {{name: mlp, hidden: [32, 32]}}
  prior: standard_normal
  posterior: mean_field_normal
  likelihood: bernoulli
  latent_dim: 10
  training: {{steps: 1, records: 1}}
  evaluation: {{points: 200, samples: 2, metrics: [mig]}}
grid:
  dataset: [{datasets}]
  objective: [{objectives}]
seeds: {seeds}
"""
_DATA = "{{name: sprites, size: {size}, n_train: 1000, n_test: 200}}"
#: Sizes of images: data sets of the large study.
_SIZES = (16, 20, 24, 28, 32, 48, 64)


def _file(folder: Path, sizes: tuple[int, ...], objectives: list[str], seeds: int) -> Path:
    file = folder / "scale.yaml"
    datasets = ", ".join(_DATA.format(size=size) for size in sizes)
    file.write_text(_STUDY.format(datasets=datasets, objectives=", ".join(objectives), seeds=seeds))
    return file


def _large(folder: Path) -> Path:
    return _file(folder, _SIZES, _OBJECTIVES, 50)


def _told(what: str, seen: watched.Seen, more: str = "") -> None:
    print(f"| {what} | {seen.wall:.1f} | {seen.cpu:.1f} | {seen.memory:.0f} | {more} |", flush=True)


def _pyrovae(*arguments: str) -> watched.Seen:
    shell = 'exec "$@" > /dev/null'  # what is printed is not read here
    return watched.run(["sh", "-c", shell, "sh", sys.executable, "-m", "pyrovae", *arguments])


def plan(folder: Path) -> None:
    """Plan 12,600 runs."""
    _told("plan, 12,600 runs", _pyrovae("study", "plan", str(_large(folder))))


def store(folder: Path) -> None:
    """Look into a study of 12,600 finished runs."""
    results = folder / "results"
    file = _large(folder)
    _fill(file, results)
    from pyrovae.study.store.folders import Store

    _index(results)
    _told("status, 12,600 runs", _pyrovae("study", "status", "scale", "--results", str(results)))
    begun = time.process_time(), time.perf_counter()
    rows = len(Store(results / "scale").index())
    spent = time.process_time() - begun[0], time.perf_counter() - begun[1]
    print(f"| index, {rows:,} runs | {spent[1]:.1f} | {spent[0]:.1f} | | |", flush=True)


def report(folder: Path) -> None:
    """Analyse and report 1,000 runs, and make their page."""
    results = folder / "results"
    _fill(_file(folder, _SIZES[:1], _OBJECTIVES[:20], 50), results)
    _index(results)
    given = ["scale", "--results", str(results)]
    _told("analyse, 1,000 runs", _pyrovae("study", "analyse", *given, "--unsettled"))
    _told("report, 1,000 runs", _pyrovae("study", "report", *given, "--unsettled"))
    page = folder / "page.html"
    seen = _pyrovae("study", "page", *given, "--out", str(page))
    _told("page, 1,000 runs", seen, f"{page.stat().st_size / 2**20:.1f} MiB")


def events(folder: Path) -> None:
    """Follow 10,000 workers that tell as fast as they are heard."""
    from pyrovae.study.config.read import load_study_file
    from pyrovae.study.execute.runner import Outcome, RunOptions, _follow, _observer, describe
    from pyrovae.study.plan.planning import make_plan
    from pyrovae.study.store.folders import Store
    from pyrovae.study.watch.events import Event

    planned = make_plan(load_study_file(_large(folder)))
    runs = planned.runs[:10_000]
    rounds = 20

    class Workers:
        """All start, tell of progress in turn, and end."""

        def as_completed(self) -> Iterator[Event]:
            yield from (Event("started", run) for run in runs)
            for step in range(rounds):
                yield from (
                    Event("progress", run, step=step, loss=1.0 / (1 + step)) for run in runs
                )
            yield from (Event("done", run, step=rounds) for run in runs)

        def stop(self) -> None:
            pass

    names = describe(planned)
    place = Store(folder / "events")
    place.root.mkdir()
    outcome = Outcome()
    observer = _observer(place, names, runs, RunOptions(quiet=True), None, None)
    begun = time.perf_counter()
    _follow(Workers(), observer, outcome, names, None)  # type: ignore[arg-type]
    spent, told = time.perf_counter() - begun, (rounds + 2) * len(runs)
    assert outcome.done == len(runs)
    print(f"| {told:,} events of 10,000 workers | {spent:.1f} | | | {told / spent:,.0f}/s |")


def _fill(file: Path, results: Path) -> None:
    """Store every run of a study as a copy of its first one, with noise on the scores."""
    from pyrovae.study.config import yaml
    from pyrovae.study.config.read import load_study_file
    from pyrovae.study.execute.runner import RunOptions, run_plan
    from pyrovae.study.plan.planning import make_plan
    from pyrovae.study.store.folders import Store

    whole = make_plan(load_study_file(file))
    run_plan(
        replace(whole, runs=whole.runs[:1]), results, RunOptions(executor="inline", quiet=True)
    )
    place = Store(results / whole.name)
    first = place.run(whole.runs[0].id)
    files = {entry.name: entry.read_bytes() for entry in first.path.iterdir()}
    del files["checksums.json"]
    stored = json.loads(files["metrics.json"])
    stored["settled"] = {"yes": True, "reasons": [], "window": [0, 1], "rise": 0.0}
    stored["scores"]["settled"] = 1.0
    rng = np.random.default_rng(0)
    for run in whole.runs[1:]:
        scores: dict[str, Any] = {
            key: value + 0.05 * abs(value) * rng.normal() if key != "settled" else value
            for key, value in stored["scores"].items()
        }
        metrics = {**stored, "cell": run.config.cell(), "labels": run.labels(), "scores": scores}
        made = place.runs / run.id
        made.mkdir()
        for name, content in files.items():
            (made / name).write_bytes(content)
        (made / "metrics.json").write_text(json.dumps(metrics))
        (made / "config.yaml").write_text(yaml.dump(run.config.model_dump(mode="json")))
    place.write_plan(whole)


def _index(results: Path) -> None:
    from pyrovae.study.store.folders import Store

    begun = time.perf_counter()
    Store(results / "scale").write_index()
    print(f"| index written | {time.perf_counter() - begun:.1f} | | | |", flush=True)


PARTS = {part.__name__: part for part in (plan, store, report, events)}


def main() -> None:
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    warnings.simplefilter("ignore")
    print("| | wall s | CPU s | peak MiB | |\n|---|---:|---:|---:|---|")
    for name in sys.argv[1:] or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](Path(folder))


if __name__ == "__main__":
    main()
