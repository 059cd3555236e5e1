"""Metrics against each other and against sparsity."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pyrovae.analysis.rank_correlation import rank_correlation, within_cells
from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.presented import present
from pyrovae.report.study.metric_correlation import metric_correlation
from pyrovae.report.study.sparsity import sparsity
from pyrovae.study.store.results import StudyResults


def test_each_pair_of_metrics_has_its_correlation(main_study: StudyResults) -> None:
    drawn = metric_correlation(present(main_study))
    runs = main_study.runs
    assert len(drawn.data) == 3
    shown = np.ma.filled(drawn.figure.axes[0].collections[0].get_array(), np.nan).reshape(3, 3)
    for row in drawn.data.itertuples():
        assert row.correlation == pytest.approx(
            stats.spearmanr(runs[row.score], runs[row.other]).statistic
        )
        assert row.low < row.correlation < row.high
    # Below the diagonal over all runs, above it within cells.
    keys = ["mig", "dci_used_only", "factor_vae"]
    for row in drawn.data.itertuples():
        i, j = keys.index(row.score), keys.index(row.other)
        assert shown[i, j] == pytest.approx(row.correlation)
        expected = within_cells(runs, row.score, row.other).correlation
        assert shown[j, i] == pytest.approx(expected)
    assert np.isnan(np.diag(shown)).all()


def test_each_metric_is_drawn_against_the_active_units(main_study: StudyResults) -> None:
    drawn = sparsity(present(main_study))
    runs = main_study.runs
    within = drawn.data[drawn.data["group"] == "within cells"]
    for ax, row in zip(drawn.figure.axes, within.itertuples(), strict=False):
        (points,) = (np.asarray(c.get_offsets()) for c in ax.collections)
        expected = runs[["used_units", row.score]].to_numpy()
        # Runs of one count stand a little apart.
        assert np.abs(points[:, 0] - points[:, 0].round()).max() <= 0.25
        points[:, 0] = points[:, 0].round()
        assert sorted(map(tuple, points)) == sorted(map(tuple, expected))
        assert ax.get_title().startswith("in cells ρ = ")
        assert f"{row.correlation:.2f}".replace("-", "−") in ax.get_title()
    # Beside it, each level of the marker's label has the correlation of its own runs.
    for row in drawn.data[drawn.data["group"] != "within cells"].itertuples():
        posterior = {"mean-field": "mean_field_normal", "full-rank": "full_rank_normal"}
        name = posterior.get(row.group.split()[0], "laplace")
        part = runs[runs["posterior"] == name]
        rho = stats.spearmanr(part["used_units"], part[row.score]).statistic
        assert row.correlation == pytest.approx(rho)


def test_cells_that_differ_make_no_correlation_within_them() -> None:
    rng = np.random.default_rng(0)
    cells = np.repeat(np.arange(8), 6)
    # Two families far apart in both scores, which are independent within each cell.
    family = (cells >= 4) * 10.0
    runs = pd.DataFrame(
        {
            "cell": cells,
            "a": family + rng.integers(0, 3, len(cells)),
            "b": family + rng.normal(size=len(cells)),
        }
    )
    assert rank_correlation(runs, "a", "b").low > 0.2
    found = within_cells(runs, "a", "b")
    assert found.low < 0 < found.high
    # With every cell's seeds in one order it is 1, whatever the cells are.
    ordered = runs.assign(b=runs.groupby("cell")["a"].rank() - 100 * family)
    assert within_cells(ordered, "a", "b").correlation == pytest.approx(1)
    # One cell: Spearman's own. Cells whose seeds agree say nothing.
    one = runs[runs["cell"] == 0]
    rho = stats.spearmanr(one["a"], one["b"]).statistic
    assert within_cells(one, "a", "b").correlation == pytest.approx(rho)
    agreeing = pd.concat([one, one.assign(cell=9, a=3.0)])
    assert within_cells(agreeing, "a", "b") == within_cells(one, "a", "b")


def test_too_little_to_correlate(lone_study: StudyResults) -> None:
    with pytest.raises(NothingToDraw):
        metric_correlation(present(lone_study))
    with pytest.raises(NothingToDraw):
        sparsity(present(lone_study))
