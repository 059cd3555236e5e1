"""Simulated studies in which the truth about a claim is planted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from pyrovae.claims import CLAIMS, Verdict, judge

Rng = np.random.Generator
_SIZES = (2, 8, 16, 32, 64)


@dataclass
class Simulated:
    """What a judge asks of a study.

    ``pruned`` and ``retrained`` are what the stages before it keep.
    """

    runs: pd.DataFrame
    unit_table: pd.DataFrame = field(default_factory=pd.DataFrame)
    pruned: pd.DataFrame = field(default_factory=pd.DataFrame)
    retrained: pd.DataFrame = field(default_factory=pd.DataFrame)
    law: bool = True
    name: str = "simulated"

    def __post_init__(self) -> None:
        self.runs = self.runs.assign(run=[f"run{i}" for i in range(len(self.runs))])
        defaults = {
            "objective": "elbo",
            "network": "mlp",
            "prior": "p",
            "posterior": "q",
            "seed": 0,
        }
        for key, value in defaults.items():
            if key not in self.runs:
                self.runs[key] = value

    @property
    def labels(self) -> tuple[str, ...]:
        return ("network", "prior", "posterior", "objective", "latent_dim")

    @property
    def configs(self) -> dict[str, Any]:
        return {run: SimpleNamespace(has_variance_law=self.law) for run in self.runs["run"]}

    def label(self, run: str, part: str) -> Any:
        (text,) = self.runs.loc[self.runs["run"] == run, part]
        return SimpleNamespace(name=text.split("(")[0], phrase=lambda: text)

    def units(self) -> pd.DataFrame:
        return self.unit_table


@contextmanager
def stages(study: Simulated) -> Iterator[None]:
    """Let a judge read what the stages before it are said to have kept."""
    with (
        mock.patch.object(judge, "pruned_runs", return_value=study.pruned),
        mock.patch.object(judge, "retrained_runs", return_value=study.retrained),
    ):
        yield


def verdict(claim: str, study: Simulated) -> Verdict:
    """Judge a simulated study."""
    given: Any = study
    with stages(study):
        return CLAIMS[claim].judge(given)


def sizes(
    curve: Callable[[np.ndarray], np.ndarray], rng: Rng, *, seeds: int = 3, spread: float = 0.6
) -> Simulated:
    """Used units along a curve, rounded, no more than there are."""
    d = np.repeat(_SIZES, seeds)
    used = np.clip(np.round(curve(d) + rng.normal(0, spread, len(d))), 0, d)
    return Simulated(pd.DataFrame({"latent_dim": d, "used_units": used}))


def inactive(lost: float, rng: Rng, *, runs: int = 4) -> Simulated:
    """Pruning that costs a share of the distortion, and as much of the ELBO."""
    table = pd.DataFrame(
        {"latent_dim": 32, "used_units": 9.0, "elbo": -110.0, "distortion": 85.0}, index=range(runs)
    )
    study = Simulated(table)
    change = 85.0 * (lost + rng.normal(0, 2e-4, runs))
    study.pruned = pd.DataFrame(
        {
            "run": study.runs["run"],
            "pruned": "yes",
            "change": -change,
            "change_se": 0.002,
            "distortion_change": change,
            "distortion_change_se": 0.002,
            "rate_change": 0.0,
        }
    )
    return study


def law(used: float, idle: float, rng: Rng) -> Simulated:
    """Units whose sum of variances is off 1 by so much, in the mean."""
    d = np.repeat(_SIZES[1:], 3)
    study = Simulated(pd.DataFrame({"latent_dim": d, "used_units": 7.0}))
    rows = []
    for run, size in zip(study.runs["run"], d, strict=True):
        of_run = rng.normal(0, 0.015)
        for u in range(size):
            off = (used if u < 7 else idle) + of_run + rng.normal(0, 0.03)
            var = 0.95 if u < 7 else 1e-3
            rows.append({"run": run, "used": u < 7, "var_mu": var, "mean_var": 1 + off - var})
    study.unit_table = pd.DataFrame(rows)
    return study


def gaps(vae: tuple[float, float], auto: tuple[float, float], rng: Rng) -> Simulated:
    """Relative gaps as straight lines in doublings of the size, each of (level, slope)."""
    rows = []
    for size in _SIZES:
        for seed in range(3):
            both = rng.normal(0, 0.01)  # what a seed's split does to both
            for objective, (level, slope) in (("elbo", vae), ("autoencoder", auto)):
                relative = level + slope * (np.log2(size) - 3.8) + both + rng.normal(0, 0.012)
                rows.append(
                    {
                        "latent_dim": size,
                        "seed": seed,
                        "objective": objective,
                        "distortion": 80.0,
                        "distortion_gap": 80 * relative,
                    }
                )
    return Simulated(pd.DataFrame(rows))


def scores(within: float, of_beta: float, rng: Rng) -> Simulated:
    """Scores that follow sparsity within a beta, and beta itself, which moves sparsity."""
    rows = []
    for beta in (1, 2, 4):
        for size in (5, 10, 20):
            for seed in range(3):
                share = 0.2 * np.log2(beta) + 0.25 * np.log2(size / 5) + rng.normal(0, 0.04)
                used = np.clip(np.round(size * (1 - share)), 1, size)
                sparse = 1 - used / size
                shared = rng.normal()  # scores of one run have much in common
                level = within * (sparse - 0.45) / 0.25 + of_beta * (np.log2(beta) - 1)
                made = [level + 0.8 * shared + 0.6 * rng.normal() for _ in range(3)]
                rows.append(
                    {
                        "latent_dim": size,
                        "seed": seed,
                        "objective": f"beta(beta={beta})",
                        "used_units": used,
                        **dict(zip(("mig", "dci", "factor_vae"), made, strict=True)),
                    }
                )
    return Simulated(pd.DataFrame(rows))


def sizing(lost: float, rng: Rng) -> Simulated:
    """Large models that lose a share of the ELBO against those trained at the pruned size."""
    d = np.repeat(_SIZES, 3)
    study = Simulated(
        pd.DataFrame(
            {
                "latent_dim": d,
                "seed": np.tile(range(3), 5),
                "used_units": np.minimum(d, 9.0),
                "elbo": -110 + rng.normal(0, 0.5, 15),
            }
        )
    )
    large = study.runs[study.runs["latent_dim"] == 64]
    study.pruned = pd.DataFrame(
        {"run": study.runs["run"], "pruned": ["yes" if n == 64 else "" for n in d], "change": 0.0}
    )
    trained = large["elbo"] * (1 - lost) + rng.normal(0, 0.5, 3)
    study.retrained = pd.DataFrame({"run": large["run"], "latent_dim": 9, "elbo": trained})
    return study


def kinds(dense: float, conv: float, rng: Rng, *, seeds: int = 3) -> Simulated:
    """Used units of dense and convolutional networks."""
    names = ["mlp(hidden=[8])"] * seeds + ["conv(dense=8)"] * seeds
    used = np.round(np.repeat([dense, conv], seeds) + rng.normal(0, 0.8, 2 * seeds)).clip(0, 32)
    return Simulated(pd.DataFrame({"network": names, "latent_dim": 32, "used_units": used}))


def generated(by_sparsity: float, rng: Rng) -> Simulated:
    """Samples that lose the mean squared error and, at the same error, more where it is sparse."""
    rows = []
    for beta in (0.5, 1.0, 2.0, 4.0):
        for seed in range(3):
            used = np.clip(np.round(12 - 3 * np.log2(beta) + rng.normal(0, 1.2)), 1, 32)
            error = 0.3 + 0.05 * np.log2(beta) + rng.normal(0, 0.012)
            sparse = 1 - used / 32
            loss = error + by_sparsity * (sparse - 0.7) + rng.normal(0, 0.008)
            rows.append(
                {
                    "latent_dim": 32,
                    "seed": seed,
                    "objective": f"beta(beta={beta})",
                    "used_units": used,
                    "data_variance": 0.05,
                    "sample_variance": 0.05 * (1 - loss),
                    "reconstruction_error": 0.05 * error,
                }
            )
    return Simulated(pd.DataFrame(rows))


@dataclass(frozen=True)
class Planted:
    """A truth: of which claim, whether the claim holds, and studies of it."""

    claim: str
    what: str
    holds: bool
    make: Callable[[Rng], Simulated]


TRUTHS = (
    Planted("sparsity", "min(d, 10)", True, lambda r: sizes(lambda d: np.minimum(d, 10.0), r)),
    Planted(
        "sparsity", "2.2 d^0.45", False, lambda r: sizes(lambda d: np.minimum(d, 2.2 * d**0.45), r)
    ),
    Planted(
        "sparsity", "3 d^0.3", False, lambda r: sizes(lambda d: np.minimum(d, 3.0 * d**0.3), r)
    ),
    Planted("sparsity", "all units are used", False, lambda r: sizes(lambda d: d * 1.0, r)),
    Planted("inactive_units", "nothing is lost", True, lambda r: inactive(0.0, r)),
    Planted("inactive_units", "1 % of the distortion is lost", False, lambda r: inactive(0.01, r)),
    Planted("variance_law", "it holds", True, lambda r: law(0.0, 0.0, r)),
    Planted("variance_law", "used units are off by 0.23", False, lambda r: law(0.23, 0.0, r)),
    Planted("variance_law", "idle units are off by 0.15", False, lambda r: law(0.0, -0.15, r)),
    Planted(
        "self_regularisation",
        "8 % against 13 %, equal slopes",
        True,
        lambda r: gaps((0.08, 0.01), (0.13, 0.01), r),
    ),
    Planted(
        "self_regularisation",
        "equal levels, the slope is smaller",
        False,
        lambda r: gaps((0.1, 0.0), (0.1, 0.02), r),
    ),
    Planted(
        "self_regularisation",
        "13 % against 8 %",
        False,
        lambda r: gaps((0.13, 0.0), (0.08, 0.02), r),
    ),
    Planted("disentanglement", "scores follow sparsity", True, lambda r: scores(1.2, 0.0, r)),
    Planted("disentanglement", "scores follow beta alone", False, lambda r: scores(0.0, 1.2, r)),
    Planted("capacity", "0.1 % is lost", True, lambda r: sizing(0.001, r)),
    Planted("capacity", "3 % is lost", False, lambda r: sizing(0.03, r)),
    Planted("networks", "8 against 11 units", True, lambda r: kinds(8, 11, r)),
    Planted("networks", "10 against 10 units", False, lambda r: kinds(10, 10, r)),
    Planted("networks", "11 against 8 units", False, lambda r: kinds(11, 8, r)),
    Planted("generation", "0.4 of sparsity at equal error", True, lambda r: generated(0.4, r)),
    Planted("generation", "the squared error and no more", False, lambda r: generated(0.0, r)),
)
