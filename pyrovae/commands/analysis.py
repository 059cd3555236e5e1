"""``pyrovae study analyse``: the comparison across runs."""

from __future__ import annotations

import math
from pathlib import Path

import click

from pyrovae.commands import options, terminal
from pyrovae.core.errors import PyrovaeError


@click.command("analyse")
@click.argument("name")
@options.results
@click.option("--metric", "metrics", multiple=True, help="Only this one; may be repeated.")
@click.option(
    "--rope",
    "ropes",
    multiple=True,
    metavar="METRIC=HALF-WIDTH",
    help="What counts as practically equal, instead of the default.",
)
@click.option("--chains", type=options.count(2), default=4, show_default=True)
@click.option("--draws", type=options.count(4), default=600, show_default=True)
@click.option("--warmup", type=options.count(20), default=600, show_default=True)
@click.option("--seed", type=options.seed, default=0, show_default=True)
@options.unsettled
@options.workers
def analyse(
    name: str,
    results: Path,
    metrics: tuple[str, ...],
    ropes: tuple[str, ...],
    chains: int,
    draws: int,
    warmup: int,
    seed: int,
    unsettled: bool,
    workers: int | None,
) -> None:
    """Compare the cells of the study NAME by a hierarchical Pyro model of each metric.

    Exit code 1 if the chains of some metric did not converge: nothing is concluded of it; or if
    runs have not settled: nothing is concluded of anything, unless told --unsettled.
    """
    import torch

    from pyrovae.analysis import Sampling
    from pyrovae.analysis.study import analyse as analyse_study
    from pyrovae.study.execute.cores import available_cores
    from pyrovae.study.store.results import load_finished
    from pyrovae.study.store.settling import MARK

    torch.set_num_threads(1)  # The tensors are tiny.
    found = analyse_study(
        load_finished(results, name),
        metrics=metrics,
        rope=dict(_rope(text) for text in ropes),
        sampling=Sampling(chains=chains, draws=draws, warmup=warmup, seed=seed),
        unsettled=unsettled,
        workers=workers or available_cores(),
        progress=terminal.say,
    )
    click.echo(f"analysis: {found.root}")
    if found.unsettled:
        terminal.say(f"{MARK} {found.unsettled}")
    if any(entry["status"] == "refused" for entry in found.about["metrics"].values()):
        click.get_current_context().exit(1)


def _rope(text: str) -> tuple[str, float]:
    key, _, value = text.rpartition("=")
    try:
        width = float(value)
    except ValueError:
        raise PyrovaeError(f"--rope {text}: must have the form metric=number") from None
    if not 0 < width < math.inf:
        raise PyrovaeError(f"--rope {text}: the half width must be positive and finite")
    return key, width
