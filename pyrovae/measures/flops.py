"""Floating-point operations: what training and a reconstruction cost, whatever the machine.

Counted are products of matrices and convolutions, as
:class:`torch.utils.flop_counter.FlopCounterMode` knows them, forward and backward; of other
operations (activations, draws, the optimiser) it counts none. Energy is not measured: a machine's
counters tell of all that runs on it, not of one run.
"""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from pyrovae.core.given import Data, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.measures.scores import COST, Score, declare
from pyrovae.models.contract import LatentModel
from pyrovae.training import LossProgram

RECONSTRUCTION_FLOPS = declare(
    Score(
        "reconstruction_flops",
        "FLOPs of a reconstruction",
        unit="count",
        better="low",
        kind="positive",
        group=COST,
        meaning=(
            "Floating-point operations of encoding and decoding one datum: products of matrices "
            "and convolutions."
        ),
    )
)
TRAINING_FLOPS = declare(
    Score(
        "training_flops",
        "FLOPs of training",
        unit="count",
        better="low",
        kind="positive",
        group=COST,
        meaning=(
            "Floating-point operations of all training steps, forward and backward: products of "
            "matrices and convolutions. Of a pruned run, those of the run that it comes from and "
            "of fine-tuning."
        ),
    )
)


@only_measures
def reconstruction_flops(vae: LatentModel, x: Data) -> float:
    """Return the operations of encoding and decoding one of some data ``(n, *event_shape)``.

    Where inference goes on after the encoder (a semi-amortised posterior), that counts too.
    """
    with torch.no_grad(), seeded(0, x.device), FlopCounterMode(display=False) as counter:
        told = given(x[:1])
        vae.decode(vae.encode(observed(x[:1]), **told).sample(), **told)
    return float(counter.get_total_flops())


@only_measures
def step_flops(program: LossProgram, x: Data) -> float:
    """Return the operations of a training step on a batch ``(n, *event_shape)``.

    Parameters
    ----------
    program
        Of a run; its parameters stay as they are.
    x
        A batch of training data.
    """
    hyper = {name: value.to(x.device) for name, value in program.hyper(0).items()}
    kept = [(parameter, parameter.grad) for parameter in program.parameters()]
    try:
        for parameter, _ in kept:
            parameter.grad = None
        # Not torch.autograd.grad, which checkpointed parts of a model refuse.
        with seeded(0, x.device), FlopCounterMode(display=False) as counter:
            program(x, hyper)[0].backward()
    finally:
        for parameter, gradient in kept:
            parameter.grad = gradient
    return float(counter.get_total_flops())
