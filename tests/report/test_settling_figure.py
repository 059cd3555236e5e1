"""Evidence of convergence, drawn and in numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.presented import present
from pyrovae.report.study.settling import settling
from pyrovae.report.tables import settling as table
from pyrovae.study.store.results import StudyResults
from pyrovae.training.settled import Settled
from report.made import PRIORS, make_study
from report.texts import cut_off, overlaps

MOVES = Settled(False, ("2 to 3 used units in the last third",), (2000, 3000), 0.75)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """Two cells of two seeds, one run of which has not settled; a bound along training."""
    root = tmp_path_factory.mktemp("results") / "watched"
    stands = Settled(True, (), (2000, 3000), -0.05)
    found = {0: stands, 1: MOVES, 2: stands, 3: stands}
    study = make_study(root, seeds=2, units=4, prior=PRIORS[:2], unsettled=found)
    for i, run in enumerate(study.runs["run"]):
        folder = study.folder(run)
        history = folder.history()
        history["elbo"] = -100.0 + i - 50 * np.exp(-history["step"] / 500)
        history.to_parquet(folder.path / "history.parquet", index=False)
    return study


def test_every_run_is_a_line_that_ends_settled_or_not(watched: StudyResults):
    (drawn,) = settling(present(watched))
    above, *_ = drawn.figure.axes
    lines = [line for line in above.get_lines() if len(line.get_xdata()) == 13]
    assert len(lines) == 2
    first = drawn.data[drawn.data["run"] == watched.runs["run"].iloc[0]]
    np.testing.assert_allclose(lines[0].get_ydata(), first["elbo"])
    ends = [line for line in above.get_lines() if line.get_marker() not in ("", "None")]
    filled = [line.get_markerfacecolor() != "white" for line in ends]
    assert filled == [True, False]
    judged = drawn.data[drawn.data["in_window"]]
    assert judged["step"].min() == 2000
    assert "3 of 4 runs had" in drawn.caption
    assert "hollow" in drawn.caption
    assert overlaps(drawn.figure) == []
    assert cut_off(drawn.figure) == []


def test_many_cells_take_several_pages(
    watched: StudyResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyrovae.report.study.settling._CELLS", 1)
    first, second = settling(present(watched))
    assert (first.name, second.name) == ("settling-1", "settling-2")
    assert "1 of 2 runs had" in first.caption
    assert not set(first.data["run"]) & set(second.data["run"])


def test_the_table_has_what_is_stored(watched: StudyResults):
    rows = table.by_cell(present(watched))
    assert rows["settled"].tolist() == [1, 2]
    assert rows["rise"].tolist() == pytest.approx([(-0.05 + 0.75) / 2, -0.05])
    assert rows["rise_largest"].tolist() == pytest.approx([0.75, -0.05])
    assert rows["steps_high"].tolist() == [3000, 3000]
    first = table.markdown(present(watched)).splitlines()[2]
    assert "1 of 2‡" in first
    assert "2,000–3,000" in first
    assert "+0.35, at most +0.75" in first
    assert r"1 of 2\textsuperscript{\ddag}" in table.latex(present(watched))


def test_runs_without_a_record_are_told(small_study: StudyResults, tmp_path: Path):
    with pytest.raises(NothingToDraw, match="no held-out bound"):
        settling(present(small_study))
    assert pd.isna(table.by_cell(present(small_study))["rise"]).all()
    assert "–" in table.markdown(present(small_study)).splitlines()[2]
