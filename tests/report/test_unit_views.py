"""What the units of a run do, to look at: animation, heat maps and the command."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from tiny_study import tiny_plan

from pyrovae.commands.main import main
from pyrovae.measures.disentanglement import mig
from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.presented import present
from pyrovae.report.run.animation import traversal_gif
from pyrovae.report.run.factor_heatmaps import factor_heatmap, factor_heatmaps
from pyrovae.report.run.traversals import traversal_grid
from pyrovae.study.execute.execution import Execution
from pyrovae.study.plan.batches import batches
from pyrovae.study.store.folders import RunFolder, Store
from pyrovae.study.store.results import StudyResults
from report.made import FACTORS


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that has been trained for a few steps."""
    folder = tmp_path_factory.mktemp("trained")
    plan = tiny_plan(folder, "seeds=1", "grid.prior=[standard_normal]", "training.steps=6")
    store = Store(folder / "results" / plan.name)
    store.write_plan(plan)
    (planned,) = plan.runs
    (task,) = batches([planned], largest=1)
    dataset = plan.datasets[planned.fingerprint]
    Execution(store, compiled=False).execute(task, dataset, lambda *_: None)
    return store.run(planned.id)


def test_the_animation_sweeps_there_and_back(small_study: StudyResults) -> None:
    """Two data, two units, four steps; each frame's shade is its step's."""
    units = small_study.folder(small_study.runs["run"][0]).units().head(2)
    shades = torch.tensor([0.0, 0.25, 0.5, 1.0])
    images = shades[None, None, :, None, None, None].expand(2, 2, 4, 1, 32, 32)
    gif = Image.open(io.BytesIO(traversal_gif(images, units)))
    assert gif.n_frames == 6
    assert gif.info["loop"] == 0
    seen = []
    for frame in range(6):
        gif.seek(frame)
        pixels = np.asarray(gif.convert("L"), dtype=float)
        right = pixels[: pixels.shape[0] // 2, -pixels.shape[1] // 4 :]
        values, counts = np.unique(right, return_counts=True)
        seen.append(values[counts.argmax()] / 255)
    assert seen == pytest.approx([0, 0.25, 0.5, 1.0, 0.5, 0.25], abs=0.05)


def test_vectors_cannot_be_animated(small_study: StudyResults) -> None:
    units = small_study.folder(small_study.runs["run"][0]).units().head(2)
    with pytest.raises(NothingToDraw, match="no images"):
        traversal_gif(torch.zeros(1, 2, 3, 12), units)


def test_the_grid_says_what_its_values_are(small_study: StudyResults) -> None:
    units = small_study.folder(small_study.runs["run"][0]).units().head(2)
    drawn = traversal_grid(torch.zeros(2, 5, 1, 8, 8), units, over="posterior", point=2)
    assert drawn.figure.axes[0].get_xlabel() == "Quantile of the aggregate posterior (%)"
    assert "test image 3" in drawn.caption
    assert drawn.data["over"].tolist() == ["posterior"] * 2


def test_heat_maps_show_the_stored_matrices_by_falling_kl(small_study: StudyResults) -> None:
    folder = small_study.folder(small_study.runs["run"][0])
    drawn = factor_heatmap(folder)
    parts = folder.metrics()["estimators"]
    information = np.array(parts["mig"]["parts"]["mutual_information"])
    information /= np.array(parts["mig"]["parts"]["factor_entropy"])
    importance = np.array(parts["dci"]["parts"]["importance"])
    order = folder.units().sort_values("kl", ascending=False)["unit"].to_numpy()
    above, below = drawn.figure.axes[:2]
    for ax, matrix in ((above, information), (below, importance)):
        shown = np.asarray(ax.collections[0].get_array()).reshape(len(FACTORS), -1)
        np.testing.assert_allclose(shown, matrix[order].T)
        assert [label.get_text() for label in ax.get_yticklabels()] == list(FACTORS)
    assert [int(label.get_text()) for label in below.get_xticklabels()] == order.tolist()
    active = folder.units().set_index("unit")["active"][order]
    styles = [label.get_fontstyle() for label in below.get_xticklabels()]
    assert styles == ["normal" if each else "italic" for each in active]
    # Idle units fade by the share of noise in their variance, used ones not at all.
    noise = folder.units().set_index("unit").eval("mean_var / (mean_var + var_mu)")[order]
    faded = {round(patch.get_x()): patch.get_alpha() for patch in above.patches}
    assert faded == {
        place: pytest.approx(noise[unit]) for place, unit in enumerate(order) if not active[unit]
    }
    # The scale of importance ends at the largest of them.
    assert below.collections[0].get_clim() == (0, pytest.approx(importance.max()))
    row = drawn.data[(drawn.data["factor"] == "scale") & (drawn.data["unit"] == 3)].iloc[0]
    assert row["information"] == information[3, 1]
    assert row["importance"] == importance[3, 1]


def test_information_that_the_study_did_not_measure_is_measured_for_the_heat_map(
    run: RunFolder,
) -> None:
    stored = run.metrics()
    data = factor_heatmap(run).data
    codes, factors = run.codes(), run.factors()
    assert factors is not None
    parts = mig(codes, factors).parts
    expected = np.array(parts["mutual_information"]) / np.array(parts["factor_entropy"])
    shown = data.pivot(index="unit", columns="factor", values="information")
    np.testing.assert_allclose(shown[stored["factor_names"]], expected)


def test_no_learner_is_fitted_for_a_heat_map(run: RunFolder) -> None:
    """This run has MIG, but no DCI."""
    drawn = factor_heatmap(run)
    assert "DCI importance" not in [ax.get_title(loc="left") for ax in drawn.figure.axes]
    assert drawn.data["importance"].isna().all()
    assert "learner" not in drawn.caption


def test_importances_are_those_of_the_learner_that_was_asked_for(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = run.metrics()
    shape = np.shape(stored["estimators"]["mig"]["parts"]["mutual_information"])
    importance = np.random.default_rng(0).dirichlet(np.ones(shape[0]), shape[1]).T
    refused = {"metric": {"name": "dci"}, "refused": "a factor never varies"}
    asked = {
        "parts": {"importance": importance.tolist()},
        "estimator": {"learner": "random_forest_regression"},
    }
    estimators = {
        "dci": refused,
        "dci[learner=random_forest_regression]": asked,
        **stored["estimators"],
    }
    monkeypatch.setattr(type(run), "metrics", lambda _: {**stored, "estimators": estimators})
    drawn = factor_heatmap(run)
    shown = drawn.data.pivot(index="unit", columns="factor", values="importance")
    np.testing.assert_allclose(shown[stored["factor_names"]], importance)
    assert "a learner (random forest regression)" in drawn.caption


def test_information_of_draws_stands_beside_that_of_means(run: RunFolder) -> None:
    drawn = factor_heatmap(run)
    titles = [ax.get_title(loc="left") for ax in drawn.figure.axes[:2]]
    assert titles == ["I(mean of unit; factor) / H(factor)", "I(draw of unit; factor) / H(factor)"]
    codes, factors = run.drawn(), run.factors()
    assert codes is not None
    assert factors is not None
    parts = mig(codes, factors).parts
    expected = np.array(parts["mutual_information"]) / np.array(parts["factor_entropy"])
    shown = drawn.data.pivot(index="unit", columns="factor", values="drawn_information")
    np.testing.assert_allclose(shown[run.metrics()["factor_names"]], expected)


def test_each_cell_has_its_heat_maps(small_study: StudyResults, lone_study: StudyResults) -> None:
    names = [drawn.name for drawn in factor_heatmaps(present(small_study))]
    assert names == ["factors-standard-normal-prior", "factors-laplace-prior"]
    with pytest.raises(NothingToDraw, match="no ground-truth factors"):
        list(factor_heatmaps(present(lone_study)))


def test_the_command_writes_grids_animation_and_heat_maps(run: RunFolder, tmp_path: Path) -> None:
    arguments = ["traverse", str(run.path), "--points", "2", "--units", "3", "--steps", "4"]
    done = CliRunner().invoke(main, [*arguments, "--over", "posterior", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    pictures = ["traversals-1.png", "traversals-2.png", "interpolations.png"]
    pictures += ["factors.png", "traversals.gif"]
    assert done.output.split() == [str(tmp_path / name) for name in pictures]
    for name in pictures:
        Image.open(tmp_path / name).verify()
    assert (tmp_path / "traversals-2.csv").read_text().count("posterior") == 3


def test_an_unknown_run_is_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["traverse", "zzz", "--results", str(tmp_path)])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
