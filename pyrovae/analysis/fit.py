"""From a table of runs to a posterior."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pyro
import torch
import xarray as xr
from pyro.infer.reparam import LocScaleReparam
from torch import Tensor

from pyrovae.analysis.container import contain
from pyrovae.analysis.design import Design, make_design
from pyrovae.analysis.likelihoods import LIKELIHOODS
from pyrovae.analysis.metrics import describe
from pyrovae.analysis.model import Guess, Rows, by_cell, comparison, guess, make_rows
from pyrovae.analysis.posterior import CellPosterior
from pyrovae.analysis.sampling import Sampling, run_nuts
from pyrovae.core.errors import PyrovaeError
from pyrovae.measures.posterior.convergence import MIN_ESS, convergence
from pyrovae.measures.scores import Score

#: Column with the largest count that ``count`` metrics can have.
TOTAL = "latent_dim"
#: Draws of all chains from which on they can be expected to pass the gate: fewer are not run again.
_ENOUGH = 2 * MIN_ESS


class NothingToCompare(PyrovaeError):
    """The runs cannot tell effects from seeds, with the reason."""


def fit(
    runs: pd.DataFrame,
    metric: str | Score,
    factors: Sequence[str],
    *,
    sampling: Sampling | None = None,
) -> CellPosterior:
    """Fit the hierarchical model of one metric.

    Parameters
    ----------
    runs
        One row for each run: the metric's column, the factors' columns and, for counts,
        ``latent_dim``. Rows without a value (NaN) are left out.
    metric
        A column, or its description where :func:`pyrovae.analysis.metrics.describe` does not do.
    factors
        Columns that tell cells apart; runs that agree in all of them are seeds of one cell.
    sampling
        How NUTS is run. Chains that do not pass their gate are thrown away, and others run once, as
        :meth:`~pyrovae.analysis.sampling.Sampling.careful` says.

    Returns
    -------
    CellPosterior
        It refuses to conclude if the chains did not converge.

    Raises
    ------
    NothingToCompare
        If there are no values, no cell with two runs, or all values are the same.

    Examples
    --------
    >>> study = load_study("results/prior_comparison")  # doctest: +SKIP
    >>> mig = fit(study.runs, "mig", ["prior", "posterior"])  # doctest: +SKIP
    >>> (mig.of(prior="laplace") > mig.of(prior="standard_normal")).mean()  # doctest: +SKIP
    """
    known, metric = _known(runs, metric)
    key, sampling = metric.key, sampling or Sampling()
    keys = pd.MultiIndex.from_frame(known[list(factors)]) if factors else None
    code = pd.Series(np.zeros(len(known), dtype=int) if keys is None else pd.factorize(keys)[0])
    runs_of = code.value_counts().sort_index()
    if runs_of.max() < 2:
        raise NothingToCompare(f"{key}: no cell has two seeds, so effects cannot be told from them")
    first = ~code.duplicated().to_numpy()
    cells = known.loc[first, list(factors)].reset_index(drop=True)
    design = make_design(cells, factors)
    law = LIKELIHOODS[metric.kind]
    if metric.kind == "count":
        total = known.loc[first, TOTAL].astype(float).reset_index(drop=True)
    else:
        total = pd.Series(np.zeros(len(cells)))
    rows = make_rows(known[key], code, total, law, design)
    linked = law.link(known[key].to_numpy(dtype=float), total.to_numpy()[code])

    def model(rows: Rows) -> None:
        comparison(design, rows, law)

    first_guess = guess(design, rows, linked, law)
    for how in (sampling, sampling.careful()):
        draws, divergent = _sample(model, rows, design, first_guess, how)
        draws["location"], draws["noise"] = by_cell(design, rows, draws)
        draws["mean"] = law.mean(draws["location"], draws["noise"], rows.total)
        # All that is concluded is a function of the cells' means.
        told = convergence({"mean": draws["mean"].numpy()}, divergent=divergent)
        if told.passed or how.chains * how.draws < _ENOUGH:
            break
    data = contain(draws, design, rows, law, known, key, how)
    named = {f: ("cell", cells[f].to_numpy()) for f in factors}
    means = xr.DataArray(
        draws["mean"].flatten(0, 1).numpy(),
        dims=("sample", "cell"),
        coords={"cell": np.arange(len(cells)), **named, "runs": ("cell", runs_of.to_numpy())},
        name=key,
    )
    return CellPosterior(metric, design, means, told, data)


def _known(runs: pd.DataFrame, metric: str | Score) -> tuple[pd.DataFrame, Score]:
    """Return the runs that have a value, and what is known of the metric.

    Raises
    ------
    NothingToCompare
        If there is nothing to be told from the values.
    """
    key = metric.key if isinstance(metric, Score) else metric
    if key not in runs:
        raise NothingToCompare(f"no run has the metric '{key}'")
    known = runs.dropna(subset=[key])
    described = describe(key, known[key]) if isinstance(metric, str) else metric
    if known.empty:
        raise NothingToCompare(f"{key}: no run has a value")
    if not np.isfinite(known[key]).all():
        raise NothingToCompare(f"{key}: some values are infinite")
    if known[key].nunique() < 2:
        raise NothingToCompare(f"{key}: all runs have the value {known[key].iloc[0]:g}")
    return known, described


def _sample(
    model: Callable[[Rows], None], rows: Rows, design: Design, first: Guess, sampling: Sampling
) -> tuple[dict[str, Tensor], float]:
    """Run NUTS with effects and noise partly centred, and give back these themselves."""

    def reparametrised(rows: Rows, centring: dict[str, Tensor]) -> None:
        config = {site: LocScaleReparam(share) for site, share in centring.items()}
        pyro.poutine.reparam(model, config)(rows)

    reads = (rows, first.centring)
    draws, divergent = run_nuts(reparametrised, reads, first.sites, sampling)
    scales = {"effects": "spread", "noise_by_cell": "noise_spread"}
    for site, centring in first.centring.items():
        scale = draws[scales[site]]
        scale = (
            scale[..., torch.as_tensor(design.term_of_column)]
            if site == "effects"
            else scale[..., None]
        )
        draws[site] = scale ** (1 - centring) * draws.pop(f"{site}_decentered")
    return draws, divergent
