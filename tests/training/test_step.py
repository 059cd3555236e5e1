"""The traced and compiled step computes what the Pyro program says."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyro
import pytest
import torch
from families import COMBINATIONS, small_images, small_program
from pyro.infer import TraceMeanField_ELBO

from pyrovae.core.noise import Supply, draw_one
from pyrovae.datasets.base import as_float
from pyrovae.training.step import LossProgram, State, compile_step, trace

BATCH = 16


def _arguments(program: LossProgram) -> tuple:
    data = small_images()
    draws = program.record(as_float(data[:BATCH]))
    state = State.of(program)
    arguments = (
        state.params,
        state.moments,
        state.buffers,
        torch.tensor(1.0),
        torch.tensor(1e-2),
        data,
        torch.arange(BATCH) * 2,
        [draw_one(draw, torch.Generator().manual_seed(3)) for draw in draws],
        program.hyper(0),
    )
    return arguments


def _eager(program: LossProgram, arguments: tuple) -> tuple[torch.Tensor, dict]:
    """Return loss and gradients by running the Pyro program and calling backward."""
    data, index, noise = arguments[5], arguments[6], arguments[7]
    with Supply(noise):
        loss, _ = program(as_float(data[index]), program.hyper(0))
    program.zero_grad()
    loss.backward()
    return loss.detach(), {name: p.grad for name, p in program.named_parameters()}


@pytest.mark.parametrize(("prior", "posterior", "likelihood"), COMBINATIONS)
def test_traced_step_equals_the_pyro_program(prior: str, posterior: str, likelihood: str) -> None:
    program = small_program(prior, posterior, likelihood)
    arguments = _arguments(program)
    graph = trace(program.step, *arguments)
    _, moments, _, values = graph(*arguments)
    loss, gradients = _eager(program, arguments)
    torch.testing.assert_close(values[0], loss, rtol=1e-5, atol=0)
    for name, gradient in gradients.items():
        # After one step from zero, Adam's first moment is a tenth of the gradient.
        torch.testing.assert_close(
            moments["first"][name] * 10,
            gradient,
            rtol=1e-4,
            atol=1e-5 * gradient.abs().max().item(),
        )


def _compare_compiled(prior: str, posterior: str, likelihood: str) -> None:
    program = small_program(prior, posterior, likelihood)
    arguments = _arguments(program)
    graph = trace(program.step, *arguments)
    _, moments, _, values = compile_step(graph)(*arguments)
    loss, gradients = _eager(program, arguments)
    torch.testing.assert_close(values[0], loss, rtol=1e-5, atol=0)
    for name, gradient in gradients.items():
        scale = gradient.abs().max().item()
        torch.testing.assert_close(
            moments["first"][name] * 10, gradient, rtol=1e-4, atol=1e-5 * scale
        )


@pytest.mark.parametrize(
    ("prior", "posterior", "likelihood"),
    [
        # Each family once, with those that test_ensemble and test_stepper compile: the others take
        # a minute.
        pytest.param(*names, marks=[] if i in (11, 14) else pytest.mark.slow)
        for i, names in enumerate(COMBINATIONS)
    ],
)
def test_compiled_step_equals_the_pyro_program(prior: str, posterior: str, likelihood: str) -> None:
    _compare_compiled(prior, posterior, likelihood)


def test_no_pyro_and_no_randomness_is_left_in_the_graph() -> None:
    program = small_program("student_t", "laplace", "gaussian")
    arguments = _arguments(program)
    graph = trace(program.step, *arguments)
    random = [
        node
        for node in graph.graph.nodes
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
    ]
    assert random == []
    first, second = graph(*arguments)[3], graph(*arguments)[3]
    assert torch.equal(first, second)


def test_loss_agrees_with_pyros_own_elbo() -> None:
    program = small_program("laplace", "mean_field_normal", "bernoulli")
    x = as_float(small_images())
    vae = program.vae
    # Many particles: the two estimators share nothing but their expectation.
    pyros = TraceMeanField_ELBO(num_particles=400).loss(vae.model, vae.guide, x) / len(x)
    with torch.no_grad():
        ours = torch.stack([program(x, {})[0] for _ in range(400)])
    assert abs(pyros - ours.mean().item()) < 6 * ours.std().item() / 400**0.5 * 2**0.5


def test_fallback_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    program = small_program()
    arguments = _arguments(program)
    graph = trace(program.step, *arguments)
    # No compiler of that name exists, and the cache must not answer for it.
    import torch._inductor.config as inductor

    with inductor.patch({"cpp.cxx": ("no-such-compiler",), "fx_graph_cache": False}):
        torch._dynamo.reset()
        torch._inductor.cpp_builder.get_cpp_compiler.cache_clear() if hasattr(
            torch._inductor.cpp_builder.get_cpp_compiler, "cache_clear"
        ) else None
        step = compile_step(graph)
        with pytest.warns(RuntimeWarning, match="training runs uncompiled"):
            values = step(*arguments)[3]
    torch.testing.assert_close(values, graph(*arguments)[3], rtol=0, atol=0)


def test_a_step_too_large_to_compile_runs_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    program = small_program()
    arguments = _arguments(program)
    graph = trace(program.step, *arguments)
    monkeypatch.setattr("pyrovae.training.step.MOST_NODES", len(graph.graph.nodes) - 1)
    with pytest.warns(RuntimeWarning, match=r"\d+ operations .* runs uncompiled"):
        assert compile_step(graph) is graph


def test_a_step_is_compiled_by_one_at_a_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    inside, most = [0], [0]

    def slowly(graph: Any, **_: Any) -> Any:
        def first(*args: Any) -> Any:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.05)
            inside[0] -= 1
            return graph(*args)

        return first

    monkeypatch.setattr(torch, "compile", slowly)
    graphs = [trace(lambda x, k=k: x * k, torch.ones(3)) for k in (2, 2, 2)]
    other = trace(lambda x: x + 1, torch.ones(3))

    def together(*graphs: Any) -> int:
        most[0] = 0
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda graph: compile_step(graph)(torch.ones(3)), graphs))
        return most[0]

    assert together(*graphs) == 1
    assert together(graphs[0], other) == 2


def test_traced_program_leaves_the_parameter_store_alone() -> None:
    program = small_program()
    arguments = _arguments(program)
    trace(program.step, *arguments)
    assert list(pyro.get_param_store().keys()) == []
