"""Densities on the line, the plane, the circle, the sphere and the square, by quadrature.

Each space has coordinates in a box, in which densities are smooth and broad. A grid over the box
is cut into cells; the mass of each is known by Simpson's rule, and that of all is the integral.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import integrate, stats
from torch import Tensor

#: Intervals of the grid in each cell, in one dimension; even, for Simpson's rule.
_PER_CELL = 20
#: Cells along a dimension: of a line, and of a surface.
_CELLS = {1: 120, 2: 12}
#: z = _FINE sinh(s): steps are even around 0 and grow with |z| further out, up to _FAR.
_FINE, _FAR = 0.2, 60.0


@dataclass(frozen=True)
class Chart:
    """Coordinates of a space.

    Attributes
    ----------
    box
        Ends of each coordinate.
    points
        Coordinates ``(n, m)`` to points ``(n, d)`` and the log of what a unit of coordinate volume
        is worth there, ``(n,)``.
    coordinates
        The inverse: points ``(n, d)`` to ``(n, m)``.
    """

    box: tuple[tuple[float, float], ...]
    points: Callable[[Tensor], tuple[Tensor, Tensor]]
    coordinates: Callable[[Tensor], Tensor]


def real(dim: int) -> Chart:
    """Return the line or the plane."""
    end = math.asinh(_FAR / _FINE)
    return Chart(
        ((-end, end),) * dim,
        lambda s: (_FINE * s.sinh(), (_FINE * s.cosh()).log().sum(-1)),
        lambda z: (z / _FINE).asinh(),
    )


def unit_box(dim: int) -> Chart:
    """Return [0, 1] or the unit square."""
    return Chart(((0.0, 1.0),) * dim, lambda s: (s, torch.zeros_like(s[..., 0])), lambda z: z)


def sphere(dim: int) -> Chart:
    """Return the unit circle (``dim`` 2) or the unit sphere (``dim`` 3), by angles."""
    if dim == 2:
        return Chart(
            ((-math.pi, math.pi),),
            lambda s: (torch.cat([s.cos(), s.sin()], -1), torch.zeros_like(s[..., 0])),
            lambda z: torch.atan2(z[..., 1], z[..., 0]).unsqueeze(-1),
        )

    def points(s: Tensor) -> tuple[Tensor, Tensor]:
        polar, turn = s.unbind(-1)
        around = torch.stack([turn.cos(), turn.sin()], -1) * polar.sin().unsqueeze(-1)
        return torch.cat([around, polar.cos().unsqueeze(-1)], -1), polar.sin().log()

    return Chart(
        ((0.0, math.pi), (-math.pi, math.pi)),
        points,
        lambda z: torch.stack([z[..., 2].acos(), torch.atan2(z[..., 1], z[..., 0])], -1),
    )


class Grid:
    """A density on a grid over a chart: its integral, moments, marginals and fit to draws.

    Parameters
    ----------
    chart
        Of one or two coordinates.
    log_density
        Points ``(n, d)`` to log-densities ``(n,)``.
    """

    def __init__(self, chart: Chart, log_density: Callable[[Tensor], Tensor]) -> None:
        self.chart = chart
        size = _CELLS[len(chart.box)] * _PER_CELL + 1
        self.axes = [torch.linspace(*ends, size, dtype=torch.float64) for ends in chart.box]
        flat = torch.stack(torch.meshgrid(*self.axes, indexing="ij"), -1).flatten(0, -2)
        self.points, log_volume = chart.points(flat)
        with torch.no_grad():
            mass = (log_density(self.points) + log_volume).exp()
        self.density = mass.reshape([size] * len(self.axes)).numpy()

    def _integral(self, values: np.ndarray) -> float:
        for axis in reversed(self.axes):
            values = integrate.simpson(values, x=axis.numpy(), axis=-1)
        return float(values)

    def total(self) -> float:
        """Return the integral of the density."""
        return self._integral(self.density)

    def mean_of(self, f: Callable[[Tensor], Tensor]) -> float:
        """Return the expectation of a function of points, ``(n, d)`` to ``(n,)``."""
        return self._integral(f(self.points).reshape(self.density.shape).numpy() * self.density)

    def marginal(self, axis: int) -> Tensor:
        """Return the density of one of two coordinates, at the points of its axis."""
        other = 1 - axis
        return torch.as_tensor(
            integrate.simpson(self.density, x=self.axes[other].numpy(), axis=other)
        )

    def outside(self, draws: Tensor) -> np.ndarray:
        """Return which draws ``(n, d)`` are beyond the box, as those of heavy tails can be."""
        places = self.chart.coordinates(draws.double()).numpy()
        low, high = np.array(self.chart.box).T
        return ((places < low) | (places > high)).any(-1)

    def p_value(self, draws: Tensor) -> float:
        """Return how likely draws ``(n, d)`` of this density are to lie so far off.

        Of one coordinate by Kolmogorov and Smirnov's test; of two by the chi-square test of the
        numbers of draws in the cells. Where draws lie beyond the box, it is those inside that are
        held against the density inside.
        """
        beyond = self.outside(draws)
        places = self.chart.coordinates(draws.double()).numpy()[~beyond]
        total = self.total() if beyond.any() else 1.0
        if len(self.axes) == 1:
            axis = self.axes[0].numpy()
            below = integrate.cumulative_simpson(self.density, x=axis, initial=0)
            return stats.kstest(places[:, 0], lambda s: np.interp(s, axis, below / total)).pvalue
        edges = [axis.numpy()[::_PER_CELL] for axis in self.axes]
        counts = np.histogram2d(places[:, 0], places[:, 1], bins=edges)[0]
        return chi_square(counts, self._cells() / total, len(places))

    def _cells(self) -> np.ndarray:
        inside = self.density
        for dim, axis in enumerate(self.axes):
            blocks = np.lib.stride_tricks.sliding_window_view(inside, _PER_CELL + 1, axis=dim)
            chosen = [slice(None)] * blocks.ndim
            chosen[dim] = slice(None, None, _PER_CELL)
            inside = integrate.simpson(blocks[tuple(chosen)], dx=float(axis[1] - axis[0]), axis=-1)
        return inside


class Sum:
    """A law of one or two labels: what :class:`Grid` is to a density.

    Parameters
    ----------
    classes
        Number of labels of each unit.
    dim
        Units.
    log_probability
        Codes ``(n, d)`` to log-probabilities ``(n,)``.
    """

    def __init__(self, classes: int, dim: int, log_probability: Callable[[Tensor], Tensor]) -> None:
        labels = torch.arange(classes, dtype=torch.float64)
        self.axes = [labels] * dim
        self.points = torch.cartesian_prod(*self.axes).reshape(-1, dim)
        with torch.no_grad():
            self.mass = log_probability(self.points).exp().reshape([classes] * dim).numpy()

    def total(self) -> float:
        """Return the sum of all probabilities."""
        return float(self.mass.sum())

    def mean_of(self, f: Callable[[Tensor], Tensor]) -> float:
        """Return the expectation of a function of codes, ``(n, d)`` to ``(n,)``."""
        return float((f(self.points).reshape(self.mass.shape).numpy() * self.mass).sum())

    def marginal(self, axis: int) -> Tensor:
        """Return the probabilities of the labels of one of two units."""
        return torch.as_tensor(self.mass.sum(1 - axis))

    def outside(self, draws: Tensor) -> np.ndarray:
        """Return which draws ``(n, d)`` are no labels."""
        known = (draws.unsqueeze(-1).double() == self.axes[0]).any(-1).all(-1)
        return ~known.numpy()

    def p_value(self, draws: Tensor) -> float:
        """Return how likely draws ``(n, d)`` are to lie so far off, by the chi-square test."""
        k, dim = len(self.axes[0]), len(self.axes)
        place = (draws.long() * torch.tensor([k**i for i in reversed(range(dim))])).sum(-1)
        counts = np.bincount(place.numpy(), minlength=k**dim)
        certain = int(self.mass.argmax())
        if self.mass.ravel()[certain] == 1:
            return float(counts[certain] == len(draws))
        return chi_square(counts, self.mass.ravel(), len(draws))


def chi_square(counts: np.ndarray, probabilities: np.ndarray, n: int) -> float:
    """Return the p-value of the numbers of ``n`` draws in cells; rare cells are one with the rest.

    Parameters
    ----------
    counts, probabilities
        Of the cells, of one shape.
    n
        All draws, those outside of all cells too.
    """
    keep = probabilities * n > 5
    assert keep.sum() > 1
    observed = np.append(counts[keep], n - counts[keep].sum())
    expected = np.append(probabilities[keep], max(1 - probabilities[keep].sum(), 1e-9)) * n
    statistic = ((observed - expected) ** 2 / expected)[expected > 1].sum()
    return float(stats.chi2.sf(statistic, (expected > 1).sum() - 1))
