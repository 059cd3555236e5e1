"""How the cost of training grows with the model, the data, the number of runs and of workers.

::

    python -m benchmarks.growth [latent_dim data runs workers start]

One thread for each process, compiled steps. Memory is the proportional set size of all processes of
a study: what several share counts once. Linux only.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.contenders import PROBLEMS, Problem

STUDY = """
name: growth
base:
  dataset: {{name: sprites, size: 32, n_train: {data}, n_test: 500}}
  network: {{name: mlp, hidden: [256, 256]}}
  posterior: mean_field_normal
  likelihood: bernoulli
  objective: elbo
  latent_dim: 10
  prior: standard_normal
  training: {{steps: {steps}, batch_size: 128, records: 2}}
  evaluation: {{points: 500, samples: 4, metrics: []}}
seeds: {seeds}
"""


def _step_ms(problem: Problem) -> float:
    """Return CPU milliseconds a step of one model, compiling left out."""
    from benchmarks.contenders.pyros import pyrovae

    call, count = pyrovae(problem, size=1)
    call()
    begun = time.process_time()
    for _ in range(10):
        call()
    return 1000 * (time.process_time() - begun) / (10 * count)


def latent_dim() -> None:
    """Print the cost of a step by number of latent units."""
    print("| latent units | CPU ms a step |\n|---:|---:|")
    for latent in (2, 8, 32, 128, 512):
        print(f"| {latent} | {_step_ms(replace(PROBLEMS['mlp'], latent=latent)):.2f} |")


def data() -> None:
    """Print the cost of a step by number of training images."""
    print("| images | CPU ms a step |\n|---:|---:|")
    for n in (1_000, 10_000, 100_000):
        print(f"| {n} | {_step_ms(replace(PROBLEMS['mlp'], n=n)):.2f} |")


def runs() -> None:
    """Print the cost of a study by number of runs of 300 steps."""
    print("| runs | wall s | CPU s | CPU s a run |\n|---:|---:|---:|---:|")
    for seeds in (2, 8, 32):
        with tempfile.TemporaryDirectory() as folder, _watched() as seen:
            _study(Path(folder), seeds=seeds, steps=300)
        print(f"| {seeds} | {seen.wall:.1f} | {seen.cpu:.1f} | {seen.cpu / seeds:.2f} |")


def workers() -> None:
    """Print the memory of a study by number of workers; 60,000 images of 1 kB."""
    print("| workers | MiB, all processes | to one worker |\n|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:  # so that no study has to compile
        _study(Path(folder), seeds=1, steps=2, data=60_000)
    first = 0.0
    for n in (1, 2, 4):
        with tempfile.TemporaryDirectory() as folder, _watched() as seen:
            _study(Path(folder), "--workers", str(n), seeds=4, steps=1000, data=60_000)
        first = first or seen.memory
        print(f"| {n} | {seen.memory:.0f} | {seen.memory / first:.2f} |")


def start() -> None:
    """Print what the first and the second start of a study cost, from an empty compile cache."""
    print("| start | wall s | CPU s |\n|---|---:|---:|")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        for name in ("first", "second"):
            with tempfile.TemporaryDirectory() as folder, _watched() as seen:
                _study(Path(folder), seeds=1, steps=2)
            print(f"| {name} | {seen.wall:.1f} | {seen.cpu:.1f} |")


def _study(folder: Path, *options: str, seeds: int, steps: int, data: int = 5_000) -> None:
    """Run a study in a process of its own, with all that `pyrovae study run` does."""
    file = folder / "growth.yaml"
    file.write_text(STUDY.format(seeds=seeds, steps=steps, data=data))
    command = [sys.executable, "-m", "pyrovae", "study", "run", str(file), "--quiet"]
    subprocess.run([*command, "--results", str(folder), *options], check=True)


@dataclass
class _Seen:
    """What the processes that this one starts take.

    Attributes
    ----------
    wall, cpu
        Seconds.
    memory
        The largest sum of proportional set sizes, MiB.
    """

    wall: float = 0.0
    cpu: float = 0.0
    memory: float = 0.0


@contextmanager
def _watched() -> Iterator[_Seen]:
    """Look at all descendants five times a second; the result is complete at the end."""
    seen, over, spent = _Seen(), threading.Event(), dict[int, float]()

    def look() -> None:
        while not over.wait(0.2):
            alive = _descendants(os.getpid())
            seen.memory = max(seen.memory, sum(map(_pss, alive)))
            # A process that ended keeps what it had: nobody needs to have waited for it.
            spent.update({pid: max(spent.get(pid, 0.0), _cpu(pid)) for pid in alive})

    watcher, begun = threading.Thread(target=look), time.perf_counter()
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()
        seen.wall, seen.cpu = time.perf_counter() - begun, sum(spent.values())


def _descendants(pid: int) -> list[int]:
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *_descendants(child)]
    except OSError:
        pass  # it has ended meanwhile
    return found


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


PARTS = {part.__name__: part for part in (latent_dim, data, runs, workers, start)}


def main() -> None:
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
        print(flush=True)


if __name__ == "__main__":
    main()
