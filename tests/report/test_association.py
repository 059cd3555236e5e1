"""Metrics against each other and against sparsity."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.presented import present
from pyrovae.report.study.metric_correlation import metric_correlation
from pyrovae.report.study.sparsity import sparsity
from pyrovae.study.store.results import StudyResults


def test_each_pair_of_metrics_has_its_correlation(main_study: StudyResults) -> None:
    drawn = metric_correlation(present(main_study))
    runs = main_study.runs
    assert len(drawn.data) == 3
    shown = np.ma.filled(drawn.figure.axes[0].collections[0].get_array(), np.nan).reshape(2, 2)
    for row in drawn.data.itertuples():
        assert row.correlation == pytest.approx(
            stats.spearmanr(runs[row.score], runs[row.other]).statistic
        )
        assert row.low < row.correlation < row.high
        assert np.isclose(shown, row.correlation).sum() == 1
    assert np.isnan(shown[0, 1])


def test_each_metric_is_drawn_against_the_active_units(main_study: StudyResults) -> None:
    drawn = sparsity(present(main_study))
    runs = main_study.runs
    for ax, row in zip(drawn.figure.axes, drawn.data.itertuples(), strict=False):
        points = np.vstack([np.column_stack(line.get_data()) for line in ax.get_lines()])
        expected = runs[["used_units", row.score]].to_numpy()
        assert sorted(map(tuple, points)) == sorted(map(tuple, expected))
        rho = stats.spearmanr(*expected.T).statistic
        assert row.correlation == pytest.approx(rho)
        assert ax.get_title().startswith(f"ρ = {rho:.2f}".replace("-", "−"))


def test_too_little_to_correlate(lone_study: StudyResults) -> None:
    with pytest.raises(NothingToDraw):
        metric_correlation(present(lone_study))
    with pytest.raises(NothingToDraw):
        sparsity(present(lone_study))
