"""Is q(z|x) the posterior at this very x? A local classifier two-sample test.

Calibration averages over data: errors of opposite sign cancel, and a q that is the prior passes. A
classifier that tells codes from draws of q, given what they are codes of, misses neither; what it
says at one datum is about that datum (Linhart, Gramfort & Rodrigues 2023, arXiv:2306.03580).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from pyrovae.core.given import Data, Given, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.measures.posterior.annealing import simulate
from pyrovae.measures.posterior.density import draw_codes
from pyrovae.models.contract import LatentModel

#: Draws that centre and scale of q at a datum are told by, and those that are classified there.
_LOOKED_AT, _CLASSIFIED = 128, 200
#: Principal components of the data that a classifier reads.
_COMPONENTS = 8
#: Of each classifier; steps are on all data. With little decay networks learn the data by heart,
#: the true labels' as the others', and the test is valid and tells nothing.
_HIDDEN, _STEPS, _LR = 16, 100, 0.02
#: Of weights, over the number of simulated data: what a penalty weighs beside their sum.
_DECAY = 1000.0
#: Where coordinates of codes in units of q's scale end: heavy tails are no reason to diverge.
_FARTHEST = 10.0
#: Data that are encoded at a time.
_CHUNK = 250


@dataclass(frozen=True)
class Local:
    """What the classifiers found.

    Attributes
    ----------
    statistic
        Mean square of what the classifier's probability is from 1/2, over draws of q, at each
        observation, ``(n,)``: 0 where q is the posterior, at most 1/4.
    p_values
        Of each observation, ``(n,)``.
    p_value
        Of the simulated data together.
    """

    statistic: NDArray[np.floating]
    p_values: NDArray[np.floating]
    p_value: float


class _Read(NamedTuple):
    """What is known of data: the centre and scale of q there, and what classifiers read of x."""

    centre: Tensor
    scale: Tensor
    drawn: Tensor
    x: Tensor


@only_measures
def local_c2st(
    vae: LatentModel,
    x: Data,
    *,
    simulations: int,
    classifiers: int,
    seed: int,
    context: Tensor | None = None,
) -> Local:
    """Test at each observation whether the guide's q(z|x) is the posterior.

    Codes from the prior make data; a classifier learns to tell each code from a draw of q given its
    datum, and so do others for which code and draw have changed places at random, as they may where
    q is the posterior. A p-value is the rank of the one among the others.

    Parameters
    ----------
    vae
        The trained model and guide.
    x
        Observations ``(n, *event_shape)``, with their context where the model has one.
    simulations
        Simulated data to learn from.
    classifiers
        Of the others: no p-value is below 1 / (classifiers + 1).
    seed
        Of all draws; the global random state is left as it was.
    context
        Contexts that data are simulated with, in turn, ``(m, k)``, for a conditional model.

    Notes
    -----
    A classifier is a network of 16 hidden units. It reads codes as their distance from the centre
    of q in units of its scale, and that distance squared: a q that is too narrow by the same factor
    everywhere is so at a glance. Of x it reads the centre of q and eight principal components: any
    function of code and datum is allowed, since it is the same for all classifiers.

    References
    ----------
    Linhart, Gramfort & Rodrigues 2023, alg. 1 and 2; arXiv:2306.03580
    """
    generator = Generator().manual_seed(seed)
    if context is not None:
        context = context[torch.arange(simulations) % len(context)]
    z = draw_codes(vae, simulations, generator, context)
    made = simulate(vae, z, generator, context)
    with torch.no_grad(), seeded(seed + 1, z.device):
        learnt = _read(vae, made if context is None else Given(made, context), 1)
        tested = _read(vae, x, _CLASSIFIED)
    reader = _Reader(learnt)
    code = reader(learnt, z.unsqueeze(0))[0]
    draw = reader(learnt, learnt.drawn)[0]
    # The first is told the truth.
    swapped = torch.rand(classifiers + 1, simulations, generator=generator) < 0.5
    swapped[0] = False
    network = _fit(code, draw, swapped, generator)
    with torch.no_grad():
        everywhere = _distance(network(draw)).mean(1)
        rows = reader(tested, tested.drawn)
        at = torch.stack([_distance(network(rows[:, i])).mean(1) for i in range(len(x))], 1)
    return Local(
        at[0].numpy(),
        _rank(at).numpy(),
        float(_rank(everywhere[:, None])[0]),
    )


def _read(vae: LatentModel, x: Data, draws: int) -> _Read:
    """Look at q of each datum, by draws that are not returned, and draw from it."""
    parts = []
    for start in range(0, len(x), _CHUNK):
        some = x[start : start + _CHUNK]
        q = vae.encode(observed(some), **given(some))
        looked_at = q.sample((_LOOKED_AT,))
        parts.append((looked_at.mean(0), looked_at.std(0), q.sample((draws,)).movedim(0, 1)))
    centre, scale, drawn = (torch.cat(each) for each in zip(*parts, strict=True))
    return _Read(centre, scale, drawn.movedim(1, 0), observed(x).flatten(1).float())


class _Reader:
    """What classifiers read of codes, ``(m, n, d)`` to ``(m, n, features)``.

    Scales of what they read of x are those of the simulated data.
    """

    def __init__(self, learnt: _Read) -> None:
        self._mean = learnt.x.mean(0)
        rank = min(_COMPONENTS, *learnt.x.shape)
        # The default's random start would be global state.
        covariance = torch.cov((learnt.x - self._mean).double().T).reshape(2 * learnt.x.shape[1:])
        self._axes = torch.linalg.eigh(covariance).eigenvectors[:, -rank:].float()
        told = self._of_x(learnt)
        self._shift, self._scale = told.mean(0), told.std(0).clamp(min=1e-6)

    def __call__(self, of: _Read, z: Tensor) -> Tensor:
        away = ((z - of.centre) / of.scale.clamp(min=1e-12)).clamp(-_FARTHEST, _FARTHEST)
        told = (self._of_x(of) - self._shift) / self._scale
        return torch.cat([away, away.square() - 1, told.expand(len(z), -1, -1)], -1)

    def _of_x(self, of: _Read) -> Tensor:
        return torch.cat([of.centre, (of.x - self._mean) @ self._axes], -1)


class _Networks:
    """Networks of one hidden layer side by side, all from the same start."""

    def __init__(self, inputs: int, many: int, generator: Generator) -> None:
        first = torch.randn(inputs, _HIDDEN, generator=generator) / inputs**0.5
        last = torch.randn(_HIDDEN, generator=generator) / _HIDDEN**0.5
        self.parameters = [
            first.unsqueeze(1).repeat(1, many, 1),
            torch.zeros(many, _HIDDEN),
            last.repeat(many, 1),
            torch.zeros(many),
        ]
        for parameter in self.parameters:
            parameter.requires_grad_()

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the log odds of rows ``(n, inputs)`` for each network, ``(many, n)``."""
        first, shift, last, offset = self.parameters
        hidden = (rows @ first.flatten(1)).unflatten(1, shift.shape).add(shift).tanh()
        return torch.einsum("nch,ch->cn", hidden, last) + offset[:, None]


def _fit(code: Tensor, draw: Tensor, swapped: Tensor, generator: Generator) -> _Networks:
    """Learn to tell codes from draws, ``(n, features)``; swapped ones are called the other."""
    network = _Networks(code.shape[1], len(swapped), generator)
    rows = torch.cat([code, draw])
    labels = torch.cat([~swapped, swapped], 1).to(rows)
    optimiser = torch.optim.AdamW(network.parameters, lr=_LR, weight_decay=_DECAY / len(code))
    with torch.enable_grad():
        for _ in range(_STEPS):
            losses = binary_cross_entropy_with_logits(network(rows), labels, reduction="none")
            optimiser.zero_grad()
            # Networks do not meet: the gradient of the sum holds that of each.
            losses.mean(1).sum().backward()
            optimiser.step()
    return network


def _distance(log_odds: Tensor) -> Tensor:
    return (log_odds.sigmoid() - 0.5).square()


def _rank(statistics: Tensor) -> Tensor:
    """Return the share of all that are not below the first, ``(many, n)`` to ``(n,)``."""
    return (statistics >= statistics[0]).double().mean(0)
