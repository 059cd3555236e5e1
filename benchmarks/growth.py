"""How the cost of training grows with the model, the data, the number of runs and of workers.

::

    python -m benchmarks.growth [latent_dim data runs workers start]

One thread for each process, compiled steps. Memory is the proportional set size of all processes of
a study: what several share counts once. Linux only.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

from benchmarks import watched
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
    print("| runs | wall s | CPU s | CPU s a run |\n|---|---:|---:|---:|")
    for seeds in (2, 8, 32):
        seen = _study(seeds=seeds, steps=300)
        print(f"| {seeds} | {seen.wall:.1f} | {seen.cpu:.1f} | {seen.cpu / seeds:.2f} |")


def workers() -> None:
    """Print the memory of a study by number of workers; 60,000 images of 1 kB."""
    print("| workers | MiB, all processes | to one worker |\n|---:|---:|---:|")
    _study("--compile", seeds=1, steps=2, data=60_000)  # so that no study has to compile
    first = 0.0
    for n in (1, 2, 4):
        seen = _study("--compile", "--workers", str(n), seeds=4, steps=1000, data=60_000)
        first = first or seen.memory
        print(f"| {n} | {seen.memory:.0f} | {seen.memory / first:.2f} |")


def start() -> None:
    """Print what the first and the second start of a study cost, from an empty compile cache."""
    print("| start | wall s | CPU s |\n|---|---:|---:|")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        for name in ("first", "second"):
            seen = _study("--compile", seeds=1, steps=2)
            print(f"| {name} | {seen.wall:.1f} | {seen.cpu:.1f} |")


def _study(*options: str, seeds: int, steps: int, data: int = 5_000) -> watched.Seen:
    """Run a study in a process of its own, with all that `pyrovae study run` does."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "growth.yaml"
        file.write_text(STUDY.format(seeds=seeds, steps=steps, data=data))
        command = [sys.executable, "-m", "pyrovae", "study", "run", str(file), "--quiet"]
        return watched.run([*command, "--results", folder, *options])


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
