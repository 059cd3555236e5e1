"""Linear VAEs beside their theory: which units collapse at which beta × sigma²."""

from __future__ import annotations

import pandas as pd
import torch
from torch import Tensor

from pyrovae.core.errors import PyrovaeError
from pyrovae.datasets import load_dataset
from pyrovae.measures.collapse import ACTIVE_VARIANCE
from pyrovae.measures.collapse.theory import linear_active_units, linear_var_mu, principal_variances
from pyrovae.study.config.run import RunConfig
from pyrovae.study.store import derived
from pyrovae.study.store.results import StudyResults

#: Name of the stage.
_STAGE = "principal_variances"


class NoTheory(PyrovaeError):
    """Runs that the theory of linear VAEs does not speak of, with the reason."""


def measure_principal_variances(study: StudyResults) -> None:
    """Keep the principal variances of the training data with a study that theory speaks of.

    Kept is a row for each principal direction: ``direction`` (from 1) and ``variance``, falling.
    """
    try:
        levels(study)
    except NoTheory:
        return
    # Of one data set, whichever run says so; a fingerprint is part of a run's hash.
    first = study.runs["run"].iloc[0]
    state = derived.state(study.store, [first])
    if (derived.read(study.store, _STAGE)[derived.MADE_FROM] == state).any():
        return
    dataset = load_dataset(**study.configs[first].dataset)
    variances = principal_variances(dataset.train.floats().flatten(1))
    table = {"direction": range(1, len(variances) + 1), "variance": variances.numpy()}
    derived.write(study.store, _STAGE, pd.DataFrame({**table, derived.MADE_FROM: state}))


def known_variances(study: StudyResults) -> Tensor:
    """Return the principal variances of a study's training data, falling; ``float64``.

    Raises
    ------
    NoTheory
        If :func:`measure_principal_variances` has not been called for these runs.
    """
    known = derived.read(study.store, _STAGE)
    state = derived.state(study.store, study.runs["run"].iloc[:1])
    known = known[known[derived.MADE_FROM] == state]
    if known.empty:
        raise NoTheory(
            "the principal variances of its data have not been measured: "
            f"`pyrovae study measure {study.name}` does"
        )
    return torch.from_numpy(known.sort_values("direction")["variance"].to_numpy().copy())


def levels(study: StudyResults) -> dict[str, float]:
    """Return beta × sigma² of each run.

    Raises
    ------
    NoTheory
        Unless the study is of linear VAEs with a fixed sigma and a standard normal prior, over
        several values of beta × sigma² on one data set.
    """
    found = {run: _level(study.configs[run]) for run in study.runs["run"]}
    known = {run: level for run, level in found.items() if level is not None}
    if len(known) < len(found) or len(set(known.values())) < 2:
        raise NoTheory(
            "theory is for linear VAEs with a fixed sigma, over several values of beta × sigma²"
        )
    if study.runs["dataset"].nunique() > 1:
        raise NoTheory("theory is for one data set at a time")
    return known


def beside_theory(study: StudyResults) -> pd.DataFrame:
    """Return what each unit of each run does, and what theory says that it does.

    Returns
    -------
    DataFrame
        A row for each run and unit: ``run``, ``seed``, ``level`` = beta × sigma², ``direction`` (1
        for the unit of largest Var(mu)), ``var_mu``, ``var_mu_theory``, ``active_units``,
        ``active_units_theory``.

    Raises
    ------
    NoTheory
        See :func:`levels` and :func:`known_variances`.
    """
    at, eigenvalues = levels(study), known_variances(study)
    units = study.units()[["run", "seed", "var_mu", "active"]]
    units = units.sort_values(["run", "var_mu"], ascending=[True, False], kind="stable")
    units["direction"] = units.groupby("run").cumcount() + 1
    units["level"] = units["run"].map(at)
    units["active_units"] = units.groupby("run")["active"].transform("sum")
    units["active_units_theory"] = [
        linear_active_units(eigenvalues, level, threshold=ACTIVE_VARIANCE)
        for level in units["level"]
    ]
    # A model cannot have more units than its latent space, nor directions than the data.
    padded = torch.cat([eigenvalues, torch.full((len(units),), 1e-12, dtype=torch.float64)])
    units["var_mu_theory"] = [
        float(linear_var_mu(padded[direction - 1], level))
        for direction, level in zip(units["direction"], units["level"], strict=True)
    ]
    return units.drop(columns="active").sort_values(["level", "seed", "direction"])


def _level(config: RunConfig) -> float | None:
    """Return beta × sigma² of a run that theory is for."""
    if config.network is None or config.likelihood is None or config.prior is None:
        return None  # a user's own model
    network, like, objective = config.network, config.likelihood, config.objective
    linear = network["name"] == "mlp" and not network["hidden"]
    fixed = like["name"] == "gaussian" and not like["learned"] and like["sigma_form"] == "shared"
    normal = config.prior["name"] == "standard_normal"
    beta = {"elbo": 1.0, "beta": objective.get("beta")}.get(objective["name"])
    if not (linear and fixed and normal and isinstance(beta, float)):
        return None
    return beta * like["sigma"] ** 2
