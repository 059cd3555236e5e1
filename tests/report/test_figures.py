"""What is drawn is what was measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection

from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.intervals import interval
from pyrovae.report.look.presented import present
from pyrovae.report.look.scores import table_scores
from pyrovae.report.page.columns import columns
from pyrovae.report.study.cell_scores import active_units, disentanglement
from pyrovae.report.study.evolution import evolution
from pyrovae.report.study.kl_profile import kl_profile
from pyrovae.report.study.variance_law import variance_law
from pyrovae.study.store.results import StudyResults
from report.made import POSTERIORS, PRIORS, make_study

Draw = Callable[[str], Drawn]


def test_active_units_show_seeds_means_and_intervals(
    main_study: StudyResults, main_figure: Draw
) -> None:
    drawn = main_figure("active_units")
    (ax,) = drawn.figure.axes
    points = sorted(x for c in ax.collections for x in np.asarray(c.get_offsets())[:, 0])
    assert points == sorted(main_study.runs["active_units"])
    means, bars = _means_and_bars(ax)
    assert len(means) == len(bars) == len(PRIORS) * len(POSTERIORS)
    position = 0
    for row, prior in enumerate(PRIORS):
        for posterior in POSTERIORS:
            runs = main_study.runs
            cell = runs[(runs["prior"] == prior) & (runs["posterior"] == posterior)]
            values = cell["active_units"].to_numpy()
            x, y = means[position]
            assert x == pytest.approx(values.mean())
            assert round(y) == row
            assert bars[position] == pytest.approx(interval(values, "count", most=32))
            position += 1
    assert ax.get_xlabel() == "Active units (count, of 32)"
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["standard normal", "Laplace", "Student t", "Gaussian mixture"]


def test_data_beside_the_figure_are_what_it_shows(
    main_study: StudyResults, main_figure: Draw
) -> None:
    data = main_figure("active_units").data
    assert len(data) == len(main_study.runs)
    assert data["value"].tolist() == main_study.runs["active_units"].tolist()
    assert data.groupby(["prior", "posterior"])["n"].first().min() == 4  # One run failed.


def test_too_few_seeds_show_points_without_bars(lone_study: StudyResults) -> None:
    drawn = active_units(present(lone_study))
    means, bars = _means_and_bars(drawn.figure.axes[0])
    assert [x for x, _ in means] == lone_study.runs["active_units"].tolist()
    assert bars == []
    assert "too few for intervals" in drawn.caption


def test_counts_have_whole_ticks_even_if_all_agree(lone_study: StudyResults) -> None:
    (ax,) = active_units(present(lone_study)).figure.axes
    low, high = ax.get_xlim()
    ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
    assert len(ticks) > 1
    assert all(tick == round(tick) for tick in ticks)


def test_disentanglement_has_a_panel_for_each_score(
    main_study: StudyResults, main_figure: Draw
) -> None:
    drawn = main_figure("disentanglement")
    titles = [ax.get_xlabel() for ax in drawn.figure.axes]
    assert titles == ["MIG", "DCI disent.", "FactorVAE"]
    for ax, key in zip(drawn.figure.axes, ("mig", "dci", "factor_vae"), strict=True):
        means = [x for x, _ in _means_and_bars(ax)[0]]
        hollow = [c for c in ax.collections if not len(c.get_facecolor())]
        beside = [float(np.asarray(c.get_offsets())[0, 0]) for c in hollow]
        # Filled are scores of the active units alone, hollow those of all where they are others.
        first = f"{key}_used_only" if key == "dci" else key
        assert len(beside) == (len(means) if key == "dci" else 0)
        for shown, column in ((means, first), *([(beside, key)] if beside else [])):
            grouped = main_study.runs.groupby("cell", sort=False)[column].mean()
            assert sorted(shown) == pytest.approx(sorted(grouped))
            data = drawn.data[drawn.data["score"] == column]
            assert data["value"].tolist() == main_study.runs[column].tolist()
    assert "scores of the active units alone; hollow" in drawn.caption
    assert "chance level" not in drawn.caption  # none was measured


def test_without_factors_there_is_no_disentanglement(lone_study: StudyResults) -> None:
    with pytest.raises(NothingToDraw, match="no ground-truth factors"):
        disentanglement(present(lone_study))


def test_kl_profile_lines_are_means_over_seeds(main_study: StudyResults, main_figure: Draw) -> None:
    drawn = main_figure("kl_profile")
    units = main_study.units()
    for posterior, ax in zip(POSTERIORS, drawn.figure.axes, strict=False):
        lines = [line for line in ax.get_lines() if len(line.get_xdata()) == 32]
        assert len(lines) == len(ax.collections) == len(PRIORS)
        for prior, line, band in zip(PRIORS, lines, ax.collections, strict=True):
            cell = units[(units["prior"] == prior) & (units["posterior"] == posterior)]
            by_rank = cell.pivot(index="run", columns="rank", values="kl").to_numpy()
            np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 33))
            np.testing.assert_allclose(line.get_ydata(), by_rank.mean(0))
            corners = band.get_paths()[0].vertices
            at_five = corners[corners[:, 0] == 5, 1]
            assert at_five.min() == pytest.approx(by_rank[:, 4].min())
            assert at_five.max() == pytest.approx(by_rank[:, 4].max())


def test_kl_profile_data_fall_with_position(main_figure: Draw) -> None:
    data = main_figure("kl_profile").data
    for _, cell in data.groupby(["prior", "posterior"]):
        assert cell["position"].tolist() == list(range(1, 33))
        assert cell["mean"].is_monotonic_decreasing
        assert cell["active"].iloc[0] == 1.0
        assert cell["active"].iloc[-1] == 0.0


def test_one_seed_has_a_profile_without_band(lone_study: StudyResults) -> None:
    (ax,) = kl_profile(present(lone_study)).figure.axes
    (line,) = (line for line in ax.get_lines() if len(line.get_xdata()) == 4)
    np.testing.assert_allclose(line.get_ydata(), np.sort(lone_study.units()["kl"])[::-1])
    drawn = [path.vertices for band in ax.collections for path in band.get_paths()]
    # A band of no height is none.
    assert all(np.ptp(v[v[:, 0] == x, 1]) == 0 for v in drawn for x in np.unique(v[:, 0]))


def test_rate_distortion_points_and_lines_of_equal_elbo(
    main_study: StudyResults, main_figure: Draw
) -> None:
    drawn = main_figure("rate_distortion")
    ax = drawn.figure.axes[0]
    points = np.asarray(ax.collections[0].get_offsets())
    np.testing.assert_allclose(points, main_study.runs[["rate", "distortion"]])
    means = main_study.runs.groupby(["prior", "posterior"], sort=False)[["rate", "distortion"]]
    (shown,) = (c for c in ax.collections[1:] if isinstance(c, PathCollection))
    np.testing.assert_allclose(np.asarray(shown.get_offsets()), means.mean())
    bars = [b.get_segments()[0] for b in ax.collections if isinstance(b, LineCollection)]
    assert len(bars) == 2 * len(means)
    for (_, runs), across, along in zip(means, bars[::2], bars[1::2], strict=True):
        assert across[:, 0] == pytest.approx(interval(runs["rate"]))
        assert along[:, 1] == pytest.approx(interval(runs["distortion"]))
    equal = [line for line in ax.get_lines() if line.get_linestyle() == "-"]
    assert len(equal) > 3
    for line in equal:
        x, y = line.get_data()
        assert x[0] + y[0] == pytest.approx(x[1] + y[1])
    # Each name on the right stands where its line leaves the panel.
    named = ax.child_axes[0].yaxis
    right = ax.get_xlim()[1]
    for place, label in zip(named.get_ticklocs(), named.get_ticklabels(), strict=True):
        assert float(label.get_text().replace("−", "-")) == pytest.approx(-(right + place))
    assert len(named.get_ticklocs()) > 0


def test_evolution_lines_are_means_over_seeds(main_study: StudyResults, main_figure: Draw) -> None:
    drawn = main_figure("evolution")
    history = main_study.history()
    counts = drawn.figure.axes[0]
    line = next(line for line in counts.get_lines() if len(line.get_xdata()))
    cell = history[(history["prior"] == PRIORS[0]) & (history["posterior"] == POSTERIORS[0])]
    expected = cell.groupby("step")["active_units"].mean()
    np.testing.assert_array_equal(line.get_xdata(), expected.index)
    np.testing.assert_allclose(line.get_ydata(), expected)
    # No loss is known before the first step.
    losses = drawn.data[drawn.data["quantity"] == "loss"]
    assert losses["step"].min() > 0
    assert losses["mean"].notna().all()


def test_evolution_has_the_held_out_bound_and_ends_in_sight(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", seeds=3, units=4, event=(12,), prior=PRIORS[:1])
    steps = np.arange(0, 1001, 100)
    histories = [
        study.folder(run)
        .history()
        .head(len(steps))
        .assign(step=steps, used_units=[0, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4 - seed % 2])
        .assign(elbo=[-1e3 + (999 + seed / 10) * (1 - np.exp(-k)) for k in range(11)])
        for seed, run in enumerate(study.runs["run"])
    ]
    histories[0] = histories[0].head(6)  # It has ended early.
    for run, history in zip(study.runs["run"], histories, strict=True):
        history.to_parquet(study.folder(run).path / "history.parquet")
    drawn = evolution(present(study))
    counts, losses, bound = drawn.axes
    assert bound.get_ylabel().split() == ["Held-out", "ELBO", "(nats)"]
    shown = drawn.data[drawn.data["quantity"] == "elbo"].set_index("step")
    assert shown["n"].tolist() == [3] * len(steps)
    ends = [history["elbo"].iloc[-1] for history in histories]
    assert shown["mean"][1000] == pytest.approx(np.mean(ends))
    # The axis is that of the end: the beginning is far below it.
    low, high = bound.get_ylim()
    assert -1e3 < low < shown["mean"][1000] < high
    assert bound.get_xlim() == losses.get_xlim() == (0, 1000)
    # Four of four units, but for one seed in the end: no band leaves the range.
    band = counts.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == 4
    assert band.min() == 0


def test_losses_of_other_data_have_an_axis_of_their_own(main_figure: Draw, tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", seeds=1, prior=PRIORS[:2], dataset=["sprites", "digits"])
    one, other = evolution(present(study)).figure.axes[2:]
    assert not one.get_shared_y_axes().joined(one, other)
    one, other, _ = main_figure("evolution").figure.axes[3:]
    assert one.get_shared_y_axes().joined(one, other)


def _means_and_bars(ax: Axes) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    means, bars = [], []
    for line in ax.get_lines():
        x, y = (np.atleast_1d(values) for values in line.get_data())
        if len(x) == 1:
            means.append((float(x[0]), float(y[0])))
        elif len(x) == 2 and y[0] == y[1] and line.get_color() != "0.8":
            bars.append((float(x[0]), float(x[1])))
    return means, bars


def test_the_law_of_variance_is_drawn_where_it_holds(small_study: StudyResults) -> None:
    drawn = variance_law(present(small_study))
    normal, laplace = drawn.axes
    # One scale for all, and the axes as `collapse` and the page have them.
    assert normal.get_xlim() == normal.get_ylim() == laplace.get_xlim() == laplace.get_ylim()
    assert normal.get_box_aspect() == laplace.get_box_aspect() == 1
    assert "Var}_x" in drawn.figure.get_supxlabel()
    offsets = [np.asarray(c.get_offsets()) for c in (*normal.collections, *laplace.collections)]
    shown = sorted(map(tuple, np.concatenate(offsets)))
    assert shown == sorted(drawn.data[["var_mu", "mean_var"]].itertuples(index=False, name=None))
    assert [line.get_linestyle() for line in normal.get_lines()] == ["--"]
    assert laplace.get_lines() == []
    assert drawn.data.groupby("prior")["law"].first().to_dict() == {
        small_study.runs["prior"][0]: True,
        small_study.runs["prior"].iloc[-1]: False,
    }
    assert "Dashed" in drawn.caption
    prior = small_study.runs["prior"].iloc[-1]
    runs = small_study.runs[small_study.runs["prior"] == prior].reset_index(drop=True)
    alone = variance_law(present(dataclasses.replace(small_study, runs=runs)))
    assert "Dashed" not in alone.caption


def test_idle_units_are_told_from_used_ones_by_their_use(main_study: StudyResults) -> None:
    drawn = variance_law(present(main_study))
    used = main_study.units()["used"]
    assert drawn.data["active"].tolist() == used.tolist()
    counts = np.zeros(2, dtype=int)
    for ax in drawn.axes:
        idle, active = ax.collections
        counts += [len(idle.get_offsets()), len(active.get_offsets())]
        assert len(idle.get_facecolor()) == 0  # hollow
        assert len(active.get_facecolor()) > 0
    assert counts.tolist() == [(~used).sum(), used.sum()]


def test_wide_variances_share_an_axis_with_narrow_ones(small_study: StudyResults) -> None:
    units = small_study.units()
    wide = units["prior"] != "standard_normal"
    units.loc[wide, "var_mu"] *= 1000
    presented = present(small_study)
    presented.__dict__["units"] = units
    drawn = variance_law(presented)
    normal, _ = drawn.axes
    assert normal.get_xscale() == normal.get_yscale() == "symlog"
    assert normal.get_xlim()[1] > 900
    assert "logarithmic above" in drawn.caption
    # The law stays a line on which all sums are one.
    assert len(normal.get_lines()) == 1
    places = normal.transData.transform(np.column_stack([[0, 0.5, 1], [1, 0.5, 0]]))
    assert np.linalg.det([places[1] - places[0], places[2] - places[0]]) == pytest.approx(0)


def test_every_count_and_the_effective_dimension_stand_beside_the_used_ones(
    small_study: StudyResults,
) -> None:
    runs = small_study.runs
    runs = runs.assign(active_units=runs["used_units"] + 1, effective_dimension=2.5)
    presented = present(dataclasses.replace(small_study, runs=runs))
    shown = active_units(presented).data["score"].drop_duplicates().tolist()
    assert shown == ["used_units", "active_units", "effective_dimension"]
    assert [score.key for score in table_scores(presented.runs)][:3] == shown
    assert [score.key for score in columns(presented.runs)][:3] == shown


def test_informative_units_stand_beside_used_ones_where_they_differ(
    small_study: StudyResults,
) -> None:
    assert len(active_units(present(small_study)).axes) == 1
    runs = small_study.runs.assign(informative_units=small_study.runs["used_units"] + 1)
    drawn = active_units(present(dataclasses.replace(small_study, runs=runs)))
    labels = [" ".join(ax.get_xlabel().split()) for ax in drawn.axes]
    assert [label.split(" (")[0] for label in labels] == [
        "Active units",
        "Informative units",
    ]
    shown = drawn.data.pivot(index="run", columns="score", values="value")
    assert (shown["informative_units"] - shown["used_units"] == 1).all()
    assert "Informative units: Latent units" in drawn.caption
