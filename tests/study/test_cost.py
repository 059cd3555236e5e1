"""What training costs, against PyTorch's own counter, and against the shapes of the networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_study import tiny_plan
from torch.utils.flop_counter import FlopCounterMode

from pyrovae.datasets import load_dataset
from pyrovae.measures.flops import step_flops
from pyrovae.models.likelihoods import LIKELIHOODS
from pyrovae.models.networks import NETWORKS
from pyrovae.models.vae import build_vae
from pyrovae.study.plan.cost import conditional_flops, forward_flops
from pyrovae.study.plan.planning import program_of

SHAPES = {
    "mlp": (3, 5, 7),
    "gated_mlp": (3, 5, 7),
    "conv": (3, 33, 20),
    "burgess_conv": (1, 64, 64),
    "residual_conv": (2, 31, 16),
    "tokens": (6,),
}
_OTHERS: dict[str, list[dict[str, Any]]] = {
    "burgess_conv": [{"variant": "locatello"}],
    "mlp": [{"hidden": [5], "decoder_hidden": [4, 6]}, {"norm": "batch", "dropout": 0.5}],
    "gated_mlp": [{"hidden": [5], "norm": "layer"}],
    "conv": [{"norm": "batch", "dropout": 0.5}],
    "tokens": [{"reader": "mean", "levels": 9}, {"reader": "conv"}, {"reader": "lstm"}],
}


@pytest.mark.parametrize("name", [name for name in NETWORKS if name in SHAPES])
def test_operations_are_those_that_torch_counts(name: str) -> None:
    shape = SHAPES[name]
    for parameters in [{}, *_OTHERS.get(name, [])]:
        with torch.device("meta"):
            vae = build_vae(
                shape,
                5,
                network={"name": name, **parameters},
                prior={"name": "standard_normal"},
                posterior={"name": "mean_field_normal"},
                likelihood={"name": "gaussian"},
            )
        for network, given in ((vae.encoder, shape), (vae.decoder, (5,))):
            with torch.device("meta"), FlopCounterMode(display=False) as counter:
                network(torch.empty(4, *given))
            assert 4 * forward_flops(network, given) == counter.get_total_flops() > 0


def test_every_network_of_this_package_is_counted() -> None:
    ours = {name for name in NETWORKS if NETWORKS[name].__module__.startswith("pyrovae.")}
    assert ours == set(SHAPES) | {"identifiable_mlp"}


def test_a_one_to_one_decoder_is_counted_but_for_its_embedding() -> None:
    """A product with a fixed matrix is no layer: two operations for each of 5 × 105 elements."""
    vae = build_vae(
        (3, 5, 7),
        5,
        network={"name": "identifiable_mlp"},
        prior={"name": "standard_normal"},
        posterior={"name": "mean_field_normal"},
        likelihood={"name": "gaussian"},
    )
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        vae.decoder(torch.empty(4, 5))
    assert 4 * (forward_flops(vae.decoder, (5,)) + 2 * 5 * 105) == counter.get_total_flops()


@pytest.mark.parametrize(
    ("name", "shape", "given"),
    [
        ("pixelcnn", (3, 5, 4), {"radius": 3, "layers": 4, "channels": 6, "levels": 4}),
        ("recurrent", (5,), {"levels": 7}),
    ],
)
def test_a_network_inside_a_likelihood_is_counted(
    name: str, shape: tuple[int, ...], given: dict[str, Any]
) -> None:
    likelihood = LIKELIHOODS.create(name, shape, **given)
    with torch.device("meta"):
        away = LIKELIHOODS.create(name, shape, **given)
    assert conditional_flops(likelihood) == conditional_flops(away) > 0
    assert conditional_flops(LIKELIHOODS.create("gaussian", shape)) == 0


@pytest.mark.parametrize(
    "given",
    [
        ["grid.prior=[standard_normal]"],
        ["grid.prior=[{name: vampprior, pseudo_inputs: 150}]"],
        ["base.objective={name: iwae, particles: 6}"],
        [
            "grid.prior=[bernoulli]",
            "base.posterior={name: bernoulli, gradient: score, draws: 6}",
        ],
    ],
)
def test_what_is_planned_is_about_what_a_step_takes(given: list[str], tmp_path: Path) -> None:
    """Pseudo-inputs are encoded in each step, and each draw is decoded.

    The plan leaves out heads and the gradient by the data, which small networks feel most.
    """
    run = tiny_plan(tmp_path, *given).runs[0]
    config = run.config
    name, parameters = config.dataset["name"], {**config.dataset}
    parameters.pop("name")
    dataset = load_dataset(name, **parameters)
    x = dataset.train.floats(slice(config.training.batch_size))
    taken = step_flops(program_of(config, dataset), x)
    assert run.flops / config.training.steps == pytest.approx(taken, rel=0.35)
