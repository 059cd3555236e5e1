"""Representations whose scores follow from the metrics' definitions.

Every combination of four factors occurs equally often, so that the points *are* the population:
factors are exactly independent, and expected values are exact up to the estimator's own chance.
Three factors a, b, c are measured; e is not, and serves as structure that no factor explains.
"""

import itertools
from typing import NamedTuple

import numpy as np


class Case(NamedTuple):
    codes: np.ndarray
    factors: np.ndarray


REPRESENTATIONS = {
    "perfect": lambda a, b, c, e: (a, b, c),
    "permuted": lambda a, b, c, e: (c, a, b),
    # a and b rotated by 45 degrees, c as it is
    "half_rotated": lambda a, b, c, e: ((a + b) / np.sqrt(2), (a - b) / np.sqrt(2), c),
    "duplicated": lambda a, b, c, e: (a, b, c, a, b, c),
    "missing": lambda a, b, c, e: (a, b, e),
    # compact, not modular: each factor in one code, and one code for two of them
    "merged": lambda a, b, c, e: (a + b, c),
    "monotone": lambda a, b, c, e: (2**a, 2**b, 2**c),
    "collapsed": lambda a, b, c, e: (0 * a, 0 * a, 0 * a),
}


def make(name: str, levels: int = 10, repeats: int = 1) -> Case:
    """Every combination of the four factors, ``repeats`` times."""
    return represent(name, np.array(list(itertools.product(range(levels), repeat=4)) * repeats))


def draw(name: str, n: int, levels: int = 10, seed: int = 0) -> Case:
    """Independent draws: half of a grid tells what is in the other half, half of these does not."""
    return represent(name, np.random.default_rng(seed).integers(levels, size=(n, 4)))


def represent(name: str, factors: np.ndarray) -> Case:
    columns = REPRESENTATIONS[name](*factors.astype(float).T)
    return Case(np.stack(columns, axis=1), factors[:, :3])
