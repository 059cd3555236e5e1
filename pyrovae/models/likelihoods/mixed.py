"""Columns of a table, each of a family of its own."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.distributions.columns import Columns
from pyrovae.models.likelihoods.base import LIKELIHOODS, Likelihood

#: As a count: all columns that no other group takes.
REST = "rest"


def _group(given: dict[str, Any]) -> dict[str, Any]:
    """Return a group of columns with its family's defaults filled in."""
    parameters = dict(given)
    family, count = parameters.pop("family", None), parameters.pop("count", 1)
    if not isinstance(family, str):
        raise _refused("name the 'family' of these columns")
    if count != REST and (type(count) is not int or count < 1):
        raise _refused(f"'count' must be a whole number above 0, or '{REST}'")
    if family == "mixed":
        raise _refused("columns that are mixed themselves: list their families instead")
    try:
        return {"family": family, "count": count, **LIKELIHOODS.resolve(family, parameters)}
    except ConfigError as error:
        raise _refused(str(error)) from None


def _refused(told: str) -> PydanticCustomError:
    return PydanticCustomError("column", "{told}", {"told": told})


@LIKELIHOODS.register("mixed")
class Mixed(Likelihood):
    r"""Each group of columns has a likelihood of its own: what tables are made of.

    .. math:: p(x \mid z) = \prod_g p_g(x_g \mid z)

    The decoder gives one vector, the outputs of all columns side by side, since a category needs
    more of them than a number.

    Parameters
    ----------
    event_shape
        Shape of one observation: ``(d,)`` for a table; of anything else the elements in row-major
        order are the columns.
    columns
        Groups of neighbouring columns, from the first to the last. Each is ``{family, count,
        …}``: the name of a likelihood, how many columns it is for (1 by default; ``rest``, once:
        all that no other group takes), and that likelihood's own parameters. ``categorical``
        columns of a table are ``of: codes``.

    References
    ----------
    Nazabal et al. 2020, sec. 2, arXiv:1807.03653; Ma et al. 2020, arXiv:2006.11941

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.likelihoods import Mixed
    >>> age, smokes, blood = (
    ...     {"family": "gaussian"},
    ...     {"family": "bernoulli"},
    ...     {"family": "categorical", "levels": 4, "of": "codes"},
    ... )
    >>> likelihood = Mixed((3,), columns=[age, smokes, blood])
    >>> likelihood.output_shape  # 1 + 1 + 4
    (1, 6)
    >>> p = likelihood(torch.zeros(5, 1, 6))
    >>> p.sample().shape
    torch.Size([5, 3])
    """

    shows = "either"
    properties = frozenset()

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        columns: Annotated[
            list[Annotated[dict[str, Any], AfterValidator(_group)]], Field(min_length=1)
        ] = [{"family": "gaussian", "count": REST}],  # noqa: B006 - never changed
    ) -> None:
        super().__init__(event_shape)
        self._counts = _counts([group.get("count", 1) for group in columns], event_shape)
        self.groups: Any = nn.ModuleList(
            LIKELIHOODS.create(
                group["family"],
                (count,),
                **{k: v for k, v in group.items() if k not in ("family", "count")},
            )
            for group, count in zip(columns, self._counts, strict=True)
        )
        shown: set[Any] = {group.shows for group in self.groups}
        self.shows = shown.pop() if len(shown) == 1 else "either"

    @property
    def output_shape(self) -> tuple[int, ...]:
        """One number for each element of the vector of all columns' outputs."""
        return (1, sum(math.prod(group.output_shape) for group in self.groups))

    @property
    def explains(self) -> str:
        """Which data it is for, in words."""
        return "columns of a table, each of what its family is for"

    def refusal(self, x: Tensor) -> tuple[list[int], str] | None:
        """Return the first value that the family of its column cannot explain."""
        flat, start = x.flatten(1), 0
        for group, count in zip(self.groups, self._counts, strict=True):
            found = group.refusal(flat[:, start : start + count])
            if found is not None:
                (datum, column), words = found
                name = LIKELIHOODS.name_of(type(group))
                place = [datum, *_unravelled(start + column, self.event_shape)]
                return place, f"{words} in column {start + column}, which is {name},"
            start += count
        return None

    def _outputs(self, output: Tensor) -> list[Tensor]:
        """Return what each group reads, ``(*b, *group.output_shape)``."""
        sizes = [math.prod(group.output_shape) for group in self.groups]
        parts = output.squeeze(-2).split(sizes, -1)
        pairs = zip(self.groups, parts, strict=True)
        return [part.unflatten(-1, group.output_shape) for group, part in pairs]

    def _law(self, output: Tensor) -> Columns:
        pairs = zip(self.groups, self._outputs(output), strict=True)
        return Columns([group(part) for group, part in pairs], self.event_shape)

    def forward(self, output: Tensor) -> Distribution:
        """Return the groups' laws side by side."""
        return self._law(output)

    def mean(self, output: Tensor) -> Tensor:
        """Return what each group's reconstructions show, side by side."""
        pairs = zip(self.groups, self._outputs(output), strict=True)
        return self._law(output).whole([group.mean(part) for group, part in pairs])


def _counts(given: list[Any], event_shape: tuple[int, ...]) -> list[int]:
    """Return how many columns each group takes.

    Raises
    ------
    ConfigError
        If they are not as many as an observation has.
    """
    d, told = math.prod(event_shape), sum(count for count in given if count != REST)
    left = d - told
    if given.count(REST) > 1:
        raise ConfigError(f"'{REST}' can be said of one group only", "columns")
    if left < 0 or (left > 0) != (REST in given):
        rest = f" and a '{REST}'" if REST in given else ""
        raise ConfigError(f"{told} columns{rest} for observations of {d}", "columns")
    return [left if count == REST else count for count in given]


def _unravelled(place: int, shape: tuple[int, ...]) -> list[int]:
    index = []
    for size in reversed(shape):
        place, last = divmod(place, size)
        index.append(last)
    return index[::-1]
