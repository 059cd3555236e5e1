"""The verbs at the package's face: of a model and data in memory, and of a stored run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from tiny_study import TINY
from torch import nn
from torch.utils.data import TensorDataset

import pyrovae
from pyrovae.commands.main import main
from pyrovae.core.errors import ConfigError, DataError
from pyrovae.datasets import Dataset
from pyrovae.study.config import yaml
from pyrovae.study.store.trained import load_trained

FLAT, D = 6, 2


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> pyrovae.Run:
    given: dict[str, Any] = yaml.parse(TINY) | {"grid": {"prior": ["student_t"]}, "seeds": 1}
    results = tmp_path_factory.mktemp("verbs")
    study = pyrovae.run_study(given, results=results, progress=False, executor="inline")
    return study.run(study.runs["run"][0][:6])


@pytest.fixture(scope="module")
def data(run: pyrovae.Run) -> Dataset:
    return load_trained(run.folder)[1]


@pytest.fixture(scope="module")
def wrapped() -> pyrovae.models.wrapped.Wrapped:
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(FLAT, 2 * D), nn.Linear(D, FLAT)
    return pyrovae.wrap(encoder, decoder, latent_dim=D, likelihood="bernoulli")


def bits(n: int = 60, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, FLAT)) < 0.5


def files_of(run: pyrovae.Run) -> dict[Path, int]:
    root = run.folder.path.parents[2]
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_collapse_of_a_model_is_that_of_its_stored_run(run: pyrovae.Run, data: Dataset):
    before, state = files_of(run), torch.get_rng_state()
    stored = pyrovae.collapse(run.folder.path)
    asked = run.config.evaluation
    again = pyrovae.collapse(
        run.model, data, points=asked.points, samples=asked.samples, seed=run.config.seed
    )
    pd.testing.assert_frame_equal(stored.table, again.table)
    assert stored.scores == again.scores
    assert set(again.scores) <= set(run.scores.index)
    torch.testing.assert_close(stored.maps, again.maps)
    assert stored.text().splitlines() == again.text().splitlines()
    assert pyrovae.collapse(run).text() == stored.text()
    assert torch.equal(state, torch.get_rng_state())
    assert files_of(run) == before
    # Of other data, the numbers are theirs.
    other = pyrovae.collapse(run, data.test.values[:60])
    assert other.scores["elbo"] != stored.scores["elbo"]
    assert "elbo_gap" not in other.scores


def test_the_command_prints_the_object(run: pyrovae.Run, tmp_path: Path):
    report = pyrovae.collapse(run)
    done = CliRunner().invoke(main, ["collapse", str(run.folder.path), "--out", str(tmp_path)])
    assert done.exit_code == 0
    pictures = [str(tmp_path / f"{name}.png") for name in report.figures()]
    assert done.stdout.splitlines() == [*report.text().splitlines(), *pictures]
    assert set(report.figures()) == {"kl-profile", "variance-law", "unit-evolution", "sensitivity"}
    assert all(Path(picture).stat().st_size for picture in pictures)


@pytest.mark.parametrize("form", ["array", "tensor", "dataset"])
def test_collapse_takes_data_as_fit_does(wrapped: Any, form: str):
    x = bits()
    given = {
        "array": x,
        "tensor": torch.tensor(x),
        "dataset": TensorDataset(torch.tensor(x), torch.zeros(len(x))),
    }[form]
    report = pyrovae.collapse(wrapped, given, train=bits(seed=1))
    plain = pyrovae.collapse(wrapped, x.astype(float))
    assert report.table["kl"].tolist() == plain.table["kl"].tolist()
    assert report.scores["elbo_gap"] == report.scores["elbo"] - report.scores["train_elbo"]
    assert "unit-evolution" not in report.figures()
    html = report._repr_html_()
    assert "Wrapped" in html
    assert html.count("<tr") == D + 1


def test_a_fitted_model_has_its_evolution():
    vae = pyrovae.build(FLAT, latent_dim=D, network={"name": "mlp", "hidden": [8]})
    vae = pyrovae.fit(vae, bits(), steps=10, records=2, progress=False)
    report = pyrovae.collapse(vae, bits())
    assert "unit-evolution" in report.figures()
    # KL of a normal q under a standard normal prior is known.
    q = vae.encode(torch.tensor(bits(), dtype=torch.float))
    mean, var = q.mean.detach(), q.variance.detach()
    kl = (0.5 * (mean**2 + var - var.log() - 1)).mean(0)
    told = report.table.sort_values("unit")["kl"]
    np.testing.assert_allclose(told, kl.numpy(), rtol=1e-4)


def test_what_makes_no_sense_is_refused_in_a_line(run: pyrovae.Run, wrapped: Any, tmp_path: Path):
    for error, pattern, call in (
        (ConfigError, "^x: is missing", lambda: pyrovae.collapse(wrapped)),
        (ConfigError, "^model: must be a model, a run", lambda: pyrovae.collapse(3, bits())),
        (ConfigError, "^train: is for data of your own", lambda: pyrovae.collapse(run, train=1)),
        (ConfigError, "^x: is needed for other settings", lambda: pyrovae.collapse(run, seed=1)),
        (ConfigError, "^points: .* got 0", lambda: pyrovae.collapse(wrapped, bits(), points=0)),
        (ConfigError, "^information_points: ",
         lambda: pyrovae.collapse(wrapped, bits(), information_points="x")),
        (ConfigError, "no finished run", lambda: pyrovae.collapse("abc", results=tmp_path)),
        (DataError, "x holds one observation", lambda: pyrovae.collapse(wrapped, bits(1))),
        (DataError, r"likelihood 'bernoulli' is for values in \[0, 1\] but train",
         lambda: pyrovae.collapse(wrapped, bits(), train=3 * bits().astype(float))),
        (DataError, r"holds observations of shape \(3,\)",
         lambda: pyrovae.collapse(wrapped, bits()[:, :3])),
    ):  # fmt: skip
        with pytest.raises(error, match=pattern):
            call()
