"""What a score varies with, told apart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pyrovae.report.look.presented import present
from pyrovae.report.tables import cells as table
from pyrovae.report.tables import variation
from pyrovae.study.store.results import StudyResults
from report.test_table import texts


def with_runs(study: StudyResults, **columns: list[float]) -> StudyResults:
    return StudyResults("s", "", study.runs.assign(**columns), {}, [], study.store)


def test_seed_and_points_stand_apart(small_study: StudyResults) -> None:
    """Two cells of three seeds: numbers by hand."""
    study = with_runs(
        small_study,
        mig=[0.1, 0.2, 0.3, 0.5, 0.5, 0.5],
        mig_se=[0.03, 0.04, 0.05, 0.01, 0.01, 0.01],
    )
    first, second = present(study).variation.query("score == 'mig'").itertuples()
    assert (first.n, second.n) == (3, 3)
    assert first.mean == pytest.approx(0.2)
    assert first.seed_sd == pytest.approx(0.1)
    assert first.points_se == pytest.approx(math.sqrt((9 + 16 + 25) / 3) / 100)
    assert second.seed_sd == 0
    row = next(
        line for line in variation.markdown(present(study)).splitlines() if line.startswith("| MIG")
    )
    pooled = math.sqrt((0.1**2 + 0) / 2)
    assert row.split("|")[6].strip() == f"{pooled:.4f}"


def test_without_resampling_there_is_no_error_to_show(small_study: StudyResults) -> None:
    rows = present(small_study).variation.query("score == 'dci'")
    assert rows["points_se"].isna().all()
    line = next(x for x in variation.markdown(present(small_study)).splitlines() if "DCI" in x)
    assert line.split("|")[7].strip() == table.MISSING


def test_a_score_without_its_active_units_tells_no_change(small_study: StudyResults) -> None:
    study = with_runs(small_study, mig_used_only=[math.nan] * len(small_study.runs))
    line = next(x for x in variation.markdown(present(study)).splitlines() if x.startswith("| MIG"))
    assert [cell.strip() for cell in line.split("|")[8:10]] == [table.MISSING] * 2


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ([0.04, 0.05, 0.06], True),
        ([-0.04, -0.05, -0.06], True),
        ([0.004, 0.004, 0.004], False),  # sure, but too small to see
        ([0.2, -0.19, 0.02], False),  # large, but as likely the other way
        ([0.0, 0.0, 0.0], False),
    ],
)
def test_a_change_without_dead_units_is_flagged(
    small_study: StudyResults, change: list[float], expected: bool
) -> None:
    mig = small_study.runs["mig"].to_numpy()
    study = with_runs(small_study, mig_used_only=list(mig + np.array([*change, 0, 0, 0])))
    cells = small_study.runs["cell"].unique()
    assert ((cells[0], "mig") in variation.changed(present(study))) == expected
    assert (cells[1], "mig") not in variation.changed(present(study))
    line = next(x for x in variation.markdown(present(study)).splitlines() if x.startswith("| MIG"))
    assert line.split("|")[9].strip() == ("1 of 2" if expected else "0 of 2")
    assert line.startswith("| MIG †") == expected


def test_flags_reach_the_table(small_study: StudyResults) -> None:
    """DCI of the made runs gains 0.04 without dead units; the other scores are as they were."""
    header, rows = texts(small_study)
    for row in rows:
        marked = {title for title, cell in zip(header, row, strict=True) if cell.endswith("†")}
        assert marked == {"DCI disent. ↑"}
    assert "†: changes when inactive units are dropped" in table.caption(present(small_study))
    assert table.latex(present(small_study)).count(r")\textsuperscript{\dag}") == len(rows)


def test_results_of_data_without_factors_have_no_such_table(lone_study: StudyResults) -> None:
    assert present(lone_study).variation.empty
    assert variation.markdown(present(lone_study)) == ""
    assert variation.changed(present(lone_study)) == set()
