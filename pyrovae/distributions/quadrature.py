"""KL divergences of laws of one number, by adaptive quadrature.

Fixed nodes see what lies between them of no law: of a prior with a spike of width 0.05, 24
Gauss-Hermite nodes for a unit normal see nothing or too much. Here each component of q is cut into
panels where any component of either law is narrow or has a corner, each panel has a rule and a
finer one to check it (Gauss 7 in Kronrod 15), and panels where the two differ are halved. It is
what QUADPACK's QAGP does (Piessens et al. 1983, sec. 3.3), for all laws of a batch at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pyro.distributions as dist
import torch
from torch import Size, Tensor
from torch.distributions import (
    Distribution,
    Laplace,
    MixtureSameFamily,
    Normal,
    StudentT,
    constraints,
)

from pyrovae.distributions.generalized_normal import GeneralizedNormal

#: Error that a panel may have, in nats, and as a share of the divergence. Estimates are cautious:
#: where they say so much, errors are hundreds of times smaller.
_TOLERANCE = 1e-5
#: Error up to which a divergence counts as known, the same way.
_KNOWN = 1e-4
#: Halvings of a panel, at most: a corner between knots is then met to 1e-8 of a scale.
_HALVINGS = 24
#: Numbers held at a time, for each of a few arrays: they stay in a processor's cache.
_BLOCK = 1 << 17
#: A component wider than this share of the width of the law that is integrated over is seen by
#: equal steps, and one wider than the second by panels, which are halved where it is.
_WIDE, _NARROW = 0.7, 0.25
#: Components of a mixture that get knots, at most: the narrowest in reach.
_KNOTTED = 6
#: Components that p may have where q has long tails, which take many nodes: draws cost less.
_COMPONENTS = 64
#: Where a narrow component wants knots, in its widths: on both sides of where wider ones take over,
#: which a ratio of widths of 4 puts at 2 and one of 1000 at 4.
_AROUND = (-6.0, -2.0, 2.0, 6.0)
#: Where a corner wants them, in the smaller of the two widths.
_AT_CORNER = (-0.15, 0.0, 0.15)
#: asinh of where tails that may fall as a power are cut; short tails end before the second.
_FARTHEST, _SHORT = 300.0, 8.0
#: asinh of the knots that long tails have.
_IN_TAILS = (-12.0, -4.0, 4.0, 12.0)


@dataclass(frozen=True)
class Integral:
    """Values of integrals and bounds of their errors, of one shape.

    Attributes
    ----------
    value
        Infinite or NaN where the integral is.
    error
        Estimates of the absolute errors, from a rule and a finer one.
    """

    value: Tensor
    error: Tensor

    @property
    def known(self) -> Tensor:
        """Whether each value is good to 1e-4, absolute or relative."""
        small = self.error <= _KNOWN * (1 + self.value.abs())
        return small | ~self.value.isfinite()


def kl_by_quadrature(q: Distribution, p: Distribution) -> Integral | None:
    """Return KL(q || p) in nats, or ``None`` for laws that are not made of parameters.

    Differentiable with respect to parameters of both: panels are chosen without derivatives.

    Parameters
    ----------
    q, p
        Laws of single numbers, mixtures included, whose batch shapes broadcast to ``b``. A law has
        to be its class with the parameters in ``arg_constraints``.

    Returns
    -------
    Integral or None
        Of shape ``b``, in the precision of ``q``; integrated in double precision.
    """
    shape = torch.broadcast_shapes(q.batch_shape, p.batch_shape)
    try:
        law, reference = parts_of(q, shape), parts_of(p, shape)
    except (NotImplementedError, AttributeError, TypeError, ValueError):
        return None
    if not _same(law, q, reference, p, shape) or (law.long and reference.count > _COMPONENTS):
        return None
    with torch.no_grad():
        found = _Search(law, reference)
        found.run()
    total, error = found.total, found.error
    if torch.is_grad_enabled() and law.differentiable(reference):
        total = found.again()
    kind = _a_parameter(q).dtype
    return Integral(total.reshape(shape).to(kind), error.reshape(shape).to(kind))


class _Search:
    """Panels and rules by which the divergences of all laws of a batch become known.

    Parameters
    ----------
    law, reference
        q and p.
    """

    def __init__(self, law: Parts, reference: Parts) -> None:
        self.law, self.reference = law, reference
        self.total = torch.zeros_like(law.share[:, 0])
        self.error = torch.zeros_like(self.total)
        self._done: list[tuple[_Panels, _Rule]] = []

    def run(self) -> None:
        """Find them."""
        law = self.law
        found = [_knots(law, self.reference), *([_knots(law, law)] if law.count > 1 else [])]
        knots = torch.cat([part for part, _ in found], 1)
        rough = torch.stack([part for _, part in found]).any(0)
        window = torch.arange(len(law.place), device=law.place.device)
        used = law.share.flatten() != 0
        plain = used & ~rough & (law.smooth and not law.long)
        whole = _Panels(window, -law.reach, law.reach)
        failed = self._take(whole.chosen(plain), _trapezoids(law.line.intervals))
        if law.long:
            self._doubt_tails(window[used])
        cut = used & ~plain
        cut[failed.window] = True
        panels = _panels(law, knots, window[cut])
        for _ in range(_HALVINGS):
            panels = self._take(panels, _kronrod()).halves()
            if not len(panels.window):
                return
        self._take(panels, _kronrod(), last=True)

    def _doubt_tails(self, window: Tensor) -> None:
        """Add to the errors what may lie beyond the ends, as if it fell no faster than so far."""
        reach = self.law.reach[window]
        for panels in (_Panels(window, reach - 1, reach), _Panels(window, -reach, 1 - reach)):
            value, _ = _integral(self.law, self.reference, panels, _kronrod())
            beyond = (value.abs() * reach).nan_to_num(0, 0, 0)
            self.error.index_add_(0, window // self.law.count, beyond)

    def _take(self, panels: _Panels, rule: _Rule, *, last: bool = False) -> _Panels:
        """Add what is known well enough and return the panels that are not."""
        value, doubt = _integral(self.law, self.reference, panels, rule)
        element = panels.window // self.law.count
        rough = self.total.index_add(0, element, value)
        allowed = _TOLERANCE * (1 + rough.nan_to_num(0, 0, 0).abs())
        # What is not finite is not made finite by halving.
        good = (doubt <= allowed[element]) | ~value.isfinite()
        if last:
            good = torch.ones_like(good)
        self.total.index_add_(0, element[good], value[good])
        self.error.index_add_(0, element[good], doubt[good].nan_to_num(0, 0, 0))
        self._done.append((panels.chosen(good), rule))
        return panels.chosen(~good)

    def again(self) -> Tensor:
        """Return the divergences from the same panels, with derivatives."""
        total = torch.zeros_like(self.total)
        for panels, rule in self._done:
            value, _ = _integral(self.law, self.reference, panels, rule)
            total = total.index_add(0, panels.window // self.law.count, value)
        return total


@dataclass(frozen=True)
class _Line:
    """A variable for distances from the place of a law, in its widths.

    Attributes
    ----------
    stretched
        Whether it is the asinh of the distance, in which long tails are short, or the distance.
    knot
        Where the bulk of a law ends.
    intervals
        Of a rule of equal steps for a smooth law with short tails.
    """

    stretched: bool
    knot: float
    intervals: int

    def coordinate(self, t: Tensor) -> Tensor:
        """Return the variable at distances ``t``."""
        return t.asinh() if self.stretched else t

    def spread(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distances at ``y``, and their derivative."""
        return (y.sinh(), y.cosh()) if self.stretched else (y, y.new_ones(()))


_EVEN, _STRETCHED = _Line(False, 2.5, 34), _Line(True, 1.65, 44)


@dataclass(frozen=True)
class Parts:
    """A batch of N laws as mixtures of K simple ones each; K = 1 for a simple law.

    Attributes
    ----------
    law
        The simple laws, batch ``(N * K,)``.
    share
        Their weights, ``(N, K)``.
    place, width
        Where each is and how far it extends, ``(N * K,)``.
    line
        The variable that integrals over each are taken in.
    reach
        Where its tails end, in that variable, ``(N * K,)``.
    smooth
        Whether densities of the family have no corner.
    """

    law: Distribution
    share: Tensor
    place: Tensor
    width: Tensor
    line: _Line
    reach: Tensor
    smooth: bool

    @property
    def long(self) -> bool:
        """Whether tails may be as long as those of a power."""
        return float(self.reach.max()) > _SHORT + self.line.knot

    @property
    def count(self) -> int:
        """K."""
        return self.share.shape[1]

    def differentiable(self, other: Parts) -> bool:
        """Return whether the parameters of these laws or others have derivatives."""
        tensors = (*_parameters(self.law).values(), self.share)
        tensors += (*_parameters(other.law).values(), other.share)
        return any(tensor.requires_grad for tensor in tensors)

    @property
    def rows(self) -> Tensor:
        """All parameters of each law, ``(N, parameters)``: equal for equal laws of one kind."""
        tensors = _parameters(self.law).values()
        return torch.cat([self.share, *(t.reshape(*self.share.shape) for t in tensors)], 1)

    def some(self, index: Tensor) -> Distribution:
        """Return laws ``index``, whatever its shape, as a law of that batch shape."""
        shaped = {n: t.reshape(self.share.shape)[index] for n, t in _parameters(self.law).items()}
        if self.count == 1:
            return _made(self.law, {name: value[..., 0] for name, value in shaped.items()})
        mixing = dist.Categorical(probs=self.share[index], validate_args=False)
        return MixtureSameFamily(mixing, _made(self.law, shaped), validate_args=False)

    def log_prob(self, element: Tensor, z: Tensor) -> Tensor:
        """Return the log-densities of laws ``element``, ``(m,)``, at ``z``, ``(m, nodes)``."""
        if self.count == 1:
            return _chosen(self.law, element.unsqueeze(1)).log_prob(z)
        first = element.unsqueeze(1) * self.count
        shares = self.share[element].log().unsqueeze(2)
        # One component after the other: of sums over a short last dimension processors are slow.
        return torch.stack(
            [_chosen(self.law, first + k).log_prob(z) + shares[:, k] for k in range(self.count)]
        ).logsumexp(0)


def parts_of(law: Distribution, shape: Size) -> Parts:
    """Take a law of single numbers, expanded to a batch shape, into its parts.

    Raises
    ------
    NotImplementedError
        For a law that is not made of parameters, or has neither location nor moments.
    """
    if law.event_shape:
        raise NotImplementedError("quadrature is for laws of single numbers")
    if isinstance(law, MixtureSameFamily):
        weights = law.mixture_distribution.probs
        weights = weights.expand(*shape, weights.shape[-1]).double()
        inner = parts_of(law.component_distribution, Size((*shape, weights.shape[-1])))
        share = weights.reshape(-1, 1) * inner.share
        share = share.reshape(math.prod(shape), -1)
        return replace(inner, share=share)
    parameters = {
        name: torch.as_tensor(value).double().expand(shape).reshape(-1)
        for name, value in _parameters(law).items()
    }
    if not parameters:
        raise NotImplementedError(f"{type(law).__name__} is not made of parameters")
    flat = _made(law, parameters)
    place, width = (part.detach() for part in _extent(flat))
    return Parts(
        flat,
        place.new_ones(len(place), 1),
        place,
        width,
        _EVEN if isinstance(law, Normal) else _STRETCHED,
        _reach(flat, place),
        isinstance(law, Normal | StudentT | dist.Logistic),
    )


def _a_parameter(law: Distribution) -> Tensor:
    """Return a parameter of a law, or of its components."""
    while isinstance(law, MixtureSameFamily):
        law = law.component_distribution
    return next(iter(_parameters(law).values()))


def _parameters(law: Distribution) -> dict[str, Tensor]:
    # A family may offer several parametrisations (probs, logits), of which it has one; or none of
    # its own, as a transformed distribution, which passes its base's on.
    own = [name for name in law.arg_constraints if name in vars(law)]
    return {name: getattr(law, name) for name in own or law.arg_constraints}


def _made(law: Distribution, parameters: dict[str, Tensor]) -> Distribution:
    family: Any = type(law)
    made: Distribution = family(**parameters, validate_args=False)
    return made


def _chosen(law: Distribution, index: Tensor) -> Distribution:
    return _made(law, {name: value[index] for name, value in _parameters(law).items()})


def _extent(law: Distribution) -> tuple[Tensor, Tensor]:
    if {"loc", "scale"} <= vars(law).keys() and law.support is constraints.real:
        return law.loc, law.scale  # type: ignore[attr-defined]
    mean, width = law.mean, law.stddev
    if not (mean.isfinite().all() and width.isfinite().all()):
        raise NotImplementedError(f"{type(law).__name__} has no moments to place nodes by")
    return mean, width


def _reach(law: Distribution, like: Tensor) -> Tensor:
    """Return where exp(-36) of a law is left, for laws of which that is known."""
    if isinstance(law, Normal):
        return torch.full_like(like, 8.5)
    if isinstance(law, Laplace | dist.Logistic):
        return torch.full_like(like, math.asinh(36.0))
    if isinstance(law, GeneralizedNormal):
        return torch.asinh(36 ** (1 / law.p.detach())).clamp(max=_FARTHEST)
    return torch.full_like(like, _FARTHEST)


def _same(law: Parts, q: Distribution, reference: Parts, p: Distribution, shape: Size) -> bool:
    """Return whether parts are what they were taken from: a class may hold more than parameters."""
    z = law.place.reshape(math.prod(shape), -1)[:, 0]
    every = torch.arange(len(z), device=z.device)
    for parts, whole in ((law, q), (reference, p)):
        rounded = z.float()
        with torch.no_grad():
            found = parts.log_prob(every, rounded.double().unsqueeze(1)).reshape(shape)
            stated = _unchecked(whole, rounded.reshape(shape)).double()
        if stated.shape != found.shape or not torch.allclose(
            found, stated, rtol=1e-2, atol=1e-2, equal_nan=True
        ):
            return False
    return True


def _unchecked(law: Distribution, z: Tensor) -> Tensor:
    """Return log-densities, minus infinity beyond the support."""
    checks, law._validate_args = law._validate_args, False
    try:
        return law.log_prob(z)
    finally:
        law._validate_args = checks


@dataclass(frozen=True)
class _Panels:
    """Intervals of the variable in which one component of q, the window, is integrated over.

    Attributes
    ----------
    window, low, high
        ``(m,)`` each.
    """

    window: Tensor
    low: Tensor
    high: Tensor

    @property
    def all(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.window, self.low, self.high

    def chosen(self, index: Tensor) -> _Panels:
        return _Panels(*(part[index] for part in self.all))

    def halves(self) -> _Panels:
        middle = (self.low + self.high) / 2
        ends = (self.low, middle), (middle, self.high)
        low, high = (torch.cat(part) for part in zip(*ends, strict=True))
        return _Panels(self.window.repeat(2), low, high)

    def blocks(self, size: int) -> Iterator[_Panels]:
        parts = (part.split(max(1, size)) for part in self.all)
        for block in zip(*parts, strict=True):
            yield _Panels(*block)


def _panels(law: Parts, knots: Tensor, window: Tensor) -> _Panels:
    """Return the panels to start from in some windows, ``(m,)``."""
    reach = law.reach[window].unsqueeze(1)
    base = [-law.line.knot, law.line.knot, *(_IN_TAILS if law.long else ())]
    if not law.smooth:
        base.append(0.0)
    own = torch.cat([-reach, reach.new_tensor(base).expand(len(reach), -1), reach], 1)
    # A knot that is not wanted is put where there is one anyway.
    places = torch.cat([own, knots[window].nan_to_num(law.line.knot)], 1)
    places = torch.minimum(torch.maximum(places, -reach), reach).sort(1).values
    low, high = places[:, :-1], places[:, 1:]
    used = high - low > 1e-9
    return _Panels(window.unsqueeze(1).expand_as(low)[used], low[used], high[used])


def _knots(law: Parts, other: Parts) -> tuple[Tensor, Tensor]:
    """Return where components of ``other`` want knots in each window.

    A narrow component wants them around it; one with a corner, at it.

    Returns
    -------
    knots
        ``(N * K, knots)``, NaN where none is wanted.
    rough
        Whether equal steps will not do, ``(N * K,)``.
    """
    n = other.share.shape[0]
    place, width = (
        part.reshape(n, 1, -1).expand(-1, law.count, -1).flatten(0, 1)
        for part in (other.place, other.width)
    )
    own = law.width[:, None]
    at = law.line.coordinate((place - law.place[:, None]) / own)
    # In a stretched variable nodes are the farther apart the farther out.
    share = width / (own * law.line.spread(at)[1])
    within = at.abs() < law.reach[:, None] + 1
    corner = torch.full_like(within, not other.smooth)
    rough = (within & ((share < _WIDE) | corner)).any(1)
    wanted = within & ((share < _NARROW) | corner)
    if not wanted.any():
        return at[:, :0], rough
    if at.shape[1] > _KNOTTED:
        ranked = torch.where(wanted, share, math.inf).topk(_KNOTTED, 1, largest=False).indices
        place, width, share, wanted = (
            part.gather(1, ranked) for part in (place, width, share, wanted)
        )
    sides = [(side, width, wanted & (share < _NARROW)) for side in _AROUND]
    if not other.smooth:
        sides += [(side, torch.minimum(width, own), wanted) for side in _AT_CORNER]
    knots = []
    for side, unit, where in sides:
        at = law.line.coordinate((place + side * unit - law.place[:, None]) / own)
        knots.append(torch.where(where, at, math.nan))
    return torch.cat(knots, 1), rough


@dataclass(frozen=True)
class _Rule:
    """Nodes in [-1, 1] and weights that sum to 2: of a rule, and of a coarser one to check it by.

    Attributes
    ----------
    nodes, fine, coarse
        ``(n,)`` each.
    caution, power
        The finer rule's error is at most about (caution × the coarser one's) ** power, both as
        shares of the integrand's scatter.
    """

    nodes: Tensor
    fine: Tensor
    coarse: Tensor
    caution: float
    power: float

    def to(self, like: Tensor) -> _Rule:
        """Return the rule where a tensor is."""
        nodes, fine, coarse = (part.to(like) for part in (self.nodes, self.fine, self.coarse))
        return replace(self, nodes=nodes, fine=fine, coarse=coarse)


def _integral(law: Parts, reference: Parts, panels: _Panels, rule: _Rule) -> tuple[Tensor, Tensor]:
    """Return the integral of q (log q - log p) over each panel, and an estimate of its error."""
    like = law.place
    rule = rule.to(like)
    size = _BLOCK // len(rule.nodes)
    values, errors = [like.new_zeros(0)], [like.new_zeros(0)]
    for block in panels.blocks(size):
        half = ((block.high - block.low) / 2).unsqueeze(1)
        y = (block.high + block.low).unsqueeze(1) / 2 + half * rule.nodes
        element = block.window // law.count
        part = _chosen(law.law, block.window.unsqueeze(1))
        place, width = _extent(part)
        t, slope = law.line.spread(y)
        z = place + width * t
        log_part = part.log_prob(z)
        log_q = log_part if law.count == 1 else law.log_prob(element, z)
        ratio = log_q - reference.log_prob(element, z)
        # At the end of a long tail the density alone is below what a number can hold.
        mass = (log_part + slope.log()).exp() * (width * half)
        if law.count > 1:
            mass = mass * law.share.flatten()[block.window].unsqueeze(1)
        integrand = torch.where(mass == 0, 0.0, mass * ratio)
        value = integrand @ rule.fine
        values.append(value)
        with torch.no_grad():
            errors.append(_doubt(integrand, value, rule))
    return torch.cat(values), torch.cat(errors)


def _doubt(integrand: Tensor, value: Tensor, rule: _Rule) -> Tensor:
    """Return the difference of the two rules, or where they have begun to agree, far less.

    As QUADPACK does (Piessens et al. 1983, sec. 2.2): the difference is the coarser rule's error.
    """
    difference = (value - integrand @ rule.coarse).abs()
    scatter = (integrand - value.unsqueeze(1) / 2).abs() @ rule.fine
    scaled = scatter * (rule.caution * difference / scatter.clamp(min=1e-300)).pow(rule.power)
    rounding = 50 * torch.finfo(value.dtype).eps * (integrand.abs() @ rule.fine)
    return torch.minimum(difference, scaled).where(difference > rounding, 0.0)


@cache
def _kronrod() -> _Rule:
    """Kronrod's 15 nodes, the 7 at odd places Gauss'."""
    gauss, weights = np.polynomial.legendre.leggauss(7)
    between = [
        0.991455371120812639,
        0.864864423359769073,
        0.586087235467691130,
        0.207784955007898468,
    ]
    nodes = np.sort(np.concatenate([gauss, between, np.negative(between)]))
    # The weights are those that integrate Legendre's polynomials.
    powers = np.polynomial.legendre.legvander(nodes, len(nodes) - 1).T
    fine = np.linalg.solve(powers, 2 * np.eye(len(nodes))[0])
    coarse = np.zeros_like(fine)
    coarse[1::2] = weights
    nodes_, fine_, coarse_ = (torch.from_numpy(part) for part in (nodes, fine, coarse))
    return _Rule(nodes_, fine_, coarse_, caution=200.0, power=1.5)


@cache
def _trapezoids(intervals: int) -> _Rule:
    """Equal steps, an even number: exponentially exact for what is smooth and vanishes at the ends.

    Twice as many steps square the error (Trefethen & Weideman 2014, SIAM Review 56, sec. 5).
    """
    nodes = torch.linspace(-1, 1, intervals + 1, dtype=torch.float64)
    fine = torch.full_like(nodes, 2 / max(1, intervals))
    coarse = torch.zeros_like(nodes)
    coarse[::2] = 2 * fine[0]
    return _Rule(nodes, fine, coarse, caution=30.0, power=2.0)
