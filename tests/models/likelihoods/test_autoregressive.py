"""Likelihoods that take one element after the other, next to loops and enumeration."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pyro
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.func import functional_call

import pyrovae
from pyrovae.api.checks.failing import run
from pyrovae.api.checks.observed import LIKELIHOOD_CHECKS, Subject
from pyrovae.core.errors import ConfigError
from pyrovae.core.noise import Recorder
from pyrovae.models.likelihoods import LIKELIHOODS, Autoregressive
from pyrovae.models.likelihoods.pixelcnn import dilations
from pyrovae.models.networks.recurrence import Cell

#: Name, shape of an observation, parameters: alphabets so small that all observations are listed.
SMALL: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    ("pixelcnn", (1, 2, 2), {"radius": 2, "layers": 2, "channels": 4}),
    ("pixelcnn", (1, 2, 3), {"radius": 1, "layers": 2, "channels": 4, "z": "bias"}),
    ("pixelcnn", (2, 1, 2), {"radius": 1, "layers": 2, "levels": 3, "of": "codes", "channels": 6}),
    ("pixelcnn", (4,), {"radius": 3, "layers": 3, "levels": 3, "channels": 4}),
    ("pixelcnn", (4,), {"radius": 3, "layers": 3, "z": "bias", "channels": 4}),
    ("recurrent", (4,), {"levels": 3, "hidden": 5, "embedding": 4, "features": 3}),
    ("recurrent", (4,), {"levels": 2, "z": "start", "ends": False, "hidden": 5, "features": 3}),
    ("recurrent", (1, 2, 2), {"levels": 3, "cell": "lstm", "z": "each", "hidden": 5}),
    ("attention", (4,), {"levels": 3, "width": 6, "heads": 2, "layers": 1, "features": 3}),
    ("attention", (4,), {"levels": 2, "z": "start", "ends": False, "width": 6, "heads": 3}),
    ("attention", (3,), {"levels": 4, "z": "each", "width": 4, "heads": 1}),
]
IDS = [f"{name}-{i}" for i, (name, _, _) in enumerate(SMALL)]
DRAWS = 2000


def made(name: str, shape: tuple[int, ...], **given: Any) -> Autoregressive:
    torch.manual_seed(1)
    likelihood: Autoregressive = LIKELIHOODS.create(name, shape, **given).double()
    return likelihood


def given_for(likelihood: Autoregressive, *batch: int) -> Tensor:
    return torch.randn(*batch, *likelihood.output_shape, dtype=torch.float64)


def every(likelihood: Autoregressive) -> Tensor:
    """All observations, in the order of their number in base K."""
    k, shape = likelihood.levels, likelihood.event_shape
    rows = list(itertools.product(range(k), repeat=math.prod(shape)))
    x = torch.tensor(rows, dtype=torch.float64).reshape(-1, *shape)
    return x / (k - 1) if likelihood.support != likelihood_codes(likelihood) else x


def likelihood_codes(likelihood: Autoregressive) -> Any:
    return likelihood.support if "whole" in likelihood.explains else None


@pytest.mark.parametrize(("name", "shape", "given"), SMALL, ids=IDS)
def test_all_observations_together_have_probability_one_and_are_drawn_so_often(
    name: str, shape: tuple[int, ...], given: dict[str, Any]
) -> None:
    likelihood = made(name, shape, **given)
    law = likelihood(given_for(likelihood, 2))
    x = every(likelihood)
    with torch.no_grad():
        mass = law.log_prob(x.unsqueeze(1)).exp()
    torch.testing.assert_close(mass.sum(0), torch.ones(2).double())
    drawn = law.sample((DRAWS,))
    assert likelihood.refusal(drawn.flatten(0, 1)) is None
    scale = likelihood.levels - 1 if x.max() == 1 else 1
    digits = (drawn * scale).round().long().flatten(2)
    base = likelihood.levels ** torch.arange(digits.shape[-1]).flip(0)
    for i, numbers in enumerate((digits * base).sum(-1).T):
        counts = torch.bincount(numbers, minlength=len(x)).double()
        assert counts[mass[:, i] == 0].sum() == 0
        seldom = mass[:, i] * DRAWS < 5
        found, wanted = (
            torch.cat([v[~seldom], v[seldom].sum().reshape(1)])
            for v in (counts, mass[:, i] * DRAWS)
        )
        kept = wanted > 0
        assert stats.chisquare(found[kept], wanted[kept] * DRAWS / wanted.sum()).pvalue > 1e-4


@pytest.mark.parametrize(("name", "shape", "given"), SMALL, ids=IDS)
def test_log_prob_is_a_loop_over_elements_that_cannot_see_ahead(
    name: str, shape: tuple[int, ...], given: dict[str, Any]
) -> None:
    likelihood = made(name, shape, **given)
    output = given_for(likelihood, 6)
    law = likelihood(output)
    x = law.sample()
    network = likelihood.conditional
    flat, total, ended = x.flatten(1), torch.zeros(6).double(), torch.zeros(6, dtype=torch.bool)
    order = torch.arange(flat.shape[1]).reshape(shape)
    order = order.movedim(0, -1).flatten() if len(shape) == 3 else order  # a pixel's channels
    if name != "pixelcnn":
        order = torch.arange(flat.shape[1])
    for place, i in enumerate(order.tolist()):
        hidden = flat.clone()
        later = order[place:]
        hidden[:, later] = torch.randint(likelihood.levels, (6, len(later))).double() / (
            likelihood.levels - 1 if law.unit else 1
        )
        logits = network(output, hidden.reshape(x.shape)).flatten(1, -2)[:, i]
        index = (flat[:, i] * (likelihood.levels - 1 if law.unit else 1)).round().long()
        each = logits.log_softmax(-1)[torch.arange(6), index]
        total += torch.where(ended, 0.0, each)
        ended |= likelihood.ends & (flat[:, i] == 0)
    torch.testing.assert_close(law.log_prob(x), total)


@pytest.mark.parametrize(("name", "shape", "given"), SMALL[::3], ids=IDS[::3])
def test_gradients_are_those_of_finite_differences(
    name: str, shape: tuple[int, ...], given: dict[str, Any]
) -> None:
    likelihood = made(name, shape, **given)
    output = given_for(likelihood, 2).requires_grad_()
    parameters = {n: p.detach().clone().requires_grad_() for n, p in likelihood.named_parameters()}
    x = likelihood(output).sample()

    def log_prob(output: Tensor, *values: Tensor) -> Tensor:
        # The law is used when the parameters that it was made with are no longer in place.
        law = functional_call(likelihood, dict(zip(parameters, values, strict=True)), (output,))
        return law.log_prob(x)

    assert gradcheck(log_prob, (output, *parameters.values()), fast_mode=True)
    for key, parameter in (("", output), *parameters.items()):
        found = torch.autograd.grad(log_prob(output, *parameters.values()).sum(), parameter)[0]
        # Of a single row there is nothing above.
        assert found.abs().max() > 0 or (".above." in key and len(shape) == 1)


@pytest.mark.parametrize(("name", "shape", "given"), SMALL[3:], ids=IDS[3:])
def test_every_earlier_element_matters_and_no_later_one(
    name: str, shape: tuple[int, ...], given: dict[str, Any]
) -> None:
    likelihood = made(name, shape, **given)
    output = given_for(likelihood)
    n = math.prod(shape)
    x = torch.ones(n).double()  # no end
    base = likelihood(output).elements(x.reshape(shape)).logits.reshape(n, -1)
    for i in range(n):
        other = x.clone()
        other[i] = 0 if likelihood.levels == 2 else 0.5 if x.max() < 1 else 2 % likelihood.levels
        after = likelihood(output).elements(other.reshape(shape)).logits.reshape(n, -1)
        moved = (after != base).any(-1)
        assert moved.tolist() == [j > i for j in range(n)]


@pytest.mark.parametrize(("radius", "layers"), [(1, 3), (2, 3), (3, 3), (5, 4)])
def test_a_pixel_sees_all_before_it_within_the_radius_and_nothing_else(
    radius: int, layers: int
) -> None:
    side = 7
    likelihood = made("pixelcnn", (1, side, side), radius=radius, layers=layers, channels=6)
    output = given_for(likelihood)
    x = torch.randint(2, (1, side, side)).double()
    changed = x.repeat(side * side, 1, 1, 1)
    for k in range(side * side):
        changed[k, 0, k // side, k % side] = 1 - changed[k, 0, k // side, k % side]
    base = likelihood(output).elements(x).logits
    moved = (likelihood(output).elements(changed).logits != base).any(-1).squeeze(1)
    for k, i, j in itertools.product(range(side * side), range(side), range(side)):
        up, aside = i - k // side, abs(j - k % side)
        before = k < i * side + j
        assert bool(moved[k, i, j]) == (before and up <= radius and aside <= radius)


def test_dilations_reach_every_distance_up_to_the_radius() -> None:
    for radius in range(1, 33):
        found = dilations(radius, 6)
        assert sum(found) == radius
        sums = {1 + sum(some) for n in range(6) for some in itertools.combinations(found[1:], n)}
        assert sums == set(range(1, radius + 1))
    with pytest.raises(ConfigError, match="a radius of 28 takes 6 layers") as raised:
        pyrovae.build(
            (1, 28, 28), latent_dim=2, likelihood={"name": "pixelcnn", "radius": 28, "layers": 5}
        )
    assert raised.value.place == "likelihood.layers"


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_cells_are_torchs(cell: Any) -> None:
    ours = Cell(cell, 3, 4)
    theirs: Any = (nn.GRUCell if cell == "gru" else nn.LSTMCell)(3, 4)
    for name, part in (("ih", ours.read), ("hh", ours.remember)):
        getattr(theirs, f"weight_{name}").data = part.weight.data
        getattr(theirs, f"bias_{name}").data = part.bias.data
    x, state = torch.randn(5, 6, 3), torch.randn(len(ours.start(torch.zeros(5))), 5, 4)
    found = ours(ours.read(x), tuple(state))
    known: Any = state[0] if cell == "gru" else tuple(state)
    for t in range(6):
        known = theirs(x[:, t], known)
        torch.testing.assert_close(found[:, t], known if cell == "gru" else known[0])


def test_attention_by_hand() -> None:
    """A block over the tokens so far alone, one position after the other."""
    likelihood = made(
        "attention", (4,), levels=3, width=6, heads=2, layers=1, features=3, z="start"
    )
    network: Any = likelihood.conditional
    output, x = given_for(likelihood, 1), torch.tensor([[1.0, 2, 2, 1]]).double()
    (block,) = network.blocks
    rows = [network.at_start(output[0])]
    logits = []
    for t in range(4):
        h = torch.cat(rows) + network.places[: t + 1]
        q, k, v = block.asked(block.look(h)).chunk(3, -1)
        heads = []
        for some in (slice(0, 3), slice(3, 6)):
            weight = (k[:, some] @ q[-1, some] / math.sqrt(3)).softmax(0)
            heads.append(weight @ v[:, some])
        last = h[-1] + block.answer(torch.cat(heads))
        last = last + block.dense(block.think(last))
        logits.append(network.readout(network.norm(last)))
        rows.append(network.embed.weight[int(x[0, t])].unsqueeze(0))
    torch.testing.assert_close(network(output, x)[0], torch.stack(logits))


@pytest.mark.parametrize("name", ["recurrent", "attention"])
def test_hidden_words_are_hidden_in_training_alone(name: str) -> None:
    likelihood = made(name, (4,), levels=4, word_dropout=1.0)
    output = given_for(likelihood)
    a, b = torch.tensor([[1.0, 2, 3, 1], [3, 1, 2, 1]]).double()
    likelihood.train()
    logits = [likelihood(output).elements(x).logits for x in (a, b)]
    assert torch.equal(*logits)  # nothing of what was before is seen
    with Recorder() as recorder:
        likelihood(output).log_prob(a)
    assert [draw.kind for draw in recorder.draws] == ["uniform_"]
    likelihood.eval()
    logits = [likelihood(output).elements(x).logits for x in (a, b)]
    assert not torch.equal(*logits)


def test_what_stands_behind_an_end_is_refused() -> None:
    likelihood = made("recurrent", (4,), levels=5)
    assert likelihood.refusal(torch.tensor([[1.0, 2, 0, 0], [1, 2, 3, 4]])) is None
    found = likelihood.refusal(torch.tensor([[1.0, 2, 0, 0], [1, 0, 3, 0]]))
    assert found is not None
    assert found[0] == [1, 2]
    assert "first 0" in found[1]
    found = likelihood.refusal(torch.tensor([[1.0, 5, 0, 0]]))
    assert found is not None
    assert found[0] == [0, 1]
    binary = LIKELIHOODS.create("pixelcnn", (1, 2, 2))
    found = binary.refusal(torch.tensor([[[[0.0, 1], [0.5, 1]]]]))
    assert found == ([0, 0, 1, 0], "values of 0 and 1")


def test_pyro_takes_them_as_any_law() -> None:
    vae = pyrovae.build(
        (5,), latent_dim=2, likelihood={"name": "recurrent", "levels": 4, "hidden": 6}
    )
    pyro.set_rng_seed(0)
    x = pyro.infer.Predictive(vae.model, num_samples=3)(n=2)["x"]
    assert x.shape == (3, 2, 5)
    svi = pyro.infer.SVI(
        vae.model, vae.guide, pyro.optim.Adam({"lr": 1e-2}), pyro.infer.Trace_ELBO(num_particles=2)
    )
    first = svi.evaluate_loss(x[0])
    for _ in range(5):
        svi.step(x[0])
    assert svi.evaluate_loss(x[0]) < first
    kernel = pyro.infer.NUTS(vae.model, max_tree_depth=2)
    mcmc = pyro.infer.MCMC(kernel, 3, warmup_steps=2, disable_progbar=True)
    mcmc.run(x[0])
    assert mcmc.get_samples()["z"].shape == (3, 2, 2)


def test_a_network_of_images_cannot_give_a_vector() -> None:
    with pytest.raises(ConfigError, match="takes a vector from the decoder") as raised:
        pyrovae.build(
            (1, 8, 8),
            latent_dim=2,
            network={"name": "conv", "channels": [4], "dense": 8},
            likelihood={"name": "pixelcnn", "z": "bias"},
        )
    assert raised.value.place == "network"
    vae = pyrovae.build(
        (1, 8, 8),
        latent_dim=2,
        network={"name": "conv", "channels": [4], "dense": 8},
        likelihood={"name": "pixelcnn", "radius": 1, "channels": 4},
    )
    assert vae.decode(torch.zeros(3, 2)).sample().shape == (3, 1, 8, 8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "levels"),
    [("pixelcnn", 2), ("recurrent", 3), ("attention", 3)],
)
def test_they_pass_the_checks_of_every_likelihood(name: str, levels: int) -> None:
    run(LIKELIHOOD_CHECKS, Subject(name, {"levels": levels}))
