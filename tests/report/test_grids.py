"""Seaborn's grids of a study, in the look of its report."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from seaborn import FacetGrid

import pyrovae
from pyrovae.report.look.presented import present
from pyrovae.study.store.results import StudyResults


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_relplot_is_seaborns_with_the_reports_colours(small_study: StudyResults):
    study = pyrovae.load_study(small_study.store.root)
    grid = study.relplot("rate", "distortion")
    assert isinstance(grid, FacetGrid)
    points = grid.ax.collections[0]
    np.testing.assert_allclose(points.get_offsets(), study.runs[["rate", "distortion"]])
    colours = present(study).encoding.colours()
    expected = [to_rgb(colours[prior]) for prior in study.runs["prior"]]
    np.testing.assert_allclose(points.get_facecolors()[:, :3], expected)
    assert (grid.ax.get_xlabel(), grid.ax.get_ylabel()) == ("Rate (nats)", "Distortion (nats)")


def test_options_are_seaborns(small_study: StudyResults):
    study = pyrovae.load_study(small_study.store.root)
    grid = study.catplot("elbo", kind="point", errorbar=None)
    labels = [text.get_text() for text in grid.ax.get_yticklabels()]
    assert labels == ["standard normal", "Laplace"]
    means = study.runs.groupby("prior", sort=False)["elbo"].mean()
    drawn = np.concatenate([line.get_xdata() for line in grid.ax.get_lines()]).astype(float)
    # A line for each level has a place for every level.
    assert np.unique(drawn[np.isfinite(drawn)]) == pytest.approx(sorted(means))
