"""``pyrovae collapse`` and ``pyrovae prune``: what a run's latent units do, and doing without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyrovae.commands import options, terminal
from pyrovae.commands.plans import planned

if TYPE_CHECKING:
    from pyrovae.study.plan.planning import Plan


@click.command("collapse")
@click.argument("run")
@options.results
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for figures.")
def collapse(run: str, results: Path, out: Path | None) -> None:
    """Print what each latent unit of RUN does, in order of decreasing KL, and draw it.

    RUN is the start of a run's hash, or its folder.
    """
    from pyrovae.report.run.collapse import CollapseReport
    from pyrovae.study.store.folders import find_run

    folder = find_run(results, run)
    report = CollapseReport.of_run(folder)
    terminal.say(report.text())
    for picture in report.save(out or folder.study / "collapse" / folder.id):
        click.echo(picture)


@click.command("prune")
@click.argument("run")
@options.results
@click.option(
    "--criterion",
    type=click.Choice(["used", "informative", "variance", "kl", "information", "decoder"]),
    default="used",
    show_default=True,
    help="By which units stay, on training data.",
)
@click.option("--deep", is_flag=True, help="Also remove hidden units without influence (mlp).")
@click.option(
    "--finetune",
    type=options.count(0, 10**9),
    default=0,
    help="Training steps after it, undone if they do not help.",
)
@click.option("--samples", type=options.count(2), default=100, show_default=True)
@click.option("--points", type=options.count(2), default=2000, show_default=True)
@options.compiled
def prune(
    run: str,
    results: Path,
    criterion: str,
    deep: bool,
    finetune: int,
    samples: int,
    points: int,
    compiled: bool | None,
) -> None:
    """Remove RUN's unused latent units and store the smaller run in <study>-pruned.

    The ELBO before and after is that of the first POINTS test data, with SAMPLES draws each.
    """
    from pyrovae.report.run.pruning import PruningReport
    from pyrovae.shrink.pruning.prune_run import prune_run
    from pyrovae.study.store.folders import find_run

    pruned = prune_run(
        find_run(results, run),
        criterion=criterion,
        deep=deep,
        finetune=finetune,
        samples=samples,
        points=points,
        compiled=compiled,
    )
    terminal.say(PruningReport(pruned).text())


@click.command("capacity")
@click.argument("file", type=click.Path(path_type=Path))
@options.results
@options.overrides
@options.quick
@options.profile
@click.option("--start", type=options.count(1), default=2, show_default=True)
@click.option("--factor", type=options.count(2), default=4, show_default=True)
@click.option("--seeds", type=options.count(1), default=2, show_default=True)
@click.option("--trainings", type=options.count(1), default=8, show_default=True)
@click.option("--largest", type=options.count(1), default=512, show_default=True)
@options.unsettled
@options.workers
@options.device
@options.compiled
def capacity(
    file: Path,
    results: Path,
    profile: str,
    quick: bool,
    overrides: tuple[str, ...],
    start: int,
    factor: int,
    seeds: int,
    trainings: int,
    largest: int,
    unsettled: bool,
    workers: int | None,
    device: str,
    compiled: bool | None,
) -> None:
    """Search the latent_dim that the data of FILE need, with few TRAININGS.

    FILE is a file, or the name of a study that comes with pyrovae: see `pyrovae list studies`.
    From a small START latent_dim grows by FACTOR until sparsity appears, from a large one it
    shrinks. Each size is trained with SEEDS seeds. Sparse models are pruned and verified at the
    end.
    """
    from rich.console import Console

    from pyrovae.report.study.capacity import CapacityReport
    from pyrovae.shrink.capacity.run import search_capacity
    from pyrovae.study.execute.cores import available_cores

    chosen = options.chosen_profile(profile, quick)
    told: set[str] = set()

    def plan(more: Sequence[str]) -> Plan:
        return planned(file, chosen, [*overrides, *more], told=told)

    found = search_capacity(
        plan,
        results,
        Console(),
        file=str(file),
        start=start,
        factor=factor,
        seeds=seeds,
        trainings=trainings,
        largest=largest,
        workers=workers or available_cores(),
        device=device,
        compiled=compiled,
        unsettled=unsettled,
    )
    report = CapacityReport(found)
    terminal.say(report.text())
    assert found.root is not None
    for picture in report.save(found.root):
        click.echo(picture)
