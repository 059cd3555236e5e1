"""Training data whose factors go together or never come together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from tiny_study import TINY, tiny_plan

from pyrovae.core.errors import ConfigError
from pyrovae.core.registry import parameters_of
from pyrovae.datasets import DATASETS, Dataset, Split, load_dataset
from pyrovae.datasets.common import made
from pyrovae.study.execute.runner import describe

SPRITES: dict[str, Any] = {"size": 16, "n_train": 3000, "n_test": 500}
GRAMMAR: dict[str, Any] = {"n_train": 1500, "n_test": 500}


def _factors(dataset: Dataset, *names: str, split: str = "train") -> list[np.ndarray]:
    factors = getattr(dataset, split).factors
    return [factors[:, dataset.factor_names.index(name)] for name in names]


def _p_value(dataset: Dataset, first: str, second: str, law: np.ndarray) -> float:
    """Return the p-value of Pearson's test of a joint law, cells of few put together."""
    found = np.zeros(law.shape)
    np.add.at(found, tuple(_factors(dataset, first, second)), 1)
    expected = law / law.sum() * found.sum()
    many = expected >= 5
    seen = np.append(found[many], found[~many].sum())
    wanted = np.append(expected[many], expected[~many].sum())
    keep = wanted > 0
    assert (seen[~keep] == 0).all()
    return float(stats.chisquare(seen[keep], wanted[keep]).pvalue)


def _law(first: int, second: int, sigma: float, alpha: float = 1.0) -> np.ndarray:
    """The density of the paper on the grid, by its own formula: indices and ratio of ranges."""
    c1, c2 = np.meshgrid(np.arange(first), np.arange(second), indexing="ij")
    ratio, width = alpha * (first - 1) / (second - 1), sigma * (first - 1)
    law: np.ndarray = np.exp(-((c1 - ratio * c2) ** 2) / (2 * width**2))
    return law


@pytest.mark.parametrize(("sigma", "alpha"), [(0.2, 1.0), (0.7, 0.5)])
def test_factors_go_together_by_the_law_of_the_paper(sigma: float, alpha: float) -> None:
    pair = {"factors": ["scale", "x"], "sigma": sigma, "alpha": alpha}
    dataset = load_dataset("sprites", **SPRITES, correlate=[pair])
    assert len(dataset.train) == SPRITES["n_train"]
    assert _p_value(dataset, "scale", "x", _law(6, 32, sigma, alpha)) > 1e-3
    assert _p_value(dataset, "scale", "x", np.ones((6, 32))) < 1e-6
    assert _p_value(dataset, "shape", "y", np.ones((3, 32))) > 1e-3
    assert _p_value(dataset, "orientation", "shape", np.ones((40, 3))) > 1e-3


def test_one_factor_goes_with_several() -> None:
    pairs = [{"factors": ["subject", other], "sigma": 0.3} for other in ("verb", "object")]
    dataset = load_dataset("grammar", **GRAMMAR, correlate=pairs)
    verb, thing = _law(8, 6, 0.3), _law(8, 8, 0.3)
    joint = verb[:, :, None] * thing[:, None, :]
    assert _p_value(dataset, "subject", "verb", joint.sum(2)) > 1e-3
    assert _p_value(dataset, "verb", "object", joint.sum(0)) > 1e-3
    assert _p_value(dataset, "verb", "object", np.ones((6, 8))) < 1e-6


def test_test_data_stay_as_they_are_and_so_does_what_more_data_begin_with() -> None:
    plain = load_dataset("sprites", **SPRITES)
    asked = {"correlate": [{"factors": ["scale", "x"]}], "hold_out": [{"shape": 0}]}
    changed = load_dataset("sprites", **SPRITES, **asked)
    assert torch.equal(plain.test.values, changed.test.values)
    assert np.array_equal(plain.test.factors, changed.test.factors)
    assert plain.fingerprint != changed.fingerprint
    fewer = load_dataset("sprites", **{**SPRITES, "n_train": 100}, **asked)
    assert torch.equal(fewer.train.values, changed.train.values[:100])
    rows = changed.train.factors
    assert rows is not None
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_combinations_are_held_out_of_training_alone() -> None:
    held = [{"shape": 2, "x": {"from": 16, "to": 31}}, {"shape": [0, 1], "scale": 5}]
    dataset = load_dataset("sprites", **SPRITES, hold_out=held, validation=500)

    def gone(split: str) -> np.ndarray:
        shape, scale, x = _factors(dataset, "shape", "scale", "x", split=split)
        out: np.ndarray = ((shape == 2) & (x >= 16)) | ((shape < 2) & (scale == 5))
        return out

    assert len(dataset.train) == 2500
    assert not gone("train").any()
    assert not gone("validation").any()
    # 1/3 × 1/2 + 2/3 × 1/6 of the grid.
    assert gone("test").mean() == pytest.approx(5 / 18, abs=4 * np.sqrt(5 / 18 * 13 / 18 / 500))
    kept = ~np.fromfunction(lambda s, x: (s == 2) & (x >= 16), (3, 32))
    scale_5 = np.where(np.arange(3) < 2, 5 / 6, 1.0)[:, None]
    assert _p_value(dataset, "shape", "x", kept * scale_5) > 1e-3


def test_data_of_ones_own_are_left_out_by_their_labels() -> None:
    def load() -> Dataset:
        digits = np.arange(600) % 3
        values = torch.arange(600.0)[:, None]
        parts = [
            Split(values[k], labels={"digit": digits[k]}) for k in (slice(500), slice(500, 600))
        ]
        return Dataset("mine", *parts)

    own = parameters_of(load, "mine")
    dataset = made(load, own, {"labels_as_factors": True, "hold_out": [{"digit": 1}]})
    assert set(dataset.train.labels["digit"].tolist()) == {0, 2}
    assert len(dataset.train) == 333
    assert len(dataset.test) == 100
    with pytest.raises(ConfigError, match="has no factors: labels_as_factors") as caught:
        made(load, own, {"hold_out": [{"digit": 1}]})
    assert caught.value.place == "hold_out"


@pytest.mark.parametrize(
    ("asked", "place", "told"),
    [
        ({"correlate": [{"factors": ["x", "x"]}]}, "correlate.0", "go together with itself"),
        ({"correlate": [{"factors": ["x"]}]}, "correlate.0.factors", "at least 2 items"),
        ({"correlate": [{"factors": ["x", "z"]}]}, "correlate[0].factors", "no factor 'z'"),
        ({"correlate": [{"factors": ["x", "y"], "sigma": 0.0}]}, "correlate.0.sigma", "greater"),
        ({"hold_out": [{"shape": 3}]}, "hold_out[0].shape", "is 3, and its indices are 0 to 2"),
        ({"hold_out": [{"x": {"from": 4, "to": 3}}]}, "hold_out[0].x", "goes from 4 to 3"),
        ({"hold_out": [{}]}, "hold_out.0", "at least 1 item"),
        ({"hold_out": [{"shape": [0, 1, 2]}]}, "n_train", "leave 0 of"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(
    asked: dict[str, Any], place: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        load_dataset("sprites", **{**SPRITES, "n_train": 20}, **asked)
    assert caught.value.place == place


def test_too_many_are_refused_by_what_is_left() -> None:
    small = {"scales": 3, "orientations": 1, "positions": 8}
    asked = {**SPRITES, **small, "n_train": 400, "n_test": 50, "hold_out": [{"shape": [0, 1]}]}
    with pytest.raises(
        ConfigError, match=r"3\d\.\d% of the data of 'sprites' .* 400 need"
    ) as caught:
        load_dataset("sprites", **asked)
    assert caught.value.place == "n_train"


def test_nothing_asked_is_nothing_in_the_identity() -> None:
    none = DATASETS.resolve("sprites", {"correlate": [], "hold_out": []})
    assert none == DATASETS.resolve("sprites", {})
    assert "correlate" not in none
    plain = load_dataset("sprites", size=16, n_train=60, n_test=20, correlate=[], hold_out=[])
    assert plain.fingerprint.startswith("3ac3b3dd24c5df3b")  # seen with version 0.1.0


def test_a_study_tells_its_data_apart(tmp_path: Path) -> None:
    data = """dataset:
    - {name: sprites, size: 16, n_train: 60, n_test: 20}
    - name: sprites
      size: 16
      n_train: 60
      n_test: 20
      correlate: [{factors: [scale, x], sigma: 0.4}]
      hold_out: [{shape: 2, y: {from: 0, to: 3}}]"""
    text = TINY.replace("  dataset: {name: sprites, size: 16, n_train: 300, n_test: 200}\n", "")
    text = text.replace("objective: elbo", "objective: elbo\n  prior: standard_normal")
    text = text.replace("prior: [standard_normal, student_t]", data).replace("seeds: 2", "seeds: 1")
    plan = tiny_plan(tmp_path, text=text)
    plain, shifted = plan.runs
    assert shifted.config.dataset["hold_out"] == [{"shape": 2, "y": {"from": 0, "to": 3}}]
    assert "correlate" not in plain.config.dataset
    told = [describe(plan)[run.id] for run in plan.runs]
    assert "0.4" in told[1]
    assert "scale" in told[1]
    assert told[0] != told[1]
