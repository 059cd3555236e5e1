"""Mixed columns in few words: of each group how many, the family, and what is not its default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pyrovae.core.errors import PyrovaeError
from pyrovae.models.likelihoods import LIKELIHOODS


def are_groups(value: Any) -> bool:
    """Return whether a parameter is the columns of likelihood ``mixed``.

    >>> are_groups([{"family": "poisson", "count": 2}]), are_groups([2, 3]), are_groups([])
    (True, False, False)
    """
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(group, Mapping) and "family" in group for group in value)
    )


def told(groups: list[Mapping[str, Any]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield of each group how many columns it has, its family and the parameters that differ.

    >>> list(told([{"family": "gaussian", "count": 2, "sigma": 0.5}, {"family": "poisson"}]))
    [('2 ', 'gaussian', {}), ('', 'poisson', {})]
    """
    for group in groups:
        parameters = {k: v for k, v in group.items() if k not in ("family", "count", "source")}
        try:
            known = LIKELIHOODS.resolve(group["family"], {})
        except PyrovaeError:  # A plug-in that is not here: its runs can still be read.
            known = {}
        changed = {k: v for k, v in parameters.items() if k not in known or v != known[k]}
        count = group.get("count", 1)
        yield ("" if count == 1 else f"{count} "), str(group["family"]), changed
