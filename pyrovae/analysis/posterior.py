"""The posterior of each cell's mean, and what may be concluded from it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from pyrovae.analysis.design import Design
from pyrovae.core.errors import PyrovaeError
from pyrovae.measures.arviz import InferenceData
from pyrovae.measures.posterior.convergence import Convergence
from pyrovae.measures.scores import Score

Draws = NDArray[np.float64]

#: Mass of posterior intervals.
LEVEL = 0.95


class NotConverged(PyrovaeError):
    """The chains disagree or are too short: no conclusion is given."""


@dataclass(frozen=True)
class CellPosterior:
    """Posterior draws of a metric's mean in each cell.

    Every method that concludes something raises :class:`NotConverged` if the chains do not pass.

    Attributes
    ----------
    metric
        What was measured.
    design
        Cells and factors; ``design.cells`` has a row for each cell.
    draws
        Dims ``(sample, cell)``: cell means in the metric's own unit. Each factor is a coordinate
        along ``cell``, and so is ``runs``, the number of runs there.
    convergence
        R-hat, effective sizes and divergences, and whether they pass.
    data
        All of it for ArviZ: :mod:`pyrovae.analysis.container`.
    """

    metric: Score
    design: Design
    draws: xr.DataArray
    convergence: Convergence
    data: InferenceData = field(repr=False)

    def require(self) -> None:
        """Raise :class:`NotConverged` unless the chains pass."""
        if not self.convergence.passed:
            raise NotConverged(
                f"{self.metric.key}: {self.convergence.reason}; nothing is concluded"
            )

    def of(self, **levels: Any) -> Draws:
        """Return draws ``(samples,)`` of the mean over the cells that have these levels.

        Raises
        ------
        PyrovaeError
            If no cell has them.
        NotConverged
            See the class.
        """
        self.require()
        chosen = np.ones(len(self.design.cells), dtype=bool)
        for factor, level in levels.items():
            if factor not in self.design.cells:
                raise PyrovaeError(f"{self.metric.key}: cells have no factor '{factor}'")
            chosen &= (self.design.cells[factor] == level).to_numpy()
        if not chosen.any():
            said = ", ".join(f"{k}={v}" for k, v in levels.items())
            raise PyrovaeError(f"{self.metric.key}: no cell has {said}")
        return self.draws.values[:, chosen].mean(1)

    def probability(self, event: Callable[[xr.DataArray], Any]) -> float:
        """Return the posterior probability of an event.

        Parameters
        ----------
        event
            From :attr:`draws` to one truth value for each sample, for example
            ``lambda draws: draws.sel(cell=0) > draws.sel(cell=1)``.
        """
        self.require()
        true = np.asarray(event(self.draws))
        if true.shape != (self.draws.sizes["sample"],) or true.dtype != bool:
            raise ValueError(f"an event is one truth value a sample, got {true.dtype} {true.shape}")
        return float(true.mean())

    def cells(self) -> pd.DataFrame:
        """Return a row for each cell: its factors, ``runs``, ``mean``, ``low``, ``high``, ``best``.

        ``low`` and ``high`` are the ends of the central 95 % interval; ``best`` is the probability
        that the cell is the best of all (NaN where no way is better).
        """
        self.require()
        values = self.draws.values
        summary = [summarise(column) for column in values.T]
        best = (
            self.best(values)
            if self.metric.better != "neither"
            else np.full(values.shape[1], np.nan)
        )
        table = self.design.cells.assign(runs=self.draws["runs"].values)
        return table.assign(**pd.DataFrame(summary).to_dict("list"), best=best)

    def best(self, values: Draws) -> Draws:
        """Return, for each column of draws, the probability that it is the best one.

        Ties are shared, so that the probabilities sum to one.
        """
        self.require()
        if self.metric.better == "neither":
            raise PyrovaeError(f"{self.metric.key}: neither higher nor lower is better")
        signed = values if self.metric.better == "high" else -values
        top = signed == signed.max(1, keepdims=True)
        return (top / top.sum(1, keepdims=True)).mean(0)

    def levels(self) -> pd.DataFrame:
        """Return a row for each level of each factor: the mean over its cells, and P(best).

        Cells count alike, whatever their number of runs. Where some combinations of levels are
        missing, levels are not measured in the same company: see :meth:`contrasts` then.
        """
        tables = []
        for factor, levels in self.design.levels.items():
            values = np.column_stack([self.of(**{factor: level}) for level in levels])
            best = (
                self.best(values)
                if self.metric.better != "neither"
                else np.full(len(levels), np.nan)
            )
            summary = pd.DataFrame([summarise(column) for column in values.T])
            tables.append(summary.assign(factor=factor, level=[str(v) for v in levels], best=best))
        return _joined(tables, ["factor", "level"])

    def contrasts(self) -> pd.DataFrame:
        """Return a row for each pair of levels of a factor: ``a`` minus ``b``.

        The difference is averaged over the cells that differ in this factor only. Columns besides
        its summary: ``pairs``, how many cells that are; ``positive`` = P(difference > 0);
        ``better`` = P(a better than b); ``rope`` = P(practically equal), ``above`` and ``below`` =
        P(a beyond that above b, below b), for ratios where the metric is ``positive``.

        A pair says that a is above b, or below, whichever is the more probable. ``jointly`` is the
        probability that what it says and what all surer pairs of its factor say holds together: of
        several pairs looked at, those may be asserted whose ``jointly`` is high. ``crossing`` is
        the probability that a is beyond practical equivalence above b in some of the cells averaged
        over, and below in others: the average then says nothing of either. ``everywhere`` is the
        probability that they are practically equal in each of those cells.
        """
        self.require()
        rows = []
        for factor in self.design.factors:
            claims, found = [], []
            for a, b, at_a, at_b in self._pairs(factor):
                first, second = self.draws.values[:, at_a], self.draws.values[:, at_b]
                apart, width = self._beyond(first, second), self.metric.equivalence
                claims.append(self._claim(first, second))
                crossing = (apart > width).any(1) & (apart < -width).any(1)
                found.append(
                    {
                        "factor": factor,
                        "a": str(a),
                        "b": str(b),
                        "pairs": len(at_a),
                        **self.compare(first, second),
                        "crossing": float(crossing.mean()),
                        "everywhere": float((np.abs(apart) <= width).all(1).mean()),
                    }
                )
            rows += [row | {"jointly": p} for row, p in zip(found, _jointly(claims), strict=True)]
        return pd.DataFrame(rows)

    def within(self) -> pd.DataFrame:
        """Return a row for each pair of cells that differ in one factor only.

        Columns as in :meth:`contrasts`, of one pair of cells instead of an average: ``where`` has
        the other factors' levels by name, as JSON. ``jointly`` goes over all pairs of cells of a
        factor.
        """
        self.require()
        rows = []
        for factor in self.design.factors:
            others = [name for name in self.design.factors if name != factor]
            claims, found = [], []
            for a, b, at_a, at_b in self._pairs(factor) if others else ():
                for i, j in zip(at_a, at_b, strict=True):
                    first, second = self.draws.values[:, [i]], self.draws.values[:, [j]]
                    claims.append(self._claim(first, second))
                    levels = {name: str(self.design.cells[name].iloc[i]) for name in others}
                    found.append(
                        {
                            "factor": factor,
                            "where": json.dumps(levels, ensure_ascii=False),
                            "a": str(a),
                            "b": str(b),
                            **self.compare(first, second),
                        }
                    )
            rows += [row | {"jointly": p} for row, p in zip(found, _jointly(claims), strict=True)]
        return pd.DataFrame(rows)

    def _pairs(self, factor: str) -> Iterator[tuple[Any, Any, list[int], list[int]]]:
        """Yield each pair of a factor's levels with the cells that differ in it only."""
        for a, b in itertools.combinations(self.design.levels[factor], 2):
            at_a, at_b = self._matched(factor, a, b)
            if at_a:
                yield a, b, at_a, at_b

    def _claim(self, first: Draws, second: Draws) -> NDArray[np.bool_]:
        """Return in which draws the more probable of two orders holds, beyond equivalence."""
        apart, width = self._beyond(first, second).mean(1), self.metric.equivalence
        above, below = apart > width, apart < -width
        return above if above.mean() >= below.mean() else below

    def compare(self, first: Draws, second: Draws) -> dict[str, float]:
        """Summarise how much ``first`` exceeds ``second``, both ``(samples, pairs)``."""
        self.require()
        difference = (first - second).mean(1)
        better = {"high": difference > 0, "low": difference < 0}.get(self.metric.better)
        scale = self._beyond(first, second).mean(1)
        return {
            **summarise(difference),
            "positive": float((difference > 0).mean()),
            "better": float("nan") if better is None else float(better.mean()),
            "rope": float((np.abs(scale) <= self.metric.equivalence).mean()),
            "above": float((scale > self.metric.equivalence).mean()),
            "below": float((scale < -self.metric.equivalence).mean()),
        }

    def _beyond(self, first: Draws, second: Draws) -> Draws:
        """Return differences on the scale of practical equivalence: logs of ratios or plain."""
        if self.metric.kind == "positive":
            return np.log(first) - np.log(second)
        return first - second

    def _matched(self, factor: str, a: Any, b: Any) -> tuple[list[int], list[int]]:
        others = [f for f in self.design.factors if f != factor]
        place = {
            (row[factor], *(row[f] for f in others)): i
            for i, row in enumerate(self.design.cells.to_dict("records"))
        }
        pairs = [
            (i, place[(b, *key[1:])])
            for key, i in place.items()
            if key[0] == a and (b, *key[1:]) in place
        ]
        return [i for i, _ in pairs], [j for _, j in pairs]

    def effects(self) -> pd.DataFrame:
        """Return main effects and two-way interactions in the metric's own unit.

        They are the least-squares parts of the cell means: a main effect is the distance of a
        level from the mean of all levels; an interaction is what a pair of levels adds beyond both.
        A row for each: ``term``, ``level``, and the summary with ``positive`` = P(effect > 0).
        """
        self.require()
        rows: list[dict[str, Any]] = []
        for term, level, values in self._parts():
            rows.append(
                {
                    "term": term,
                    "level": level,
                    **summarise(values),
                    "positive": float((values > 0).mean()),
                }
            )
        return pd.DataFrame(rows, columns=["term", "level", *_SUMMARY, "positive"])

    def _parts(self) -> Iterator[tuple[str, str, Draws]]:
        for term, values in self.design.parts(self.draws.values):
            present = set(self.design.cells[list(term.factors)].itertuples(index=False, name=None))
            for level, column in zip(term.levels, values.T, strict=True):
                if level in present:
                    yield term.name, ":".join(map(str, level)), column


def _jointly(claims: Sequence[NDArray[np.bool_]]) -> list[float]:
    """Return for each claim, ``(samples,)``, the probability that it and all surer ones hold."""
    if not claims:
        return []
    shares = np.mean(claims, axis=1)
    order = np.argsort(-shares, kind="stable")
    found = np.empty(len(claims))
    found[order] = np.logical_and.accumulate(np.stack(claims)[order]).mean(1)
    return found.tolist()


_SUMMARY = ("mean", "low", "high")


def summarise(draws: Draws, level: float = LEVEL) -> dict[str, float]:
    """Return ``mean``, ``low`` and ``high`` (the central interval) of draws ``(samples,)``."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return dict(zip(_SUMMARY, (float(draws.mean()), float(low), float(high)), strict=True))


def _joined(tables: Sequence[pd.DataFrame], first: list[str]) -> pd.DataFrame:
    columns = [*first, *_SUMMARY, "best"]
    return (
        pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)
    )
