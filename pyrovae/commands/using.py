"""``pyrovae encode``, ``sample`` and ``evaluate``: a trained run on data that it has not seen."""

from __future__ import annotations

from pathlib import Path

import click

from pyrovae.commands import options, terminal

_run = click.argument("run")
_data = click.argument("data", type=click.Path(path_type=Path))
_seed = click.option(
    "--seed", type=options.seed, default=0, show_default=True, help="Of everything that is drawn."
)
_given = click.option(
    "--given",
    multiple=True,
    metavar="NAME=VALUE",
    help="What a conditional run is given; as often as it has labels or covariates.",
)


@click.command()
@_run
@_data
@options.results
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("codes.parquet"),
    show_default=True,
    help="A table (.parquet, .csv), all arrays (.npz) or the means alone (.npy).",
)
@click.option(
    "--draws", type=options.count(0, 10_000), default=0, help="Draws of each code, beside its mean."
)
@_seed
@_given
def encode(
    run: str, data: Path, results: Path, out: Path, draws: int, seed: int, given: tuple[str, ...]
) -> None:
    """Encode the observations in DATA by RUN: mean and standard deviation of each code.

    RUN is the start of a run's hash, or its folder. DATA is a file (npy, npz, HDF5, CSV, Parquet)
    or a folder of pictures, as the data set `files` reads them; labels are kept.
    """
    from pyrovae.api import files
    from pyrovae.api.runs import load_run

    files.check_suffix(out, files.TABLES + files.ARRAYS)
    trained = load_run(run, results=results)
    observed = files.read(data, trained)
    with options.about(data):
        context = files.context(trained, given, observed.labels)
        found = trained.posterior(observed.values, context, draws=draws, seed=seed)
    if out.suffix in files.TABLES:
        files.write_table(files.codes_table(found, observed.labels), out)
    else:
        files.write_arrays(files.beside(found, observed.labels), out)
    n, d = found["mean"].shape
    click.echo(f"{out}: {n} codes of {d} units")


@click.command()
@_run
@options.results
@click.option("--n", type=options.count(1), default=64, show_default=True, help="How many.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("samples.png"),
    show_default=True,
    help="A picture (.png), arrays (.npy, .npz), a table (.parquet, .csv) or lines of text (.txt).",
)
@click.option("--noise", is_flag=True, help="Draw from p(x|z) too; without it, its mean is shown.")
@click.option(
    "--sampler",
    metavar="NAME",
    help="Draw codes from a law that is fitted to those of the training data, not from the prior: "
    "`pyrovae list samplers`. Parameters as YAML: `{name: mixture, components: 20}`.",
)
@_seed
@_given
def sample(
    run: str,
    results: Path,
    n: int,
    out: Path,
    noise: bool,
    sampler: str | None,
    seed: int,
    given: tuple[str, ...],
) -> None:
    """Draw observations from the model of RUN.

    RUN is the start of a run's hash, or its folder.
    """
    import pandas as pd

    from pyrovae.api import files
    from pyrovae.api.runs import load_run
    from pyrovae.core import atomic
    from pyrovae.report.look.mosaics import grid_png
    from pyrovae.study.config import yaml

    files.check_suffix(out, (".png", ".txt", *files.ARRAYS, *files.TABLES))
    trained = load_run(run, results=results)
    context = files.context(trained, given, {})
    asked = None if sampler is None else yaml.parse(sampler, "--sampler")
    drawn = trained.sample(n, context=context, seed=seed, noise=noise, sampler=asked)
    if out.suffix == ".png":
        atomic.write_bytes(out, grid_png(drawn))
    elif out.suffix == ".txt":
        files.write_text(drawn, trained, out)
    elif out.suffix in files.ARRAYS:
        files.write_arrays({"x": drawn.numpy()}, out)
    else:
        flat = drawn.flatten(1).numpy()
        files.write_table(pd.DataFrame(flat, columns=[f"x_{i}" for i in range(flat.shape[1])]), out)
    click.echo(f"{out}: {n} samples")


@click.command()
@_run
@_data
@options.results
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write bounds of each observation too (.parquet, .csv).",
)
@click.option(
    "--samples",
    type=options.count(1, 100_000),
    default=16,
    show_default=True,
    help="Draws of the code for each observation.",
)
@_seed
@_given
def evaluate(
    run: str,
    data: Path,
    results: Path,
    out: Path | None,
    samples: int,
    seed: int,
    given: tuple[str, ...],
) -> None:
    """Measure RUN on the observations in DATA, as a study measures its runs on the test set.

    RUN is the start of a run's hash, or its folder. DATA is as for `pyrovae encode`; labels are the
    factors that disentanglement metrics compare codes with.
    """
    import pandas as pd

    from pyrovae.api import files
    from pyrovae.api.measuring import evaluate as measure
    from pyrovae.api.runs import load_run
    from pyrovae.datasets.labels import indices

    if out is not None:
        files.check_suffix(out, files.TABLES)
    trained = load_run(run, results=results)
    observed = files.read(data, trained)
    known = observed.labels
    factors = indices(list(known.values()))[0] if known else None
    with options.about(data):
        context = files.context(trained, given, known)
        report = measure(
            trained, observed.values, factors, context=context, samples=samples, seed=seed
        )
        terminal.say(report.text())
        if out is not None:
            bounds = trained.score(observed.values, context, samples=samples, seed=seed)
            columns = {str(name): bounds[name] for name in bounds}
            files.write_table(pd.DataFrame(files.beside(columns, known)), out)
            click.echo(out)
