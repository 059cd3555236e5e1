"""Commands about representations: scores of any codes, and what the units of a run do."""

from __future__ import annotations

from pathlib import Path

import click

from pyrovae.commands import options, terminal


@click.command()
@click.argument("codes", type=click.Path(path_type=Path))
@click.argument("factors", type=click.Path(path_type=Path), required=False)
@click.option(
    "--metric", "names", multiple=True, metavar="NAME", help="Only this one; may be repeated."
)
@click.option(
    "--seed",
    type=options.seed,
    default=0,
    show_default=True,
    help="Of votes, splits and learners.",
)
@click.option(
    "--resamples",
    type=options.count(0),
    default=0,
    show_default=True,
    help="Random halves of the points for standard errors.",
)
@click.option("--original", is_flag=True, help="Estimators of the original papers.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with the estimators' parameters.")
def metrics(
    codes: Path,
    factors: Path | None,
    names: tuple[str, ...],
    seed: int,
    resamples: int,
    original: bool,
    as_csv: bool,
) -> None:
    """Score any representation: CODES (n, d) and FACTORS (n, k), both .npy.

    Row i of both files is point i; factors are whole numbers. Without FACTORS, the metrics of codes
    alone are computed: they measure dependence, so less is better; of all others, more is.
    "pyrovae list metrics" says what each one is.
    """
    from pyrovae.measures.disentanglement import score_files
    from pyrovae.report.run.scores import ScoreReport

    scores = score_files(
        codes, factors, list(names) or None, seed, n_resamples=resamples, original=original
    )
    report = ScoreReport(str(codes), scores)
    if as_csv:
        click.echo(scores.to_csv(index=False), nl=False)
    else:
        terminal.say(report.text())


@click.command()
@click.argument("run")
@options.results
@click.option(
    "--over",
    type=click.Choice(["prior", "posterior"]),
    default="prior",
    show_default=True,
    help="Whose quantiles, from 5 % to 95 %, the values are.",
)
@click.option("--points", type=options.count(1), default=4, show_default=True)
@click.option("--units", type=options.count(1), default=10, show_default=True)
@click.option("--steps", type=options.count(2, 100), default=11, show_default=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder.")
def traverse(
    run: str, results: Path, over: str, points: int, units: int, steps: int, out: Path | None
) -> None:
    """Draw what each latent unit of RUN does: grids, an animation, factors by units.

    RUN is the start of a run's hash, or its folder. Shown are the first test images, and the units
    of largest KL.
    """
    from pyrovae.report.run.unit_views import write_traversals
    from pyrovae.study.store.folders import find_run

    folder = find_run(results, run)
    for path in write_traversals(
        folder,
        over="posterior" if over == "posterior" else "prior",
        points=points,
        units=units,
        steps=steps,
        out=out,
    ):
        click.echo(path)
