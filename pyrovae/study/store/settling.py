"""Which runs have settled, and what is said where some have not: the one place that knows.

From runs that still move nothing is concluded (:meth:`Settling.require`) unless that is asked for,
and all that is shown of them carries :data:`MARK` and :attr:`Settling.told`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyrovae.core.errors import NotSettled
from pyrovae.training.settled import Settled

#: Stands beside what runs that have not settled are part of.
MARK = "‡"
#: Cells, and runs of a cell, that are named before the rest is only counted.
_CELLS, _RUNS = 4, 6


@dataclass(frozen=True)
class Settling:
    """Whether each of some runs had settled when its training ended.

    Attributes
    ----------
    found
        By run.
    cells
        What tells each run's cell from the others, in words; empty if there is but one.
    """

    found: Mapping[str, Settled]
    cells: Mapping[str, str]

    @property
    def unsettled(self) -> dict[str, Settled]:
        """The runs that have not settled, and those of which it is not known."""
        return {run: settled for run, settled in self.found.items() if not settled.yes}

    @property
    def mark(self) -> str:
        """The mark if some run has not settled; else nothing."""
        return MARK if self.unsettled else ""

    def of(self, runs: Iterable[str]) -> Settling:
        """Return the same of some of the runs."""
        return Settling({run: self.found[run] for run in runs}, self.cells)

    @property
    def told(self) -> str:
        """How many have not settled, of which cells, and why not; empty if all have.

        Of each cell it is the first run's reasons. It is one line and ends without a full stop.
        """
        return self._told(named=False)

    @property
    def noted(self) -> str:
        """:attr:`told` after its mark, as a sentence: what stands below tables and figures."""
        return f"{MARK} {self.told}." if self.unsettled else ""

    def require(self, *, unsettled: bool = False) -> None:
        """Refuse to conclude from runs that have not settled.

        Parameters
        ----------
        unsettled
            Whether they are to be concluded from nevertheless.

        Raises
        ------
        NotSettled
            With the runs' names and what helps.
        """
        if self.unsettled and not unsettled:
            raise NotSettled(
                f"nothing is concluded, as {self._told(named=True)}. Train them until they settle "
                "(training.until: settled, or more training.steps), or ask for it nevertheless: "
                "--unsettled (in Python unsettled=True), which marks every result"
            )

    def _told(self, *, named: bool) -> str:
        unsettled = self.unsettled
        if not unsettled:
            return ""
        cells: dict[str, list[str]] = {}
        for run in unsettled:
            cells.setdefault(self.cells[run], []).append(run)
        parts = [self._of_cell(cell, runs, named) for cell, runs in cells.items()]
        if len(parts) > _CELLS:
            rest = sum(len(runs) for runs in list(cells.values())[_CELLS:])
            parts = [*parts[:_CELLS], f"{rest} of {len(cells) - _CELLS} other cells"]
        separator = ": " if len(cells) > 1 or all(cells) else " "
        return self._counted() + separator + "; ".join(parts)

    def _counted(self) -> str:
        unsettled, total = self.unsettled.values(), len(self.found)
        unknown = sum(settled.yes is None for settled in unsettled)
        known = len(unsettled) - unknown
        runs = "run" if total == 1 else "runs"
        if not known:
            return f"{unknown} of {total} {runs} {_are(unknown)} not known to have settled"
        also = f" and {unknown} {_are(unknown)} not known to have" if unknown else ""
        return f"{known} of {total} {runs} {'has' if known == 1 else 'have'} not settled{also}"

    def _of_cell(self, cell: str, runs: list[str], named: bool) -> str:
        first = self.unsettled[runs[0]]
        why = "; ".join(first.reasons)
        if any(self.unsettled[run].reasons != first.reasons for run in runs):
            why += "; others for other reasons"
        if named:
            shown = ", ".join(run[:8] for run in runs[:_RUNS])
            more = f" and {len(runs) - _RUNS} more" if len(runs) > _RUNS else ""
            why = f"{shown}{more}: {why}"
        return f"{len(runs)} of {cell} ({why})" if cell else f"({why})"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
