"""A run under the lens, without traces in the caller's Matplotlib."""

from __future__ import annotations

from pathlib import Path

import arviz as az
import matplotlib.pyplot as plt
import pytest
from matplotlib.image import imread

from pyrovae.measures.posterior import plots, summary
from pyrovae.report.look.lens import arviz_plots
from pyrovae.report.look.style import PAPER
from pyrovae.report.run.inspection import inspect
from pyrovae.study.store.results import StudyResults
from report.texts import cut_off, drawn_texts, overlaps


def test_units_of_largest_kl_are_summarised_and_plotted(
    small_study: StudyResults, tmp_path: Path
) -> None:
    folder = small_study.folder(small_study.runs["run"].iloc[0])
    backend, figures = plt.get_backend(), plt.get_fignums()
    table, written = inspect(folder, points=1, units=2, out=tmp_path / "out")
    top = folder.units().sort_values("kl", ascending=False)["unit"].iloc[:2]
    assert table.index.tolist() == [f"z[0, {u}]" for u in top]
    names = {path.stem for path in written}
    beside = {f"{name}.{kind}" for name in names for kind in ("png", "pdf", "csv", "txt")}
    assert beside == {p.name for p in (tmp_path / "out").iterdir()}
    assert {path.stem for path in written} == {"trace", "rank", "forest", "autocorr"}
    assert all(imread(path).std() > 0 for path in written)
    assert plt.get_fignums() == figures
    assert plt.get_backend() == backend


def test_plots_go_beside_the_runs_by_default(small_study: StudyResults) -> None:
    folder = small_study.folder(small_study.runs["run"].iloc[1])
    _, written = inspect(folder, points=1, units=1)
    assert written[0].parent == small_study.store.root / "inspect" / folder.id


def test_nothing_that_was_asked_for_is_left_out(
    small_study: StudyResults, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    folder = small_study.folder(small_study.runs["run"].iloc[0])
    # ArviZ draws at most so many panels, with a warning; here fewer than are asked for.
    with az.rc_context({"plot.max_subplots": 1}):
        inspect(folder, points=1, units=2, out=tmp_path)
    assert [str(w.message) for w in recwarn if "max_subplots" in str(w.message)] == []


def test_plots_have_the_house_style_and_named_units(small_study: StudyResults) -> None:
    folder = small_study.folder(small_study.runs["run"].iloc[0])
    data = folder.posterior()
    order = folder.units().sort_values("kl", ascending=False)["unit"]
    chosen = {"datum": [0, 1], "latent": [int(unit) for unit in order[:2]]}
    captions = dict.fromkeys(("trace", "rank", "forest", "autocorr"), "")
    with arviz_plots(lambda: plots(data, **chosen), summary(data, **chosen), captions) as made:
        for drawn in made:
            assert drawn.figure.get_figwidth() in (PAPER.column, PAPER.text)
            texts = drawn_texts(drawn.figure)
            assert any(f"unit {order.iloc[0]}" in text for text, _, _ in texts)
            assert any("point 1" in text for text, _, _ in texts)
            assert {size for _, _, size in texts} == {PAPER.small}
            assert cut_off(drawn.figure) == []
            assert overlaps(drawn.figure) == []
