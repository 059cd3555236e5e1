"""The search for a capacity, whatever trains its models, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pyrovae.core.errors import ConfigError
from pyrovae.shrink.capacity.search import Belief, Observation, belief, next_size
from pyrovae.shrink.pruning.prune_run import Pruned, PrunedRun

#: Scores of the curve against latent_dim.
SCORES = ("active_units", "rate", "distortion", "elbo", "elbo_gap", "distortion_gap")


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
    """

    root: Path | None
    runs: pd.DataFrame
    believed: Belief
    complete: bool
    pruned: tuple[Pruned, ...]

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
        active = runs.loc[runs["latent_dim"] == size, "active_units"].astype(int).tolist()
        tell(
            f"latent_dim {size}: {', '.join(map(str, active))} active; "
            f"P(more than needed) = {shown.sparse(size):.2f}"
        )
        size = next_size(observations, factor=factor, largest=largest)
    return trainings_of(runs), shown, size is None


def observed(runs: pd.DataFrame) -> list[Observation]:
    """Return what each training, a row of a study's index, says of the number of units needed."""
    return [Observation(int(row.latent_dim), int(row.active_units)) for row in runs.itertuples()]


def trainings_of(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a study's index as :attr:`Capacity.runs`."""
    columns = ["run", "latent_dim", "seed", *SCORES]
    return runs[columns].sort_values(["latent_dim", "seed"], ignore_index=True)


def largest_pruned(runs: pd.DataFrame, prune: Callable[[str], Pruned | None]) -> tuple[Pruned, ...]:
    """Prune the models of the largest size that has inactive units: shrinking without training.

    Parameters
    ----------
    runs
        As :attr:`Capacity.runs`.
    prune
        Prunes a training by its name, or returns ``None`` where there is nothing to prune.
    """
    sparse = runs[runs["active_units"] < runs["latent_dim"]]
    chosen = sparse[sparse["latent_dim"] == sparse["latent_dim"].max()]
    return tuple(found for found in map(prune, chosen["run"]) if found is not None)


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
