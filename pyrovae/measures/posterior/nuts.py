"""The No-U-Turn sampler for many chains at once, none of which waits for another.

Trees of different chains grow to different sizes. A loop over iterations that is vectorised over
chains costs the largest tree of each iteration. Here the sampler is a state machine instead: one
call of :func:`advance` is one leapfrog step of every chain, and a chain whose iteration has ended
begins its next one at once, while others are still in theirs. Every gradient is put to use.

Sources: Hoffman & Gelman 2014 (https://jmlr.org/papers/v15/hoffman14a.html) for the sampler;
Betancourt 2017, A.3-A.4 (https://arxiv.org/abs/1701.02434) for multinomial weights, biased
progressive sampling and the generalised no-U-turn criterion; Phan, Pradhan & Jankowiak 2019
(https://arxiv.org/abs/1912.11554) for tree doubling by iteration, with few momenta remembered;
Radul et al. 2020 (https://arxiv.org/abs/1910.11141) for chains that do not wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.utils._pytree import tree_map

from pyrovae.measures.posterior.density import Density
from pyrovae.measures.posterior.warmup import Schedule, Tuning, choose
from pyrovae.training.step import compile_step, trace

#: Energy error, in nats, beyond which a trajectory counts as divergent (Stan's).
DIVERGENT = 1000.0
#: Doublings at most during warm-up, when step sizes are tried that are far too small.
_WARMUP_DEPTH = 6
#: Leapfrog steps whose noise is drawn at a time.
_CHUNK = 64

#: Coordinates ``(b, d)``, and what else it reads, to log density ``(b,)`` and gradient ``(b, d)``.
Target = Callable[..., tuple[Tensor, Tensor]]


class Tree(NamedTuple):
    """Where each chain is within its iteration: a trajectory that is a balanced binary tree.

    Places in phase space are kept as one tensor of position, momentum and gradient.

    Attributes
    ----------
    chosen
        Position and gradient that the iteration would return if it ended now, ``(b, 2, d)``.
    chosen_log_density
        There, ``(b,)``.
    left, right
        Ends of the trajectory, ``(b, 3, d)``.
    momenta
        Sum of the momenta along it, ``(b, d)``.
    log_weight
        Log of its total weight exp(-energy error), ``(b,)``.
    depth
        Doublings done, ``(b,)``.
    energy
        At the start, ``(b,)``.
    accept
        Sum of the acceptance probabilities of all leaves, ``(b,)``.
    leaves
        Their number, ``(b,)``.
    """

    chosen: Tensor
    chosen_log_density: Tensor
    left: Tensor
    right: Tensor
    momenta: Tensor
    log_weight: Tensor
    depth: Tensor
    energy: Tensor
    accept: Tensor
    leaves: Tensor


class Subtree(NamedTuple):
    """The half by which the trajectory is being doubled, leaf by leaf.

    Attributes
    ----------
    at
        The last leaf, ``(b, 3, d)``.
    chosen, chosen_log_density, momenta, log_weight
        As in :class:`Tree`.
    forward
        Whether it extends the right end, ``(b,)``.
    leaf
        Leaves so far, ``(b,)``.
    saved
        Momentum, and sum of momenta up to it, at the first leaf of each open balanced subtree,
        ``(b, 2, max_depth, d)``.
    """

    at: Tensor
    chosen: Tensor
    chosen_log_density: Tensor
    momenta: Tensor
    log_weight: Tensor
    forward: Tensor
    leaf: Tensor
    saved: Tensor


class Ended(NamedTuple):
    """What an iteration leaves behind, valid where ``ended``; all ``(b,)``."""

    ended: Tensor
    accept: Tensor
    leaves: Tensor
    depth: Tensor
    diverging: Tensor


class Noise(NamedTuple):
    """Randomness of one step: uniforms ``(b,)``, and a standard normal ``(b, d)``."""

    leaf: Tensor
    merge: Tensor
    direction: Tensor
    momentum: Tensor


def start_at(z: Tensor, gradient: Tensor, log_density: Tensor, deep: int) -> tuple[Tree, Subtree]:
    """Return chains at ``z`` that have yet to :func:`begin`."""
    zero, count = torch.zeros_like(log_density), torch.zeros_like(log_density, dtype=torch.long)
    chosen, end = torch.stack([z, gradient], 1), torch.stack([z, z, gradient], 1)
    tree = Tree(
        chosen, log_density, end, end, z, log_weight=zero, depth=count, energy=zero, accept=zero,
        leaves=count,
    )  # fmt: skip
    saved = torch.zeros_like(z)[:, None, None].repeat(1, 2, deep, 1)
    return tree, Subtree(end, chosen, log_density, z, zero, count.bool(), count, saved)


def begin(
    tree: Tree, sub: Subtree, here: Tensor, grown: Tensor, inverse_metric: Tensor, noise: Noise
) -> tuple[Tree, Subtree]:
    """Start the next iteration where ``here`` holds, the next doubling where ``grown`` does.

    An iteration starts at the chosen state with a fresh momentum and a trajectory of one leaf, a
    doubling at a random end of the trajectory.
    """
    momentum = noise.momentum / inverse_metric.sqrt()
    end = torch.stack([tree.chosen[:, 0], momentum, tree.chosen[:, 1]], 1)
    zero, count = torch.zeros_like(tree.energy), torch.zeros_like(tree.depth)
    tree = Tree(
        chosen=tree.chosen,
        chosen_log_density=tree.chosen_log_density,
        left=choose(here, end, tree.left),
        right=choose(here, end, tree.right),
        momenta=choose(here, momentum, tree.momenta),
        log_weight=choose(here, zero, tree.log_weight),
        depth=choose(here, count, tree.depth),
        energy=choose(
            here, _kinetic(momentum, inverse_metric) - tree.chosen_log_density, tree.energy
        ),
        accept=choose(here, zero, tree.accept),
        leaves=choose(here, count, tree.leaves),
    )
    new = here | grown
    forward = choose(new, noise.direction < 0.5, sub.forward)
    sub = sub._replace(
        at=choose(new, choose(forward, tree.right, tree.left), sub.at),
        momenta=choose(new, torch.zeros_like(sub.momenta), sub.momenta),
        log_weight=choose(new, zero - torch.inf, sub.log_weight),
        forward=forward,
        leaf=choose(new, count, sub.leaf),
    )
    return tree, sub


def advance(
    tree: Tree,
    sub: Subtree,
    tuning: Tuning,
    noise: Noise,
    target: Target,
    places: Tensor,
    deepest: Tensor,
) -> tuple[Tree, Subtree, Tensor, Ended]:
    """Do one leapfrog step of every chain, and whatever that step completes.

    Parameters
    ----------
    tree, sub
        Where each chain is.
    tuning
        Its step size and metric.
    noise
        Fresh.
    target
        The log density and its gradient.
    places
        From :func:`check_places`.
    deepest
        Doublings after which each chain's trajectory is cut, ``(b,)``.

    Returns
    -------
    tree, sub
        After the step. Where an iteration has ended, ``tree.chosen`` is its result.
    grown
        Where a doubling is complete and the next has yet to :func:`begin`, ``(b,)``.
    Ended
        Where an iteration has ended, and what is known of it.
    """
    inverse_metric = tuning.inverse_metric
    at, log_density = _leapfrog(sub, tuning.step_size, inverse_metric, target)
    error = _kinetic(at[:, 1], inverse_metric) - log_density - tree.energy
    error = torch.where(error.isnan(), torch.inf, error)
    diverging = error > DIVERGENT
    sub = _with_leaf(sub, at, log_density, -error, noise.leaf)
    sub, turning = _check(sub, inverse_metric, places)
    broken = turning | diverging
    full = (sub.leaf == 2**tree.depth) & ~broken
    tree = _merge(tree, sub, full, noise.merge)._replace(
        accept=tree.accept + (-error).exp().clamp(max=1), leaves=tree.leaves + 1
    )
    turned = _turns(tree.left[:, 1], tree.right[:, 1], tree.momenta, inverse_metric)
    ended = broken | (full & (turned | (tree.depth >= deepest)))
    told = Ended(ended, tree.accept / tree.leaves, tree.leaves, tree.depth, diverging)
    return tree, sub, full & ~ended, told


def _kinetic(momentum: Tensor, inverse_metric: Tensor) -> Tensor:
    return 0.5 * (inverse_metric * momentum**2).sum(-1)


def _leapfrog(
    sub: Subtree, step_size: Tensor, inverse_metric: Tensor, target: Target
) -> tuple[Tensor, Tensor]:
    step = torch.where(sub.forward, step_size, -step_size)[:, None]
    z, momentum, gradient = sub.at.unbind(1)
    momentum = momentum + 0.5 * step * gradient
    z = z + step * inverse_metric * momentum
    log_density, gradient = target(z)
    momentum = momentum + 0.5 * step * gradient
    return torch.stack([z, momentum, gradient], 1), log_density


def _with_leaf(
    sub: Subtree, at: Tensor, log_density: Tensor, log_weight: Tensor, uniform: Tensor
) -> Subtree:
    """Add a leaf; it becomes the chosen one with its share of the subtree's weight."""
    total = torch.logaddexp(sub.log_weight, log_weight)
    take = uniform.log() < log_weight - total
    return sub._replace(
        at=at,
        chosen=choose(take, at[:, ::2], sub.chosen),
        chosen_log_density=choose(take, log_density, sub.chosen_log_density),
        momenta=sub.momenta + at[:, 1],
        log_weight=total,
        leaf=sub.leaf + 1,
    )


def check_places(deep: int) -> Tensor:
    """Return where the U-turn checks of each leaf look (Phan et al. 2019, algorithm 2).

    Returns
    -------
    Tensor
        ``(2**(deep - 1), 2)`` integers for leaf n, from 0: the number of ones in n without its last
        bit, and that minus the ones at n's end, plus 1. An even leaf is saved at the first place;
        an odd one ends subtrees whose first leaves are saved at the places from the second number
        to the first.
    """
    leaf = torch.arange(max(2 ** (deep - 1), 1))
    bits = (leaf[:, None] >> torch.arange(deep)) & 1
    ones_at_end = bits.cumprod(1).sum(1)
    last = bits[:, 1:].sum(1)
    return torch.stack([last, last - ones_at_end + 1], 1)


def _check(sub: Subtree, inverse_metric: Tensor, places: Tensor) -> tuple[Subtree, Tensor]:
    """Save an even leaf; check all balanced subtrees that an odd leaf completes."""
    leaf = (sub.leaf - 1).clamp(max=len(places) - 1)
    last, first = places[leaf].T[..., None]
    level = torch.arange(sub.saved.shape[2], device=leaf.device)
    odd = (leaf % 2 == 1)[:, None]
    now = torch.stack([sub.at[:, 1], sub.momenta], 1)[:, :, None]
    saved = torch.where((~odd & (level == last))[:, None, :, None], now, sub.saved)
    momentum, momenta = saved.unbind(1)
    inside = now[:, 1] - momenta + momentum
    turns = _turns(momentum, now[:, 0], inside, inverse_metric[:, None])
    ends = odd & (level <= last) & (level >= first)
    return sub._replace(saved=saved), (turns & ends).any(1)


def _turns(left: Tensor, right: Tensor, momenta: Tensor, inverse_metric: Tensor) -> Tensor:
    """Return whether a trajectory turns back (Betancourt 2017, A.4.2).

    The sum of momenta counts both ends by half, as a trapezoid: the criterion then sees no
    difference between a trajectory and its two halves that meet.
    """
    inside = inverse_metric * (momenta - 0.5 * (left + right))
    return ((left * inside).sum(-1) <= 0) | ((right * inside).sum(-1) <= 0)


def _merge(tree: Tree, sub: Subtree, full: Tensor, uniform: Tensor) -> Tree:
    """Double the trajectory where the subtree is complete.

    The new half's state is preferred (biased progressive sampling).
    """
    take = full & (uniform.log() < sub.log_weight - tree.log_weight)
    total = torch.logaddexp(tree.log_weight, sub.log_weight)
    return tree._replace(
        chosen=choose(take, sub.chosen, tree.chosen),
        chosen_log_density=choose(take, sub.chosen_log_density, tree.chosen_log_density),
        left=choose(full & ~sub.forward, sub.at, tree.left),
        right=choose(full & sub.forward, sub.at, tree.right),
        momenta=choose(full, tree.momenta + sub.momenta, tree.momenta),
        log_weight=choose(full, total, tree.log_weight),
        depth=tree.depth + full,
    )


@dataclass(frozen=True)
class Samples:
    """Draws of all chains, and what is known of each iteration.

    Attributes
    ----------
    z
        ``(b, draws, d)``.
    log_density
        Nats, ``(b, draws)``.
    acceptance_rate, step_size
        ``(b, draws)``.
    n_steps, tree_depth
        Leapfrog steps and doublings, ``(b, draws)``.
    diverging
        ``(b, draws)``.
    gradients
        Calls of the density, each for all chains, warm-up included.
    """

    z: Tensor
    log_density: Tensor
    acceptance_rate: Tensor
    step_size: Tensor
    n_steps: Tensor
    tree_depth: Tensor
    diverging: Tensor
    gradients: int


class Sampler:
    """The sampler's step for one target, run once and kept: it serves many runs.

    Parameters
    ----------
    target
        Coordinates ``(b, d)``, and what else it reads, to log density and gradient.
    warmup
        Iterations in which each chain tunes its step size and diagonal metric.
    max_depth
        Doublings at which a trajectory is cut.
    compiled
        Whether the step is compiled, which pays off from some ten thousand steps.
    """

    def __init__(
        self, target: Target, *, warmup: int, max_depth: int = 10, compiled: bool = False
    ) -> None:
        self._target, self._warmup, self._deep = target, warmup, max_depth
        self._compiled = compiled
        self._schedule, self._places = Schedule.of(warmup), check_places(max_depth)
        self._step: Callable[..., Any] | None = None

    def __call__(
        self,
        start: Tensor,
        *reads: Any,
        draws: int,
        generator: Generator,
        target_accept: float = 0.8,
        progress: Callable[[float], None] = lambda share: None,
    ) -> Samples:
        """Run one chain from each of some coordinates.

        Parameters
        ----------
        start
            ``(b, d)``; scatter them more widely than the posterior, or R-hat sees nothing.
        *reads
            What the target reads besides coordinates: nested tensors, of the same shapes each time.
        draws
            Iterations of each chain after warm-up.
        generator
            Of all randomness.
        target_accept
            Mean acceptance probability that the step size is tuned to.
        progress
            Called with the share that is done, now and then.
        """
        (b, d), dtype = start.shape, start.dtype

        def noise_of(n: int) -> list[Noise]:
            uniform = torch.rand(n, 3, b, generator=generator, dtype=dtype)
            normal = torch.randn(n, b, d, generator=generator, dtype=dtype)
            return [Noise(u[0], u[1], u[2], r) for u, r in zip(uniform, normal, strict=True)]

        tuning = Tuning.initial(start)
        log_density, gradient = self._target(start, *reads)
        (first,) = noise_of(1)
        every = torch.ones(b, dtype=torch.bool)
        tree, sub = start_at(start, gradient, log_density, self._deep)
        tree, sub = begin(tree, sub, every, every, tuning.inverse_metric, first)
        machine = Machine(tree, sub, tuning, torch.zeros(b, dtype=torch.long))
        # The tracer tells inputs apart as objects: one tensor in two places would become one input.
        machine = tree_map(torch.clone, machine)
        accept = torch.tensor(target_accept, dtype=dtype)
        if self._step is None:
            graph = trace(self._advance, machine, first, accept, *reads)
            self._step = compile_step(graph) if self._compiled else graph
        step: Callable[..., Any] = self._step
        iterations = self._warmup + draws
        kept = _Kept(b, iterations, d, dtype)
        gradients = 1
        while (least := int(machine.iteration.min())) < iterations:
            progress(least / iterations)
            for noise in noise_of(_CHUNK):
                before = machine
                machine, told = step(before, noise, accept, *reads)
                kept.keep(before, told, machine.tree)
            gradients += _CHUNK
        return kept.samples(self._warmup, gradients)

    def _advance(
        self, machine: Machine, noise: Noise, target_accept: Tensor, *reads: Any
    ) -> tuple[Machine, Ended]:
        tree, sub, tuning, iteration = machine
        warming = iteration < self._warmup
        deepest = torch.where(warming, min(self._deep, _WARMUP_DEPTH), self._deep)

        def target(z: Tensor) -> tuple[Tensor, Tensor]:
            return self._target(z, *reads)

        tree, sub, grown, told = advance(tree, sub, tuning, noise, target, self._places, deepest)
        tuning = self._schedule.update(
            tuning, told.ended, iteration, tree.chosen[:, 0], told.accept, target_accept
        )
        tree, sub = begin(tree, sub, told.ended, grown, tuning.inverse_metric, noise)
        return Machine(tree, sub, tuning, iteration + told.ended), told


def sample(
    density: Density,
    start: Tensor,
    *,
    warmup: int,
    draws: int,
    generator: Generator,
    target_accept: float = 0.8,
    max_depth: int = 10,
    compiled: bool = False,
    progress: Callable[[float], None] = lambda share: None,
) -> Samples:
    """Run NUTS on the density of a model, one chain from each of ``start`` ``(b, d)``.

    The other parameters are those of :class:`Sampler` and its call.
    """

    def target(z: Tensor) -> tuple[Tensor, Tensor]:
        found = density(z)
        return found.tempered(), found.gradient()

    sampler = Sampler(target, warmup=warmup, max_depth=max_depth, compiled=compiled)
    return sampler(
        start,
        draws=draws,
        generator=generator,
        target_accept=target_accept,
        progress=progress,
    )


class Machine(NamedTuple):
    """All state of all chains; ``iteration`` is the number of finished iterations, ``(b,)``."""

    tree: Tree
    sub: Subtree
    tuning: Tuning
    iteration: Tensor


class _Kept:
    """Collects what each iteration leaves behind."""

    def __init__(self, b: int, iterations: int, d: int, dtype: torch.dtype) -> None:
        self._z = torch.empty(b, iterations, d, dtype=dtype)
        #: Log density, acceptance, step size, leaves, depth, diverging.
        self._told = torch.empty(b, iterations, 6, dtype=dtype)

    def keep(self, before: Machine, told: Ended, tree: Tree) -> None:
        """Write the iterations that have just ended; those beyond the last are dropped."""
        z, log_density = tree.chosen[:, 0], tree.chosen_log_density
        chain = (told.ended & (before.iteration < self._z.shape[1])).nonzero().squeeze(1)
        at = before.iteration[chain]
        self._z[chain, at] = z[chain]
        parts = (log_density, told.accept, before.tuning.step_size)
        counts = (told.leaves, told.depth, told.diverging)
        columns = [part[chain] for part in (*parts, *(c.to(z.dtype) for c in counts))]
        self._told[chain, at] = torch.stack(columns, 1)

    def samples(self, warmup: int, gradients: int) -> Samples:
        """Return what comes after warm-up."""
        log_density, accept, step, leaves, depth, diverging = self._told[:, warmup:].unbind(2)
        return Samples(
            self._z[:, warmup:],
            log_density,
            accept,
            step,
            leaves.long(),
            depth.long(),
            diverging.bool(),
            gradients,
        )
