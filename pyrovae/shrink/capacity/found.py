"""The search for a capacity, whatever trains its models, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pyrovae.core.errors import ConfigError, NotSettled
from pyrovae.measures.disentanglement import intrinsic_dimension
from pyrovae.shrink.capacity.search import Belief, Observation, belief, next_size
from pyrovae.shrink.pruning.prune_run import Pruned, PrunedRun
from pyrovae.training.settled import Settled

#: Scores of the curve against latent_dim.
SCORES = ("used_units", "rate", "distortion", "elbo", "elbo_gap", "distortion_gap")


@dataclass(frozen=True)
class Capacity:
    """What a search found.

    Attributes
    ----------
    root
        The study's folder; ``None`` for trainings in memory.
    runs
        One row for each training: ``run``, ``latent_dim``, ``seed``, and :data:`SCORES`.
    believed
        Posterior over the number of units that the data need.
    complete
        Whether the search ended by itself, not for want of trainings.
    pruned
        Sparse runs after pruning.
    unsettled
        Runs that have not settled.
    intrinsic
        Intrinsic dimension of the codes of the largest latent_dim, mean over its runs: see
        :func:`intrinsic`; ``None`` if unknown.
    """

    root: Path | None
    runs: pd.DataFrame
    believed: Belief
    complete: bool
    pruned: tuple[Pruned, ...]
    unsettled: tuple[str, ...] = ()
    intrinsic: float | None = None

    @property
    def recommended(self) -> int:
        """The latent_dim to use."""
        return max(self.believed.mode, 1)


def search(
    train: Callable[[int], pd.DataFrame],
    *,
    start: int,
    factor: int,
    seeds: int,
    trainings: int,
    largest: int,
    tell: Callable[[str], None],
) -> tuple[pd.DataFrame, Belief, bool]:
    """Train sizes until the latent_dim that the data need is known, or trainings are used up.

    Parameters
    ----------
    train
        Trains a latent_dim with every seed, and returns all trainings so far, :attr:`Capacity.runs`
        with what else is known of them.
    start, factor, largest
        First latent_dim, its growth, and its bound.
    seeds
        Trainings for each latent_dim.
    trainings
        At most so many in all.
    tell
        Told what each size showed.

    Returns
    -------
    runs, believed, complete
        As in :class:`Capacity`.

    Raises
    ------
    ConfigError
        If there are fewer trainings than seeds.
    """
    if trainings < seeds:
        raise ConfigError(f"{trainings} trainings are fewer than {seeds} seeds", "--trainings")
    size: int | None = start
    done = 0
    while size is not None and done + seeds <= trainings:
        runs = train(size)
        done += seeds
        observations = observed(runs)
        shown = belief(observations)
        used = runs.loc[runs["latent_dim"] == size, "used_units"].astype(int).tolist()
        tell(
            f"latent_dim {size}: {', '.join(map(str, used))} used; "
            f"P(more than needed) = {shown.sparse(size):.2f}"
        )
        size = next_size(observations, factor=factor, largest=largest)
    return trainings_of(runs), shown, size is None


def observed(runs: pd.DataFrame) -> list[Observation]:
    """Return what each training, a row of a study's index, says of the number of units needed."""
    return [Observation(int(row.latent_dim), int(row.used_units)) for row in runs.itertuples()]


def trainings_of(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a study's index as :attr:`Capacity.runs`."""
    columns = ["run", "latent_dim", "seed", *SCORES]
    return runs[columns].sort_values(["latent_dim", "seed"], ignore_index=True)


def need_settled(size: int, found: Mapping[str, Settled]) -> None:
    """Refuse trainings that have not settled: their counts of units would mean nothing.

    Parameters
    ----------
    size
        Their latent_dim.
    found
        Whether each has settled, by its name.

    Raises
    ------
    NotSettled
        If one has not.
    """
    open_ = {run: state for run, state in found.items() if not state.yes}
    if open_:
        told = "; ".join(f"run {run}: {state.told}" for run, state in open_.items())
        raise NotSettled(
            f"latent_dim {size}: {len(open_)} of {len(found)} runs have not settled, so their "
            f"units cannot be counted ({told}). Train on with training.until: settled and more "
            "training.steps (--set), or conclude nevertheless with --unsettled"
        )


def largest_pruned(runs: pd.DataFrame, prune: Callable[[str], Pruned | None]) -> tuple[Pruned, ...]:
    """Prune the models of the largest size that has unused units: shrinking without training.

    Parameters
    ----------
    runs
        As :attr:`Capacity.runs`.
    prune
        Prunes a training by its name, or returns ``None`` where there is nothing to prune.
    """
    sparse = runs[runs["used_units"] < runs["latent_dim"]]
    chosen = sparse[sparse["latent_dim"] == sparse["latent_dim"].max()]
    return tuple(found for found in map(prune, chosen["run"]) if found is not None)


def intrinsic(runs: pd.DataFrame, codes: Callable[[str], NDArray[np.floating]]) -> float | None:
    """Return the intrinsic dimension of the codes of the largest latent_dim, mean over its runs.

    Another answer to the same question, by nearest neighbours among posterior means
    (:func:`pyrovae.measures.disentanglement.intrinsic_dimension`): how many numbers say where on
    their manifold the codes are. It takes as many units at least, and more where that is curved.

    Parameters
    ----------
    runs
        As in :class:`Capacity`.
    codes
        Returns those of a run, ``(n, latent_dim)``.

    Returns
    -------
    float or None
        ``None`` where codes are fewer than their units.
    """
    largest = runs.loc[runs["latent_dim"] == runs["latent_dim"].max(), "run"]
    try:
        return float(np.mean([intrinsic_dimension(codes(run)).score for run in largest]))
    except ConfigError:
        return None


def describe(found: Capacity) -> str:
    """Return what was found, as text."""
    low, high = found.believed.interval()
    by_size = found.runs.drop(columns=["run", "seed"]).groupby("latent_dim").mean().reset_index()
    lines = [by_size.to_string(index=False, float_format=lambda value: f"{value:.4g}"), ""]
    if found.believed.open:
        lines.append(
            f"every latent_dim up to {found.runs['latent_dim'].max()} is used in full: more than "
            "that may be needed"
        )
    else:
        lines.append(
            f"recommended latent_dim {found.recommended} (95 % interval {low} to {high}), from "
            f"{len(found.runs)} trainings"
        )
    if found.intrinsic is not None:
        lines.append(
            f"intrinsic dimension of the codes at latent_dim {found.runs['latent_dim'].max()}: "
            f"{found.intrinsic:.1f} (nearest neighbours)"
        )
    if found.unsettled:
        lines.append(
            f"{len(found.unsettled)} of {len(found.runs)} trainings have NOT settled, and their "
            f"counts may still change: {', '.join(found.unsettled)}"
        )
    if not found.complete:
        lines.append("the search was not finished: allow more with --trainings")
    for p in found.pruned:
        lines.append(
            f"pruned {len(p.kept) + len(p.removed)} -> {len(p.kept)} units: ELBO "
            f"{p.comparison.change:+.4f} ± {p.comparison.change_se:.4f} nats, parameters "
            f"{p.parameters[1] / p.parameters[0] - 1:+.1%}"
            + (f" (run {p.folder.id})" if isinstance(p, PrunedRun) else "")
        )
    return "\n".join(lines)
