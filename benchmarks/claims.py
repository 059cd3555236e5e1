"""How often the judges of the claims err: simulated studies in which the truth is planted.

::

    python -m benchmarks.claims [--studies 100]

Prints, for each truth, the share of studies that find the claim supported (P above 0.95) and not
supported (P below 0.05), and the median probability.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from claims.simulated import TRUTHS, verdict


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--claim", action="append")
    given = parser.parse_args()
    print("| claim | planted | holds | supported | not supported | median P | prior P |")
    print("|---|---|---|---:|---:|---:|---:|", flush=True)
    for truth in TRUTHS:
        if given.claim and truth.claim not in given.claim:
            continue
        found = [
            verdict(truth.claim, truth.make(np.random.default_rng(seed)))
            for seed in range(given.studies)
        ]
        p = np.array([each.probability for each in found])
        print(
            f"| {truth.claim} | {truth.what} | {'yes' if truth.holds else 'no'} | "
            f"{(p > 0.95).mean():.2f} | {(p < 0.05).mean():.2f} | {np.median(p):.3f} | "
            f"{found[0].prior_probability:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
