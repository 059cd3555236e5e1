"""``pyrovae study page``: what others see of a study."""

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
    from pyrovae.page import write_page
    from pyrovae.study.results import load_study
    from pyrovae.study.store import open_study

    click.echo(f"page: {write_page(load_study(open_study(results, name).root), out)}")
