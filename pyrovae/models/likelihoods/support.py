"""What the observations of a likelihood may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Support:
    """A set of numbers.

    Attributes
    ----------
    words
        As messages say it: "is for <words>".
    holds
        From numbers to whether each is in it.
    """

    words: str
    holds: Callable[[Tensor], Tensor]

    def first_outside(self, x: Tensor) -> list[int] | None:
        """Return the index of the first number that is not in it, if there is one."""
        outside = ~self.holds(x)
        return [int(i) for i in outside.nonzero()[0]] if outside.any() else None


def codes(levels: int) -> Support:
    """Return the whole numbers from 0 to ``levels`` - 1."""
    return Support(
        f"whole numbers from 0 to {levels - 1}",
        lambda x: (x >= 0) & (x < levels) & (x == x.round()),
    )


#: Those that a class may name.
SUPPORTS = {
    "unit": Support("values in [0, 1]", lambda x: (x >= 0) & (x <= 1)),
    "real": Support("any real numbers", lambda x: x == x),
    "count": Support("whole numbers from 0", lambda x: (x >= 0) & (x == x.round())),
}
