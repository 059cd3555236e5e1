"""A study that takes seconds."""

from __future__ import annotations

from pathlib import Path

from pyrovae.study.config.read import load_study_file
from pyrovae.study.execute.runner import Outcome, RunOptions, run_plan
from pyrovae.study.plan.planning import Plan, make_plan

TINY = """
name: tiny
base:
  dataset: {name: sprites, size: 16, n_train: 300, n_test: 200}
  network: {name: mlp, hidden: [16]}
  posterior: mean_field_normal
  likelihood: bernoulli
  objective: elbo
  latent_dim: 4
  training: {steps: 60, batch_size: 32, records: 3}
  evaluation:
    points: 150
    samples: 4
    metrics: [mig]
    guide_draws: {points: 3, draws: 10}
grid:
  prior: [standard_normal, student_t]
seeds: 2
"""


def tiny_plan(folder: Path, *overrides: str, text: str = TINY) -> Plan:
    """Return the plan of the study above, with some values overridden."""
    file = folder / "tiny.yaml"
    file.write_text(text)
    return make_plan(load_study_file(file, overrides=overrides))


def run(plan: Plan, results: Path, *, workers: int = 0, force: bool = False) -> Outcome:
    """Run a plan without compiling: in this process, or in so many workers.

    A worker costs seconds before it trains: that is for tests of workers.
    """
    executor = "local" if workers else "inline"
    options = RunOptions(executor, workers=workers or None, compiled=False, force=force)
    return run_plan(plan, results, options)
