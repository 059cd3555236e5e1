"""From factors to columns: main effects and two-way interactions, each summing to zero."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Matrix = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Term:
    """One factor's effect, or what two factors do together beyond the sum of theirs.

    Attributes
    ----------
    factors
        One, two, or none: what is left of a cell, if there are more than two factors.
    levels
        What each row of ``basis`` belongs to: a value of each factor.
    basis
        ``(levels, columns)``: orthogonal columns that sum to zero, rows of length one, so that
        independent coefficients of variance s² give each level an effect of variance s².
    columns
        ``(cells, columns)``: the row of ``basis`` that each cell has.
    """

    factors: tuple[str, ...]
    levels: tuple[tuple[Any, ...], ...]
    basis: Matrix
    columns: Matrix

    @property
    def name(self) -> str:
        """``"prior"``, ``"prior:posterior"`` or ``"cell"``."""
        return ":".join(self.factors) or "cell"


@dataclass(frozen=True)
class Design:
    """The cells of a study and their terms.

    Attributes
    ----------
    factors
        What cells differ in.
    cells
        One row for each: the factors' values.
    levels
        Values of each factor, in order of appearance.
    terms
        Main effects, two-way interactions, and a rest of each cell for three factors or more.
    """

    factors: tuple[str, ...]
    cells: pd.DataFrame
    levels: dict[str, list[Any]]
    terms: tuple[Term, ...]

    @property
    def columns(self) -> Matrix:
        """``(cells, columns of all terms)``."""
        blocks = [term.columns for term in self.terms]
        return np.concatenate(blocks, axis=1) if blocks else np.zeros((len(self.cells), 0))

    def parts(self, means: Matrix) -> Iterator[tuple[Term, Matrix]]:
        """Yield each term of factors with its part in cell means, by least squares.

        Parameters
        ----------
        means
            ``(..., cells)``, in any unit.

        Yields
        ------
        term, values
            ``(..., levels)``, in the same unit: how far the levels lie from what simpler terms say.
        """
        terms = [term for term in self.terms if term.factors]
        blocks = [np.ones((len(self.cells), 1)), *(term.columns for term in terms)]
        fitted = means @ np.linalg.pinv(np.concatenate(blocks, axis=1)).T
        at = 1
        for term in terms:
            size = term.columns.shape[1]
            yield term, fitted[..., at : at + size] @ term.basis.T
            at += size

    @property
    def term_of_column(self) -> NDArray[np.int64]:
        """Index of the term that each column belongs to."""
        sizes = [term.columns.shape[1] for term in self.terms]
        return np.repeat(np.arange(len(self.terms)), sizes)


def make_design(cells: pd.DataFrame, factors: Sequence[str]) -> Design:
    """Return the design of some cells.

    Parameters
    ----------
    cells
        One row for each cell; not every combination of levels need be there.
    factors
        Columns of ``cells``; those with one level are left out.
    """
    kept = tuple(f for f in factors if cells[f].nunique() > 1)
    levels = {f: cells[f].drop_duplicates().tolist() for f in kept}
    mains = [_main(cells, f, levels[f]) for f in kept]
    pairs = [_pair(a, b) for a, b in itertools.combinations(mains, 2)]
    terms = [*mains, *(term for term in pairs if term.columns.any())]
    modelled = np.column_stack([np.ones(len(cells)), *(term.columns for term in terms)])
    if len(kept) > 2 and np.linalg.matrix_rank(modelled) < len(cells):
        terms.append(_rest(cells, kept))
    return Design(kept, cells.reset_index(drop=True), levels, tuple(terms))


def _main(cells: pd.DataFrame, factor: str, levels: list[Any]) -> Term:
    n = len(levels)
    # Helmert's contrasts: orthogonal to each other and to the constant.
    helmert = np.zeros((n, n - 1))
    for k in range(n - 1):
        helmert[: k + 1, k], helmert[k + 1, k] = 1.0, -(k + 1.0)
    helmert /= np.linalg.norm(helmert, axis=0)
    basis = helmert * np.sqrt(n / (n - 1))
    rows = [levels.index(value) for value in cells[factor]]
    return Term((factor,), tuple((level,) for level in levels), basis, basis[rows])


def _pair(a: Term, b: Term) -> Term:
    basis = np.kron(a.basis, b.basis)
    levels = tuple((*i, *j) for i, j in itertools.product(a.levels, b.levels))
    columns = np.einsum("ci,cj->cij", a.columns, b.columns).reshape(len(a.columns), -1)
    return Term((*a.factors, *b.factors), levels, basis, columns)


def _rest(cells: pd.DataFrame, factors: Sequence[str]) -> Term:
    levels = tuple(cells[list(factors)].itertuples(index=False, name=None))
    own = np.eye(len(cells), dtype=np.float64)
    return Term((), levels, own, own)
