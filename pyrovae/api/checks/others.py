"""What every network, objective, optimiser and metric must do, as checks of a :class:`Subject`."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pyrovae.api.checks.failing import close, named
from pyrovae.api.checks.training import SHAPE, images, trains_alike, vae_with
from pyrovae.measures.disentanglement import METRICS, MetricResult
from pyrovae.measures.disentanglement.base import needs_factors
from pyrovae.models.networks import NETWORKS
from pyrovae.objectives import OBJECTIVES
from pyrovae.training import LossProgram
from pyrovae.training.optimizers import OPTIMIZERS, Moments, Optimizer, Tensors

_LATENT_DIM, _OUTPUTS = 3, 2


@dataclass
class Subject:
    """A part, ``{"name": …, **parameters}``."""

    part: dict[str, Any]

    def __str__(self) -> str:
        return str(self.part["name"])


def encoder_shapes(subject: Subject) -> None:
    """The encoder gives as many features as it says, for any number of data."""
    encoder, features = NETWORKS.create(**subject.part).encoder(SHAPE)
    for n in (1, 3):
        found = tuple(encoder(torch.zeros(n, *SHAPE)).shape)
        if found != (n, features):
            raise AssertionError(f"for {n} data the encoder gives {found}, not {(n, features)}")


def decoder_shapes(subject: Subject) -> None:
    """The decoder gives what the likelihood reads, for codes of any batch."""
    decoder = NETWORKS.create(**subject.part).decoder(_LATENT_DIM, SHAPE, _OUTPUTS)
    for batch in ((3,), (2, 3)):
        found, wanted = (
            tuple(decoder(torch.zeros(*batch, _LATENT_DIM)).shape),
            (
                *batch,
                _OUTPUTS,
                *SHAPE,
            ),
        )
        if found != wanted:
            raise AssertionError(f"for codes {batch} the decoder gives {found}, not {wanted}")


def data_do_not_mix(subject: Subject) -> None:
    """What a datum gives does not depend on which others stand beside it."""
    encoder, _ = NETWORKS.create(**subject.part).encoder(SHAPE)
    x = images()[:4]
    with torch.no_grad():
        both, one = encoder(x), encoder(x[:2])
    close(one, both[:2], "beside fewer data, a feature", rtol=1e-4, atol=1e-5)


def network_trains(subject: Subject) -> None:
    """A step is traced into a graph, and models that train together end where each ends alone."""
    trains_alike(lambda seed: vae_with(seed, network=subject.part))


def _parts(subject: Subject) -> dict[str, Any]:
    """Return the parts of a model that an objective needs to be others than the usual ones."""
    name = subject.part["name"]
    parameters = {key: value for key, value in subject.part.items() if key != "name"}
    needs = OBJECTIVES[name].requirements(OBJECTIVES.resolve(name, parameters))
    if "posterior.scored" in needs:
        scored = {"name": "bernoulli", "gradient": "score"}
        return {"prior": {"name": "bernoulli"}, "posterior": scored}
    mixed = {"name": "mixed", "classes": 3}
    return {"prior": mixed, "posterior": mixed} if "posterior.mixed" in needs else {}


def loss_is_finite(subject: Subject) -> None:
    """The loss is one finite number."""
    program = LossProgram(vae_with(0, **_parts(subject)), OBJECTIVES.create(**subject.part))
    loss, _ = program(images(), program.hyper(0))
    if loss.shape != () or not loss.isfinite():
        raise AssertionError(f"the loss is {loss.tolist()}, not one finite number")


def loss_moves_every_part(subject: Subject) -> None:
    """Model and guide both have derivatives."""
    program = LossProgram(vae_with(0, **_parts(subject)), OBJECTIVES.create(**subject.part))
    loss, _ = program(images(), program.hyper(0))
    names = [name for name, _ in program.named_parameters()]
    slopes = torch.autograd.grad(loss, list(program.parameters()), allow_unused=True)
    moved = {program.group(n) for n, g in zip(names, slopes, strict=True) if g is not None}
    missing = {"guide", "model"} - moved
    if missing:
        raise AssertionError(f"the loss has no derivative by the parameters of the {missing.pop()}")


def objective_trains(subject: Subject) -> None:
    """A step is traced into a graph, and models that train together end where each ends alone."""
    parts = _parts(subject)
    trains_alike(lambda seed: vae_with(seed, **parts), lambda: OBJECTIVES.create(**subject.part))


def _optimizer(subject: Subject) -> tuple[Optimizer, Tensors]:
    generator = torch.Generator().manual_seed(0)
    shapes: dict[str, tuple[int, ...]] = {"weight": (4, 3), "bias": (4,), "scale": ()}
    params = {name: torch.randn(s, generator=generator) for name, s in shapes.items()}
    return OPTIMIZERS.create(**subject.part), params


def _descended(optimizer: Optimizer, params: Tensors, steps: int) -> tuple[Tensors, Moments]:
    """Return parameters and moments after steps on half the squared distance to 0."""
    moments, lr = optimizer.start(params), torch.tensor(0.02)
    for step in range(1, steps + 1):
        grads = {name: p.clone() for name, p in params.items()}
        params, moments = optimizer.update(params, grads, moments, torch.tensor(float(step)), lr)
    return params, moments


def moments_keep_their_form(subject: Subject) -> None:
    """Each slot has a tensor for each parameter, before and after a step, of the same shape."""
    optimizer, params = _optimizer(subject)
    start = optimizer.start(params)
    _, after = _descended(optimizer, params, 1)
    for moments in (start, after):
        if set(moments) != set(optimizer.slots):
            raise AssertionError(f"remembers {sorted(moments)}, not {sorted(optimizer.slots)}")
        for slot, tensors in moments.items():
            if set(tensors) != set(params):
                raise AssertionError(f"'{slot}' is of {sorted(tensors)}, not of every parameter")
            for name, tensor in tensors.items():
                if tensor.shape != start[slot][name].shape:
                    raise AssertionError(f"'{slot}' of '{name}' changes its shape")


def arguments_stay(subject: Subject) -> None:
    """A step writes nothing in place: a traced step may not."""
    optimizer, params = _optimizer(subject)
    before = {name: p.clone() for name, p in params.items()}
    start = optimizer.start(params)
    kept = {(slot, n): t.clone() for slot, tensors in start.items() for n, t in tensors.items()}
    grads = {name: p.clone() for name, p in params.items()}
    optimizer.update(params, grads, start, torch.tensor(1.0), torch.tensor(0.1))
    for name, p in before.items():
        if not (torch.equal(p, params[name]) and torch.equal(p, grads[name])):
            raise AssertionError(f"parameter or gradient '{name}' is written in place")
    for (slot, name), t in kept.items():
        if not torch.equal(t, start[slot][name]):
            raise AssertionError(f"'{slot}' of '{name}' is written in place")


def goes_downhill(subject: Subject) -> None:
    """A hundred steps on a quadratic loss make it smaller, whatever the sign of a parameter."""
    optimizer, params = _optimizer(subject)
    after, _ = _descended(optimizer, params, 100)
    for name, p in after.items():
        if not p.isfinite().all() or not p.norm() < params[name].norm():
            raise AssertionError(
                f"on a quadratic loss '{name}' goes from {float(params[name].norm()):.3g} to "
                f"{float(p.norm()):.3g} from its minimum"
            )


def optimizer_trains(subject: Subject) -> None:
    """A step is traced into a graph, and models that train together end where each ends alone."""
    trains_alike(vae_with, optimizer=subject.part)


def _measured(subject: Subject, codes: np.ndarray, factors: np.ndarray, seed: int = 0) -> Any:
    given = {key: value for key, value in subject.part.items() if key != "name"}
    arguments = METRICS.arguments(subject.part["name"], given)
    read = factors if needs_factors(subject.part["name"]) else None
    return METRICS[subject.part["name"]](codes, read, np.random.default_rng(seed), **arguments)


def _arrays() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 4, (400, 2))
    codes = np.concatenate([factors, np.zeros((400, 1))], 1) + 0.3 * rng.standard_normal((400, 3))
    return codes, factors


def result_is_a_score(subject: Subject) -> None:
    """A :class:`MetricResult` with a number, whose parts and estimator JSON can hold."""
    result = _measured(subject, *_arrays())
    if not isinstance(result, MetricResult):
        raise AssertionError(f"gives {type(result).__name__}, not a MetricResult")
    if not isinstance(result.score, float) or not math.isfinite(result.score):
        raise AssertionError(f"the score is {result.score!r}, not a finite float")
    json.dumps([result.parts, result.estimator])


def same_seed_same_score(subject: Subject) -> None:
    """The generator that is given is all the chance there is."""
    first, second = (_measured(subject, *_arrays()).score for _ in range(2))
    close(second, first, "from the same generator, the score", rtol=0, atol=0)


def arrays_are_left_alone(subject: Subject) -> None:
    """Codes and factors are read only."""
    codes, factors = _arrays()
    codes.flags.writeable = factors.flags.writeable = False
    _measured(subject, codes, factors)


def order_of_units_does_not_matter(subject: Subject) -> None:
    """Codes have no order: with units in another, the score is the same but for chance."""
    codes, factors = _arrays()
    first, turned = _measured(subject, codes, factors), _measured(subject, codes[:, ::-1], factors)
    close(turned.score, first.score, "with units in reverse, the score", rtol=0.1, atol=0.1)


#: What is checked of each, by name.
NETWORK_CHECKS = named(encoder_shapes, decoder_shapes, data_do_not_mix, network_trains)
OBJECTIVE_CHECKS = named(loss_is_finite, loss_moves_every_part, objective_trains)
OPTIMIZER_CHECKS = named(moments_keep_their_form, arguments_stay, goes_downhill, optimizer_trains)
METRIC_CHECKS = named(
    result_is_a_score, same_seed_same_score, arrays_are_left_alone, order_of_units_does_not_matter
)
