"""``pyrovae.run_study``: a study from its description to its results."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from pyrovae.api.parts import with_names
from pyrovae.api.stages import measure_study
from pyrovae.api.studies import Study, load_study
from pyrovae.core.errors import ConfigError, did_you_mean
from pyrovae.measures.disentanglement import METRICS
from pyrovae.measures.samplers import SAMPLERS
from pyrovae.study.config.read import load_study_file, read_study
from pyrovae.study.config.resolve import REGISTRIES
from pyrovae.study.execute.runner import EXECUTORS, RunOptions, run_plan
from pyrovae.study.plan.planning import Plan, make_plan
from pyrovae.study.watch.events import Event
from pyrovae.training.optimizers import OPTIMIZERS


def run_study(
    study: Mapping[str, Any] | str | Path,
    executor: str = "inline",
    *,
    profile: str = "",
    overrides: Sequence[str] = (),
    results: str | Path = "results",
    progress: bool | Callable[[Event], None] = True,
    workers: int | None = None,
    compiled: bool | None = None,
    device: str = "cpu",
    ensemble: int | None = None,
    address: str | None = None,
    max_hours: float | None = None,
    force: bool = False,
) -> Study:
    """Train, measure and store what is missing of a study, and return it.

    Finished runs are kept: the same call goes on where an interrupted one ended. After Ctrl-C runs
    in training leave a checkpoint, and what is done comes back, with a warning; a second Ctrl-C
    interrupts. ``study.outcome`` counts what became of the runs.

    Parameters
    ----------
    study
        What a study's YAML file holds, as a dict, in which classes of one's own may stand for
        names; the file's path; or the name of a study that comes with pyrovae.
    executor
        ``inline``: in this process, one run after the other. ``local``: in processes of their own,
        as many as cores. ``ray``: on a cluster. The numbers are the same.
    profile, overrides
        A profile of the study, and ``"training.steps=100"`` each: as ``--profile``, ``--set``.
    results
        The folder that holds all studies.
    progress
        Whether to show it, or a function that is called with each
        :class:`pyrovae.study.watch.events.Event` instead.
    workers, compiled, device, ensemble, address, max_hours, force
        See :class:`pyrovae.study.execute.runner.RunOptions`.

    Raises
    ------
    ConfigError
        For anything that is wrong with the study, with its place.
    PyrovaeError
        If another process is running it, or results cannot be written.

    Examples
    --------
    ::

        study = pyrovae.run_study(
            {
                "name": "two_priors",
                "base": {"dataset": "sprites", "network": "mlp", "latent_dim": 8, ...},
                "grid": {"prior": ["standard_normal", "laplace"]},
            }
        )
        study.runs[["prior", "elbo", "used_units"]]
    """
    if executor not in EXECUTORS:
        raise ConfigError(
            f"unknown executor {executor!r}{did_you_mean(str(executor), EXECUTORS)}", "executor"
        )
    for name, value in (("workers", workers), ("ensemble", ensemble)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise ConfigError(f"must be a whole number, got {value!r}", name)
        if value is not None and value < 1:
            raise ConfigError(f"must be at least 1, got {value}", name)
    if device not in ("cpu", "cuda"):
        raise ConfigError(f"must be cpu or cuda, got {device!r}", "device")
    options = RunOptions(
        executor=executor,
        address=address,
        workers=workers,
        compiled=compiled,
        device=device,
        ensemble=ensemble,
        max_hours=max_hours,
        force=force,
    )
    plan = plan_study(study, profile=profile, overrides=overrides)
    if executor != "inline":
        _require_importable(plan)
    ran = run_planned(
        plan,
        Path(results),
        options,
        console=Console() if progress is True else None,
        tell=progress if callable(progress) else None,
    )
    outcome = ran.outcome
    assert outcome is not None
    for run, what in outcome.damaged.items():
        warnings.warn(f"damaged {run}: {what}", stacklevel=2)
    if outcome.left:
        why = "interrupted" if outcome.signal else "time was up"
        warnings.warn(f"{why}, {outcome.left} runs left; the same call goes on", stacklevel=2)
    for run, reason in outcome.failed.items():
        warnings.warn(f"failed {run}: {reason}", stacklevel=2)
    return ran


def plan_study(
    study: Mapping[str, Any] | str | Path, *, profile: str = "", overrides: Sequence[str] = ()
) -> Plan:
    """Return the checked plan of a study that is given as for :func:`run_study`."""
    if isinstance(overrides, str):
        overrides = [overrides]
    if isinstance(study, Mapping):
        found = read_study(with_names(study), profile=profile, overrides=overrides)
    elif isinstance(study, str | Path):
        found = load_study_file(Path(study), profile=profile, overrides=overrides)
    else:
        raise ConfigError(f"must be a dict, a path or a name, got {type(study).__name__}", "study")
    for remark in found.remarks:
        warnings.warn(remark, stacklevel=3)
    return make_plan(found)


def run_planned(
    plan: Plan,
    results: Path,
    options: RunOptions,
    *,
    console: Console | None = None,
    tell: Callable[[Event], None] | None = None,
) -> Study:
    """Execute what is missing of a plan, take the measures of whole studies, return the study."""
    outcome = run_plan(plan, results, options, console=console, tell=tell)
    study = replace(load_study(results / plan.name), outcome=outcome)
    if not outcome.signal and not study.runs.empty:
        measure_study(study)
    return study


def _require_importable(plan: Plan) -> None:
    """Refuse parts that other processes could not import."""
    for run in plan.runs:
        chosen = [(key, registry, getattr(run.config, key)) for key, registry in REGISTRIES.items()]
        chosen.append(("training.optimizer", OPTIMIZERS, run.config.training.optimizer))
        chosen += [("evaluation.metrics", METRICS, m) for m in run.config.evaluation.metrics]
        chosen += [("evaluation.samplers", SAMPLERS, s) for s in run.config.evaluation.samplers]
        for place, registry, part in chosen:
            problem = part and registry.not_elsewhere(part["name"])
            if problem:
                raise ConfigError(problem, place)
