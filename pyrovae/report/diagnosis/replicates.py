"""Posterior predictive check: observed images, their means, and replicates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from pyrovae.measures.arviz import groups
from pyrovae.measures.posterior.predictive import STATISTICS, p_values
from pyrovae.report.diagnosis.found import Found
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.mosaics import mosaic, show
from pyrovae.report.look.style import GREY, PAPER, Style, roles, theme

_ROWS = 6


def replicates(found: Found, *, style: Style = PAPER) -> Drawn:
    """Draw replicated images next to the observed, and statistics of both.

    Raises
    ------
    NothingToDraw
        If the observations are no images.
    """
    data = found.data
    if "posterior_predictive" not in groups(data):
        raise NothingToDraw("observations are no images")
    observed = torch.from_numpy(np.asarray(data["observed_data"]["x"]))
    drawn = torch.from_numpy(np.asarray(data["posterior_predictive"]["x"]))[0]
    shown = torch.cat([observed[None], drawn]).transpose(0, 1)[:_ROWS]
    rows = []
    with theme(style):
        figure = Figure(figsize=(style.text, 2.7), layout="constrained")
        left, *right = figure.subplots(1, 4, width_ratios=[2.2, 1, 1, 1])
        show(left, mosaic(shown), columns=["x", *[""] * len(drawn)])
        left.xaxis.tick_top()
        left.set_xlabel("Observed and replicated")
        for ax, (name, statistic) in zip(right, STATISTICS.items(), strict=True):
            replicated = np.asarray(data["replicated"][name])
            truth = statistic(observed).numpy()
            p = p_values(replicated, truth)
            low, middle, high = np.quantile(replicated, [0.05, 0.5, 0.95], axis=0)
            ax.errorbar(
                truth, middle, [middle - low, high - middle], fmt="o", color=roles(1)[0],
                linewidth=0.6, markersize=2.5,
            )  # fmt: skip
            ends = [min(truth.min(), low.min()), max(truth.max(), high.max())]
            ax.plot(ends, ends, color=GREY, linewidth=0.6)
            outside = float(((p < 0.05) | (p > 0.95)).mean())
            ax.set(xlabel="Observed", title=f"{name}\n{100 * outside:.0f} % outside")
            rows.append(
                pd.DataFrame(
                    {"statistic": name, "observed": truth, "low": low, "median": middle,
                     "high": high, "p": p}
                )
            )  # fmt: skip
        right[0].set_ylabel("Replicated")
    caption = (
        "Posterior predictive check: left, observed images (first column) and images drawn from "
        "the model given them, by way of the true posterior; right, statistics of observed and "
        "replicated images, median and 5 to 95 % of replicates, which 10 % of the observed lie "
        "outside of if the model is right. Grey values are not replicated by Bernoulli pixels."
    )
    return Drawn("replicates", figure, pd.concat(rows, ignore_index=True), caption)
