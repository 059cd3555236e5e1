"""Errors that a user can act on: the command line prints them as one line and exits with 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PyrovaeError(Exception):
    """Base of every error that is the input's fault, not the program's."""


class ConfigError(PyrovaeError):
    """A configuration that cannot be run, with the place where it is wrong.

    Parameters
    ----------
    message
        What is wrong, and what would be right.
    place
        Dotted path inside the file, e.g. ``grid.prior[2].name``; empty for the file as a whole.
    file
        Path of the file, if there is one.
    """

    def __init__(self, message: str, place: str = "", file: str = "") -> None:
        self.message, self.place, self.file = message, place, file
        super().__init__(": ".join(part for part in (file, place, message) if part))

    def at(self, place: str = "", file: str = "") -> ConfigError:
        """Return the same error, placed further out: ``place`` goes in front of its own."""
        joined = place + ("" if not self.place or self.place.startswith("[") else ".") + self.place
        return ConfigError(self.message, joined if place else self.place, file or self.file)


class DataError(PyrovaeError):
    """A data set that is absent, incomplete or not what it claims to be."""


class UnknownNameError(ConfigError):
    """A name that no registry entry has."""


class IncompatibleError(ConfigError):
    """Parts that make no sense together, with the reason."""


class NotSettled(PyrovaeError):
    """Runs that still move, from which nothing is concluded unless that is asked for."""


def diverged(step: int, cause: str) -> str:
    """Return how the end of a run is told whose numbers were no longer finite."""
    return f"diverged at step {step}: {cause}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known word, or the list of known words."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(known)}" if known else ""


def first_line(failure: BaseException) -> str:
    """Return the first line that an exception says; its type if it says nothing."""
    lines = str(failure).strip().splitlines()
    return lines[0] if lines else type(failure).__name__
