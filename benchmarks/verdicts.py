"""How often verdicts claim a difference where there is none, and how often they find one.

::

    python -m benchmarks.verdicts                  # a minute
    python -m benchmarks.verdicts --fit --studies 40     # by NUTS, as `study analyse`: hours

A made study has the cells and seeds of the default one, three priors by two posteriors with six
seeds, and a score of each of :data:`SCORES`, drawn by laws of which the analysis knows nothing. It
goes the way of a real one, from contrasts to what is asserted, with one abridgement unless
``--fit``: the posterior is that of the comparison's model with normal noise, the same in all cells,
for which it is known up to sums over a grid (:func:`normal_posterior`).
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from pyrovae.analysis.design import Design, make_design
from pyrovae.analysis.fit import NothingToCompare, fit
from pyrovae.analysis.judged import CLAIMS, bar, judge
from pyrovae.analysis.likelihoods import LIKELIHOODS
from pyrovae.analysis.posterior import CellPosterior, NotConverged
from pyrovae.measures.posterior.convergence import Convergence
from pyrovae.measures.scores import Kind, Score

FACTORS = ("prior", "posterior")
LEVELS = (("generalized_normal", "standard_normal", "student_t"), ("mean_field", "full_rank"))
SEEDS, UNITS, DRAWS = 6, 10, 2400

Values = NDArray[np.float64]
#: From a generator and the cells' shifts ``(cells, 1)``, in standard deviations over seeds, to
#: values ``(cells, seeds)``.
Draw = Callable[[np.random.Generator, Values], Values]
Posterior = Callable[[Values, Score, Design, np.random.Generator], CellPosterior]


@dataclass(frozen=True)
class Made:
    """A score of made studies: its declaration, and its law."""

    score: Score
    draw: Draw


def _shape(shift: Values) -> tuple[int, int]:
    return len(shift), SEEDS


def _share(mean: float, sd: float) -> Draw:
    def draw(rng: np.random.Generator, shift: Values) -> Values:
        at = np.clip(mean + sd * shift, 0.02, 0.98)
        precision = mean * (1 - mean) / sd**2 - 1
        return rng.beta(at * precision, (1 - at) * precision, _shape(shift))

    return draw


def _count(sd: float) -> Draw:
    def draw(rng: np.random.Generator, shift: Values) -> Values:
        # Some studies have their mean at a whole number, some between two.
        values = rng.normal(rng.uniform(3, 4) + sd * shift, sd, _shape(shift))
        return np.clip(np.round(values), 0, UNITS)

    return draw


def _real(law: Any) -> Draw:
    return lambda rng, shift: -90 + 3 * (shift + law.rvs(size=_shape(shift), random_state=rng))


def _positive(rng: np.random.Generator, shift: Values) -> Values:
    return np.exp(-3 + 0.5 * (shift + rng.normal(size=_shape(shift))))


def _made(key: str, kind: Kind, draw: Draw) -> Made:
    return Made(Score(key, key, kind=kind, better="high"), draw)


SCORES = (
    _made("count", "count", _count(0.5)),
    _made("wide_count", "count", _count(1.0)),
    _made("share", "proportion", _share(0.35, 0.1)),
    _made("high_share", "proportion", _share(0.9, 0.07)),
    _made("low_share", "proportion", _share(0.1, 0.05)),
    _made("real", "real", _real(stats.norm())),
    _made("outlying", "real", _real(stats.t(3))),
    _made("positive", "positive", _positive),
)


def design() -> Design:
    """Return the design of every study."""
    cells = pd.DataFrame(list(itertools.product(*LEVELS)), columns=list(FACTORS))
    return make_design(cells, FACTORS)


def normal_posterior(
    values: Values, score: Score, design: Design, rng: np.random.Generator
) -> CellPosterior:
    """Return independent draws of the cells' means under normal noise of equal size.

    With as many runs in each cell, contrasts are orthogonal: given the noise, the terms of the
    model (:mod:`pyrovae.analysis.model`) are independent, and the spread of each is a sum over a
    grid.

    Parameters
    ----------
    values
        ``(cells, seeds)``; counts are taken as they are, other kinds on their link's scale.
    score, design
        Of the study.
    rng
        Of the draws.
    """
    law = LIKELIHOODS[score.kind]
    counted = score.kind == "count"
    linked = values if counted else law.link(values, np.zeros_like(values))
    location, unit = float(linked.mean()), float(linked.std(ddof=1))
    y = (linked - location) / unit
    columns = np.column_stack([np.ones(len(y)), design.columns])
    size = (columns**2).sum(0)
    found = columns.T @ y.mean(1) / size
    squares, freedom = ((y - y.mean(1, keepdims=True)) ** 2).sum(), y.size - len(y)
    noise, spread = np.geomspace(0.02, 4, 80), np.geomspace(0.005, 5, 80)
    error = noise[:, None] / np.sqrt(values.shape[1] * size)
    mean, sd = (-0.5, 1.0) if counted else law.log_noise
    # Noise of counts counts in units, that of others in the spread of all runs.
    at = np.log(noise * (unit if counted else 1.0))
    log_noise = stats.norm.logpdf(at, mean, sd) - freedom * np.log(noise)
    log_noise -= squares / (2 * noise**2)
    log_noise += stats.norm.logpdf(found[0], 0, np.sqrt(1 + error[:, 0] ** 2))
    terms = [np.flatnonzero(design.term_of_column == t) + 1 for t in range(len(design.terms))]
    log_spread = []
    for term in terms:
        width = np.sqrt(spread[None, :, None] ** 2 + error[:, None, term] ** 2)
        given = stats.norm.logpdf(found[term], 0, width).sum(-1)
        # The last is the grid's step, which is even in logarithms.
        given += stats.halfnorm.logpdf(spread) + np.log(spread)
        log_spread.append(given)
        log_noise = log_noise + np.logaddexp.reduce(given, axis=1)
    chosen = rng.choice(len(noise), DRAWS, p=_shares(log_noise))
    prior_sd = np.ones((DRAWS, len(found)))
    for term, given in zip(terms, log_spread, strict=True):
        until = np.cumsum([_shares(row) for row in given], axis=1)
        drawn = (until[chosen] < rng.uniform(size=(DRAWS, 1))).sum(1)
        prior_sd[:, term] = spread[np.minimum(drawn, len(spread) - 1)][:, None]
    precision = error[chosen] ** -2 + prior_sd**-2
    coefficients = found * error[chosen] ** -2 / precision
    coefficients = coefficients + rng.normal(size=coefficients.shape) / np.sqrt(precision)
    means = location + unit * coefficients @ columns.T
    back = {"proportion": lambda x: 1 / (1 + np.exp(-x)), "positive": np.exp}
    means = back.get(score.kind, lambda x: x)(means)
    runs = ("cell", np.full(len(values), values.shape[1]))
    draws = xr.DataArray(means, dims=("sample", "cell"), coords={"runs": runs})
    return CellPosterior(score, design, draws, Convergence(1.0, DRAWS, DRAWS, 0.0), None)


def nuts_posterior(
    values: Values, score: Score, design: Design, rng: np.random.Generator
) -> CellPosterior:
    """Return what ``pyrovae study analyse`` fits."""
    rows = design.cells.loc[np.repeat(np.arange(len(values)), SEEDS)]
    runs = rows.assign(**{score.key: values.ravel(), "latent_dim": UNITS})
    return fit(runs, score, list(FACTORS))


def _shares(logs: Values) -> Values:
    weights = np.exp(logs - logs.max())
    return weights / weights.sum()


def compared(
    made: Made, values: Values, posterior: Posterior, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the contrasts of a score, and its differences within cells; empty if refused."""
    if len(np.unique(values)) < 2:
        return pd.DataFrame(), pd.DataFrame()  # as the analysis does: nothing to compare
    try:
        found = posterior(values, made.score, design(), rng)
        key = made.score.key
        return found.contrasts().assign(metric=key), found.within().assign(metric=key)
    except (NothingToCompare, NotConverged):
        return pd.DataFrame(), pd.DataFrame()


def judged(pairs: pd.DataFrame, cells: pd.DataFrame, enough: float) -> dict[str, str]:
    """Return what is found of each factor in one score."""
    if pairs.empty:
        return {}
    return {
        str(factor): judge(part, cells[cells["factor"] == factor], enough).finding
        for factor, part in pairs.groupby("factor", sort=False)
    }


def shifted(seed: int, made: Made, shift: Values) -> Values:
    """Return a score's values ``(cells, seeds)`` in a study, of the same random numbers always."""
    return made.draw(np.random.default_rng([seed, *made.score.key.encode()]), shift)


def claims(found: dict[str, str]) -> bool:
    """Tell whether a difference is claimed."""
    return any(finding in CLAIMS for finding in found.values())


#: Which cells are shifted, in the order of :func:`design`: one, all of one prior, all of one
#: posterior, and one posterior's under two priors in opposite directions.
SHIFTS: dict[str, tuple[int, ...]] = {
    "one cell": (1, 0, 0, 0, 0, 0),
    "one prior": (1, 1, 0, 0, 0, 0),
    "one posterior": (1, 0, 1, 0, 1, 0),
    "turning": (1, -1, 0, 0, -1, 1),
}


def nothing_differs(
    studies: Sequence[int], posterior: Posterior = normal_posterior
) -> pd.DataFrame:
    """Return, for each study in which nothing differs, of which scores a difference is claimed.

    Returns
    -------
    DataFrame
        A row a study. ``together``: by the rule, of any of all scores; ``each at 95 %``: the same,
        if each score and factor were held to 95 % by itself; and by the rule for each score, were
        it the only one.
    """
    rows = []
    nothing = np.zeros((len(design().cells), 1))
    for i in studies:
        found = {
            made.score.key: compared(
                made, shifted(i, made, nothing), posterior, np.random.default_rng([i, 1])
            )
            for made in SCORES
        }
        enough = bar(*(pd.concat(tables) for tables in zip(*found.values(), strict=True)))
        rows.append(
            {
                "together": any(claims(judged(*tables, enough)) for tables in found.values()),
                "each at 95 %": any(claims(judged(*tables, 0.95)) for tables in found.values()),
                **{key: claims(judged(*tables, bar(*tables))) for key, tables in found.items()},
            }
        )
    return pd.DataFrame(rows, index=list(studies))


def something_differs(
    studies: Sequence[int],
    posterior: Posterior = normal_posterior,
    *,
    keys: Sequence[str] = ("count", "share", "real"),
    sizes: Sequence[float] = (1, 2, 3, 4),
) -> pd.DataFrame:
    """Return how often a shift of a score is found, by the rule, looking at all scores.

    Returns
    -------
    DataFrame
        A row for each of :data:`SHIFTS` and size, in standard deviations over seeds: the share of
        studies for each score.
    """
    one = pd.DataFrame(itertools.product((made.score.key for made in SCORES), FACTORS))
    looks = one.set_axis(["metric", "factor"], axis=1)
    enough = bar(looks, looks)
    rows = []
    for (name, cells), size in itertools.product(SHIFTS.items(), sizes):
        shift = size * np.array(cells, dtype=float)[:, None]
        row: dict[str, Any] = {"shifted": name, "by": size}
        for made in (made for made in SCORES if made.score.key in keys):
            row[made.score.key] = np.mean(
                [
                    claims(
                        judged(
                            *compared(
                                made,
                                shifted(i, made, shift),
                                posterior,
                                np.random.default_rng([i, 2]),
                            ),
                            enough,
                        )
                    )
                    for i in studies
                ]
            )
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--fit", action="store_true", help="by NUTS")
    given = parser.parse_args()
    posterior = nuts_posterior if given.fit else normal_posterior
    studies = range(given.studies)
    print(nothing_differs(studies, posterior).mean().to_string(), flush=True)
    print(something_differs(studies[: max(given.studies // 4, 1)], posterior).to_string())


if __name__ == "__main__":
    main()
