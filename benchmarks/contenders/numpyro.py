"""NumPyro's SVI: one jitted step, a scan over many, or a jitted step of many models."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.contenders import Contender, Problem


def _layers(problem: Problem) -> tuple[Any, Any]:
    """Return stax's encoder to twice the code, and its decoder to logits; images are NHWC."""
    from jax.example_libraries import stax

    if problem.network["name"] == "mlp":
        (hidden,) = problem.network["hidden"]
        pixels = problem.shape[1] * problem.shape[2]
        back = _reshape((problem.shape[1], problem.shape[2], 1))
        return (
            stax.serial(
                stax.Flatten, stax.Dense(hidden), stax.Relu, stax.Dense(2 * problem.latent)
            ),
            stax.serial(stax.Dense(hidden), stax.Relu, stax.Dense(pixels), back),
        )
    down = [stax.Conv(32, (4, 4), (2, 2), "SAME"), stax.Relu] * 4
    dense = [stax.Dense(256), stax.Relu]
    up = [stax.ConvTranspose(32, (4, 4), (2, 2), "SAME"), stax.Relu] * 3
    return (
        stax.serial(*down, stax.Flatten, *dense, *dense, stax.Dense(2 * problem.latent)),
        stax.serial(
            *dense,
            *dense,
            stax.Dense(512),
            stax.Relu,
            _reshape((4, 4, 32)),
            *up,
            stax.ConvTranspose(1, (4, 4), (2, 2), "SAME"),
        ),
    )


def _reshape(shape: tuple[int, ...]) -> Any:
    return (
        lambda key, before: ((before[0], *shape), ()),
        lambda params, x, **_: x.reshape(x.shape[0], *shape),
    )


def contender(problem: Problem, *, mode: str, size: int = 8) -> Contender:
    """Return the loop of one mode: ``jit``, ``scan`` or ``vmap`` over ``size`` models."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    import jax
    import jax.numpy as jnp
    import numpyro.distributions as dist
    from jax import lax, random
    from numpyro import module, plate, sample
    from numpyro.infer import SVI, TraceMeanField_ELBO
    from numpyro.optim import Adam

    encoder, decoder = _layers(problem)
    batch, latent = problem.batch, problem.latent
    shape = (batch, problem.shape[1], problem.shape[2], 1)

    def model(x: Any) -> None:
        decode = module("decoder", decoder, (batch, latent))
        with plate("data", batch):
            z = sample("z", dist.Normal(jnp.zeros(latent), 1.0).to_event(1))
            sample("x", dist.Bernoulli(logits=decode(z)).to_event(3), obs=x)

    def guide(x: Any) -> None:
        encode = module("encoder", encoder, shape)
        loc, raw = jnp.split(encode(x), 2, -1)
        with plate("data", batch):
            sample("z", dist.Normal(loc, jnp.exp(0.5 * raw)).to_event(1))

    images = jnp.asarray(problem.images().permute(0, 2, 3, 1).numpy())
    svi = SVI(model, guide, Adam(1e-3), TraceMeanField_ELBO())
    first = images[:batch] / 255.0

    def step(state: Any, key: Any) -> Any:
        index = random.randint(key, (batch,), 0, problem.n)
        return svi.update(state, images[index] / 255.0)

    if mode == "scan":
        run = jax.jit(lambda s, keys: lax.scan(step, s, keys))
        states, count = svi.init(random.PRNGKey(0), first), problem.burst
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
