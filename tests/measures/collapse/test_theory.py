"""The collapse threshold of linear VAEs (Lucas et al. 2019; Ichikawa & Hukushima 2024)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pyrovae.analysis.phase_diagram import measure_principal_variances
from pyrovae.datasets import load_dataset
from pyrovae.measures.collapse import ACTIVE_VARIANCE, measure_units
from pyrovae.measures.collapse.theory import (
    linear_active_units,
    linear_kl,
    linear_var_mu,
    principal_variances,
)
from pyrovae.models.vae import VAE, build_vae
from pyrovae.objectives import Beta
from pyrovae.report import NothingToDraw
from pyrovae.report.look.presented import present
from pyrovae.report.study.phase_diagram import phase_diagram
from pyrovae.study.config.read import load_study_file
from pyrovae.study.execute.runner import RunOptions, run_plan
from pyrovae.study.plan.planning import make_plan
from pyrovae.study.store.results import load_study
from pyrovae.training import LossProgram, Member, Trainer, TrainingSettings

SIGMA = 0.3


def _linear_vae() -> VAE:
    return build_vae(
        (12,),
        8,
        network={"name": "mlp", "hidden": []},
        prior={"name": "standard_normal"},
        posterior={"name": "mean_field_normal"},
        likelihood={"name": "gaussian", "sigma": SIGMA, "learned": False},
    )


def test_phase_diagram_of_trained_models() -> None:
    data = load_dataset("linear_gaussian", rank=5, dim=12, n_train=50_000, n_test=10)
    x = data.train.floats()
    eigenvalues = principal_variances(x)
    # From 4.09 down to 0.34, then 0.09; the data's own are within 5 standard errors.
    scales = data.exact["loading"].norm(dim=0)
    truth = torch.cat([scales**2, torch.zeros(7)]) + data.exact["noise_scale"] ** 2
    torch.testing.assert_close(eigenvalues, truth, rtol=5 * (2 / 50_000) ** 0.5 + 0.02, atol=0)
    steps = 1500
    settings = TrainingSettings(
        steps=steps,
        batch_size=256,
        lr={"schedule": "cosine", "from": 2e-2, "to": 0.0, "steps": steps},
        records=1,
    )
    betas = (2.0, 3.0, 5.0, 8.0, 16.0, 30.0, 60.0)
    members = [Member(LossProgram(_linear_vae(), Beta(beta=beta)), 1, settings) for beta in betas]
    program = members[0].program
    trainer = Trainer(program, data.train.values, settings, compiled=False, size=len(betas))
    assert all(ended.failure is None for ended in trainer.train_together(members))
    for beta, member in zip(betas, members, strict=True):
        # Away from the threshold: no eigenvalue within 10 % of beta × sigma².
        level = beta * SIGMA**2
        assert ((eigenvalues / level).log().abs() > 0.1).all()
        units = measure_units(member.program.vae, x[:20_000])
        expected = linear_active_units(eigenvalues, level, threshold=ACTIVE_VARIANCE)
        order = units.var_mu.argsort(descending=True)
        theory = linear_var_mu(eigenvalues[:8], level).float()
        print(beta, expected, units.var_mu[order].tolist(), theory.tolist())
        assert int(units.active.sum()) == expected
        torch.testing.assert_close(units.var_mu[order], theory, rtol=0, atol=0.02)
        torch.testing.assert_close(
            units.kl[order], linear_kl(eigenvalues[:8], level).float(), rtol=0.05, atol=0.05
        )
        assert float(units.variance_law[units.active].sum()) < 0.05 * max(expected, 1)


@pytest.mark.parametrize("level", [0.1, 0.5, 2.0])
def test_formulas_agree_with_each_other(level: float) -> None:
    eigenvalues = torch.tensor([4.0, 1.0, 0.6, 0.2], dtype=torch.float64)
    var_mu = linear_var_mu(eigenvalues, level)
    mean_var = (level / eigenvalues).clamp(max=1)
    torch.testing.assert_close(var_mu + mean_var, torch.ones_like(var_mu))
    # KL of N(mu, s²) averaged over mu: (Var(mu) + s² - 1 - log s²) / 2.
    torch.testing.assert_close(
        linear_kl(eigenvalues, level), 0.5 * (var_mu + mean_var - 1 - mean_var.log())
    )
    assert linear_active_units(eigenvalues, level) == int((eigenvalues > level).sum())


STUDY = """
name: levels
base:
  dataset: {name: linear_gaussian, rank: 2, dim: 5, n_train: 5000, n_test: 5000}
  network: {name: mlp, hidden: []}
  prior: standard_normal
  posterior: mean_field_normal
  likelihood: {name: gaussian, sigma: 0.3, learned: false}
  latent_dim: 2
  training: {steps: 500, batch_size: 64, lr: {schedule: cosine, from: 3.0e-2, to: 0, steps: 500}}
  evaluation:
    metrics: []
    points: 2000
    samples: 2
    guide_draws: {points: 2, chains: 2, draws: 4}
    collapse: {information_points: 50, sensitivity_points: 8}
grid:
  objective: [{name: beta, beta: 3.0}, {name: beta, beta: 15.0}]
"""


def test_the_figure_lays_trained_models_over_theory(tmp_path: Path) -> None:
    (tmp_path / "levels.yaml").write_text(STUDY)
    plan = make_plan(load_study_file(tmp_path / "levels.yaml"))
    run_plan(plan, tmp_path, RunOptions("inline", compiled=False))
    study = load_study(tmp_path / "levels")
    with pytest.raises(NothingToDraw, match="`pyrovae study measure levels` does"):
        phase_diagram(present(study))
    measure_principal_variances(study)
    table = phase_diagram(present(study)).data
    assert table["level"].unique().tolist() == pytest.approx([0.27, 1.35])
    runs = table.drop_duplicates("run")
    assert runs["active_units"].tolist() == runs["active_units_theory"].tolist()
    assert runs["active_units_theory"].is_monotonic_decreasing
    one = load_study(tmp_path / "levels")
    one.runs.drop(one.runs.index[1:], inplace=True)
    with pytest.raises(NothingToDraw, match="over several values of beta × sigma²"):
        phase_diagram(present(one))
