"""Metrics of codes that are labels: nothing depends on which number a label has."""

from __future__ import annotations

import numpy as np
import pytest

from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement import METRICS, factor_vae
from pyrovae.measures.disentanglement.labels import for_labels, indicators
from pyrovae.measures.disentanglement.representation import Resampling, score_representation

RNG = np.random.default_rng(0)
FACTORS = RNG.integers(0, 6, (1500, 2))
#: The first factor, the second with noise, and noise alone.
CODES = np.stack(
    [
        FACTORS[:, 0],
        np.where(RNG.random(1500) < 0.7, FACTORS[:, 1], RNG.integers(0, 6, 1500)),
        RNG.integers(0, 6, 1500),
    ],
    1,
).astype(float)
RENAMED = np.argsort(RNG.permuted(np.tile(np.arange(6), (3, 1)), axis=1), axis=1)


def renamed() -> np.ndarray:
    return np.stack([RENAMED[u][CODES[:, u].astype(int)] for u in range(3)], 1).astype(float)


def test_ginis_variance_is_half_the_chance_that_two_labels_differ() -> None:
    columns, of = indicators(CODES, (6, 6, 6))
    found = np.bincount(of, columns.var(axis=0, ddof=1))
    for u in range(3):
        pairs = CODES[:, None, u] != CODES[None, :, u]
        n = len(CODES)
        assert found[u] == pytest.approx(pairs.sum() / (n * (n - 1)) / 2)


@pytest.mark.parametrize("name", ["mig", "mig_sup", "jemmig", "dcimig", "modularity", "factor_vae"])
def test_scores_do_not_depend_on_the_names_of_labels(name: str) -> None:
    none = Resampling(halves=0)
    found = [
        score_representation(
            codes,
            FACTORS,
            {"_some": np.array([True, False, True])},
            [{"name": name}],
            none,
            0,
            (6,) * 3,
        )[0]
        for codes in (CODES, renamed())
    ]
    assert found[0] == pytest.approx(found[1])
    assert f"{name}_some" in found[0]


def test_the_variance_of_numbers_would() -> None:
    sizes = {"n_train": 600, "n_test": 300}
    as_numbers = [factor_vae(codes, FACTORS, 0, **sizes).score for codes in (CODES, renamed())]
    assert as_numbers[0] != as_numbers[1]


def test_every_label_has_a_bin_of_its_own() -> None:
    given = {"n_bins": 20, "binning": "uniform"}
    assert for_labels(METRICS["mig"], given, (30, 0))["n_bins"] == 30
    assert for_labels(METRICS["mig"], given, (2, 2)) == given
    codes = RNG.integers(0, 30, (4000, 1)).astype(float)
    scores, _ = score_representation(
        codes, codes.astype(int), {}, [{"name": "mig"}], Resampling(halves=0), 0, (30,)
    )
    assert scores["mig"] == pytest.approx(1)


def test_metrics_of_numbers_are_refused_and_the_others_scored() -> None:
    scores, told = score_representation(
        CODES, FACTORS, {}, [{"name": "sap"}, {"name": "mig"}], Resampling(halves=0), 0, (6,) * 3
    )
    assert "reads codes as numbers" in told["sap"]["refused"]
    assert "mig" in scores
    with pytest.raises(ConfigError, match="uniform"):
        for_labels(METRICS["mig"], {"n_bins": 20, "binning": "quantile"}, (6,))
