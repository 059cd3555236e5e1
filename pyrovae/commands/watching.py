"""``pyrovae study watch``: a running study, seen from any terminal."""

from __future__ import annotations

from pathlib import Path

import click

from pyrovae.commands import options, terminal


@click.command("watch")
@click.argument("name")
@options.results
@click.option(
    "--interval", type=options.Finite(min=0.1, max=86_400), default=1.0, show_default=True
)
@click.option("--once", is_flag=True, help="Show this moment only.")
def watch(name: str, results: Path, interval: float, once: bool) -> None:
    """Show the study NAME while it runs: runs, losses, active units. Ctrl-C ends the watching."""
    from pyrovae.study.store.folders import open_study
    from pyrovae.study.watch.follow import watch as show

    root = open_study(results, name).root
    try:
        show(root, terminal.console(), interval=interval, once=once)
    except KeyboardInterrupt:
        click.echo("the study goes on")
