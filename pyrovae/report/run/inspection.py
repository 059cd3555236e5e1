"""One run under the lens: ArviZ's summary and standard plots of its posterior draws."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pyrovae.core.errors import ConfigError
from pyrovae.core.reading import reading
from pyrovae.measures.posterior import plots, summary
from pyrovae.report.look.formats import save
from pyrovae.report.look.lens import arviz_plots
from pyrovae.report.look.style import PAPER, Style
from pyrovae.study.store.folders import RunFolder

#: What each of ArviZ's plots shows.
_SHOWN = {
    "trace": "densities of each chain, and its draws in turn",
    "rank": "ranks of the draws among those of all chains, uniform where chains agree",
    "forest": "means with 94 % highest-density intervals and quartiles",
    "autocorr": "autocorrelation of the draws against the lag",
}


def of_draws(summary: pd.DataFrame) -> pd.DataFrame:
    """Return ``az.summary`` for reading: codes as a column, effective sample sizes as counts."""
    shown = summary.rename_axis("code").reset_index()
    sizes = [column for column in shown if str(column).startswith("ess")]
    return shown.assign(**{str(column): shown[column].round().astype(int) for column in sizes})


def inspect(
    folder: RunFolder, *, points: int, units: int, out: Path | None = None, style: Style = PAPER
) -> tuple[pd.DataFrame, list[Path]]:
    """Summarise and plot the guide's draws of a run.

    Parameters
    ----------
    folder
        Of a finished run.
    points
        How many test points, from the first.
    units
        How many latent units, in order of decreasing KL.
    out
        Folder for the plots; default ``inspect/<run>`` beside the study's runs.
    style
        Sizes and letters of the plots.

    Returns
    -------
    DataFrame
        ``az.summary``.
    list of Path
        The plots, each as PNG; a PDF, the summary and a caption stand beside it.

    Raises
    ------
    ConfigError
        If fewer points were drawn for.
    """
    data = folder.posterior()
    with reading(folder.path / "posterior.nc", "a file of draws"):
        drawn = data["posterior"].sizes["datum"]
    if points > drawn:
        raise ConfigError(
            f"draws of {drawn} test points are stored, not of {points}; evaluation.guide_draws."
            "points of a study says how many",
            "--points",
            str(folder.path),
        )
    by_kl = folder.units().sort_values("kl", ascending=False)["unit"]
    chosen = {"datum": list(range(points)), "latent": [int(u) for u in by_kl[:units]]}
    table = summary(data, **chosen)
    out = out or folder.study / "inspect" / folder.id
    captions = {
        name: f"Draws z from q(z|x) of run {folder.id}, for each of the first test points and "
        f"each of the latent units of largest KL: {shown}."
        for name, shown in _SHOWN.items()
    }
    beside = table.rename_axis("code").reset_index()
    with arviz_plots(lambda: plots(data, **chosen), beside, captions, style=style) as figures:
        return table, save(figures, out, style=style)
