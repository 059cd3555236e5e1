"""What every data set can be asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pyrovae.core.errors import ConfigError, DataError
from pyrovae.core.registry import parameters_of, resolved
from pyrovae.datasets import DATASETS, Dataset, Split, load_dataset
from pyrovae.datasets.common import made, with_common
from pyrovae.datasets.own import as_dataset

SPRITES: dict[str, Any] = {"size": 16, "n_train": 60, "n_test": 20}


def _numbered(n: int) -> Dataset:
    """Return observations that say which they are, as their factors do."""
    rows = np.arange(n)
    values = torch.from_numpy(rows[:, None].astype(np.float32))
    train, test = Split(values, rows[:, None]), Split(-1 - values[:3], rows[:3, None])
    return Dataset("numbered", train, test, ("row",), (n,))


def _carved(n: int, validation: int) -> Dataset:
    def load() -> Dataset:
        return _numbered(n)

    return made(load, parameters_of(load, "numbered"), {"validation": validation})


@given(st.integers(2, 300), st.data())
def test_validation_is_a_disjoint_part_of_the_training_data(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, n - 1))
    dataset = _carved(n, k)
    assert dataset.validation is not None
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (n - k, k, min(n, 3))
    parts = [dataset.train, dataset.validation]
    rows = np.concatenate([part.values.numpy()[:, 0] for part in parts])
    assert np.array_equal(np.sort(rows), np.arange(n))
    for part in parts:
        assert part.factors is not None
        assert np.array_equal(part.values.numpy(), part.factors)
        assert (np.diff(part.factors[:, 0]) > 0).all()
    assert torch.equal(dataset.test.values, _numbered(n).test.values)
    if k > 1:
        fewer = _carved(n, k - 1).validation
        assert fewer is not None
        assert set(fewer.values[:, 0].tolist()) < set(dataset.validation.values[:, 0].tolist())


def test_the_validation_split_is_the_same_for_ever() -> None:
    # The end of the order that test_splits.py has from NumPy's documentation: ranks of PCG64(0).
    validation = _carved(10, 3).validation
    assert validation is not None
    assert validation.values[:, 0].tolist() == [4, 5, 9]


@pytest.mark.parametrize("n", [60, 61])
def test_somebody_has_to_be_trained_on(n: int) -> None:
    with pytest.raises(ConfigError, match=f"{n} validation observations .* only 60") as caught:
        load_dataset("sprites", **SPRITES, validation=n)
    assert caught.value.place == "validation"
    with pytest.raises(ConfigError, match="greater than 0"):
        load_dataset("sprites", **SPRITES, validation=0)


def test_identity_changes_with_a_validation_split_only() -> None:
    plain, none, carved = (
        load_dataset("sprites", **SPRITES, **asked)
        for asked in ({}, {"validation": None}, {"validation": 10})
    )
    assert plain.validation is None
    assert plain.fingerprint == none.fingerprint
    # Seen with version 0.1.0.
    assert plain.fingerprint.startswith("3ac3b3dd24c5df3b")
    without = replace(carved, validation=None)
    assert len({data.fingerprint for data in (plain, carved, without)}) == 3
    assert "validation" not in DATASETS.resolve("sprites", SPRITES)
    assert DATASETS.resolve("sprites", {**SPRITES, "validation": 10})["validation"] == 10


def test_a_split_of_ones_own_is_kept() -> None:
    own = replace(_numbered(12), validation=Split(torch.full((4, 1), 0.5), np.zeros((4, 1))))
    kept = as_dataset("mine:load", own)
    assert kept.validation is not None
    assert kept.validation.factors is not None
    assert (len(kept.validation), kept.validation.factors.dtype) == (4, np.int64)

    def load() -> Dataset:
        return own

    with pytest.raises(ConfigError, match="has a validation split of its own"):
        made(load, parameters_of(load, "numbered"), {"validation": 2})
    bad = replace(own, validation=Split(torch.full((4, 1), torch.nan), np.zeros((4, 1))))
    with pytest.raises(DataError, match=r"in 'validation' nan at \[0, 0\]"):
        as_dataset("mine:load", bad)
    with pytest.raises(DataError, match=r"splits that differ: .* in 'validation'"):
        as_dataset("mine:load", replace(own, validation=Split(torch.zeros(4, 2), np.zeros((4, 1)))))


def test_options_of_one_name_with_a_data_sets_own_are_its_own() -> None:
    def load(*, validation: str = "mine") -> Dataset:
        return replace(_numbered(12), name=validation)

    own = parameters_of(load, "numbered")
    values = resolved(with_common(own), {"flatten": True}, "it")
    assert values == {"validation": "mine", "flatten": True}
    assert made(load, own, values).name == "mine"


def test_each_split_is_flattened() -> None:
    flat = load_dataset("sprites", **SPRITES, validation=10, flatten=True)
    assert {tuple(split.values.shape[1:]) for split in flat.splits.values()} == {(256,)}


def test_labels_become_factors_behind_those_that_there_are() -> None:
    both = replace(
        _numbered(40),
        train=replace(
            _numbered(40).train, labels={"angle": np.linspace(0, 1, 40), "row": np.arange(40)}
        ),
        test=replace(_numbered(40).test, labels={"angle": np.full(3, 0.5), "row": np.arange(3)}),
    )

    def load() -> Dataset:
        return both

    own = parameters_of(load, "numbered")
    made_ = made(load, own, {"labels_as_factors": True, "validation": 5})
    assert (made_.factor_names, made_.factor_sizes) == (("row", "angle"), (40, 10))
    for split in made_.splits.values():
        assert split.factors is not None
        assert split.factors.shape == (len(split), 2)
        assert (np.diff(split.factors[np.argsort(split.labels["angle"]), 1]) >= 0).all()
    with pytest.raises(ConfigError, match="has no labels that are not factors") as refusal:
        load_dataset("sprites", **SPRITES, labels_as_factors=True)
    assert refusal.value.place == "labels_as_factors"
