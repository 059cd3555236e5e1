"""``pyrovae diagnose`` and ``pyrovae study compare``: what posteriors say of runs and cells."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from pyrovae.commands import options, terminal


@click.command("diagnose")
@click.argument("run")
@options.results
@click.option("--points", type=options.count(2), help="Test points.  [default: 32]")
@click.option("--warmup", type=options.count(20), help="Of each chain.  [default: 1000]")
@click.option("--draws", type=options.count(100), help="In each chain.  [default: 1000]")
@click.option("--temperatures", type=options.count(2), help="Of AIS.  [default: 4000]")
@click.option(
    "--classifiers",
    type=options.count(1),
    help="Of the local C2ST: at which points is the guide wrong?  [default: none]",
)
@click.option("--compile", "compiled", is_flag=True, help="Compile the sampler's step.")
def diagnose(
    run: str,
    results: Path,
    points: int | None,
    warmup: int | None,
    draws: int | None,
    temperatures: int | None,
    classifiers: int | None,
    compiled: bool,
) -> None:
    """Sample RUN's true posterior by NUTS and judge its guide by it.

    RUN is the start of a run's hash, or its folder. Results are in diagnostics/<run> of its study.
    """
    from pyrovae.measures.posterior.settings import DiagnosticsSettings
    from pyrovae.report.diagnosis import DiagnosisReport
    from pyrovae.study.store.diagnoses import diagnose_run
    from pyrovae.study.store.folders import find_run

    given = {
        "points": points,
        "warmup": warmup,
        "draws": draws,
        "temperatures": temperatures,
        "local_classifiers": classifiers,
    }
    settings = DiagnosticsSettings(**{k: v for k, v in given.items() if v is not None})
    folder = find_run(results, run)
    with Console(stderr=True).status("") as status:
        stored = diagnose_run(folder, settings, compiled=compiled, progress=status.update)
        status.update("figures")
        report = DiagnosisReport.of_run(stored)
        written = report.save(stored.figures)
    terminal.say(report.text())
    click.echo(f"draws: {stored.path / 'posterior.nc'}")
    click.echo(f"figures: {written}")


@click.command("compare")
@click.argument("name")
@options.results
@click.option("--points", type=options.count(2), default=500, show_default=True)
@click.option("--samples", type=options.count(1), default=200, show_default=True)
@options.unsettled
def compare(name: str, results: Path, points: int, samples: int, unsettled: bool) -> None:
    """Compare the cells of the study NAME by az.compare on held-out log p(x).

    log p(x) is the importance-weighted bound with SAMPLES draws from each run's guide. Of cells
    with diagnosed runs it is told who collapsed their units. Exit code 1 if runs have not settled:
    nothing is concluded then, unless told --unsettled.
    """
    from pyrovae.analysis.heldout import measure_heldout
    from pyrovae.report.look.drawn import NothingToDraw
    from pyrovae.report.look.presented import present
    from pyrovae.report.study.comparison import write_comparison
    from pyrovae.report.tables import true_posterior
    from pyrovae.study.store.results import load_finished

    study = load_finished(results, name)
    study.settling.require(unsettled=unsettled)  # before what takes minutes
    measure_heldout(study, points=points, samples=samples)
    table, written = write_comparison(study, points=points, unsettled=unsettled)
    click.echo(terminal.frame(table))
    if study.settling.unsettled:
        terminal.say(study.settling.noted)
    click.echo(f"table and figure: {written}")
    try:
        split = true_posterior.by_cell(present(study))
    except NothingToDraw as nothing:
        terminal.say(str(nothing))
    else:
        click.echo(f"\n{terminal.frame(split.round(3))}")
        terminal.say(true_posterior.CAPTION)
