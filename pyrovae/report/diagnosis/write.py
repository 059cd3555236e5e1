"""All figures of a diagnosis, in one folder."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from pyrovae.diagnostics.inference_data import khat_plot, plots
from pyrovae.report.diagnosis.blame import blame
from pyrovae.report.diagnosis.calibration import calibration
from pyrovae.report.diagnosis.fit import fit
from pyrovae.report.diagnosis.gaps import gaps
from pyrovae.report.diagnosis.gate import gate
from pyrovae.report.diagnosis.modes import modes
from pyrovae.report.diagnosis.replicates import replicates
from pyrovae.report.drawn import Drawn, NothingToDraw
from pyrovae.report.style import PAPER, Style
from pyrovae.report.write import files
from pyrovae.study import atomic
from pyrovae.study.diagnoses import DiagnosisFolder

#: Name to function ``(stored, *, style) -> Drawn``.
FIGURES: dict[str, Callable[..., Drawn]] = {
    "gate": gate,
    "modes": modes,
    "fit": fit,
    "gaps": gaps,
    "calibration": calibration,
    "blame": blame,
    "replicates": replicates,
}
#: Units whose chains are shown, those with the worst R-hat.
_UNITS = 4
#: Sizes of ArviZ's figures, inches.
_SIZES = {"khat": (7.0, 4.0), "trace": (10.0, 8.0), "rank": (12.0, 3.6)}


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
    rhat = np.asarray(data["constant_data"]["unit_rhat"])
    # A dimension that never moved has no R-hat: nothing is worse.
    ranked = np.where(np.isnan(rhat), np.inf, rhat)
    worst = int(ranked.max(1).argmax())
    datum = int(points["datum"][worst])
    units = sorted(int(u) for u in ranked[worst].argsort()[::-1][:_UNITS])
    chains = (
        f"NUTS chains of test point {datum}, whose R-hat is the largest "
        f"({rhat[worst].max():.3f}); panels: point, latent unit"
    )
    titles = {
        "khat": "Pareto k of p(x, z) / q(z|x), each test point",
        "trace": chains,
        "rank": chains,
    }
    # ArviZ draws through pyplot: see pyrovae.report.inspection.
    with plt.ioff(), matplotlib.rc_context({"figure.max_open_warning": 0}):
        made = plots(data, datum=[datum], latent=units)
        made["khat"] = khat_plot(points["pareto_k"].to_numpy())
        for name, title in titles.items():
            made[name].set_size_inches(*_SIZES[name])
            made[name].set_layout_engine("constrained")
            made[name].suptitle(title)
            buffer = io.BytesIO()
            made[name].savefig(buffer, format="png", dpi=110)
            atomic.write_bytes(folder / f"{name}.png", buffer.getvalue())
        for figure in made.values():
            plt.close(figure)
    return folder
