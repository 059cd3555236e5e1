"""Time the disentanglement metrics, and compare DCI's fast learner with the classical one.

::

    python -m benchmarks.disentanglement            # seconds per metric
    python -m benchmarks.disentanglement --ranking  # minutes: both learners on 12 representations

Sizes: 10,000 points of 10 codes and 5 factors with the levels of dSprites.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
from scipy.stats import spearmanr

from pyrovae.measures.disentanglement import METRICS, dci, needs_factors

N_POINTS, N_CODES = 10_000, 10
LEVELS = (3, 6, 40, 32, 32)
TARGETS = {"all supervised": 60.0, "mig": 0.2}


def representation(
    levels: tuple[int, ...], n: int, mixing: float, noise: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Codes between factors in codes of their own (mixing 0) and factors in all (mixing 1)."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(levels, size=(n, len(levels)))
    standard = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    own = np.eye(len(levels), N_CODES)
    weights = (1 - mixing) * own + mixing * rng.normal(size=own.shape) / np.sqrt(len(levels))
    return standard @ weights + noise * rng.normal(size=(n, N_CODES)), factors


def seconds(call: Callable[[], object], repeats: int = 1) -> float:
    """Return the shortest of several times."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def time_metrics() -> None:
    codes, factors = representation(LEVELS, N_POINTS, mixing=0.3, noise=0.3)
    supervised = {
        name: seconds(lambda name=name: METRICS[name](codes, factors, 0))
        for name in METRICS
        if needs_factors(name)
    }
    for name, taken in supervised.items():
        print(f"{name:>16} {taken:8.3f} s")
    measured = {
        "all supervised": sum(supervised.values()),
        "mig": seconds(lambda: METRICS["mig"](codes, factors), repeats=5),
    }
    for name, target in TARGETS.items():
        verdict = "met" if measured[name] < target else "MISSED"
        print(f"{name:>16} {measured[name]:8.3f} s, target {target:g} s: {verdict}")


def compare_learners() -> None:
    parts = ("disentanglement", "completeness", "informativeness")
    rows = []
    print(
        "mixing noise | " + " | ".join(f"{part}: fast classical" for part in parts) + " | seconds"
    )
    for mixing in (0.0, 0.3, 0.6, 1.0):
        for noise in (0.05, 0.3, 1.0):
            codes, factors = representation((3, 6, 8, 8, 8), 3_000, mixing, noise)
            row, times = [], []
            for learner in ("hist_gradient_boosting", "gradient_boosting"):
                start = time.perf_counter()
                result = dci(codes, factors, 0, learner=learner)
                times.append(time.perf_counter() - start)
                row.append([result.parts[part] for part in parts])
            rows.append(row)
            scores = " | ".join(f"{a:.3f} {b:.3f}" for a, b in zip(*row, strict=True))
            print(
                f"{mixing:6.1f} {noise:5.2f} | {scores} | {times[0]:.1f} {times[1]:.1f}", flush=True
            )
    for index, part in enumerate(parts):
        fast, classical = np.array(rows)[:, :, index].T
        print(
            f"{part}: Spearman {spearmanr(fast, classical).statistic:.3f}, "
            f"largest difference {np.abs(fast - classical).max():.3f}"
        )


if __name__ == "__main__":
    compare_learners() if "--ranking" in sys.argv else time_metrics()
