"""The ``pyrovae`` command: thin; every command calls one function of the package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from pyrovae import __version__
from pyrovae.commands import (
    analysis,
    claims,
    collapse,
    listing,
    options,
    plans,
    posterior,
    published,
    reporting,
    representation,
    sharing,
    terminal,
    using,
    watching,
)
from pyrovae.commands.failures import SOME_FAILED, OneLineGroup

# Packages that import torch are imported inside the commands: `pyrovae --help` answers at once.


def _study_file(command: Any) -> Any:
    """Add the arguments that say which runs a study has."""
    for decorate in (
        options.overrides,
        options.quick,
        options.profile,
        click.argument("file", type=click.Path(path_type=Path)),
    ):
        command = decorate(command)
    return command


def _plan(file: Path, profile: str, quick: bool, overrides: tuple[str, ...]) -> Any:
    return plans.planned(file, options.chosen_profile(profile, quick), overrides)


@click.group(cls=OneLineGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pyrovae")
@click.option("--debug", is_flag=True, envvar="PYROVAE_DEBUG", help="Show where a command failed.")
def main(debug: bool) -> None:
    """Study how VAEs collapse and disentangle under varying priors and posteriors."""


@main.group()
def study() -> None:
    """Plan, run and report studies."""


for command in (
    analysis.analyse,
    posterior.compare,
    reporting.measure,
    reporting.report,
    sharing.page,
    sharing.export,
    sharing.import_,
    watching.watch,
):
    study.add_command(command)


@study.command("run")
@_study_file
@options.results
@options.workers
@options.device
@click.option("--ensemble", type=options.count(1), help="Train so many runs as one program.")
@click.option(
    "--executor", type=click.Choice(["inline", "local", "ray"]), default="local", show_default=True
)
@click.option("--address", help="Of the Ray cluster; 'auto' finds the one that this node is in.")
@click.option(
    "--max-hours", type=options.Finite(min=0, max=1e6), help="Leave checkpoints and end then."
)
@click.option(
    "--checkpoint-minutes",
    type=options.Finite(min=0, max=1e6),
    default=1.0,
    show_default=True,
    help="Time between checkpoints of a run.",
)
@click.option("--force", is_flag=True, help="Train finished and failed runs again.")
@options.compiled
@click.option("--quiet", is_flag=True, help="Print failures only.")
@click.option(
    "--log",
    multiple=True,
    type=click.Choice(["tensorboard", "mlflow"]),
    help="Log to this too; may be repeated.",
)
def study_run(
    file: Path,
    profile: str,
    quick: bool,
    overrides: tuple[str, ...],
    results: Path,
    workers: int | None,
    device: str,
    ensemble: int | None,
    executor: str,
    address: str | None,
    max_hours: float | None,
    checkpoint_minutes: float,
    force: bool,
    compiled: bool | None,
    quiet: bool,
    log: tuple[str, ...],
) -> None:
    """Train, evaluate, store and report what FILE describes; finished runs are kept.

    FILE is a file, or the name of a study that comes with pyrovae: see `pyrovae list studies`.
    """
    from pyrovae.api.running import run_planned
    from pyrovae.report import write_report
    from pyrovae.study.execute.runner import RunOptions

    options = RunOptions(
        executor=executor,
        address=address,
        workers=workers,
        compiled=compiled,
        device=device,
        ensemble=ensemble,
        max_hours=max_hours,
        checkpoint_seconds=60 * checkpoint_minutes,
        force=force,
        quiet=quiet,
        log=log,
    )
    plan = _plan(file, profile, quick, overrides)
    try:
        ran = run_planned(plan, results, options, console=terminal.console())
    except KeyboardInterrupt:
        click.echo("interrupted; the same command goes on with the runs that are missing", err=True)
        sys.exit(130)
    assert ran.outcome is not None
    _tell_outcome(plan.name, ran.outcome, quiet)
    if not ran.runs.empty:
        written = write_report(ran)
        if not quiet:
            click.echo(f"report: {written}")
    if ran.outcome.failed:
        sys.exit(SOME_FAILED)


def _tell_outcome(name: str, outcome: Any, quiet: bool) -> None:
    """Print what became of the runs; end the command if it was interrupted."""
    for run_id, what in outcome.damaged.items():
        click.echo(f"damaged {run_id}: {what}", err=True)
    if outcome.signal:
        click.echo(f"interrupted, {outcome.left} runs left; the same command goes on", err=True)
        sys.exit(128 + outcome.signal)
    if not quiet:
        terminal.say(
            f"{name}: {outcome.done} runs done, {outcome.kept} kept from before, "
            f"{len(outcome.failed)} failed"
            + (f", {outcome.left} left when time was up" if outcome.left else "")
        )
    for run_id, reason in outcome.failed.items():
        click.echo(f"failed {run_id}: {reason}", err=True)


@study.command("plan")
@_study_file
@options.results
@options.workers
def study_plan(
    file: Path,
    profile: str,
    quick: bool,
    overrides: tuple[str, ...],
    results: Path,
    workers: int | None,
) -> None:
    """Print the runs of FILE, their hashes, state and cost; train nothing.

    FILE is a file, or the name of a study that comes with pyrovae: see `pyrovae list studies`. Of
    a study of more than 500 runs those that differ by their seed alone share a line.
    """
    from pyrovae.commands.planned_table import planned_table
    from pyrovae.study.execute.cores import available_cores
    from pyrovae.study.plan.compiling import told, verdicts
    from pyrovae.study.store.folders import Store

    plan = _plan(file, profile, quick, overrides)
    store = Store(results / plan.name)
    states = [store.status(run) for run in plan.runs]
    terminal.console().print(planned_table(plan.runs, states, whole_ids=not terminal.width()))
    cores = workers or available_cores()
    terminal.say(
        f"{plan.name}: {len(plan.runs)} runs, {states.count('missing')} to train; all of them: "
        f"{sum(run.flops for run in plan.runs) / 1e12:.1f} TFLOP, roughly "
        f"{plan.seconds(cores) / 60:.1f} min of training with {cores} workers on this machine"
    )
    for line in told(verdicts(plan)):
        terminal.say(line)


@study.command("copy")
@click.argument("name")
@click.argument("dest", type=click.Path(path_type=Path), default=Path())
def study_copy(name: str, dest: Path) -> None:
    """Write the file of the study NAME, one of `pyrovae list studies`, to DEST to be edited.

    DEST is a file that is not there yet, or a folder.  [default: the working directory]
    """
    from pyrovae.study.config import shipped

    click.echo(shipped.copy(name, dest))


@study.command("status")
@click.argument("name")
@options.results
def study_status(name: str, results: Path) -> None:
    """Show which runs of the study NAME are done, failed and missing, and which are unsettled."""
    from pyrovae.study.store.status import progress, study_root

    found = progress(study_root(results, name))
    training = f" ({len(found.in_training)} in training)" if found.in_training else ""
    settled = len(found.done) - len(found.unsettled)
    terminal.say(
        f"{found.name}: {len(found.done)} done ({settled} settled), {len(found.failed)} failed, "
        f"{len(found.missing)} missing{training}"
    )
    for run_id, reason in found.failed.items():
        terminal.say(f"failed {run_id}: {reason}")
    for run_id, reason in found.unsettled.items():
        terminal.say(f"unsettled {run_id}: {reason}")
    for run_id in found.missing:
        terminal.say(f"missing {run_id}: {found.names[run_id]}")


main.add_command(posterior.diagnose)
main.add_command(reporting.plot)
main.add_command(listing.list_kind)


@main.command("inspect")
@click.argument("run")
@options.results
@click.option("--points", type=options.count(1), default=2, show_default=True)
@click.option("--units", type=options.count(1), default=6, show_default=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for plots.")
def inspect_run(run: str, results: Path, points: int, units: int, out: Path | None) -> None:
    """Print az.summary of RUN's posterior draws and draw ArviZ's standard plots.

    RUN is the start of a run's hash, or its folder. Shown are the first test points, and the units
    of largest KL. Told is also whether the run has settled.
    """
    from pyrovae.report.run.inspection import inspect, of_draws
    from pyrovae.study.store.folders import find_run

    folder = find_run(results, run)
    table, written = inspect(folder, points=points, units=units, out=out)
    click.echo(terminal.frame(of_draws(table)))
    terminal.say(f"run {folder.id}: {folder.ended()}")
    for path in written:
        click.echo(path)


for command in (
    claims.claims,
    published.published,
    collapse.capacity,
    collapse.collapse,
    collapse.prune,
    representation.metrics,
    representation.traverse,
    using.encode,
    using.evaluate,
    using.sample,
):
    main.add_command(command)
