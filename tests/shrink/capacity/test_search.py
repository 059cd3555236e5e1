"""The search's decisions on made observations, and on probabilistic PCA of known rank."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrovae.commands.main import main
from pyrovae.shrink.capacity import Observation, belief, next_size
from pyrovae.shrink.capacity.found import Capacity, describe, intrinsic, observed

ROOT = Path(__file__).parents[3]


def _search(needed: int, start: int, seeds: int, wrong: float, rng: np.random.Generator) -> tuple:
    """Simulate a search: each count is right, or off by one with probability ``wrong``."""
    observations: list[Observation] = []
    size: int | None = start
    while size is not None and len(observations) + seeds <= 8:
        for _ in range(seeds):
            error = int(rng.choice([-1, 1])) if rng.random() < wrong else 0
            active = int(np.clip(min(size, needed) + error, 0, size))
            observations.append(Observation(size, active))
        size = next_size(observations)
    return observations, belief(observations)


@settings(max_examples=60, deadline=None)
@given(needed=st.integers(1, 40), start=st.sampled_from([2, 64]))
def test_exact_counts_give_the_exact_answer_with_eight_trainings(needed: int, start: int) -> None:
    observations, found = _search(needed, start, 2, 0.0, np.random.default_rng(0))
    assert len(observations) <= 8
    if needed < max(o.latent_dim for o in observations):
        assert not found.open
        assert found.mode == needed
        low, high = found.interval()
        assert low <= needed <= high
        assert high - low <= 2
    else:
        assert found.open


def test_intervals_hold_the_truth_as_often_as_they_say_when_counts_err() -> None:
    rng = np.random.default_rng(1)
    hits = []
    for _ in range(150):
        needed = int(rng.integers(3, 13))
        _, found = _search(needed, 2, 2, 0.3, rng)
        low, high = found.interval()
        hits.append(low <= needed <= high)
    # 95 % nominal; a share of 150 has a standard error of 2 %.
    assert np.mean(hits) > 0.95 - 4 * 0.018


def test_belief_in_sparsity() -> None:
    saturated = belief([Observation(8, 8), Observation(8, 8)])
    assert saturated.open
    assert saturated.sparse(8) < 0.2
    sparse = belief([Observation(8, 5), Observation(8, 5)])
    assert not sparse.open
    assert sparse.sparse(8) > 0.95
    assert sparse.mode == 5
    # Seeds that disagree leave more doubt.
    doubtful = belief([Observation(8, 4), Observation(8, 6)])
    assert doubtful.interval()[1] - doubtful.interval()[0] > sparse.interval()[1] - 5
    assert float(sparse.probability.sum()) == pytest.approx(1)


def test_intrinsic_dimension_stands_beside_the_units_that_are_used() -> None:
    """Codes of three numbers in six of eight units: curved, and two units are idle."""
    three = np.random.default_rng(0).normal(size=(1_500, 3))
    curved = np.hstack([three, three**2 / 4, np.zeros((1_500, 2))])
    runs = pd.DataFrame(
        {"run": ["a", "b", "c"], "latent_dim": [2, 8, 8], "seed": 0, "used_units": [2, 6, 6]}
    )
    asked = []

    def codes(run: str) -> np.ndarray:
        asked.append(run)
        return curved

    found = intrinsic(runs, codes)
    assert asked == ["b", "c"]
    assert found == pytest.approx(3, abs=0.3)
    told = describe(Capacity(None, runs, belief(observed(runs)), True, (), (), found))
    assert re.search(r"dimension of the codes at latent_dim 8: [23]\.\d \(nearest", told)
    assert intrinsic(runs, lambda run: curved[:5]) is None


def test_the_search_stops_at_its_bound() -> None:
    assert next_size([Observation(4, 4), Observation(4, 4)], largest=4) is None
    assert next_size([Observation(4, 4), Observation(4, 4)], largest=6) == 6


@pytest.mark.slow
@pytest.mark.parametrize("rank", [5, 12])
@pytest.mark.parametrize("start", [2, 64])
def test_rank_of_probabilistic_pca(tmp_path: Path, rank: int, start: int) -> None:
    called = CliRunner().invoke(
        main,
        [
            *("capacity", str(ROOT / "studies/capacity_linear_gaussian.yaml")),
            *("--results", str(tmp_path), "--start", str(start), "--no-compile"),
            *("--set", f"dataset.rank={rank}", "--workers", "1"),
        ],
    )
    print(called.output)
    assert called.exit_code == 0, called.output
    assert f"recommended latent_dim {rank} (95 % interval" in called.output
    trainings = int(called.output.split("), from ")[1].split()[0])
    assert trainings <= 8


def test_nothing_is_concluded_from_trainings_that_have_not_settled(tmp_path: Path) -> None:
    arguments = [
        *("capacity", str(ROOT / "studies/capacity_linear_gaussian.yaml")),
        *("--results", str(tmp_path), "--start", "2", "--no-compile", "--workers", "1"),
        *("--seeds", "1", "--trainings", "1", "--set", "dataset.n_train=500"),
        *("--set", "training.steps=40", "--set", "training.records=4"),
        *("--set", "dataset.n_test=200", "--set", "evaluation.points=200"),
    ]
    called = CliRunner().invoke(main, arguments)
    assert called.exit_code == 1
    assert "latent_dim 2: 1 of 1 runs have not settled" in called.output
    assert "--unsettled" in called.output
    assert "recommended" not in called.output
    # What was trained is kept, and told of with its mark where that is asked for.
    called = CliRunner().invoke(main, [*arguments, "--unsettled"])
    assert called.exit_code == 0, called.output
    assert "1 of 1 trainings have NOT settled" in called.output


def test_more_than_one_cell_is_refused(tmp_path: Path) -> None:
    file = str(ROOT / "studies/prior_comparison.yaml")
    called = CliRunner().invoke(
        main, ["capacity", file, "--results", str(tmp_path), "--profile", "quick"]
    )
    assert called.exit_code == 2
    assert re.search(r"has [2-9] cells: a search is about one", called.output), called.output
