"""Figures of codes: what is drawn is what is stored, by label."""

from __future__ import annotations

import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA
from tiny_study import run, tiny_plan

import pyrovae
from pyrovae.measures.disentanglement import gaussian_total_correlation, mig
from pyrovae.measures.evaluate import EvaluationSettings, evaluate
from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.presented import present
from pyrovae.report.look.style import roles
from pyrovae.report.run.code_map import code_map, principal_plane
from pyrovae.report.run.known import GROUPS, groups
from pyrovae.report.run.units_by_label import units_by_label, use_by_label
from pyrovae.report.study.gallery import draw
from pyrovae.report.study.mean_vs_sample import DRAW, MEAN, scores_of_both
from pyrovae.study.config import yaml
from pyrovae.study.store.folders import RunFolder
from pyrovae.study.store.results import StudyResults, load_study
from report.made import make_study


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """Digits, of which the label is kept, and a code without special axes."""
    folder = tmp_path_factory.mktemp("codes")
    changes = (
        "dataset={name: digits, n_train: 400, n_test: 300}",
        "posterior=full_rank_normal",
        "grid.prior=[standard_normal]",
        "seeds=1",
        "training.lr=0.01",
    )
    assert run(tiny_plan(folder, *changes), folder / "results").done == 1
    return load_study(folder / "results/tiny")


@pytest.fixture
def folder(trained: StudyResults) -> RunFolder:
    return trained.folder(trained.runs["run"].iloc[0])


def test_what_is_kept_of_a_run_is_of_the_same_points(folder: RunFolder) -> None:
    stored = pyrovae.load_run(folder.path)
    model, dataset = stored.model, pyrovae.datasets.load_dataset(**stored.config.dataset)
    n = len(folder.codes())
    assert n == 150
    for name, column in dataset.test.labels.items():
        assert list(folder.labels()[name]) == list(column[:n])
    with torch.no_grad():
        q = model.encode(dataset.test.floats(slice(n)))
        drawn = folder.drawn()
        assert drawn is not None
        off = torch.linalg.solve_triangular(
            q.scale_tril, (torch.from_numpy(drawn) - q.loc).unsqueeze(-1), upper=False
        )
    # Each draw is one of its own law: n d standard normal numbers.
    assert float(off.square().mean()) == pytest.approx(1, abs=5 * (2 / off.numel()) ** 0.5)
    costs, units = folder.costs(), folder.units()
    assert costs is not None
    assert costs.shape == (150, 4)
    assert (units["used_points"] == 150).all()
    assert_allclose(costs.mean(0), units["used_cost"], rtol=1e-4)
    assert_allclose(costs.std(0, ddof=1) / 150**0.5, units["used_cost_se"], rtol=1e-4)
    # The directions that are counted are kept too, although there are training data.
    assert folder.directions() is not None


def test_interpolations_end_at_reconstructions(folder: RunFolder) -> None:
    images = folder.images()
    between, ends = images["interpolations"], images["reconstructions"]
    assert between.shape == (4, 8, 1, 8, 8)
    torch.testing.assert_close(between[:, 0], ends[0::2])
    torch.testing.assert_close(between[:, -1], ends[1::2])
    codes = torch.from_numpy(folder.codes()[:2])
    middle = (4 * codes[0] + 3 * codes[1]) / 7
    stored = pyrovae.load_run(folder.path)
    torch.testing.assert_close(between[0, 3], stored.decode(middle[None])[0], rtol=1e-4, atol=1e-5)


def test_on_a_sphere_the_way_is_on_it() -> None:
    parts = {"prior": "hyperspherical_uniform", "posterior": "von_mises_fisher"}
    vae = pyrovae.build(4, latent_dim=3, network={"name": "mlp", "hidden": []}, **parts)
    seen = []
    vae.decoder.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    dataset = pyrovae.datasets.Dataset(
        "x", *(pyrovae.datasets.Split(torch.rand(12, 4)) for _ in range(2))
    )
    found = evaluate(vae, dataset, EvaluationSettings(samples=2, images=5, metrics=[]), 0)
    assert found.images["interpolations"].shape == (2, 5, 4)
    (codes,) = (z for z in seen if z.shape == (2, 5, 3))
    assert_allclose(codes.norm(dim=-1), 1, rtol=1e-5)


def test_a_plane_of_principal_components_is_sklearns() -> None:
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(50, 5)) @ rng.normal(size=(5, 5)) + 3
    plane, shares = principal_plane(codes)
    known = PCA(2, svd_solver="full").fit(codes)
    assert_allclose(np.abs(plane), np.abs(known.transform(codes)), atol=1e-9)
    assert_allclose(shares, known.explained_variance_ratio_)
    # A reflection of the code is a reflection of the map at most.
    assert_allclose(np.abs(principal_plane(-codes)[0]), np.abs(plane), atol=1e-9)


def test_a_map_has_each_point_in_the_colour_of_its_label(
    trained: StudyResults, folder: RunFolder
) -> None:
    (drawn,) = draw(present(trained), "code_map")
    ax = drawn.axes[0]
    label = folder.labels().columns[0]
    values = sorted(folder.labels()[label].unique())
    assert len(ax.collections) == len(values) == 10
    for points, value, colour in zip(ax.collections, values, roles(10), strict=True):
        assert to_rgb(points.get_facecolor()[0][:3]) == pytest.approx(colour)
        inside = drawn.data[drawn.data[label] == value]
        assert_allclose(points.get_offsets(), inside[["x", "y"]])
    assert len(drawn.data) == 150
    assert "Posterior means of 150 test points" in drawn.caption
    assert "‡" in drawn.caption


def test_what_replacing_units_costs_by_label() -> None:
    rng = np.random.default_rng(0)
    kind = np.repeat(["a", "b", "rare"], [60, 40, 3])
    costs = rng.normal(0, 0.2, (103, 3))
    costs[kind == "b", 1] += 2
    costs[:, 2] += 0.5
    table = use_by_label(costs, pd.DataFrame({"kind": kind}))
    assert set(table["value"]) == {"a", "b"}  # of three data nothing is told
    for row in table.itertuples():
        inside = costs[kind == row.value, row.unit]
        assert row.n == len(inside)
        assert row.cost == pytest.approx(inside.mean())
        assert row.cost_se == pytest.approx(inside.std(ddof=1) / len(inside) ** 0.5)
    used = table.pivot(index="value", columns="unit", values="used")
    assert used.loc["a"].tolist() == [False, False, True]
    assert used.loc["b"].tolist() == [False, True, True]


def test_the_figure_counts_units_of_each_label(folder: RunFolder) -> None:
    drawn = units_by_label(folder)
    counts = drawn.data.groupby("value", sort=False)["used"].sum()
    shown = [tick.get_text() for tick in drawn.axes[0].get_yticklabels()]
    assert shown == [f"{value} ({n})" for value, n in counts.items()]
    marks = [text.get_text() for text in drawn.axes[0].texts]
    assert marks.count("·") == (~drawn.data["used"]).sum()


@settings(deadline=None)
@given(st.lists(st.integers(-30, 30), min_size=2, max_size=200))
def test_groups_are_few_and_in_order(numbers: list[int]) -> None:
    column = pd.Series(numbers)
    found = groups(column)
    assert found.notna().all()
    assert found.nunique() <= GROUPS
    means = column.groupby(found, observed=True).mean()
    assert means.is_monotonic_increasing
    words = groups(column.map("w{}".format))
    assert words.nunique() <= GROUPS
    assert len(set(column.map("w{}".format)) - set(words)) == (
        column.nunique() - GROUPS + 1 if column.nunique() > GROUPS else 0
    )


def test_means_and_draws_are_scored_alike(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", seeds=1, units=4, prior=["standard_normal"])
    folder = study.folder(study.runs["run"].iloc[0])
    with pytest.raises(NothingToDraw, match="earlier version, which kept no draws"):
        next(draw(present(study), "mean_vs_sample"))
    with pytest.raises(NothingToDraw, match="earlier version, which kept no costs"):
        next(draw(present(study), "units_by_label"))
    with pytest.raises(NothingToDraw, match="pyrovae traverse draws interpolations"):
        next(draw(present(study), "interpolations"))
    drawn = folder.codes() + np.random.default_rng(1).normal(size=(40, 4))
    np.save(folder.path / "drawn.npy", drawn.astype(np.float32))
    config = yaml.read(folder.path / "config.yaml")
    config["evaluation"]["metrics"] = [{"name": "mig"}]
    (folder.path / "config.yaml").write_text(yaml.dump(config))
    table = scores_of_both(folder, folder.config()).set_index(["score", "representation"])["value"]
    factors = folder.factors()
    assert factors is not None
    for name, codes in ((MEAN, folder.codes()), (DRAW, drawn.astype(np.float32))):
        z = codes.astype(float)
        assert table["mig", name] == pytest.approx(mig(z, factors).score)
        found = gaussian_total_correlation(z, None, np.random.default_rng(0)).score
        assert table["gaussian_total_correlation", name] == pytest.approx(found)
    (figure,) = draw(present(load_study(tmp_path / "s")), "mean_vs_sample")
    points = [line.get_xdata()[0] for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    first = figure.data["score"].iloc[0]
    assert points == pytest.approx(figure.data.loc[figure.data["score"] == first, "value"])


def test_umap_is_drawn_where_it_is_installed(
    trained: StudyResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)  # as if it were not
    with pytest.raises(NothingToDraw, match=r"pip install 'pyrovae\[umap\]'"):
        next(draw(present(trained), "code_umap"))

    class Umap:
        def __init__(self, **settings: int) -> None:
            assert settings["random_state"] == 0
            assert settings["n_neighbors"] == 15

        def fit_transform(self, codes: np.ndarray) -> np.ndarray:
            return codes[:, [2, 0]]

    stub = types.ModuleType("umap")
    stub.UMAP = Umap  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "umap", stub)
    (drawn,) = draw(present(trained), "code_umap")
    codes = trained.folder(trained.runs["run"].iloc[0]).codes()
    assert_allclose(drawn.data[["x", "y"]], codes[:, [2, 0]])


def test_what_is_not_known_is_not_drawn(lone_study: StudyResults, tmp_path: Path) -> None:
    with pytest.raises(NothingToDraw, match="no labels and no ground-truth factors"):
        next(draw(present(lone_study), "code_map"))
    narrow = make_study(tmp_path / "n", seeds=1, units=1, prior=["laplace"])
    with pytest.raises(NothingToDraw, match="one unit"):
        code_map(narrow.folder(narrow.runs["run"].iloc[0]))
    shutil.rmtree(tmp_path / "n")
