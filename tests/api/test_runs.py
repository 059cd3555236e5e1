"""``pyrovae.load_run``: a stored run on new data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_study import TINY

import pyrovae
from pyrovae.core.errors import ConfigError, DataError
from pyrovae.study.config import yaml


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> pyrovae.Run:
    given: dict[str, Any] = yaml.parse(TINY) | {"grid": {"prior": ["student_t"]}, "seeds": 1}
    results = tmp_path_factory.mktemp("runs")
    study = pyrovae.run_study(given, results=results, progress=False)
    return study.run(study.runs["run"][0][:6])


def test_stored_data_give_what_was_stored(run: pyrovae.Run):
    images = run.folder.images()
    x = images["inputs"]
    codes = run.encode(x)
    np.testing.assert_allclose(codes, run.folder.codes()[: len(x)], atol=1e-6)
    torch.testing.assert_close(run.reconstruct(x), images["reconstructions"])
    torch.testing.assert_close(run.decode(codes), images["reconstructions"])
    between = run.interpolate(x[0], x[1], steps=3)
    torch.testing.assert_close(between[[0, 2]], run.reconstruct(x[:2]))
    torch.testing.assert_close(between[1], run.decode(codes[:2].mean(0, keepdim=True))[0])
    assert run.scores["active_units"] == run.units["active"].sum()
    assert run.config.prior is not None
    assert run.config.prior["name"] == "student_t"


def test_kinds_shapes_and_seeds(run: pyrovae.Run):
    grey = (run.folder.images()["inputs"] * 255).round().to(torch.uint8)
    # As in training: the values decide, whatever type holds them.
    bits = (grey > 127).to(torch.uint8)
    torch.testing.assert_close(run.encode(bits), run.encode(bits.float()))
    torch.testing.assert_close(run.encode(bits.bool().squeeze(1)), run.encode(bits.float()))
    before = torch.get_rng_state()
    files = sorted(run.folder.path.parent.parent.rglob("*"))
    assert isinstance(run.encode(grey.numpy()), np.ndarray)
    torch.testing.assert_close(run.encode(grey), run.encode(grey.double() / 255))
    assert torch.equal(run.sample(3, seed=1), run.sample(3, seed=1))
    assert not torch.equal(run.sample(3, seed=1), run.sample(3, seed=2))
    assert run.traverse(units=[2, 0], steps=5).shape == (1, 2, 5, *grey.shape[1:])
    assert run.traverse(grey, steps=3, over="posterior").shape == (8, 4, 3, *grey.shape[1:])
    assert torch.equal(before, torch.get_rng_state())
    assert files == sorted(run.folder.path.parent.parent.rglob("*"))
    assert run.id in run._repr_html_()


def test_errors_are_a_line(run: pyrovae.Run, tmp_path: Path):
    x = run.folder.images()["inputs"]
    with pytest.raises(DataError, match=r"shape \(16,\), and the model is for \(1, 16, 16\)"):
        run.encode(x.flatten(1)[:, :16])
    with pytest.raises(
        DataError, match=r"x has shape \(1,\): must be one row for each observation"
    ):
        run.encode([1])
    with pytest.raises(DataError, match=r"z has shape \(2, 3\): must be \(n, 4\)"):
        run.decode(np.zeros((2, 3), np.uint8))
    with pytest.raises(DataError, match=r"z holds nan at \[0, 0\]"):
        run.decode(np.full((1, 4), np.nan))
    with pytest.raises(ConfigError, match=r"units\[1\]: must be a unit from 0 to 3, got 4"):
        run.traverse(units=[0, 4])
    with pytest.raises(ConfigError, match="n: must be a whole number of at least 1, got 0"):
        run.sample(0)
    with pytest.raises(ConfigError, match="no finished run has an id that starts with 'abc'"):
        pyrovae.load_run("abc", results=tmp_path)
