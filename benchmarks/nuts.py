"""Posteriors of many test points: batched NUTS against Pyro's NUTS once per point.

    python benchmarks/nuts.py RUN [--results results] [--points 32] [--pyro-points 2]

RUN is a trained run. Batched: all points and chains, with the warm-up and draws asked for. Pyro:
the same sampler (NUTS, diagonal mass matrix, target 0.8, Stan's windows; ``--jit`` gives it its
``jit_compile``) on the same model and data, one chain of ``--pyro-iterations`` warm-up steps and as
many draws for each of ``--pyro-points`` points. Its time for everything is that time, scaled to the
number of points, chains and iterations; few iterations overstate it, for step sizes are small until
warm-up has found them. One thread for both, CPU time.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import click
import numpy as np
import torch
from pyro.infer import MCMC, NUTS

from pyrovae.measures.arviz import ess
from pyrovae.measures.posterior.reference import sample_posterior
from pyrovae.study.store.folders import find_run
from pyrovae.study.store.trained import load_trained


@click.command()
@click.argument("run")
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"))
@click.option("--points", default=32)
@click.option("--chains", default=4)
@click.option("--warmup", default=1000)
@click.option("--draws", default=1000)
@click.option("--pyro-points", default=2)
@click.option("--pyro-iterations", default=1000)
@click.option("--compile", "compiled", is_flag=True)
@click.option("--jit", is_flag=True, help="Give Pyro's NUTS its jit_compile.")
def main(
    run: str,
    results: Path,
    points: int,
    chains: int,
    warmup: int,
    draws: int,
    pyro_points: int,
    pyro_iterations: int,
    compiled: bool,
    jit: bool,
) -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    folder = find_run(results, run)
    (vae, dataset), config = load_trained(folder), folder.config()
    x = dataset.test.floats(slice(points))
    for parameter in vae.parameters():
        parameter.requires_grad_(False)
    print(f"{config.dataset['name']}, {config.latent_dim} dimensions, one thread")

    spent, started = [], time.process_time()
    for i in range(pyro_points):
        kernel = NUTS(vae.datum_model, jit_compile=jit, ignore_jit_warnings=True)
        mcmc = MCMC(kernel, pyro_iterations, pyro_iterations, disable_progbar=True)
        mcmc.run(x[i : i + 1])
        spent.append(time.process_time() - started)
        started = time.process_time()
    each = float(np.mean(spent)) * (warmup + draws) / (2 * pyro_iterations)
    theirs = each * points * chains
    print(
        f"Pyro: {spent} CPU-seconds for {pyro_iterations} + {pyro_iterations} iterations of one "
        f"chain; {each:.0f} s for a chain of {warmup} + {draws}, {theirs:.0f} s for all"
    )

    wall, started = time.perf_counter(), time.process_time()
    found = sample_posterior(
        vae, x, chains=chains, warmup=warmup, draws=draws, seed=0, compiled=compiled
    )
    ours = time.process_time() - started
    size = ess(found.z, "bulk")
    print(
        f"batched: {ours:.0f} CPU-seconds ({time.perf_counter() - wall:.0f} s) for {points} points "
        f"x {chains} chains x ({warmup} + {draws}); {found.passed.sum()} points pass the gate, "
        f"smallest ESS {size.min():.0f}, {found.statistics['n_steps'].mean():.1f} leapfrog steps "
        f"an iteration; {theirs / ours:.0f} times as fast as Pyro, point by point"
    )


if __name__ == "__main__":
    main()
