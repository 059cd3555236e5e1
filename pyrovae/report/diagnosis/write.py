"""All figures of a diagnosis, in one folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from pyrovae.core import atomic
from pyrovae.measures.arviz import khat_plot, plots
from pyrovae.report.diagnosis.blame import blame
from pyrovae.report.diagnosis.calibration import calibration
from pyrovae.report.diagnosis.fit import fit
from pyrovae.report.diagnosis.gaps import gaps
from pyrovae.report.diagnosis.gate import gate
from pyrovae.report.diagnosis.modes import modes
from pyrovae.report.diagnosis.replicates import replicates
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.formats import files
from pyrovae.report.look.style import PAPER, Style
from pyrovae.study.store.diagnoses import DiagnosisFolder
from pyrovae.study.store.results import StudyResults

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
    point with the worst R-hat. The folder appears complete, in one step; what an earlier call left
    there is gone.

    Returns
    -------
    Path
        The folder.
    """
    with atomic.folder(stored.figures) as made:
        for draw in FIGURES.values():
            try:
                drawn = draw(stored, style=style)
            except NothingToDraw:
                continue
            for suffix, content in files(drawn, style).items():
                (made / f"{drawn.name}.{suffix}").write_bytes(content)
        _write_arviz(stored, made)
    return stored.figures


def write_missing_figures(study: StudyResults, *, style: Style = PAPER) -> list[DiagnosisFolder]:
    """Write the figures of the runs that have been diagnosed without them, as a study does.

    Returns
    -------
    list
        The diagnoses of all runs that have one, with their figures, in the study's order.
    """
    diagnosed = [
        stored
        for stored in (DiagnosisFolder.of(study.folder(run)) for run in study.runs["run"])
        if stored.exists
    ]
    for stored in diagnosed:
        if not stored.figures.exists():
            write_figures(stored, style=style)
    return diagnosed


def _write_arviz(stored: DiagnosisFolder, folder: Path) -> None:
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
    # ArviZ draws through pyplot: see pyrovae.report.run.inspection.
    with plt.ioff(), matplotlib.rc_context({"figure.max_open_warning": 0}):
        made = plots(data, datum=[datum], latent=units)
        made["khat"] = khat_plot(points["pareto_k"].to_numpy())
        for name, title in titles.items():
            made[name].set_size_inches(*_SIZES[name])
            made[name].set_layout_engine("constrained")
            made[name].suptitle(title)
            made[name].savefig(folder / f"{name}.png", dpi=110)
        for figure in made.values():
            plt.close(figure)
