"""The ``published`` section of a study's file: what a paper reports for some of its runs.

A list of tables, each of one quantity::

    published:
      - source: Tomczak & Welling 2018, table 1 (arXiv:1705.07120)
        quantity: log_px
        as: bits_per_dim
        dimensions: 560
        widest: 0.05
        rows:
          - {where: {prior.name: standard_normal}, value: 4.63, sd: 0.03, read: memory}
        differs: ["…"]

Runs do not depend on it: it enters no hash, and nothing is trained for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pyrovae.core.errors import ConfigError
from pyrovae.study.config.exclude import Exclusions
from pyrovae.study.config.layout import normalised
from pyrovae.study.config.read import Study
from pyrovae.study.config.run import RunConfig

#: Which way a study's own column is turned into the paper's quantity.
As = Literal["itself", "negative", "bits_per_dim"]
UNITS: dict[str, str] = {"itself": "", "negative": "nats", "bits_per_dim": "bits/dim"}


class PublishedRow(BaseModel):
    """What a paper reports for one cell.

    Attributes
    ----------
    where
        Which runs of the study it is about: fields of a run, or dotted paths into them.
    value, sd
        The figure, in the table's unit, and its published standard deviation; without one, 0.
    read
        Where the figure was read: in the ``paper``, in a ``repository`` or another paper that
        cites it (``cited``), or nowhere: from ``memory``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    where: dict[str, Any] = Field(min_length=1)
    value: float = Field(allow_inf_nan=False)
    sd: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    read: Literal["paper", "repository", "cited", "memory"]


class PublishedTable(BaseModel):
    """What a paper reports of one quantity.

    Attributes
    ----------
    source
        Authors, year, table, and number or DOI.
    quantity
        Column of the study's table of runs that answers to it.
    as_
        ``itself``; ``negative``; ``bits_per_dim``, which is -quantity / (``dimensions`` ln 2).
    dimensions
        Numbers that one datum has.
    by
        ``value``: the figures themselves are to come out. ``order``: only their order, where data
        or recipe are not the paper's.
    widest
        Half width of our interval beyond which nothing is said of a value.
    rows
        At least one; at least two for an order.
    differs
        In what the recipe differs from the paper's, a sentence each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(min_length=1)
    quantity: str = Field(min_length=1)
    as_: As = Field(default="itself", alias="as")
    dimensions: int | None = Field(default=None, ge=1)
    by: Literal["value", "order"] = "value"
    widest: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    rows: tuple[PublishedRow, ...] = Field(min_length=1)
    differs: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> PublishedTable:
        if (self.as_ == "bits_per_dim") != (self.dimensions is not None):
            raise ValueError("dimensions: is needed for bits_per_dim, and for nothing else")
        if (self.by == "value") != (self.widest is not None):
            raise ValueError("widest: is needed where values are compared, and only there")
        if self.by == "order" and len({row.value for row in self.rows}) < 2:
            raise ValueError("rows: an order needs two values that differ")
        return self

    @property
    def unit(self) -> str:
        """Of the values; empty for a count or a score."""
        return UNITS[self.as_]

    def turned(self, values: np.ndarray) -> np.ndarray:
        """Return values of :attr:`quantity` as the paper's quantity."""
        if self.as_ == "bits_per_dim":
            assert self.dimensions is not None
            return -values / (self.dimensions * math.log(2))
        return -values if self.as_ == "negative" else values

    def about(self, row: PublishedRow) -> Callable[[RunConfig], bool]:
        """Return what tells whether a run is one that a row is about."""
        chosen = Exclusions([_normal(row.where)], str)

        def matches(config: RunConfig) -> bool:
            fields = type(config).model_fields
            return chosen.match({name: getattr(config, name) for name in fields})

        return matches


def published_tables(study: Study) -> list[PublishedTable]:
    """Return the published tables of a study as read.

    Raises
    ------
    ConfigError
        With the place, for anything that is wrong; if the study's file has none.
    """
    try:
        return _tables(study)
    except ConfigError as error:
        raise error.at(file=study.file) from None


def _tables(study: Study) -> list[PublishedTable]:
    if not study.published:
        raise ConfigError("is missing: there is nothing to compare with", "published")
    found = []
    for i, entry in enumerate(study.published):
        place = f"published[{i}]"
        try:
            table = PublishedTable.model_validate(entry)
        except ValidationError as error:
            raise _told(error, place) from None
        for j, row in enumerate(table.rows):
            where = f"{place}.rows[{j}].where"
            _check(row.where, where)
            if not any(table.about(row)(run.config) for run in study.runs):
                raise ConfigError("is no run of this study", where)
        found.append(table)
    return found


def _normal(where: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``prior: laplace`` as a mapping, as in a study's own entries."""
    return dict(normalised({"exclude": [dict(where)]}, "")["exclude"][0])


def _check(where: Mapping[str, Any], place: str) -> None:
    def renamed(inner: str) -> str:
        return inner.replace("exclude[0]", place, 1)

    try:
        Exclusions([_normal(where)], renamed)
    except ConfigError as error:
        raise ConfigError(error.message, renamed(error.place)) from None


def _told(error: ValidationError, place: str) -> ConfigError:
    first = error.errors(include_url=False)[0]
    inner = "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in first["loc"])
    message = str(first["msg"]).removeprefix("Value error, ")
    key, colon, rest = message.partition(": ")
    if not first["loc"] and colon and key in PublishedTable.model_fields:
        inner, message = f".{key}", rest
    return ConfigError(message[:1].lower() + message[1:], place + inner)
