"""The hierarchical model against data whose truth is known."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from analysis.simulated import POSTERIORS, PRIORS, simulate
from pyrovae.analysis import NotConverged, NothingToCompare, Sampling, fit
from pyrovae.analysis.posterior import CellPosterior
from pyrovae.core.errors import PyrovaeError
from pyrovae.measures.posterior.convergence import Convergence
from pyrovae.measures.scores import Score

module = importlib.import_module("pyrovae.analysis.fit")

FACTORS = ["prior", "posterior"]
#: Enough for means; too short for the gate, which is tested apart.
SHORT = Sampling(chains=2, draws=60, warmup=90, target_accept=0.85)
#: Enough for what does not depend on the numbers.
TINY = Sampling(chains=2, draws=4, warmup=6, target_accept=0.5)
KINDS = ("real", "positive", "proportion", "count")
PASSED = Convergence(1.0, 1000.0, 1000.0, 0.0)


def passed(posterior: CellPosterior) -> CellPosterior:
    return CellPosterior(
        posterior.metric, posterior.design, posterior.draws, PASSED, posterior.data
    )


def metric(kind: str) -> Score:
    return Score("score", "Score", kind=kind, better="high", rope=0.1)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fitted() -> tuple[CellPosterior, pd.DataFrame, np.ndarray]:
    runs, means = simulate(np.random.default_rng(5), "real")
    return passed(fit(runs, metric("real"), FACTORS, sampling=SHORT)), runs, means


def test_intervals_are_about_those_of_students_t(
    fitted: tuple[CellPosterior, pd.DataFrame, np.ndarray],
) -> None:
    """With effects much larger than the noise nothing is shrunk: the pooled t interval is right."""
    posterior, runs, _ = fitted
    groups = runs.groupby(FACTORS, sort=False)["score"]
    pooled = np.sqrt(groups.var().mean())
    half = stats.t.ppf(0.975, 24) * pooled / np.sqrt(5)
    cells = posterior.cells()
    np.testing.assert_allclose(cells["mean"], groups.mean().to_numpy(), atol=0.35 * half)
    widths = (cells["high"] - cells["low"]) / 2
    # Cells may differ in noise: their widths scatter around the pooled one.
    assert 0.75 < widths.mean() / half < 1.4


def test_what_is_concluded_hangs_together(
    fitted: tuple[CellPosterior, pd.DataFrame, np.ndarray],
) -> None:
    posterior, _, means = fitted
    cells = posterior.cells()
    assert cells[FACTORS].to_numpy().tolist() == [[a, b] for a in PRIORS for b in POSTERIORS]
    assert cells["runs"].tolist() == [5] * 6
    assert cells["best"].sum() == pytest.approx(1)
    assert cells["best"].idxmax() == means.argmax()
    contrasts = posterior.contrasts()
    assert len(contrasts) == 3 + 1
    for row in contrasts.itertuples():
        a, b = posterior.of(**{row.factor: row.a}), posterior.of(**{row.factor: row.b})
        assert row.mean == pytest.approx((a - b).mean())
        assert row.better == row.positive == pytest.approx((a > b).mean())
        assert row.rope == pytest.approx((abs(a - b) <= 0.1).mean())
        assert row.above == pytest.approx((a - b > 0.1).mean())
        assert row.below == pytest.approx((b - a > 0.1).mean())
        others = [f for f in FACTORS if f != row.factor]
        each = posterior.draws.values
        places = [
            (i, j)
            for i, one in enumerate(cells.to_dict("records"))
            for j, two in enumerate(cells.to_dict("records"))
            if (one[row.factor], two[row.factor]) == (row.a, row.b)
            and all(one[f] == two[f] for f in others)
        ]
        apart = np.stack([each[:, i] - each[:, j] for i, j in places])
        crossing = (apart.max(0) > 0.1) & (apart.min(0) < -0.1)
        assert row.crossing == pytest.approx(crossing.mean())
        assert row.everywhere == pytest.approx((np.abs(apart) <= 0.1).all(0).mean())
    # What pairs say together, from the draws: no more probable than any of them alone.
    for factor, pairs in contrasts.groupby("factor"):
        said = pairs[["above", "below"]].max(axis=1)
        assert (pairs["jointly"] <= said + 1e-12).all()
        assert pairs["jointly"].max() == pytest.approx(said.max())
        holds = np.ones(len(posterior.draws), dtype=bool)
        for row in pairs.itertuples():
            apart = posterior.of(**{factor: row.a}) - posterior.of(**{factor: row.b})
            holds &= apart > 0.1 if row.above >= row.below else apart < -0.1
        assert pairs["jointly"].min() == pytest.approx(holds.mean())
    # Within cells: every pair that differs in one factor only, from the draws.
    within = posterior.within()
    assert len(within) == 3 * 2 + 3
    for row in within.itertuples():
        where = json.loads(row.where)
        a, b = (posterior.of(**{row.factor: level, **where}) for level in (row.a, row.b))
        assert row.mean == pytest.approx((a - b).mean())
        assert row.above == pytest.approx((a - b > 0.1).mean())
        assert row.jointly <= max(row.above, row.below) + 1e-12
    # Main effects and interactions add up to the cells.
    effects = posterior.effects().set_index(["term", "level"])["mean"]
    total = posterior.draws.values.mean()
    for i, (a, b) in enumerate((a, b) for a in PRIORS for b in POSTERIORS):
        parts = (
            effects["prior", a] + effects["posterior", b] + effects["prior:posterior", f"{a}:{b}"]
        )
        assert total + parts == pytest.approx(cells["mean"][i])
    assert effects["prior"].sum() == pytest.approx(0, abs=1e-9)
    said = posterior.probability(lambda draws: draws.sel(cell=0) > draws.sel(cell=1))
    assert said == pytest.approx((posterior.draws[:, 0] > posterior.draws[:, 1]).mean())


def test_lower_is_better_where_it_is(
    fitted: tuple[CellPosterior, pd.DataFrame, np.ndarray],
) -> None:
    posterior, _, means = fitted
    lower = CellPosterior(
        Score("score", "Score", better="low", rope=0.1),
        posterior.design,
        posterior.draws,
        PASSED,
        posterior.data,
    )
    assert lower.cells()["best"].idxmax() == means.argmin()
    np.testing.assert_allclose(lower.contrasts()["better"], 1 - posterior.contrasts()["better"])


def test_chains_that_do_not_pass_conclude_nothing(
    fitted: tuple[CellPosterior, pd.DataFrame, np.ndarray],
) -> None:
    posterior, _, _ = fitted
    for bad, word in (
        (Convergence(1.02, 1000, 1000, 0), "R-hat"),
        (Convergence(float("nan"), 1000, 1000, 0), "R-hat"),
        (Convergence(1.0, 399, 1000, 0), "bulk"),
        (Convergence(1.0, 1000, 399, 0), "tail"),
        (Convergence(1.0, 1000, 1000, 0.01), "diverged"),
    ):
        broken = CellPosterior(
            posterior.metric, posterior.design, posterior.draws, bad, posterior.data
        )
        for conclude in (
            broken.cells,
            broken.levels,
            broken.contrasts,
            broken.effects,
            lambda broken=broken: broken.of(prior="laplace"),
            lambda broken=broken: broken.probability(lambda draws: draws.sel(cell=0) > 0),
        ):
            with pytest.raises(NotConverged, match=word):
                conclude()


def test_unknown_levels_and_events_are_told(
    fitted: tuple[CellPosterior, pd.DataFrame, np.ndarray],
) -> None:
    posterior, _, _ = fitted
    with pytest.raises(PyrovaeError, match="no factor 'colour'"):
        posterior.of(colour="red")
    with pytest.raises(PyrovaeError, match="no cell has prior=cauchy"):
        posterior.of(prior="cauchy")
    with pytest.raises(ValueError, match="one truth value"):
        posterior.probability(lambda draws: draws.sel(cell=0))


@pytest.mark.parametrize(
    "kind",
    [pytest.param(k, marks=[] if k in ("real", "count") else pytest.mark.slow) for k in KINDS],
)
def test_means_are_found_by_every_law(
    kind: str, fitted: tuple[CellPosterior, pd.DataFrame, np.ndarray]
) -> None:
    if kind == "real":
        posterior, runs, means = fitted
    else:
        runs, means = simulate(np.random.default_rng(11), kind)
        posterior = passed(fit(runs, metric(kind), FACTORS, sampling=SHORT))
    draws = posterior.draws.values
    z = (means - draws.mean(0)) / draws.std(0)
    # Six z scores of about Student's law with 20 degrees of freedom: beyond 5 once in 10^4.
    assert np.abs(z).max() < 5
    groups = runs.groupby(FACTORS, sort=False)["score"]
    spread = groups.std().mean() / np.sqrt(5)
    # The posterior knows the means about as well as five seeds tell them, not better by far.
    assert 0.4 < draws.std(0).mean() / spread < 2.0
    assert np.corrcoef(draws.mean(0), groups.mean())[0, 1] > 0.9


@pytest.mark.slow
def test_a_factor_without_effect_is_drawn_to_zero() -> None:
    rng = np.random.default_rng(3)
    runs, _ = simulate(rng, "real")
    runs["score"] = rng.normal(-200, 1, len(runs))
    posterior = passed(fit(runs, metric("real"), FACTORS, sampling=SHORT))
    raw = runs.groupby(FACTORS)["score"].mean().to_numpy()
    assert posterior.draws.values.mean(0).std() < 0.8 * raw.std()


def test_the_same_seed_gives_the_same_draws_and_leaves_the_global_state() -> None:
    runs, _ = simulate(np.random.default_rng(1), "count", seeds=2)
    state = torch.random.get_rng_state()
    first, second = (fit(runs, metric("count"), FACTORS, sampling=TINY) for _ in range(2))
    np.testing.assert_array_equal(first.draws, second.draws)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_missing_cells_of_three_factors() -> None:
    runs, _ = simulate(np.random.default_rng(2), "count", seeds=2)
    both = pd.concat([runs.assign(size=1), runs.assign(size=2)])
    part = both[~((both["prior"] == "laplace") & (both["posterior"] == "full_rank"))]
    posterior = passed(fit(part, metric("count"), [*FACTORS, "size"], sampling=TINY))
    assert len(posterior.cells()) == 10
    assert [term.name for term in posterior.design.terms][-1] == "cell"
    pairs = posterior.contrasts().set_index(["a", "b"])["pairs"]
    # Only where both were run with the same posterior, in two sizes.
    assert pairs["normal", "laplace"] == 2
    assert pairs["normal", "mixture"] == 4


def test_one_cell_has_a_mean_and_nothing_to_compare_it_with() -> None:
    runs, _ = simulate(np.random.default_rng(2), "real")
    one = runs[(runs["prior"] == "laplace") & (runs["posterior"] == "full_rank")]
    posterior = passed(fit(one, metric("real"), FACTORS, sampling=TINY))
    assert posterior.of().mean() == pytest.approx(one["score"].mean(), abs=2)
    assert posterior.contrasts().empty
    assert posterior.effects().empty


def test_runs_that_tell_nothing_are_refused() -> None:
    runs, _ = simulate(np.random.default_rng(2), "real")
    with pytest.raises(NothingToCompare, match="no run has the metric"):
        fit(runs, "mig", FACTORS)
    with pytest.raises(NothingToCompare, match="no cell has two seeds"):
        fit(runs[runs["seed"] == 0], metric("real"), FACTORS)
    with pytest.raises(NothingToCompare, match="all runs have the value 3"):
        fit(runs.assign(score=3.0), metric("real"), FACTORS)
    with pytest.raises(NothingToCompare, match="no run has a value"):
        fit(runs.assign(score=np.nan), metric("real"), FACTORS)
    with pytest.raises(NothingToCompare, match="infinite"):
        fit(runs.assign(score=np.inf), metric("real"), FACTORS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_healthy_study_passes_the_gate(kind: str) -> None:
    runs, _ = simulate(np.random.default_rng(5), kind)
    found = fit(runs, metric(kind), FACTORS).convergence
    assert found.passed, found.reason


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_intervals_cover_what_they_say(kind: str) -> None:
    """95 % intervals of cell means and of contrasts over 40 simulated studies.

    240 cell means, 40 of a study sharing little: with an effective 160 the standard error of the
    coverage is 1.7 %, and 4 of them are allowed below; above, one cannot cover more than all.
    """
    covered, contrasts = [], []
    sampling = Sampling(chains=2, draws=400, warmup=150)
    for seed in range(40):
        runs, means = simulate(np.random.default_rng([seed, 77]), kind)
        posterior = passed(fit(runs, metric(kind), FACTORS, sampling=sampling))
        cells = posterior.cells()
        covered += ((cells["low"] <= means) & (means <= cells["high"])).tolist()
        truth = means.reshape(3, 2).mean(1)
        row = posterior.contrasts().iloc[0]
        contrasts.append(row["low"] <= truth[0] - truth[1] <= row["high"])
    assert np.mean(covered) > 0.95 - 4 * 0.017
    # 40 independent contrasts: standard error 3.4 %.
    assert np.mean(contrasts) > 0.95 - 4 * 0.034


#: Bounds of the default study, six seeds in each cell: under a full-rank posterior some runs have
#: lost a unit, under a mean-field one all agree.
_BOUNDS = {
    ("flat", "full rank"): (-7.0507, -7.5225, -7.4017, -7.1305, -7.4888, -7.4203),
    ("flat", "mean field"): (-7.1161, -7.0352, -7.0341, -7.1175, -7.1077, -7.0406),
    ("normal", "full rank"): (-6.7678, -7.0883, -7.0755, -6.8523, -6.7606, -6.7677),
    ("normal", "mean field"): (-6.747, -6.8, -6.763, -6.7787, -6.7465, -6.7541),
    ("heavy", "full rank"): (-7.0945, -7.093, -6.8472, -7.2255, -6.8326, -6.8269),
    ("heavy", "mean field"): (-6.8606, -6.8365, -6.8581, -6.8459, -6.8294, -6.8535),
}


@pytest.mark.slow
def test_cells_of_very_unequal_noise_pass_the_gate() -> None:
    """They did not while the noise of cells was never centred: 100 effective draws in the tails."""
    runs = pd.DataFrame(
        [(*cell, value) for cell, values in _BOUNDS.items() for value in values],
        columns=[*FACTORS, "score"],
    )
    posterior = fit(runs, metric("real"), FACTORS)
    assert posterior.convergence.passed, posterior.convergence
    noise = posterior.data.posterior["noise"].mean(("chain", "draw")).values
    full_rank = [c[1] == "full rank" for c in _BOUNDS]
    assert noise[full_rank].min() > 2 * noise[np.logical_not(full_rank)].max()


def test_chains_that_do_not_pass_are_run_once_more_with_more_care(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not if there were too few draws to begin with; what is kept says how it was made."""
    seen: list[Sampling] = []
    right = module.run_nuts

    def told(model: Any, reads: Any, guess: Any, sampling: Sampling) -> Any:
        seen.append(sampling)
        # No draws but the first of each chain: chains that never moved.
        draws, divergent = right(model, reads, guess, replace(TINY, draws=1))
        count = (sampling.draws,)
        return {k: v.repeat_interleave(count[0], 1) for k, v in draws.items()}, divergent

    monkeypatch.setattr(module, "run_nuts", told)
    runs, _ = simulate(np.random.default_rng(5), "real")
    for draws, times in ((400, 2), (399, 1)):
        seen.clear()
        asked = Sampling(chains=2, draws=draws, warmup=90)
        found = fit(runs, metric("real"), FACTORS, sampling=asked)
        assert not found.convergence.passed
        assert seen == [asked, asked.careful()][:times]
        assert found.data.posterior.attrs["thin"] == (4 if times == 2 else 1)
    assert asked.careful().target_accept > asked.target_accept
