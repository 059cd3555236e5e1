"""A diagnosis as one object: numbers, words and figures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pyrovae.core import atomic
from pyrovae.measures.arviz import elpd, khat_plot, plots
from pyrovae.measures.posterior.diagnose import Diagnosis
from pyrovae.report.diagnosis.blame import blame
from pyrovae.report.diagnosis.calibration import calibration
from pyrovae.report.diagnosis.fit import fit
from pyrovae.report.diagnosis.found import Found
from pyrovae.report.diagnosis.gaps import gaps
from pyrovae.report.diagnosis.gate import gate
from pyrovae.report.diagnosis.modes import modes
from pyrovae.report.diagnosis.replicates import replicates
from pyrovae.report.diagnosis.words import said
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.formats import files, save
from pyrovae.report.look.lens import arviz_plots
from pyrovae.report.look.notebook import as_html
from pyrovae.report.look.style import PAPER, Style
from pyrovae.study.store.diagnoses import DiagnosisFolder, plain_scores

#: Name to function ``(found, *, style) -> Drawn``.
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


class DiagnosisReport(Found):
    """What the true posterior of a model says of its guide.

    ``scores``, ``points``, ``units``, ``marginals`` and ``data`` are those of
    :class:`pyrovae.report.diagnosis.found.Found`.
    """

    @classmethod
    def of_run(cls, stored: DiagnosisFolder) -> DiagnosisReport:
        """Return what is stored of a run; files are read when they are asked for."""
        return cls(stored.path.name, lambda part: getattr(stored, part)())

    @classmethod
    def of_model(cls, name: str, diagnosis: Diagnosis) -> DiagnosisReport:
        """Return what was found of a model in memory."""
        parts = {**vars(diagnosis), "scores": plain_scores(diagnosis.scores)}
        return cls(name, parts.__getitem__)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each latent unit: :attr:`units`."""
        return self.units

    @property
    def elpd(self) -> Any:
        """ArviZ's ELPDData of log p(x) of the test points with their Pareto k: for az.plot_khat."""
        points = self.points
        return elpd(points["log_px"].to_numpy(), points["pareto_k"].to_numpy())

    def text(self) -> str:
        """Return the main scores as lines of text."""
        return said(self.scores)

    def drawn(self, *, style: Style = PAPER) -> list[Drawn]:
        """Return the figures with their data and captions, but those that have nothing to show."""
        made = []
        for draw in FIGURES.values():
            with suppress(NothingToDraw):
                made.append(draw(self, style=style))
        return made

    def figures(self) -> dict[str, Figure]:
        """Return Matplotlib figures by name, to change and save."""
        return {drawn.name: drawn.figure for drawn in self.drawn()}

    def save(self, folder: str | Path, *, style: Style = PAPER) -> Path:
        """Write the figures: PDF, PNG, data and caption of each; return the folder.

        ArviZ's own plots are among them: ``khat``, and ``trace`` and ``rank`` of the chains of
        the point with the worst R-hat. The folder appears complete, in one step; what an earlier
        call left there is gone.
        """
        with atomic.folder(Path(folder)) as made:
            for drawn in self.drawn(style=style):
                for suffix, content in files(drawn, style).items():
                    (made / f"{drawn.name}.{suffix}").write_bytes(content)
            _write_arviz(self, made, style)
        return Path(folder)

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(f"diagnosis of {self.name}", self.units, self.text().splitlines())


def _write_arviz(found: Found, folder: Path, style: Style) -> None:
    points, data = found.points, found.data
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
    captions = {
        "khat": "Pareto k of p(x, z) / q(z|x), each test point",
        "trace": chains,
        "rank": chains,
    }

    def draw() -> dict[str, Any]:
        khat = khat_plot(points["pareto_k"].to_numpy())
        return plots(data, datum=[datum], latent=units) | {"khat": khat}

    with arviz_plots(draw, points, captions, style=style) as figures:
        save(figures, folder, style=style)
