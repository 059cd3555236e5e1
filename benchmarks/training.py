"""Training speed side by side: the same network, data and batch in pyrovae and in its peers.

::

    python -m benchmarks.training                # MLP 784-400-20, batch 128
    python -m benchmarks.training --rounds 20 --only pyrovae,pyrovae-8,torch-eager

Each contender runs in a process of its own with one thread; all take turns, one short burst each
round. Time is the process's CPU time, so that others on the machine count little, and ratios are
taken within a round. NumPyro is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import statistics
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PIXELS, HIDDEN, LATENT, BATCH, DATA = 784, 400, 20, 128, 10_000
#: A burst: so many model-steps, at least one call.
BURST = 24
Step = Callable[[], None]


def data() -> Any:
    import torch

    generator = torch.Generator().manual_seed(0)
    bits = torch.rand(DATA, 1, 28, 28, generator=generator) > 0.8
    return bits.to(torch.uint8) * 255


def _vae(seed: int) -> Any:
    from pyrovae.vae import build_vae

    return build_vae(
        (1, 28, 28),
        LATENT,
        network={"name": "mlp", "hidden": [HIDDEN]},
        prior={"name": "standard_normal"},
        posterior={"name": "mean_field_normal"},
        likelihood={"name": "bernoulli"},
        seed=seed,
    )


def pyrovae(size: int) -> tuple[Step, int]:
    """Return the trainer's own inner loop for ``size`` models: noise, batches and checks count."""
    from pyrovae.objectives import OBJECTIVES
    from pyrovae.training import LossProgram, Member, Trainer, TrainingSettings

    programs = [LossProgram(_vae(i), OBJECTIVES.create("elbo")) for i in range(size)]
    # One call is one training, so that what the loop does between steps is counted too.
    settings = TrainingSettings(steps=max(2, BURST // size), batch_size=BATCH, records=1)
    trainer = Trainer(programs[0], data(), settings, compiled=True, size=size)
    seeds = iter(range(10**9))

    def call() -> None:
        members = [Member(p, next(seeds), settings) for p in programs]
        assert all(e.failure is None for e in trainer.train_together(members))

    return call, settings.steps * size


def pyro_svi() -> tuple[Step, int]:
    """Return the plain Pyro loop on the same model and guide."""
    import pyro
    import torch

    pyro.enable_validation(False)
    vae, images = _vae(0), data()
    svi = pyro.infer.SVI(
        vae.model, vae.guide, pyro.optim.Adam({"lr": 1e-3}), pyro.infer.TraceMeanField_ELBO()
    )

    def call() -> None:
        svi.step(images[torch.randint(DATA, (BATCH,))].float() / 255)

    return call, 1


def torch_plain(compiled: bool) -> tuple[Step, int]:
    """Return the loop that one writes by hand for this one model."""
    import torch
    from torch import nn
    from torch.nn.functional import binary_cross_entropy_with_logits

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(PIXELS, HIDDEN)
            self.loc, self.scale = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, LATENT)
            self.decoder = nn.Sequential(
                nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.hidden(x).relu()
            loc, logvar = self.loc(h), self.scale(h)
            z = loc + torch.randn_like(loc) * (0.5 * logvar).exp()
            bce = binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
            kl = -0.5 * (1 + logvar - loc**2 - logvar.exp()).sum()
            return (bce + kl) / len(x)

    net, images = Net(), data().flatten(1)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    loss_of: Any = torch.compile(net) if compiled else net

    def call() -> None:
        optimizer.zero_grad()
        loss_of(images[torch.randint(DATA, (BATCH,))].float() / 255).backward()
        optimizer.step()

    return call, 1


def numpyro(mode: str, size: int = 8) -> tuple[Step, int]:
    """Return NumPyro's SVI: one jitted step, a scan of many, or a jitted step of many models."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    import jax
    import jax.numpy as jnp
    import numpyro.distributions as dist
    from jax import lax, random
    from numpyro import module, plate, sample
    from numpyro.infer import SVI, TraceMeanField_ELBO
    from numpyro.optim import Adam

    def dense(*widths: int) -> Any:
        def init(key: Any, shape: Any) -> Any:
            layers, width = [], shape[-1]
            for out in widths:
                key, sub = random.split(key)
                layers.append((random.normal(sub, (width, out)) / width**0.5, jnp.zeros(out)))
                width = out
            return (*shape[:-1], width), layers

        def apply(layers: Any, x: Any) -> Any:
            for i, (w, b) in enumerate(layers):
                x = x @ w + b
                x = jax.nn.relu(x) if i < len(layers) - 1 else x
            return x

        return init, apply

    def model(x: Any) -> None:
        decode = module("decoder", dense(HIDDEN, PIXELS), (BATCH, LATENT))
        with plate("data", BATCH):
            z = sample("z", dist.Normal(jnp.zeros(LATENT), 1.0).to_event(1))
            sample("x", dist.Bernoulli(logits=decode(z)).to_event(1), obs=x)

    def guide(x: Any) -> None:
        encode = module("encoder", dense(HIDDEN, 2 * LATENT), (BATCH, PIXELS))
        loc, raw = jnp.split(encode(x), 2, -1)
        with plate("data", BATCH):
            sample("z", dist.Normal(loc, jnp.exp(0.5 * raw)).to_event(1))

    images = jnp.asarray(data().flatten(1).numpy())
    svi = SVI(model, guide, Adam(1e-3), TraceMeanField_ELBO())
    first = images[:BATCH] / 255.0

    def step(state: Any, key: Any) -> Any:
        index = random.randint(key, (BATCH,), 0, DATA)
        return svi.update(state, images[index] / 255.0)

    if mode == "scan":
        run = jax.jit(lambda s, keys: lax.scan(step, s, keys))
        states, count = svi.init(random.PRNGKey(0), first), BURST
    elif mode == "vmap":
        run = jax.jit(jax.vmap(step))
        states = jax.vmap(lambda k: svi.init(k, first))(random.split(random.PRNGKey(0), size))
        count = size
    else:
        run, count = jax.jit(step), 1
        states = svi.init(random.PRNGKey(0), first)
    keys = iter(range(10**9))
    holder = [states]

    def call() -> None:
        key = random.PRNGKey(next(keys))
        split = key if mode == "jit" else random.split(key, count)
        holder[0], loss = run(holder[0], split)
        jax.block_until_ready(loss)

    return call, count


CONTENDERS: dict[str, Callable[[], tuple[Step, int]]] = {
    "torch-eager": lambda: torch_plain(False),
    "torch-compiled": lambda: torch_plain(True),
    "pyro-svi": pyro_svi,
    "pyrovae": lambda: pyrovae(1),
    "pyrovae-2": lambda: pyrovae(2),
    "pyrovae-4": lambda: pyrovae(4),
    "pyrovae-8": lambda: pyrovae(8),
    "pyrovae-32": lambda: pyrovae(32),
    "numpyro-jit": lambda: numpyro("jit"),
    "numpyro-scan": lambda: numpyro("scan"),
    "numpyro-vmap-8": lambda: numpyro("vmap"),
}


def _contend(name: str, connection: Any) -> None:
    """Make ready, then do a burst whenever asked and tell CPU milliseconds per model-step."""
    warnings.simplefilter("ignore")
    if not name.startswith("numpyro"):
        import torch

        torch.set_num_threads(1)
    begun = time.process_time()
    try:
        call, count = CONTENDERS[name]()
        call()
    except ImportError as failure:
        connection.send(str(failure))
        return
    connection.send(time.process_time() - begun)
    calls = max(1, BURST // count)
    while connection.recv():
        start = time.process_time()
        for _ in range(calls):
            call()
        spent = 1000 * (time.process_time() - start) / (calls * count)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        connection.send((spent, peak))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default=",".join(CONTENDERS))
    asked = parser.parse_args()
    # Before any child starts: BLAS reads these once.
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    context = multiprocessing.get_context("spawn")
    pipes, ready = {}, {}
    for name in asked.only.split(","):
        ours, theirs = context.Pipe()
        context.Process(target=_contend, args=(name, theirs), daemon=True).start()
        answer = ours.recv()
        if isinstance(answer, str):
            print(f"{name}: left out, {answer}")
        else:
            pipes[name], ready[name] = ours, answer
    times: dict[str, list[float]] = {name: [] for name in pipes}
    peaks = {}
    for _ in range(asked.rounds + 1):
        for name, pipe in pipes.items():
            pipe.send(True)
            spent, peaks[name] = pipe.recv()
            times[name].append(spent)
    baseline = "torch-eager" if "torch-eager" in times else next(iter(times))
    for pipe in pipes.values():
        pipe.send(False)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ",
        end="",
    )
    for package in ("torch", "pyro-ppl", "numpyro", "jax"):
        try:
            print(f"{package} {version(package)}", end=" ")
        except PackageNotFoundError:
            print(f"no {package}", end=" ")
    print(f"\n\n| | CPU ms a model-step (quartiles) | to {baseline} | ready, CPU s | peak MiB |")
    print("|---|---|---|---|---|")
    for name, series in times.items():
        warm = series[1:]
        low, middle, high = statistics.quantiles(warm, n=4)
        ratio = statistics.median(a / b for a, b in zip(warm, times[baseline][1:], strict=True))
        print(
            f"| {name} | {middle:.2f} ({low:.2f} - {high:.2f}) | {ratio:.2f} | "
            f"{ready[name]:.1f} | {peaks[name]:.0f} |"
        )


if __name__ == "__main__":
    main()
