"""What is said of runs that have not settled, and the refusal to conclude from them."""

from __future__ import annotations

import pytest

from pyrovae.core.errors import NotSettled
from pyrovae.study.store.settling import MARK, Settling
from pyrovae.training.settled import NOT_RECORDED, Settled

_FALL = Settled(False, ("units 3, 17 still fall", "the held-out bound rose 0.4 nats"))
_WAKE = Settled(False, ("unit 2 is waking",))


def _settling(*found: tuple[str, Settled]) -> Settling:
    runs = {f"run{i}": settled for i, (_, settled) in enumerate(found)}
    return Settling(runs, {f"run{i}": cell for i, (cell, _) in enumerate(found)})


def test_settled_runs_are_not_spoken_of() -> None:
    settling = _settling(("a", Settled(True)), ("b", Settled(True)))
    settling.require()
    assert (settling.told, settling.noted, settling.mark, settling.unsettled) == ("", "", "", {})


def test_cells_and_reasons_are_told_in_one_line() -> None:
    settling = _settling(
        ("Laplace prior", _FALL),
        ("Laplace prior", _WAKE),
        ("normal prior", Settled(True)),
        ("normal prior", _WAKE),
    )
    assert settling.told == (
        "3 of 4 runs have not settled: 2 of Laplace prior (units 3, 17 still fall; the held-out "
        "bound rose 0.4 nats; others for other reasons); 1 of normal prior (unit 2 is waking)"
    )
    assert settling.noted == f"{MARK} {settling.told}."
    assert settling.of(["run3"]).told.startswith("1 of 1 run has not settled: 1 of normal prior")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((_WAKE, Settled(True)), "1 of 2 runs has not settled ("),
        ((NOT_RECORDED, NOT_RECORDED), "2 of 2 runs are not known to have settled ("),
        ((NOT_RECORDED, Settled(True)), "1 of 2 runs is not known to have settled ("),
        ((_WAKE, NOT_RECORDED), "1 of 2 runs has not settled and 1 is not known to have ("),
    ],
)
def test_what_is_not_known_is_not_taken_for_settled(found: tuple[Settled, ...], said: str) -> None:
    settling = _settling(*(("", each) for each in found))
    assert settling.told.startswith(said)
    with pytest.raises(NotSettled):
        settling.require()


def test_the_refusal_names_the_runs_and_what_helps() -> None:
    settling = _settling(*((f"cell {i % 7}", _WAKE) for i in range(70)))
    with pytest.raises(NotSettled) as refusal:
        settling.require()
    said = str(refusal.value)
    assert "10 of cell 0 (run0, run7, run14, run21, run28, run35 and 4 more: unit 2" in said
    assert "30 of 3 other cells" in said
    assert "\n" not in said
    for help_ in ("training.until: settled", "training.steps", "--unsettled"):
        assert help_ in said
    settling.require(unsettled=True)
