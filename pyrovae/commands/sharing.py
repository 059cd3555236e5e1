"""``pyrovae study page``, ``export`` and ``import``: what others see of a study."""

from __future__ import annotations

from pathlib import Path

import click

from pyrovae.commands import options


@click.command("page")
@click.argument("name")
@options.results
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Path of the file.")
def page(name: str, results: Path, out: Path | None) -> None:
    """Write the study NAME as one HTML file that opens from disk, with no network."""
    from pyrovae.report.page import write_page
    from pyrovae.study.store.folders import open_study
    from pyrovae.study.store.results import load_study

    click.echo(f"page: {write_page(load_study(open_study(results, name).root), out)}")


@click.command("export")
@click.argument("name")
@options.results
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Path of the archive.")
def export(name: str, results: Path, out: Path | None) -> None:
    """Write the study NAME with all its results as one archive, with checksums."""
    from pyrovae.study.sharing import export_study
    from pyrovae.study.store.folders import open_study
    from pyrovae.study.store.results import load_study

    written = export_study(load_study(open_study(results, name).root), out)
    click.echo(f"archive: {written} ({written.stat().st_size / 1e6:.1f} MB)")


@click.command("import")
@click.argument("archive", type=click.Path(path_type=Path))
@options.results
def import_(archive: Path, results: Path) -> None:
    """Verify ARCHIVE, which may come from anyone, and add its study to the results."""
    from pyrovae.study.sharing import import_study

    study = import_study(archive, results)
    click.echo(f"study: {study.store.root} ({len(study.runs)} runs)")
