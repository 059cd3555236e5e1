"""All figures of a diagnosis, in one folder."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

from pyrovae.diagnostics.inference_data import khat_plot, plots
from pyrovae.report.diagnosis.blame import blame
from pyrovae.report.diagnosis.calibration import calibration
from pyrovae.report.diagnosis.fit import fit
from pyrovae.report.diagnosis.gaps import gaps
from pyrovae.report.diagnosis.gate import gate
from pyrovae.report.diagnosis.replicates import replicates
from pyrovae.report.drawn import Drawn, NothingToDraw
from pyrovae.report.style import PAPER, Style
from pyrovae.report.write import files
from pyrovae.study import atomic
from pyrovae.study.diagnoses import DiagnosisFolder

#: Name to function ``(stored, *, style) -> Drawn``.
FIGURES: dict[str, Callable[..., Drawn]] = {
    "gate": gate,
    "fit": fit,
    "gaps": gaps,
    "calibration": calibration,
    "blame": blame,
    "replicates": replicates,
}
#: Units whose chains are shown, those that the data tell most about.
_UNITS = 4


def write_figures(stored: DiagnosisFolder, *, style: Style = PAPER) -> Path:
    """Write the figures of a diagnosis: PDF, PNG, data and caption of each.

    ArviZ's own plots are written as PNG: ``khat``, and ``trace`` and ``rank`` of the chains of the
    point with the worst R-hat.

    Returns
    -------
    Path
        The folder.
    """
    folder = stored.path / "figures"
    for draw in FIGURES.values():
        try:
            drawn = draw(stored, style=style)
        except NothingToDraw:
            continue
        for suffix, content in files(drawn, style).items():
            atomic.write_bytes(folder / f"{drawn.name}.{suffix}", content)
    points, data = stored.points(), stored.data()
    worst = int(points["rhat"].idxmax())
    variance = data["posterior"]["z"].isel(datum=worst).var(("chain", "draw")).to_numpy()
    units = [int(u) for u in variance.argsort()[:_UNITS]]
    # ArviZ draws through pyplot: see pyrovae.report.inspection.
    with plt.ioff(), matplotlib.rc_context({"figure.max_open_warning": 0}):
        made = plots(data, datum=[int(points["datum"][worst])], latent=units)
        made["khat"] = khat_plot(points["pareto_k"].to_numpy())
        for name in ("khat", "trace", "rank"):
            made[name].set_layout_engine("constrained")
            buffer = io.BytesIO()
            made[name].savefig(buffer, format="png", dpi=110)
            atomic.write_bytes(folder / f"{name}.png", buffer.getvalue())
        for figure in made.values():
            plt.close(figure)
    return folder
