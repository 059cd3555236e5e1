"""``pyrovae published``: tables of papers beside ours."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyrovae.commands import options, plans, terminal
from pyrovae.commands.failures import SOME_FAILED
from pyrovae.core.errors import PyrovaeError, did_you_mean

if TYPE_CHECKING:
    from pyrovae.study.config.read import Study


@click.group("published")
def published() -> None:
    """Follow the recipes of papers and put their tables beside ours."""


@published.command("list")
def list_published() -> None:
    """Print the studies that come with pyrovae, and whose tables they are about."""
    from pyrovae.published import published_tables
    from pyrovae.study.config.read import load_study_file

    for name, file in _shipped().items():
        sources = [table.source for table in published_tables(load_study_file(file))]
        terminal.say(f"{name}: {'; '.join(dict.fromkeys(sources))}")


@published.command("run")
@click.argument("names", nargs=-1, metavar="[NAME|FILE]...")
@options.results
@options.overrides
@options.quick
@options.profile
@options.workers
@options.device
@options.compiled
def run(
    names: tuple[str, ...],
    results: Path,
    profile: str,
    quick: bool,
    overrides: tuple[str, ...],
    workers: int | None,
    device: str,
    compiled: bool,
) -> None:
    """Run the studies NAMES (default: all that come with pyrovae) and report.

    NAME is one that `published list` prints, or a study's file with a section `published`. Finished
    runs are kept. Exit code 1 if runs failed.
    """
    from rich.console import Console

    from pyrovae.published import published_tables
    from pyrovae.study.config.read import load_study_file
    from pyrovae.study.execute.cores import available_cores
    from pyrovae.study.execute.runner import RunOptions, run_plan

    profile = options.chosen_profile(profile, quick)
    files = _files(names)
    studies = [load_study_file(file, profile=profile, overrides=overrides) for file in files]
    for study in studies:  # what is wrong is told before anything is trained
        published_tables(study)
    made = [plans.planned(file, profile, overrides) for file in files]
    how = RunOptions(workers=workers or available_cores(), device=device, compiled=compiled)
    failed: dict[str, str] = {}
    for plan in made:
        click.echo(f"{plan.name}: {len(plan.runs)} runs")
        failed |= run_plan(plan, results, how, console=Console()).failed
    for study in studies:
        _report(study, results)
    for run_id, reason in failed.items():
        click.echo(f"failed {run_id}: {reason}", err=True)
    if failed:
        sys.exit(SOME_FAILED)


@published.command("report")
@click.argument("names", nargs=-1, metavar="[NAME|FILE]...")
@options.results
@options.quick
@options.profile
def report(names: tuple[str, ...], results: Path, profile: str, quick: bool) -> None:
    """Compare the runs that are there with the papers' tables; nothing is trained.

    Without NAMES: of all studies that come with pyrovae and have been run.
    """
    from pyrovae.study.config.read import load_study_file

    profile = options.chosen_profile(profile, quick)
    studies = [load_study_file(file, profile=profile) for file in _files(names)]
    chosen = [s for s in studies if names or (results / s.name / "study.json").is_file()]
    if not chosen:
        raise PyrovaeError(f"{results}: no study with published tables has been run here")
    for study in chosen:
        _report(study, results)


def _report(study: Study, results: Path) -> None:
    from pyrovae.published import published_tables
    from pyrovae.report.published.write import report_published
    from pyrovae.study.store.results import load_finished

    tables = published_tables(study)
    found = load_finished(results, study.name)
    table = report_published(found, tables)
    shown = table[["row", "published", "ours", "half_width", "runs", "verdict"]]
    click.echo(f"{study.name}: {'; '.join(dict.fromkeys(table['source']))}")
    click.echo(terminal.frame(shown.map(terminal.brief)))
    click.echo(f"report: {found.store.root / 'published'}")


def _shipped() -> dict[str, Path]:
    from pyrovae.study.config import shipped

    inside = shipped.folder() / "published"
    return {name: file for name, file in shipped.studies().items() if file.parent == inside}


def _files(names: Sequence[str]) -> list[Path]:
    known = _shipped()
    for name in names:
        if name not in known and not Path(name).is_file():
            raise PyrovaeError(
                f"no study with published tables '{name}'{did_you_mean(name, known)}"
            )
    return [known.get(name) or Path(name) for name in names] or list(known.values())
