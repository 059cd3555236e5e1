"""Training speed side by side: the same network, data and batch in pyrovae and in its peers.

::

    python -m benchmarks.training                 # MLP 784-400-20, batches of 128
    python -m benchmarks.training --problem conv  # 64×64 images, Burgess et al.'s network
    python -m benchmarks.training --pythae PYTHON # with pythae's trainer, in its environment
    python -m benchmarks.training --device cuda   # on a GPU, with larger ensembles

Each contender runs in a process of its own with one thread; all take turns, one short burst each
round. Time is the process's CPU time, so that others on the machine count little, and ratios are
taken within a round; on a GPU it is time by the clock, until the GPU is done. Compile caches start
empty, unless ``--cache`` names a folder that is used again. NumPyro is left out where it is not
installed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from benchmarks.contenders import PROBLEMS, Contender, Problem

#: What compiling is spread over in the last column but one: the steps of a default study's run.
STEPS = 2000


def _of(module: str, name: str = "contender", **options: Any) -> Callable[[Problem], Contender]:
    def make(problem: Problem) -> Contender:
        return getattr(import_module(f"benchmarks.contenders.{module}"), name)(problem, **options)

    return make


CONTENDERS = {
    "torch-eager": _of("by_hand", compiled=False),
    "torch-compiled": _of("by_hand", compiled=True),
    "pyro-svi": _of("pyros", "svi"),
    "pythae": _of("pythae"),
    "pyrovae": _of("pyros", "pyrovae", size=1),
    "pyrovae-2": _of("pyros", "pyrovae", size=2),
    "pyrovae-8": _of("pyros", "pyrovae", size=8),
    "pyrovae-32": _of("pyros", "pyrovae", size=32),
    **{f"pyrovae-{size}": _of("pyros", "pyrovae", size=size) for size in (64, 128, 256)},
    **{
        f"pyrovae-64-{precision}": _of("pyros", "pyrovae", size=64, precision=precision)
        for precision in ("tf32", "bf16")
    },
    "numpyro-jit": _of("numpyro", mode="jit"),
    "numpyro-scan": _of("numpyro", mode="scan"),
    "numpyro-vmap-8": _of("numpyro", mode="vmap"),
}


ON_CPU = [
    name for name in CONTENDERS if not name.startswith(("pyrovae-64", "pyrovae-128", "pyrovae-256"))
]
ON_GPU = [name for name in CONTENDERS if not name.startswith(("numpyro", "pythae"))]


def _libraries(asked: argparse.Namespace, name: str) -> list[str]:
    """Return where a contender looks for libraries first: pythae has its own environment."""
    if name != "pythae" or asked.pythae is None:
        return []
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    told = subprocess.run([asked.pythae, "-c", code], capture_output=True, text=True, check=True)
    return [told.stdout.strip()]


def _contend(name: str, problem: Problem, connection: Any, libraries: list[str]) -> None:
    """Make ready, then do a burst whenever asked and tell milliseconds per model-step."""
    sys.path[:0] = libraries
    warnings.simplefilter("ignore")
    if not name.startswith("numpyro"):
        import torch

        torch.set_num_threads(1)
    spent_by_now = _by_the_clock if problem.device == "cuda" else _cpu
    begun = spent_by_now()
    try:
        call, count = CONTENDERS[name](problem)
        call()
    except ImportError as failure:
        connection.send(str(failure))
        return
    connection.send(spent_by_now() - begun)
    calls = max(1, problem.burst // count)
    while connection.recv():
        start = spent_by_now()
        for _ in range(calls):
            call()
        spent = 1000 * (spent_by_now() - start) / (calls * count)
        connection.send((spent, _peak(problem.device)))


def _by_the_clock() -> float:
    """Return the time at which the GPU has done what it was told."""
    import torch

    torch.cuda.synchronize()
    return time.perf_counter()


def _peak(device: str) -> float:
    """Return the most memory that was held so far, MiB: the process's, or the GPU's."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _cpu() -> float:
    """Return CPU seconds of this process and of compilers that it started and waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--problem", choices=list(PROBLEMS), default="mlp")
    parser.add_argument("--rounds", type=int, default=15, help="at least 2")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--only", help="contenders, with commas between them")
    parser.add_argument("--pythae", metavar="PYTHON", help="interpreter that has pythae 0.1.2")
    parser.add_argument("--cache", help="folder of compiled steps")
    asked = parser.parse_args()
    # Before any child starts: BLAS reads these once.
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    # In the process itself, so that its time is seen.
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = asked.cache or tempfile.mkdtemp()
    on_gpu = asked.device == "cuda"
    problem = PROBLEMS[asked.problem]
    if on_gpu:  # a step is short there, also of a large ensemble
        problem = replace(problem, device="cuda", burst=400, least=100)
    names = asked.only.split(",") if asked.only else ON_GPU if on_gpu else ON_CPU
    context = multiprocessing.get_context("spawn")
    pipes, ready = {}, {}
    for name in names:
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_contend,
            args=(name, problem, theirs, _libraries(asked, name)),
            daemon=True,
        )
        process.start()
        theirs.close()
        answer = ours.recv()
        if isinstance(answer, str):
            print(f"{name}: left out, {answer}")
        else:
            pipes[name], ready[name] = ours, answer
    times: dict[str, list[float]] = {name: [] for name in pipes}
    peaks = {}
    for _ in range(asked.rounds + 1):
        for name, pipe in pipes.items():
            pipe.send(True)
            spent, peaks[name] = pipe.recv()
            times[name].append(spent)
    for pipe in pipes.values():
        pipe.send(False)
    print(_machine())
    _print_table(times, ready, peaks)


def _machine() -> str:
    told = [platform.machine(), f"{os.cpu_count()} cores", f"Python {platform.python_version()}"]
    for package in ("torch", "pyro-ppl", "numpyro", "jax"):
        try:
            told.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            told.append(f"no {package}")
    return ", ".join(told)


def _print_table(
    times: dict[str, list[float]], ready: dict[str, float], peaks: dict[str, float]
) -> None:
    baseline = "torch-eager" if "torch-eager" in times else next(iter(times))
    print(
        f"\n| | CPU ms a model-step | to {baseline} | ready, CPU s | {STEPS} steps, CPU s "
        "| peak MiB |\n|---|---:|---:|---:|---:|---:|"
    )
    for name, series in times.items():
        warm = series[1:]
        low, middle, high = statistics.quantiles(warm, n=4)
        ratio = statistics.median(a / b for a, b in zip(warm, times[baseline][1:], strict=True))
        print(
            f"| {name} | {middle:.2f} ({low:.2f} - {high:.2f}) | {ratio:.2f} | "
            f"{ready[name]:.1f} | {ready[name] + STEPS * middle / 1000:.1f} | {peaks[name]:.0f} |"
        )


if __name__ == "__main__":
    main()
