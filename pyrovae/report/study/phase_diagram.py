"""Phase diagram of a linear VAE: what collapses at which beta × sigma², over what theory says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from pyrovae.datasets import load_dataset
from pyrovae.measures.collapse import ACTIVE_VARIANCE
from pyrovae.measures.collapse.measure import ACTIVE_UNITS
from pyrovae.measures.collapse.theory import linear_active_units, linear_var_mu, principal_variances
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.style import GREY, PAPER, Style, palette, theme, tighten
from pyrovae.study.config.run import RunConfig
from pyrovae.study.store.results import StudyResults


def phase_diagram(study: StudyResults, *, style: Style = PAPER) -> Drawn:
    """Draw active units, and Var(mu) of each, over beta × sigma², with theory.

    Returns
    -------
    Drawn
        ``data`` has a row for each run and unit: ``level`` = beta × sigma², ``direction`` (1 for
        the unit of largest Var(mu)), ``var_mu``, ``var_mu_theory``, ``active_units``,
        ``active_units_theory``.

    Raises
    ------
    NothingToDraw
        Unless the study is of linear VAEs with a fixed sigma and a standard normal prior, over
        several values of beta × sigma² on one data set.
    """
    configs = {run: study.folder(run).config() for run in study.runs["run"]}
    levels = {run: _level(config) for run, config in configs.items()}
    if (
        len({level for level in levels.values() if level is not None}) < 2
        or None in levels.values()
    ):
        raise NothingToDraw(
            "theory is for linear VAEs with a fixed sigma, over several values of beta × sigma²"
        )
    if study.runs["dataset"].nunique() > 1:
        raise NothingToDraw("theory is for one data set at a time")
    dataset = load_dataset(**next(iter(configs.values())).dataset)
    eigenvalues = principal_variances(dataset.train.floats().flatten(1))
    data = _table(study, levels, eigenvalues)
    with theme(style):
        figure = Figure(figsize=(style.column, 3.6), layout="constrained")
        counts, variances = figure.subplots(2, 1, sharex=True)
        grid = np.geomspace(data["level"].min() / 1.5, data["level"].max() * 1.5, 400)
        staircase = [
            linear_active_units(eigenvalues, level, threshold=ACTIVE_VARIANCE) for level in grid
        ]
        counts.plot(grid, staircase, color=GREY, lw=1, label="theory")
        runs = data.drop_duplicates("run")
        spread = runs.groupby("level").cumcount() - 1
        blue = palette(1)[0]
        counts.scatter(
            runs["level"] * 1.04**spread,
            runs["active_units"],
            s=14,
            color=blue,
            zorder=3,
            label="trained (one point a seed)",
        )
        counts.set_ylabel(ACTIVE_UNITS.axis_label)
        counts.yaxis.set_major_locator(MaxNLocator(integer=True))
        counts.legend()
        shown = int((data.groupby("direction")["var_mu"].max() > ACTIVE_VARIANCE).sum())
        for direction, colour in zip(
            range(1, shown + 1), palette(shown, ordered=True), strict=True
        ):
            part = data[data["direction"] == direction]
            curve = linear_var_mu(eigenvalues[direction - 1], torch.from_numpy(grid))
            variances.plot(grid, curve, color=colour, lw=1)
            variances.scatter(part["level"], part["var_mu"], s=8, color=colour, zorder=3)
        variances.set(xscale="log", xlabel=r"$\beta\sigma^2$", ylabel=r"$\mathrm{Var}_x(\mu_u)$")
        variances.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        variances.xaxis.set_minor_formatter(NullFormatter())
        figure.align_ylabels()
        tighten(figure)
    caption = (
        "Active units of linear VAEs over beta × sigma² (above) and the variance of each unit's "
        "posterior mean (below; a colour for each principal direction). Points: trained "
        "models, test data. Lines: theory, a unit collapses when the principal variance of its "
        "direction falls below beta × sigma² (Lucas et al. 2019; Ichikawa & Hukushima 2024)."
    )
    return Drawn("phase-diagram", figure, data, caption)


def _level(config: RunConfig) -> float | None:
    """Return beta × sigma² of a run that theory is for."""
    if config.network is None or config.likelihood is None or config.prior is None:
        return None  # a user's own model
    network, like, objective = config.network, config.likelihood, config.objective
    linear = network["name"] == "mlp" and not network["hidden"]
    fixed = like["name"] == "gaussian" and not like["learned"] and like["sigma_form"] == "shared"
    normal = config.prior["name"] == "standard_normal"
    beta = {"elbo": 1.0, "beta": objective.get("beta")}.get(objective["name"])
    if not (linear and fixed and normal and isinstance(beta, float)):
        return None
    return beta * like["sigma"] ** 2


def _table(
    study: StudyResults, levels: dict[str, float | None], eigenvalues: torch.Tensor
) -> pd.DataFrame:
    units = study.units()[["run", "seed", "var_mu", "active"]]
    units = units.sort_values(["run", "var_mu"], ascending=[True, False], kind="stable")
    units["direction"] = units.groupby("run").cumcount() + 1
    units["level"] = units["run"].map(levels)
    units["active_units"] = units.groupby("run")["active"].transform("sum")
    units["active_units_theory"] = [
        linear_active_units(eigenvalues, level, threshold=ACTIVE_VARIANCE)
        for level in units["level"]
    ]
    # A model cannot have more units than its latent space, nor directions than the data.
    padded = torch.cat([eigenvalues, torch.full((len(units),), 1e-12, dtype=torch.float64)])
    units["var_mu_theory"] = [
        float(linear_var_mu(padded[direction - 1], level))
        for direction, level in zip(units["direction"], units["level"], strict=True)
    ]
    return units.drop(columns="active").sort_values(["level", "seed", "direction"])
