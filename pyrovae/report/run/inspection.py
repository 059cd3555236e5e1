"""One run under the lens: ArviZ's summary and standard plots of its posterior draws."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

from pyrovae.core import atomic
from pyrovae.core.errors import ConfigError
from pyrovae.core.reading import reading
from pyrovae.measures.posterior import plots, summary
from pyrovae.study.store.folders import RunFolder


def inspect(
    folder: RunFolder, *, points: int, units: int, out: Path | None = None
) -> tuple[str, list[Path]]:
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

    Returns
    -------
    str
        ``az.summary`` as text.
    list of Path
        The plots.

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
    out = out or folder.study / "inspect" / folder.id
    written = []
    # ArviZ draws through pyplot. Its figures are closed here and never shown, and the backend stays
    # what the caller (a notebook, say) made it.
    with plt.ioff(), matplotlib.rc_context({"figure.max_open_warning": 0}):
        for name, figure in plots(data, **chosen).items():
            # ArviZ's own spacing lets titles run into the labels of the row above.
            figure.set_layout_engine("constrained")
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=110)
            plt.close(figure)
            atomic.write_bytes(out / f"{name}.png", buffer.getvalue())
            written.append(out / f"{name}.png")
    return summary(data, **chosen).to_string(), written
