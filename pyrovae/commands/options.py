"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path

import click

#: Where the results of all studies lie.
results = click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("results"),
    envvar="PYROVAE_RESULTS",
    show_default=True,
    help="Folder that holds all studies' results.",
)
