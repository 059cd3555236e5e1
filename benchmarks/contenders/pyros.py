"""pyrovae's trainer, alone and in ensembles, and the plain Pyro loop on the same model."""

from __future__ import annotations

from typing import Any

from benchmarks.contenders import Contender, Problem


def vae(problem: Problem, seed: int = 0) -> Any:
    """Return the model and guide."""
    from pyrovae.models.vae import build_vae

    return build_vae(
        problem.shape,
        problem.latent,
        network=problem.network,
        prior={"name": "standard_normal"},
        posterior={"name": "mean_field_normal"},
        likelihood={"name": "bernoulli"},
        seed=seed,
    ).to(problem.device)


def pyrovae(problem: Problem, *, size: int, precision: str = "float32") -> Contender:
    """Return the trainer's own loop for ``size`` models: noise, batches and checks count."""
    from pyrovae.objectives import OBJECTIVES
    from pyrovae.training import LossProgram, Member, Trainer, TrainingSettings

    programs = [LossProgram(vae(problem, i), OBJECTIVES.create("elbo")) for i in range(size)]
    # One call is one training, so that what the loop does between steps is counted too.
    steps = max(problem.least, problem.burst // size)
    settings = TrainingSettings.model_validate(
        {"steps": steps, "batch_size": problem.batch, "records": 1, "precision": precision}
    )
    trainer = Trainer(programs[0], problem.images(), settings, compiled=True, size=size)
    seeds = iter(range(10**9))

    def call() -> None:
        members = [Member(p, next(seeds), settings) for p in programs]
        assert all(e.failure is None for e in trainer.train_together(members))

    return call, steps * size


def svi(problem: Problem) -> Contender:
    """Return ``SVI.step``."""
    import pyro
    import torch

    pyro.enable_validation(False)
    made, images = vae(problem), problem.images()
    loop = pyro.infer.SVI(
        made.model, made.guide, pyro.optim.Adam({"lr": 1e-3}), pyro.infer.TraceMeanField_ELBO()
    )

    def call() -> None:
        index = torch.randint(problem.n, (problem.batch,), device=problem.device)
        loop.step(images[index].float() / 255)

    return call, 1
