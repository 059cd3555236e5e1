"""``pyrovae study measure``, ``study report``, ``pyrovae plot``: tables and figures, and before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pyrovae.commands import options, terminal
from pyrovae.core.errors import ConfigError, did_you_mean


def _figure_options(command: Any) -> Any:
    for decorate in (
        click.option(
            "--format",
            "formats",
            default="pdf,png",
            show_default=True,
            help="What figures are written as: pdf, png, svg; separated by commas.",
        ),
        click.option(
            "--style",
            default="icml",
            show_default=True,
            help="Widths and letters: icml, neurips, jmlr, beamer or poster.",
        ),
    ):
        command = decorate(command)
    return command


@click.command("measure")
@click.argument("name")
@options.results
@click.option("--pruning", is_flag=True, help="Prune every run too: seconds to minutes for each.")
def measure(name: str, results: Path, pruning: bool) -> None:
    """Compute what takes all runs of the study NAME: what its report and the claims read.

    `study run` and `claims run` do it by themselves. Needed for results of version 0.1.0, and after
    runs were added by hand. What is there and still right is kept.
    """
    from pyrovae.api.stages import measure_study
    from pyrovae.study.store.results import load_finished

    study = load_finished(results, name)
    measure_study(study, pruning=pruning, tell=terminal.say)
    click.echo(f"measured: {study.store.root / 'derived'}")


@click.command("report")
@click.argument("name")
@options.results
@options.unsettled
@_figure_options
def report(name: str, results: Path, unsettled: bool, style: str, formats: str) -> None:
    """Draw the figures and write the tables of the study NAME.

    What is shown of runs that have not settled is marked; correlations over such runs are left out
    unless told --unsettled.
    """
    from pyrovae.report import write_report
    from pyrovae.report.look.formats import parse_formats
    from pyrovae.study.store.results import load_finished

    chosen, suffixes = _style(style), parse_formats(formats)
    study = load_finished(results, name)
    written = write_report(study, style=chosen, formats=suffixes, unsettled=unsettled)
    click.echo(f"report: {written}")


@click.command("plot")
@click.argument("kind")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@options.results
@options.unsettled
@_figure_options
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder for the figures; with several studies, each gets a folder in it.  [default: .]",
)
def plot(
    kind: str,
    names: tuple[str, ...],
    results: Path,
    unsettled: bool,
    style: str,
    formats: str,
    out: Path,
) -> None:
    """Draw the figures of one KIND for each study NAME.

    \b
    KIND is one of
      of the study       overview
      of the comparison  effects, interactions, performance_profiles,
                         active_units, disentanglement, metric_correlation,
                         sparsity, rate_distortion
      of the units       kl_profile, variance_law, factors, collapse_blame,
                         capacity_curve (where nothing but latent_dim
                         varies)
      of training        evolution, settling
      of images          reconstructions, traversals, interpolations, samples
      of codes           code_map, code_umap (by umap-learn), units_by_label,
                         label_usage, mean_vs_sample
      of diagnosed runs  khat, sbc, nuts_vs_guide, gaps, convergence
    """
    from pyrovae.report.look.formats import parse_formats
    from pyrovae.report.study.gallery import KINDS
    from pyrovae.report.study.write import write_figures
    from pyrovae.study.store.results import load_finished

    if kind not in KINDS:
        said = did_you_mean(kind, KINDS) or f"; there are: {', '.join(KINDS)}"
        raise ConfigError(f"there is no figure '{kind}'{said}")
    chosen, suffixes = _style(style), parse_formats(formats)
    for name in names:
        folder = out / name if len(names) > 1 else out
        study = load_finished(results, name)
        for path in write_figures(
            study, kind, folder, style=chosen, formats=suffixes, unsettled=unsettled
        ):
            click.echo(path)


def _style(name: str) -> Any:
    from pyrovae.report import STYLES

    if name not in STYLES:
        raise ConfigError(f"unknown style '{name}'{did_you_mean(name, STYLES)}", "--style")
    return STYLES[name]
