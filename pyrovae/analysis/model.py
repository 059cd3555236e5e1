"""The comparison as a probabilistic program.

For a run of cell c, on the scale of the metric's link, where u and m are the standard deviation and
mean of all runs,

.. math::
    \\eta_c = m + u\\,(\\alpha + \\sum_t x_{ct}^\\top \\beta_t), \\qquad
    \\beta_t \\sim N(0, s_t^2), \\quad s_t \\sim N^+(0, 1), \\quad \\alpha \\sim N(0, 1),

    \\log \\sigma_c = \\log \\sigma + w_c, \\qquad
    w_c \\sim N(0, \\omega^2), \\quad \\omega \\sim N^+(0, 1/2), \\quad
    y \\sim \\mathrm{law}(\\eta_c, \\sigma_c).

Terms t are the factors and their pairs; the spread s_t of a term's effects is learned, so that a
term without effect is drawn to zero as a whole (Gelman 2005, analysis of variance). Seeds vary more
in some cells than in others: ω (zero for counts, where rounding hides it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from pyrovae.analysis.design import Design
from pyrovae.analysis.likelihoods import Likelihood


class Rows(NamedTuple):
    """What the model conditions on; a tuple of tensors, so that a traced program can read others.

    Attributes
    ----------
    y
        Prepared values, ``(runs,)``.
    cell
        Index of each run's cell.
    total
        Largest count of each cell; zero for metrics that count nothing.
    location, unit
        Mean and standard deviation of the values on the scale of the link, ``()``.
    columns
        Of the design, ``(cells, columns)``.
    """

    y: Tensor
    cell: Tensor
    total: Tensor
    location: Tensor
    unit: Tensor
    columns: Tensor


def make_rows(
    values: pd.Series, cell: pd.Series, total: pd.Series, law: Likelihood, design: Design
) -> Rows:
    """Prepare a metric's values."""
    raw, counted = values.to_numpy(dtype=float), total.to_numpy(dtype=float)
    index = torch.tensor(cell.to_numpy())
    linked = law.link(raw, counted[index.numpy()])
    return Rows(
        torch.tensor(law.prepare(raw)),
        index,
        torch.tensor(counted),
        torch.tensor(linked.mean()),
        torch.tensor(linked.std()),
        torch.as_tensor(design.columns),
    )


def comparison(design: Design, rows: Rows, law: Likelihood) -> None:
    """Run the program; see the module."""
    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    cells = len(design.cells)
    sites = {"intercept": pyro.sample("intercept", dist.Normal(zero, one))}
    if design.terms:
        spread = pyro.sample("spread", dist.HalfNormal(one.expand(len(design.terms))).to_event(1))
        scale = spread[torch.as_tensor(design.term_of_column)]
        sites["effects"] = pyro.sample("effects", dist.Normal(zero, scale).to_event(1))
    mean, sd = law.log_noise
    sites["log_noise"] = pyro.sample("log_noise", dist.Normal(mean * one, sd * one))
    if law.noise_differs:
        spread_of_noise = pyro.sample("noise_spread", dist.HalfNormal(0.5 * one))
        sites["noise_by_cell"] = pyro.sample(
            "noise_by_cell", dist.Normal(zero, spread_of_noise.expand(cells)).to_event(1)
        )
    sites["location"], sites["noise"] = by_cell(design, rows, sites)
    if law.heavy_tailed:
        sites["df"] = pyro.sample("df", dist.Gamma(2.0 * one, 0.1 * one))
    with pyro.plate("runs", len(rows.y)):
        pyro.sample("y", of_runs(rows, law, sites), obs=rows.y)


def of_runs(rows: Rows, law: Likelihood, sites: Mapping[str, Tensor]) -> dist.TorchDistribution:
    """Return the law of every run's value, ``(..., runs)``, for one draw of sites or many.

    ``sites`` has ``location`` and ``noise`` of the cells, and ``df`` where the law is heavy-tailed.
    """
    cell = rows.cell
    # Juárez and Steel (2010), from 2 on so that the variance is finite.
    df = 2.0 + sites["df"][..., None] if law.heavy_tailed else None
    location, noise = sites["location"][..., cell], sites["noise"][..., cell]
    return law.law(location, noise, rows.unit, rows.total[cell], df)


def by_cell(design: Design, rows: Rows, sites: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return location and noise of each cell, ``(..., cells)``, for one draw of sites or many."""
    location = sites["intercept"][..., None]
    if design.terms:
        location = location + sites["effects"] @ rows.columns.T
    batch = sites["intercept"].shape
    location = (rows.location + rows.unit * location).expand(*batch, len(design.cells))
    log_noise = sites["log_noise"][..., None]
    if "noise_by_cell" in sites:
        log_noise = log_noise + sites["noise_by_cell"]
    return location, torch.exp(log_noise).expand(location.shape)


#: Noise of cells is not taken to differ by more than this from what they share, on the log scale.
_LARGEST_RATIO = 3.0


@dataclass(frozen=True)
class Guess:
    """What sums of squares say: where sampling begins, and in which coordinates.

    Attributes
    ----------
    sites
        A value for each site of :func:`comparison`.
    centring
        Of ``effects`` and ``noise_by_cell``, where they are sites: how far each element is centred,
        from 0 to 1. The posterior is the same for any value; NUTS is quickest where data and prior
        share the information about an element as the centring says (Papaspiliopoulos et al. 2007;
        Gorinova et al. 2020).
    """

    sites: dict[str, Tensor]
    centring: dict[str, Tensor]


def guess(design: Design, rows: Rows, linked: np.ndarray, law: Likelihood) -> Guess:
    """Return the guess for a metric whose values are ``linked`` on the scale of the effects."""
    index, y, unit = rows.cell.numpy(), rows.y.numpy(), float(rows.unit)
    counts = np.bincount(index, minlength=len(design.cells))
    means = np.bincount(index, linked) / counts
    freedom = max(len(y) - len(counts), 1)
    seeds = ((linked - means[index]) ** 2).sum() / freedom / unit**2
    noise = law.noise(y, (np.bincount(index, y) / counts)[index], unit)
    noise *= (len(y) / freedom) ** 0.5
    sites = {
        "log_noise": torch.tensor(np.log(noise)),
        "df": torch.tensor(15.0, dtype=torch.float64),
    }
    centring: dict[str, Tensor] = {}
    if law.noise_differs:
        found_noise, centring["noise_by_cell"] = _noise_by_cell(rows, noise, law)
        sites |= found_noise
    columns = np.column_stack([np.ones(len(counts)), design.columns])
    centre, *found = np.linalg.pinv(columns) @ ((means - float(rows.location)) / unit)
    sites["intercept"] = torch.tensor(centre)
    if not design.terms:
        return Guess(sites, centring)
    effects, terms = np.asarray(found), design.term_of_column
    error = seeds / np.maximum((design.columns**2 * counts[:, None]).sum(0), 1e-9)
    squares = [(effects[terms == t] ** 2).mean() for t in range(len(design.terms))]
    spread = np.sqrt(np.maximum(squares, 1e-3))
    share = spread[terms] ** 2 / (spread[terms] ** 2 + error)
    # Interactions may come out as nothing, whatever the sums of squares say on the link's scale:
    # centred, their spread and they would make a funnel.
    share[np.array([len(term.factors) != 1 for term in design.terms])[terms]] = 0.0
    sites["spread"] = torch.tensor(spread)
    sites["effects"] = torch.tensor(effects)
    sites["effects_decentered"] = torch.tensor(effects / spread[terms] ** (1 - share))
    centring["effects"] = torch.tensor(share)
    return Guess(sites, centring)


def _noise_by_cell(rows: Rows, pooled: float, law: Likelihood) -> tuple[dict[str, Tensor], Tensor]:
    """Return values for the sites of noise that differs, and how far each cell's is centred.

    The logarithm of a standard deviation of n values has about variance 1 / (2 (n - 1)).
    """
    index, y, unit = rows.cell.numpy(), rows.y.numpy(), float(rows.unit)
    counts = np.bincount(index)
    freedom = np.maximum(counts - 1, 1)
    own = [y[index == c] for c in range(len(counts))]
    raw = np.array([law.noise(v, np.full(len(v), v.mean()), unit) for v in own])
    error = np.where(counts > 1, 0.5 / freedom, np.inf)
    # A cell whose runs agree says that its noise is small, not that it is none.
    least = pooled * np.exp(-_LARGEST_RATIO)
    log_ratio = np.log(np.maximum(raw * np.sqrt(counts / freedom), least) / pooled)
    log_ratio[counts < 2] = 0.0
    known = counts > 1
    squares = (log_ratio[known] ** 2 - error[known]).mean() if known.any() else 0.0
    spread = min(max(squares, 0.1**2) ** 0.5, 1.5)
    share = spread**2 / (spread**2 + error)
    log_ratio = share * log_ratio
    sites = {
        "noise_spread": torch.tensor(spread, dtype=torch.float64),
        "noise_by_cell": torch.tensor(log_ratio),
        "noise_by_cell_decentered": torch.tensor(log_ratio / spread ** (1 - share)),
    }
    return sites, torch.tensor(share)
