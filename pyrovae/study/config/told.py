"""A run in a few words: what varies in its study, from rows of labels.

It needs no more than the rows, so that ``study status`` answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: A run's labels and its ``seed``, under the names that they have in tables.
Row = Mapping[str, Any]


def varying(rows: Sequence[Row]) -> list[str]:
    """Return the labels in which runs differ, seeds apart."""
    keys = dict.fromkeys(key for row in rows for key in row if key != "seed")
    return [key for key in keys if len({row.get(key) for row in rows}) > 1]


def told(rows: Sequence[Row]) -> list[str]:
    """Return what tells each run from the others.

    >>> told([{"prior": "laplace", "training.lr": lr, "seed": 0} for lr in (0.1, 0.2)])
    ['training.lr=0.1 · seed 0', 'training.lr=0.2 · seed 0']
    """
    keys = varying(rows)
    return [
        " · ".join([*(_said(key, row.get(key)) for key in keys), f"seed {row.get('seed')}"])
        for row in rows
    ]


def failure(reason: str, what: str) -> str:
    """Return why a run failed, with what it was.

    >>> failure("diverged at step 3: the loss is not finite", "training.lr=0.2 · seed 0")
    'diverged at step 3: the loss is not finite (training.lr=0.2 · seed 0)'
    """
    line, newline, more = reason.partition("\n")
    return f"{line} ({what}){newline}{more}"


def _said(key: str, value: Any) -> str:
    # The text of a part names it; a number, or a setting of training, says nothing by itself.
    return f"{key}={value}" if key == "latent_dim" or "." in key else str(value)
