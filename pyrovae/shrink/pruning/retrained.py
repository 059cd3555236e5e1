"""Models trained from the start at the sizes that pruning found: what pruned ones stand beside."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from pyrovae.core.errors import PyrovaeError
from pyrovae.shrink.pruning.stage import pruned_runs
from pyrovae.study.config.read import PlacedRun, Study
from pyrovae.study.config.run import RunConfig
from pyrovae.study.plan.planning import Plan, make_plan
from pyrovae.study.store.folders import Store
from pyrovae.study.store.results import StudyResults, load_study

#: Suffix of the study of these runs, beside that of pruned ones.
SUFFIX = "-retrained"


def retrained_plan(study: StudyResults) -> Plan | None:
    """Return the runs that pruned models are to be compared with; ``None`` if there is no need.

    Of every run with objective ``elbo`` and the largest ``latent_dim`` that was pruned, it is the
    run of the same seed that has from the start as many latent units as were left. Sizes that the
    study has itself are not trained again.

    Parameters
    ----------
    study
        Of which :func:`pyrovae.shrink.pruning.stage.measure_pruning` was called.

    Raises
    ------
    PyrovaeError
        If it was not.
    """
    known = {_content(config) for config in study.configs.values()}
    runs = study.runs[study.runs["objective"] == "elbo"]
    large = runs[runs["latent_dim"] == runs["latent_dim"].max()]
    wanted = {_content(config): config for _, config in _wanted(study, large["run"])}
    placed = [PlacedRun(config, ()) for key, config in wanted.items() if key not in known]
    if not placed:
        return None
    told = f"Runs of {study.name}, trained at the sizes that pruning found."
    return make_plan(Study(f"{study.name}{SUFFIX}", told, "", tuple(placed)))


def retrained_runs(study: StudyResults, runs: Iterable[str]) -> pd.DataFrame:
    """Return the runs that were trained at the sizes of pruned ones.

    Returns
    -------
    DataFrame
        A row for each of ``runs``: ``run``, ``latent_dim`` and ``elbo`` of its counterpart.

    Raises
    ------
    PyrovaeError
        If there is none of some run.
    """
    found = {_content(study.configs[row["run"]]): row for row in study.runs.to_dict("records")}
    root: Path = study.store.root
    beside = root.with_name(f"{root.name}{SUFFIX}")
    if (beside / "study.json").exists():
        again = load_study(beside)
        found |= {_content(again.configs[row["run"]]): row for row in again.runs.to_dict("records")}
    wanted = dict(_wanted(study, runs))
    rows = [
        {"run": run, "latent_dim": config.latent_dim, "elbo": found[key]["elbo"]}
        for run, config in wanted.items()
        if (key := _content(config)) in found
    ]
    if len(rows) < len(wanted):
        sizes = ", ".join(map(str, sorted({config.latent_dim for config in wanted.values()})))
        raise PyrovaeError(
            f"needs runs with as many latent units as pruning left ({sizes}), and with the seeds "
            "of the largest; `pyrovae claims run capacity` trains those of its own study"
        )
    return pd.DataFrame(rows)


def _wanted(study: StudyResults, runs: Iterable[str]) -> Iterator[tuple[str, RunConfig]]:
    """Yield each run that was pruned, and the configuration of its counterpart."""
    pruned = pruned_runs(study).set_index("run")["pruned"]
    root: Path = study.store.root
    store = Store(root.with_name(f"{root.name}-pruned"))
    for run in runs:
        if pruned.loc[run]:
            size = store.run(pruned.loc[run]).config().latent_dim
            yield run, study.configs[run].model_copy(update={"latent_dim": size})


def _content(config: RunConfig) -> str:
    """Return what two runs share that are the same but for how they are measured."""
    return json.dumps(config.model_dump(mode="json", exclude={"evaluation"}), sort_keys=True)
