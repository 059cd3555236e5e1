"""Scores of a run's codes, with standard errors and without dead units."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement import METRICS, with_standard_error
from pyrovae.measures.disentanglement.representation import Resampling, score_representation
from pyrovae.measures.scores import USED_ONLY

RNG = np.random.default_rng(0)
FACTORS = RNG.integers(4, size=(300, 2))
CODES = np.column_stack([FACTORS + 0.3 * RNG.normal(size=(300, 2)), 1e-3 * RNG.normal(size=300)])
ACTIVE = np.array([True, True, False])
FEW = Resampling(halves=5)


def score(*names, codes=CODES, factors=FACTORS, active=ACTIVE, resampling=FEW, seed=3):
    metrics = [{"name": name} if isinstance(name, str) else name for name in names]
    return score_representation(codes, factors, {USED_ONLY: active}, metrics, resampling, seed)


def test_each_score_has_its_standard_error_and_its_value_without_dead_units():
    scores, estimators = score("mig_sup")
    everything, alone = (
        METRICS["mig_sup"](CODES, FACTORS),
        METRICS["mig_sup"](CODES[:, :2], FACTORS),
    )
    assert scores["mig_sup"] == everything.score
    assert scores["mig_sup_used_only"] == alone.score > everything.score
    _, error = with_standard_error(METRICS["mig_sup"], CODES, FACTORS, 1, n_resamples=200)
    assert scores["mig_sup_se"] == pytest.approx(error, rel=0.9)  # of five halves
    assert estimators["mig_sup"]["halves"] == 5
    assert estimators["mig_sup"]["parts"] == everything.parts


def test_mig_of_a_single_active_unit_is_a_gap_to_nothing():
    """What it shares with each factor: dead units that echo it a little are no runners-up."""
    echo = CODES[:, [0, 0, 0]] * [1, 1e-3, 1e-3]
    scores, estimators = score("mig", codes=echo, active=np.array([True, False, False]))
    assert scores["mig"] == 0  # equal bins do not see how little the echoes vary
    known = np.array(estimators["mig"]["parts"]["mutual_information"])[0]
    entropy = np.array(estimators["mig"]["parts"]["factor_entropy"])
    assert scores["mig_used_only"] == pytest.approx(np.mean(known / entropy))


def test_without_dead_units_nothing_changes():
    scores, _ = score("factor_vae", codes=CODES[:, :2], active=ACTIVE[:2])
    assert scores["factor_vae_used_only"] == scores["factor_vae"]


def test_both_scores_draw_the_same_votes():
    """The dead code cannot win: only other votes could make a difference."""
    noisy = CODES + np.random.default_rng(1).normal(size=CODES.shape) * [2, 2, 1e-3]
    scores, _ = score("factor_vae", codes=noisy)
    assert 0.5 < scores["factor_vae"] < 1
    assert scores["factor_vae_used_only"] == scores["factor_vae"]


def test_learners_are_resampled_only_if_asked_to():
    lasso = {"name": "dci", "learner": "lasso"}
    scores, estimators = score(lasso)
    assert "dci_se" not in scores
    assert estimators["dci"]["halves"] == 0
    scores, estimators = score(lasso, resampling=Resampling(costly_halves=4))
    assert scores["dci_se"] > 0
    assert estimators["dci"]["halves"] == 4


def test_a_score_does_not_depend_on_its_neighbours():
    alone, _ = score("factor_vae")
    among, _ = score("mig", "factor_vae", "irs")
    assert alone.items() <= among.items()


def test_metrics_of_one_name_are_told_apart_and_score_as_alone():
    five = {"name": "mig", "n_bins": 5}
    lasso = {"name": "dci", "learner": "lasso", "n_train": 100}
    scores, estimators = score(five, "mig", lasso)
    default, alone = score("mig")[0], score(five)[0]
    assert scores["mig"] == default["mig"] != alone["mig"] == scores["mig[n_bins=5]"]
    assert scores["mig[n_bins=5]_se"] == alone["mig_se"]
    assert scores["mig[n_bins=5]_used_only"] == alone["mig_used_only"]
    assert estimators["mig[n_bins=5]"]["metric"] == {**five, "binning": "uniform"}
    # A single one keeps its name, whatever its parameters.
    assert "dci_completeness" in scores
    # Without a default one, the first keeps it.
    scores, _ = score({**five, "n_bins": 7}, five)
    assert scores["mig[n_bins=5]"] == alone["mig"]
    assert {key for key in scores if "_" not in key.split("]")[-1]} == {"mig", "mig[n_bins=5]"}


def test_the_same_metric_twice_is_refused():
    with pytest.raises(ConfigError, match="metric 'mig' is asked for twice") as caught:
        score("irs", "mig", {"name": "mig", "n_bins": 20})
    assert caught.value.place == "[2]"


def test_metrics_of_codes_alone_need_no_factors():
    scores, estimators = score("mig", "gaussian_total_correlation", factors=None)
    assert "mig" not in estimators
    assert scores["gaussian_total_correlation_se"] > 0


def test_a_refusal_costs_no_run():
    constant = np.column_stack([FACTORS[:, 0], np.zeros(300, dtype=int)])
    scores, estimators = score("mig", "gaussian_total_correlation", factors=constant)
    assert "mig" not in scores
    assert "factor 1 never varies" in estimators["mig"]["refused"]
    assert "gaussian_total_correlation" in scores


def test_halves_that_lack_a_value_have_no_error():
    rare = np.zeros((300, 1), dtype=int)
    rare[0] = 1
    scores, estimators = score("mig", factors=rare)
    assert 0 <= scores["mig"] <= 1
    assert "mig_se" not in scores
    assert estimators["mig"]["halves"] == 0


def test_infinite_scores_have_no_error():
    doubled = np.column_stack([CODES, CODES[:, 0]])
    scores, _ = score("gaussian_total_correlation", codes=doubled, active=np.array([True] * 4))
    assert scores["gaussian_total_correlation"] == np.inf
    assert "gaussian_total_correlation_se" not in scores


def test_one_half_is_no_spread():
    with pytest.raises(ValidationError, match="a single half has no spread"):
        Resampling(halves=1)
