"""``pyrovae claims``: the seed paper's claims, tested."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyrovae.commands import options, terminal
from pyrovae.commands.failures import SOME_FAILED
from pyrovae.commands.plans import planned
from pyrovae.core.errors import ConfigError, PyrovaeError

if TYPE_CHECKING:
    import pandas as pd

    from pyrovae.claims.pairs import Pair
    from pyrovae.study.execute.runner import RunOptions
    from pyrovae.study.plan.planning import Plan

#: What is asked for besides the pair of the claims' own studies.
_PAIRS = (
    click.option(
        "--priors",
        default="",
        metavar="A,B",
        help="Test the claims under these priors, each in studies of its own name.",
    ),
    click.option(
        "--posteriors",
        default="",
        metavar="A,B",
        help="The same of posteriors: every prior is taken with every posterior.",
    ),
)


def _pairs(command: Any) -> Any:
    for decorate in reversed(_PAIRS):
        command = decorate(command)
    return command


@click.group("claims")
def claims() -> None:
    """Test the claims of Asperti 2019 on sparsity, each with a probability and a figure."""


@claims.command("list")
def list_claims() -> None:
    """Print the claims, their studies, and what is decided."""
    from pyrovae.claims import CLAIMS

    for name, claim in CLAIMS.items():
        terminal.say(f"{name} ({claim.test.study}): {claim.statement}.\n    {claim.criterion}")


@claims.command("run")
@click.argument("names", nargs=-1)
@options.results
@click.option(
    "--files",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Folder of the claims' studies.  [default: those that come with pyrovae]",
)
@_pairs
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
    priors: str,
    posteriors: str,
    profile: str,
    quick: bool,
    overrides: tuple[str, ...],
    unsettled: bool,
    workers: int | None,
    device: str,
    compiled: bool | None,
) -> None:
    """Run the studies of the claims NAMES (default: all) and report; finished runs are kept.

    With --priors or --posteriors the studies run once for each pair of them, under names of their
    own, and there is one table of claims by priors and posteriors. A pair that does not fit
    together is left out, and said so.

    Exit code 1 if runs failed, or have not settled: no claim is judged on them unless told
    --unsettled.
    """
    from pyrovae.claims.pairs import chosen_pairs
    from pyrovae.report.claims.write import chosen_claims
    from pyrovae.study.config import shipped
    from pyrovae.study.execute.cores import available_cores
    from pyrovae.study.execute.runner import RunOptions

    failed: dict[str, str] = {}
    profile = options.chosen_profile(profile, quick)
    files = files or shipped.folder() / "claims"
    chosen = chosen_claims(names)
    pairs = chosen_pairs(priors, posteriors) if priors or posteriors else []
    how = RunOptions(workers=workers or available_cores(), device=device, compiled=compiled)
    for plan, tested in _plans(files, chosen, pairs, profile, overrides):
        click.echo(f"{plan.name}: {len(plan.runs)} runs")
        failed |= _train(plan, tested, results, how)
    judged = _report(results, names, pairs, "", profile, unsettled)
    for run_id, reason in failed.items():
        click.echo(f"failed {run_id}: {reason}", err=True)
    if failed or not judged:
        sys.exit(SOME_FAILED)


@claims.command("report")
@click.argument("names", nargs=-1)
@options.results
@_pairs
@click.option("--study", default="", metavar="NAME", help="Judge the runs of this study instead.")
@options.quick
@options.profile
@options.unsettled
def report(
    names: tuple[str, ...],
    results: Path,
    priors: str,
    posteriors: str,
    study: str,
    profile: str,
    quick: bool,
    unsettled: bool,
) -> None:
    """Judge the claims NAMES (default: all) on the runs of that profile that are there.

    With --priors or --posteriors, under these; with --study, on the runs of any study that has what
    a claim needs, those of each prior and posterior apart.

    Exit code 1 if runs have not settled: no claim is judged on them unless told --unsettled.
    """
    from pyrovae.claims.pairs import chosen_pairs

    profile = options.chosen_profile(profile, quick)
    if study and (priors or posteriors or profile):
        raise PyrovaeError("--study excludes --priors, --posteriors, --profile and --quick")
    pairs = chosen_pairs(priors, posteriors) if priors or posteriors else []
    if not _report(results, names, pairs, study, profile, unsettled):
        sys.exit(SOME_FAILED)


def _plans(
    files: Path,
    chosen: Sequence[str],
    pairs: Sequence[Pair],
    profile: str,
    overrides: Sequence[str],
) -> list[tuple[Plan, list[str]]]:
    """Return the plan of each study that the claims need, with the claims that need it.

    All are made before anything is trained: what cannot be is told at once.
    """
    from pyrovae.claims import CLAIMS
    from pyrovae.claims.pairs import DEFAULT

    found: list[tuple[Plan, list[str]]] = []
    refused: list[ConfigError] = []
    told: set[str] = set()
    for pair in pairs or [DEFAULT]:
        tests = {name: CLAIMS[name].pair if pairs else CLAIMS[name].test for name in chosen}
        for test in dict.fromkeys(test for test in tests.values() if test is not None):
            asked = [*pair.overrides(test), *overrides]
            try:
                plan = planned(files / test.file, profile, asked, told=told)
            except ConfigError as refusal:
                refused.append(refusal)
                continue
            found.append((plan, [name for name, each in tests.items() if each == test]))
    if refused and (len(pairs) < 2 or not found):
        raise refused[0]
    for why in refused:
        click.echo(f"left out: {why}", err=True)
    return found


def _train(plan: Plan, tested: Sequence[str], results: Path, how: RunOptions) -> Mapping[str, str]:
    """Run a study and what its claims need besides; return why runs failed."""
    from rich.console import Console

    from pyrovae.api.stages import measure_study
    from pyrovae.claims import CLAIMS
    from pyrovae.shrink.pruning.retrained import retrained_plan
    from pyrovae.study.execute.runner import run_plan
    from pyrovae.study.store.results import load_study

    failed = dict(run_plan(plan, results, how, console=Console()).failed)
    trained = load_study(results / plan.name)
    if trained.runs.empty:
        return failed
    measure_study(trained, pruning=any(CLAIMS[name].pruning for name in tested))
    if any(CLAIMS[name].retraining for name in tested):
        again = retrained_plan(trained)
        if again is not None:
            click.echo(f"{again.name}: {len(again.runs)} runs")
            failed |= run_plan(again, results, how, console=Console()).failed
    return failed


def _report(
    results: Path,
    names: tuple[str, ...],
    pairs: Sequence[Pair],
    study: str,
    profile: str,
    unsettled: bool,
) -> bool:
    """Print and write the verdicts; return whether none was refused for want of settled runs."""
    from pyrovae.report.claims.write import claims_folder, report_claims, report_pairs, report_study

    place = results / study / "claims" if study else claims_folder(results, profile)
    if study:
        table = report_study(results, names, study, unsettled=unsettled)
    elif pairs:
        table = report_pairs(results, names, pairs, profile=profile, unsettled=unsettled)
    else:
        table = report_claims(results, names, profile=profile, unsettled=unsettled)
    click.echo(_shown(table))
    click.echo(f"report: {place}")
    return unsettled or not (table["unsettled"] > 0).any()


#: Columns that are printed; the rest is in the files.
_PRINTED = (
    "claim",
    "prior",
    "posterior",
    "verdict",
    "probability",
    "prior_probability",
    "mean",
    "low",
    "high",
    "runs",
    "unsettled",
)


def _shown(table: pd.DataFrame) -> str:
    """Return the table for the terminal; prior and posterior where they are told apart."""
    hidden = {key for key in ("prior", "posterior") if (table[key] == "").all()}
    shown = table[[key for key in _PRINTED if key not in hidden]]
    return terminal.frame(shown.map(terminal.brief))
