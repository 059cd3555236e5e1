"""``pyrovae claims``: the seed paper's claims, tested."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import click

from pyrovae.commands import options, terminal
from pyrovae.commands.failures import SOME_FAILED
from pyrovae.commands.plans import planned


@click.group("claims")
def claims() -> None:
    """Test the claims of Asperti 2019 on sparsity, each with a probability and a figure."""


@claims.command("list")
def list_claims() -> None:
    """Print the claims, their studies, and what is decided."""
    from pyrovae.claims import CLAIMS

    for name, claim in CLAIMS.items():
        terminal.say(f"{name} ({claim.study}): {claim.statement}.\n    {claim.criterion}")


@claims.command("run")
@click.argument("names", nargs=-1)
@options.results
@click.option(
    "--files",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Folder of the claims' studies.  [default: those that come with pyrovae]",
)
@options.overrides
@options.quick
@options.profile
@options.unsettled
@options.workers
@options.device
@options.compiled
def run(
    names: tuple[str, ...],
    results: Path,
    files: Path | None,
    profile: str,
    quick: bool,
    overrides: tuple[str, ...],
    unsettled: bool,
    workers: int | None,
    device: str,
    compiled: bool,
) -> None:
    """Run the studies of the claims NAMES (default: all) and report; finished runs are kept.

    Exit code 1 if runs failed, or have not settled: no claim is judged on them unless told
    --unsettled.
    """
    from rich.console import Console

    from pyrovae.api.stages import measure_study
    from pyrovae.claims import CLAIMS
    from pyrovae.report.claims.write import chosen_claims
    from pyrovae.study.config import shipped
    from pyrovae.study.execute.cores import available_cores
    from pyrovae.study.execute.runner import RunOptions, run_plan
    from pyrovae.study.store.results import load_study

    failed: dict[str, str] = {}
    profile = options.chosen_profile(profile, quick)
    files = files or shipped.folder() / "claims"
    chosen = [CLAIMS[name] for name in chosen_claims(names)]
    for file in dict.fromkeys(claim.file for claim in chosen):
        plan = planned(files / file, profile, overrides)
        click.echo(f"{plan.name}: {len(plan.runs)} runs")
        chosen_options = RunOptions(
            workers=workers or available_cores(), device=device, compiled=compiled
        )
        outcome = run_plan(plan, results, chosen_options, console=Console())
        failed |= outcome.failed
        trained = load_study(results / plan.name)
        if not trained.runs.empty:
            measure_study(
                trained, pruning=any(claim.pruning for claim in chosen if claim.file == file)
            )
    judged = _report(results, names, profile, unsettled)
    for run_id, reason in failed.items():
        click.echo(f"failed {run_id}: {reason}", err=True)
    if failed or not judged:
        sys.exit(SOME_FAILED)


@claims.command("report")
@click.argument("names", nargs=-1)
@options.results
@options.quick
@options.profile
@options.unsettled
def report(
    names: tuple[str, ...], results: Path, profile: str, quick: bool, unsettled: bool
) -> None:
    """Judge the claims NAMES (default: all) on the runs of that profile that are there.

    Exit code 1 if runs have not settled: no claim is judged on them unless told --unsettled.
    """
    if not _report(results, names, options.chosen_profile(profile, quick), unsettled):
        sys.exit(SOME_FAILED)


def _brief(value: object) -> object:
    """Return a number for reading, and nothing of what is not known."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3g}"
    return value


def _report(results: Path, names: tuple[str, ...], profile: str, unsettled: bool) -> bool:
    """Print and write the verdicts; return whether none was refused for want of settled runs."""
    from pyrovae.report.claims.write import report_claims

    suffix = f"-{profile}" if profile else ""
    table = report_claims(results, names, suffix=suffix, unsettled=unsettled)
    shown = table.drop(columns="quantity")
    click.echo(terminal.frame(shown.map(_brief)))
    click.echo(f"report: {results / f'claims{suffix}'}")
    return unsettled or not (table["unsettled"] > 0).any()
