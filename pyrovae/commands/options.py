"""Options that several commands take."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from pyrovae.core.errors import DataError, PyrovaeError

#: No command needs more of anything that it counts.
_MOST = 1_000_000


def count(least: int, most: int = _MOST) -> click.IntRange:
    """Return the type of an option that counts something."""
    return click.IntRange(min=least, max=most)


class Finite(click.FloatRange):
    """A number within bounds; of NaN, which no bound holds back, click would say nothing."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


#: What NumPy's and scikit-learn's generators take.
seed = click.IntRange(min=0, max=2**32 - 1)
#: Processes.
workers = click.option("--workers", type=count(1, 1024), help="Processes.  [default: one a core]")

compiled = click.option(
    "--compile/--no-compile",
    "compiled",
    default=None,
    help="Compile training steps, or do not.  [default: those for which it pays]",
)
device = click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Train there.",
)

#: What the commands that conclude from runs ask.
unsettled = click.option(
    "--unsettled", is_flag=True, help="Conclude from runs that have not settled too, and mark it."
)

#: Changes of a study's file.
overrides = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="A.B=C",
    help="Override a value of the file, e.g. training.steps=100 or grid.prior=[laplace].",
)
quick = click.option("--quick", is_flag=True, help="Short for --profile quick.")
profile = click.option("--profile", default="", help="Apply a profile of the file.")


def chosen_profile(profile: str, quick: bool) -> str:
    """Return the name of the profile that :data:`profile` and :data:`quick` ask for.

    Raises
    ------
    PyrovaeError
        If both are given.
    """
    if quick and profile:
        raise PyrovaeError("--quick and --profile exclude each other")
    return "quick" if quick else profile


@contextmanager
def about(file: Path) -> Iterator[None]:
    """Put a file's name in front of what is refused of the data in it.

    Raises
    ------
    DataError
        For any refusal of the block that is about its data.
    """
    try:
        yield
    except DataError as refusal:
        raise DataError(f"{file}: {refusal}") from refusal.__cause__


#: Where the results of all studies lie.
results = click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("results"),
    envvar="PYROVAE_RESULTS",
    show_default=True,
    help="Folder that holds all studies' results.",
)
