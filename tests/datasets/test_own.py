"""A function of the user's own as a data set: what it may return, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import TensorDataset

from pyrovae.core.errors import ConfigError, DataError
from pyrovae.datasets import Dataset, Split, load_dataset
from pyrovae.datasets.own import as_dataset, resolve
from pyrovae.study.config.read import load_study_file
from pyrovae.study.plan.planning import make_plan

IMAGES = np.random.default_rng(0).random((20, 4, 4))
LABELS = np.arange(20) % 3


def _together(dataset: Dataset) -> torch.Tensor:
    """Return all observations as floats, in a fixed order."""
    values = torch.cat([dataset.train.floats(), dataset.test.floats()])
    return values[values.flatten(1)[:, 0].argsort(stable=True)]


@pytest.mark.parametrize(
    "given",
    [
        IMAGES,
        IMAGES.astype(np.float32)[:, None],
        torch.from_numpy(IMAGES),
        torch.from_numpy(IMAGES).requires_grad_(),
        list(IMAGES),
        TensorDataset(torch.from_numpy(IMAGES)[:, None], torch.from_numpy(LABELS)),
        (IMAGES, LABELS),
        Dataset("x", Split(torch.from_numpy(IMAGES[:16])), Split(torch.from_numpy(IMAGES[16:]))),
    ],
)
def test_every_form_gives_the_same_observations(given: Any) -> None:
    made = as_dataset("mine:load", given)
    assert (made.event_shape, made.train.values.dtype) == ((1, 4, 4), torch.float32)
    assert (made.name, len(made.train), len(made.test)) == ("mine:load", 16, 4)
    reference = _together(as_dataset("mine:load", IMAGES))
    torch.testing.assert_close(_together(made), reference, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("values", "dtype", "floats"),
    [
        (IMAGES > 0.5, torch.uint8, (IMAGES > 0.5) * 1.0),
        ((IMAGES > 0.5).astype(np.uint8), torch.uint8, (IMAGES > 0.5) * 1.0),
        ((IMAGES * 255).astype(np.uint8), torch.uint8, (IMAGES * 255).astype(int) / 255),
        ((IMAGES * 255).astype(np.int64), torch.uint8, (IMAGES * 255).astype(int) / 255),
        ((IMAGES * 999).astype(np.int64), torch.float32, (IMAGES * 999).astype(int)),
        ((IMAGES[:, 0] * 90).astype(np.int32), torch.float32, (IMAGES[:, 0] * 90).astype(int)),
        (pd.DataFrame(IMAGES[:, 0]), torch.float32, IMAGES[:, 0]),
        (torch.from_numpy(IMAGES[:, 0]).bfloat16(), torch.float32, None),
    ],
)
def test_values_decide_what_they_are(values: Any, dtype: torch.dtype, floats: Any) -> None:
    made = as_dataset("mine:load", values)
    assert made.train.values.dtype == dtype
    if floats is not None:
        total = made.train.floats().sum() + made.test.floats().sum()
        assert float(total) == pytest.approx(float(np.sum(floats)), rel=1e-5)


def test_factors_are_indices_by_rising_value() -> None:
    words = np.array(["c", "a", "b"])[LABELS]
    made = as_dataset("mine:load", (IMAGES, np.stack([LABELS * 10.0, LABELS % 2], axis=1)))
    assert (made.factor_sizes, made.factor_names) == ((3, 2), ("factor_0", "factor_1"))
    named = as_dataset("mine:load", (IMAGES, list(words)))
    assert (named.factor_sizes, named.factor_names) == ((3,), ("label",))
    for split, other in ((made.train, named.train), (made.test, named.test)):
        assert split.factors is not None
        assert other.factors is not None
        # c, a, b stand for 0, 1, 2, and are 2, 0, 1 by rising value.
        np.testing.assert_array_equal((split.factors[:, 0] + 2) % 3, other.factors[:, 0])


def test_factors_keep_names_and_values() -> None:
    angles = np.linspace(0, 1, 20) ** 2
    words = np.array(["c", "a", "b"])[LABELS]
    for given in ({"kind": words, "angle": angles}, pd.DataFrame({"kind": words, "angle": angles})):
        made = as_dataset("mine:load", (IMAGES, given))
        assert (made.factor_names, made.factor_sizes) == (("kind", "angle"), (3, 10))
        for split in made.splits.values():
            assert split.factors is not None
            assert [split.labels[name].dtype.kind for name in ("kind", "angle")] == ["U", "f"]
            # Ten bins of two values each.
            ranks = np.searchsorted(angles, split.labels["angle"])
            assert (split.factors[:, 1] == ranks // 2).all()
    assert as_dataset("mine:load", (IMAGES, LABELS / 4)).factor_sizes == (3,)


def _with(value: float) -> np.ndarray:
    changed = IMAGES.copy()
    changed[3, 2, 1] = value
    return changed


def _labelled(train: dict[str, Any], test: dict[str, Any]) -> Dataset:
    return Dataset("x", Split(IMAGES, labels=train), Split(IMAGES, labels=test))


class _Broken:
    def __len__(self) -> int:
        return 20

    def __getitem__(self, i: int) -> np.ndarray:
        if i == 7:
            raise OSError("a broken picture")
        return IMAGES[i]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "nothing: is there a 'return'?"),
        (_with(np.nan), r"nan at \[3, 2, 1\]: must be finite"),
        (_with(-np.inf), r"-inf at \[3, 2, 1\]"),
        (_with(1e300), r"1e\+300 at \[3, 2, 1\], which is beyond float32"),
        (IMAGES[:, 0, 0], r"shape \(20,\): must be \(n, d\)"),
        (IMAGES[None, None], r"shape \(1, 1, 20, 4, 4\)"),
        (np.float64(1), r"shape \(\)"),
        (IMAGES[:0], r"empty array, of shape \(0, 4, 4\)"),
        (IMAGES[:3], "3 observations: at least 10"),
        (IMAGES.astype(complex), "complex128"),
        (IMAGES.astype(str), "must be real numbers"),
        (np.array([{}] * 20), "object"),
        (np.zeros((20, 8, 8, 3)), "channels last"),
        (
            [np.zeros(2)] * 12 + [np.zeros(3)],
            r"different shapes: \(2,\) at \[0\], \(3,\) at \[12\]",
        ),
        ([], "no observations"),
        (_Broken(), r"\[7\] raises OSError: a broken picture"),
        ({"x": IMAGES}, "dict: must be an array"),
        ("x.npy", "str: must be an array"),
        ((x for x in IMAGES), "generator: must be an array"),
        ((IMAGES,), "a tuple of 1"),
        ((IMAGES, LABELS[:-1]), "factors of 19 observations, and 20"),
        ((IMAGES, {"a": LABELS, "b": LABELS[1:]}), r"factor 'b' of shape \(19,\): must be \(20,\)"),
        ((IMAGES, LABELS * 1j), "factor of complex128"),
        ((IMAGES, np.where(LABELS, LABELS, np.nan)), r"a factor nan at \[0\]"),
        (Dataset("x", Split(_with(np.nan)), Split(IMAGES)), r"in 'train' nan at \[3, 2, 1\]"),
        (Dataset("x", Split(IMAGES), Split(IMAGES[:, :2])), "splits that differ"),
        (_labelled({"a": LABELS}, {}), "labels of one split and not of the other"),
        (_labelled({"a": LABELS}, {"a": LABELS[1:]}), r"in 'test' label 'a' of shape \(19,\)"),
    ],
)
def test_what_cannot_be_is_said_with_its_index(given: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as refusal:
        as_dataset("mine:load", given)
    assert "\n" not in str(refusal.value)


SOURCE = """
import numpy as np

def load(*, n: int = 40, scale: float = 1.0, fail: str = ""):
    if fail:
        raise ValueError(fail)
    return np.random.default_rng(0).random((n, 4, 4)) * scale

def positional(path): ...
"""
STUDY = """
name: own
base:
  dataset: {name: "MODULE:load"}
  network: {name: mlp, hidden: [4]}
  prior: standard_normal
  posterior: mean_field_normal
  likelihood: bernoulli
  objective: elbo
  latent_dim: 2
  training: {steps: 2, batch_size: 8}
"""


@pytest.fixture
def study(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    module = f"own_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{module}.py").write_text(SOURCE)
    (tmp_path / "own.yaml").write_text(STUDY.replace("MODULE", module))
    return tmp_path / "own.yaml"


def test_in_a_study_content_decides_identity(study: Path) -> None:
    (run,) = make_plan(load_study_file(study)).runs
    assert run.config.dataset == {**run.config.dataset, "n": 40, "scale": 1.0, "fail": ""}
    assert run.labels()["dataset"] == run.config.dataset["name"]
    code = study.with_name(run.config.dataset["name"].split(":")[0] + ".py")
    code.write_text(code.read_text() + "\n# a remark")
    assert make_plan(load_study_file(study)).runs[0].id == run.id
    other = make_plan(load_study_file(study, overrides=["dataset.scale=0.5"])).runs[0]
    assert (other.fingerprint, other.id) != (run.fingerprint, run.id)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("dataset.scale=2.0", r"base.likelihood: likelihood 'bernoulli' is for values in \[0, 1\]"),
        ("dataset.scales=2.0", "scales: data set '.*' has no parameter 'scales'; did you mean 'sc"),
        ("dataset.n=x", "--set dataset.n: .* valid integer"),
        ("dataset.fail=gone", r"raises ValueError: gone \(own_\d+.py, line 6\)"),
        ("dataset='nowhere_at_all:load'", "no module 'nowhere_at_all'"),
        ("dataset='builtins:len'", "has a parameter 'obj' that no study can set"),
    ],
)
def test_in_a_study_what_is_wrong_has_its_place(study: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_plan(load_study_file(study, overrides=[override]))


def test_a_gaussian_likelihood_takes_any_values(study: Path) -> None:
    settings = ["dataset.scale=2.0", "likelihood=gaussian"]
    assert len(make_plan(load_study_file(study, overrides=settings)).runs) == 1


def test_parameters_by_position_are_refused() -> None:
    with pytest.raises(ConfigError, match="put a \\* in front"):
        resolve("shutil:which", {})


def test_load_dataset_takes_the_path_too(study: Path) -> None:
    name = load_study_file(study).runs[0].config.dataset["name"]
    assert len(load_dataset(name, n=50).train) == 40
