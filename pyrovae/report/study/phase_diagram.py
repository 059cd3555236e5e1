"""Phase diagram of a linear VAE: what collapses at which beta × sigma², over what theory says."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from pyrovae.analysis.phase_diagram import NoTheory, beside_theory, known_variances
from pyrovae.measures.collapse import ACTIVE_VARIANCE
from pyrovae.measures.collapse.measure import ACTIVE_UNITS
from pyrovae.measures.collapse.theory import linear_active_units, linear_var_mu
from pyrovae.report.look import names
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import GREY, PAPER, Style, palette, theme, tighten


@carries_mark
def phase_diagram(presented: Presented, *, style: Style = PAPER) -> Drawn:
    """Draw active units, and Var(mu) of each, over beta × sigma², with theory.

    Returns
    -------
    Drawn
        ``data`` is :func:`pyrovae.analysis.phase_diagram.beside_theory`.

    Raises
    ------
    NothingToDraw
        Unless the study is of linear VAEs with a fixed sigma and a standard normal prior, over
        several values of beta × sigma² on one data set.
    """
    study = presented.study
    try:
        data, eigenvalues = beside_theory(study), known_variances(study)
    except NoTheory as reason:
        raise NothingToDraw(str(reason)) from None
    # Theory asks for beta × sigma² only: runs that differ in more stand at the same place.
    others = [part for part in study.varying() if part not in ("objective", "likelihood")]
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
        counts.scatter(
            runs["level"] * 1.04**spread,
            runs["active_units"],
            s=14,
            color="0.1",
            zorder=3,
            label=f"trained (one point a {'run' if others else 'seed'})",
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
    if others:
        caption += f" Runs also differ in {' and '.join(names.title(k).lower() for k in others)}."
    return Drawn("phase-diagram", figure, data, caption)
