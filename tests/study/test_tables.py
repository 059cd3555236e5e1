"""A table with columns of several kinds, from the study's file to its report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_study import run, tiny_plan

import pyrovae
from pyrovae.core.errors import ConfigError
from pyrovae.models.vae import VAE
from pyrovae.objectives import Elbo
from pyrovae.report import write_report
from pyrovae.study.config.schedules import constant_from, cut_short
from pyrovae.study.plan.planning import model_of
from pyrovae.study.store.results import load_study
from pyrovae.training import LossProgram

DATA = """
import numpy as np


def load(*, n: int = 120, wrong: bool = False):
    rng = np.random.default_rng(0)
    t, kind = rng.standard_normal(n), rng.integers(0, 3, n)
    columns = [t, 2 * t + kind, rng.random(n) < 1 / (1 + np.exp(-3 * t)), kind]
    table = np.stack([*columns, rng.poisson(np.exp(t / 2 + kind / 2))], 1)
    if wrong:
        table[7, 3] = 3
    return table, kind
"""
STUDY = """
name: table
base:
  dataset: {name: "a_table:load"}
  network: {name: mlp, hidden: [8]}
  prior: standard_normal
  posterior: mean_field_normal
  likelihood:
    name: mixed
    columns:
      - {family: gaussian, count: 2, sigma_form: decoder}
      - {family: bernoulli}
      - {family: categorical, levels: 3, of: codes}
      - {family: poisson}
  objective: elbo
  latent_dim: 2
  training: {steps: 60, batch_size: 32, lr: 1.0e-2, records: 3}
  evaluation:
    {points: 24, samples: 4, metrics: [], guide_draws: {points: 3, draws: 10}}
seeds: 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a_table.py").write_text(DATA)
    return tmp_path


def test_a_table_is_trained_and_reported(folder: Path) -> None:
    plan = tiny_plan(folder, text=STUDY)
    assert run(plan, folder / "results").done == 2
    study = load_study(folder / "results/table")
    page = (write_report(study) / "report.md").read_text()
    assert "2 Gaussian (sigma form = decoder), Bernoulli, categorical" in page
    stored = pyrovae.load_run(folder / "results/table/runs" / study.runs["run"].iloc[0])
    history = stored.folder.history()
    assert history["loss"].iloc[-1] < history["loss"].iloc[1]
    shown = stored.reconstruct(stored.folder.images()["inputs"])
    # A code is one of the codes, a count's mean is above 0, a probability is one.
    assert set(shown[:, 3].tolist()) <= {0.0, 1.0, 2.0}
    assert (shown[:, 4] > 0).all()
    assert ((shown[:, 2] > 0) & (shown[:, 2] < 1)).all()
    with torch.no_grad():
        drawn = stored.model.decode(torch.zeros(50, 2)).sample()
    assert np.isin(drawn[:, 2], [0, 1]).all()
    assert (drawn[:, 4] == drawn[:, 4].round()).all()


def test_a_wrong_code_is_told_with_its_column(folder: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        tiny_plan(folder, "dataset.wrong=true", text=STUDY)
    assert raised.value.place == "base.likelihood"
    assert "whole numbers from 0 to 2 in column 3, which is categorical" in raised.value.message
    assert "holds 3 at" in raised.value.message


def test_a_columns_number_may_be_a_schedule(folder: Path) -> None:
    sigma = "{schedule: linear, from: 1.0, to: 0.5, steps: 90}"
    text = STUDY.replace("sigma_form: decoder", f"learned: false, sigma: {sigma}")
    plan = tiny_plan(folder, text=text)
    config = plan.runs[0].config
    assert constant_from(config) == 90
    assert [place for place, _ in cut_short(config)] == ["likelihood.columns[0].sigma"]
    vae = model_of(config, (5,))
    assert isinstance(vae, VAE)
    program = LossProgram(vae, Elbo())
    (name,) = (n for n in program.hyper(0) if "sigma" in n)
    assert program.hyper(45)[name].exp() == pytest.approx(0.75)
