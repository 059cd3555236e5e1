"""``pyrovae claims``: the seed paper's claims, tested."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pyrovae.commands import options


@click.group("claims")
def claims() -> None:
    """Test the claims of Asperti 2019 on sparsity, each with a probability and a figure."""


@claims.command("list")
def list_claims() -> None:
    """Print the claims, their studies, and what is decided."""
    from pyrovae.claims import CLAIMS

    for name, claim in CLAIMS.items():
        click.echo(f"{name} ({claim.study}): {claim.statement}.\n    {claim.criterion}")


@claims.command("run")
@click.argument("names", nargs=-1)
@options.results
@click.option(
    "--files",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=Path("studies/claims"),
    show_default=True,
    help="Folder of the claims' studies.",
)
@click.option("--quick", is_flag=True, help="The profile 'quick': a first look on a CPU.")
@click.option("--set", "overrides", multiple=True, metavar="A.B=C", help="Override a value.")
@options.workers
@click.option("--compile/--no-compile", "compiled", default=True, help="Compile training steps.")
def run(
    names: tuple[str, ...],
    results: Path,
    files: Path,
    quick: bool,
    overrides: tuple[str, ...],
    workers: int | None,
    compiled: bool,
) -> None:
    """Run the studies of the claims NAMES (default: all) and report; finished runs are kept."""
    from rich.console import Console

    from pyrovae.api.stages import measure_study
    from pyrovae.claims import CLAIMS
    from pyrovae.report.claims.write import chosen_claims
    from pyrovae.study.config.read import load_study_file
    from pyrovae.study.execute.runner import run_plan
    from pyrovae.study.execute.workers import available_cores
    from pyrovae.study.plan.planning import make_plan
    from pyrovae.study.store.results import load_study

    failed: dict[str, str] = {}
    chosen = [CLAIMS[name] for name in chosen_claims(names)]
    for file in dict.fromkeys(claim.file for claim in chosen):
        profile = "quick" if quick else ""
        plan = make_plan(load_study_file(files / file, profile=profile, overrides=overrides))
        click.echo(f"{plan.name}: {len(plan.runs)} runs")
        outcome = run_plan(
            plan, results, Console(), workers=workers or available_cores(), compiled=compiled
        )
        failed |= outcome.failed
        trained = load_study(results / plan.name)
        if not trained.runs.empty:
            measure_study(
                trained, pruning=any(claim.pruning for claim in chosen if claim.file == file)
            )
    _report(results, names, quick)
    for run_id, reason in failed.items():
        click.echo(f"failed {run_id}: {reason}", err=True)
    if failed:
        sys.exit(1)


@claims.command("report")
@click.argument("names", nargs=-1)
@options.results
@click.option("--quick", is_flag=True, help="On the results of the profile 'quick'.")
def report(names: tuple[str, ...], results: Path, quick: bool) -> None:
    """Judge the claims NAMES (default: all) on the runs that are there."""
    _report(results, names, quick)


def _report(results: Path, names: tuple[str, ...], quick: bool) -> None:
    from pyrovae.report.claims.write import report_claims

    suffix = "-quick" if quick else ""
    table = report_claims(results, names, suffix=suffix)
    shown = table.drop(columns="quantity")
    click.echo(shown.to_string(index=False, na_rep="", float_format=lambda value: f"{value:.3g}"))
    click.echo(f"report: {results / f'claims{suffix}'}")
