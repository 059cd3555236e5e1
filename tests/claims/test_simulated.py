"""Judges against studies in which the truth is planted; `benchmarks.claims` has the error rates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from claims.simulated import TRUTHS, Planted, Simulated, generated, kinds, law, scores, verdict
from pyrovae.claims.judge import SATURATED
from pyrovae.claims.verdict import NoLaw, Undecidable


@pytest.mark.parametrize("truth", TRUTHS, ids=[f"{t.claim}: {t.what}" for t in TRUTHS])
def test_a_planted_truth_is_not_contradicted(truth: Planted) -> None:
    found = verdict(truth.claim, truth.make(np.random.default_rng(0)))
    if truth.holds:
        assert found.probability > 0.9
    else:
        assert found.probability < 0.9
    # The prior alone decides nothing in the claim's favour.
    assert 0.01 < found.prior_probability < 0.65


def test_growth_with_the_square_root_does_not_pass_as_saturation() -> None:
    (square_root,) = [truth for truth in TRUTHS if truth.what == "2.2 d^0.45"]
    found = verdict("sparsity", square_root.make(np.random.default_rng(1)))
    assert found.word == "not supported"
    assert found.interval[0] > SATURATED
    low, high = found.interval
    assert low < 0.45 < high


def test_the_asymptote_is_found() -> None:
    (saturating,) = [truth for truth in TRUTHS if truth.what == "min(d, 10)"]
    found = verdict("sparsity", saturating.make(np.random.default_rng(1)))
    (level,) = found.beside.values()
    low, high = np.quantile(level.draws, [0.005, 0.995])
    assert low < 10 < high


def test_offsets_of_used_and_idle_units_stand_apart() -> None:
    found = verdict("variance_law", law(0.23, 0.0, np.random.default_rng(0)))
    used, idle = (each.draws.mean() for each in found.beside.values())
    assert used == pytest.approx(0.23, abs=0.03)
    assert idle == pytest.approx(0.0, abs=0.03)


def test_there_is_no_law_of_variance_under_another_prior() -> None:
    study = law(0.0, 0.0, np.random.default_rng(0))
    study.law = False
    with pytest.raises(NoLaw, match="standard normal prior only"):
        verdict("variance_law", study)


def test_one_beta_says_what_all_say_apart() -> None:
    # Sparsity within a beta is what decides: moving all scores of one beta changes nothing.
    study = scores(1.2, 0.0, np.random.default_rng(5))
    before = verdict("disentanglement", study).draws
    moved = study.runs["objective"] == "beta(beta=4)"
    for score in ("mig", "dci", "factor_vae"):
        study.runs[score] += 10.0 * moved
    assert verdict("disentanglement", study).draws == pytest.approx(before, abs=1e-6)


def test_scores_of_used_units_decide() -> None:
    """Those of all units follow sparsity by the idle units alone."""
    study = scores(1.2, 0.0, np.random.default_rng(5))
    assert verdict("disentanglement", study).probability > 0.9
    for score in ("mig", "dci", "factor_vae"):
        noise = np.random.default_rng([8, len(score)]).normal(size=len(study.runs))
        study.runs[f"{score}_used_only"] = 0.3 + 0.05 * noise
    found = verdict("disentanglement", study)
    assert found.probability < 0.9
    assert set(found.evidence["group"]) == {
        "MIG, active units only",
        "DCI disent., active units only",
        "FactorVAE, active units only",
    }


def test_variance_loss_is_set_beside_the_squared_error() -> None:
    found = verdict("generation", generated(0.0, np.random.default_rng(2)))
    ratio = found.beside["variance loss over mean squared error"]
    assert np.quantile(ratio.draws, 0.01) < 1 < np.quantile(ratio.draws, 0.99)


def _without(study: Simulated, column: str) -> Simulated:
    study.runs = study.runs.drop(columns=column)
    return study


def test_what_is_missing_is_said() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(Undecidable, match=r"three values of latent_dim \(it has 1\)"):
        verdict("sparsity", kinds(8, 11, rng))
    with pytest.raises(Undecidable, match="dense and with convolutional networks"):
        verdict("networks", law(0, 0, rng))
    with pytest.raises(Undecidable, match="needs disentanglement scores"):
        verdict("disentanglement", law(0, 0, rng))
    with pytest.raises(Undecidable, match="Variance of samples of every run"):
        verdict("generation", _without(generated(0.0, rng), "sample_variance"))
    study = _without(kinds(8, 11, rng), "used_units")
    study.runs["active_units"] = 8.0
    with pytest.raises(Undecidable, match="number of used units"):
        verdict("networks", study)
    objectives = pd.DataFrame({"latent_dim": [8], "objective": ["elbo"]})
    with pytest.raises(Undecidable, match="objectives 'elbo' and 'autoencoder'"):
        verdict("self_regularisation", Simulated(objectives))
