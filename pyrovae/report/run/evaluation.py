"""All that is measured of one model as one object."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from pyrovae.measures.arviz import InferenceData
from pyrovae.measures.collapse.measure import CollapseMeasures
from pyrovae.measures.evaluate import Evaluation
from pyrovae.measures.scores import STANDARD_ERROR, place_of, score_of
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.notebook import as_html
from pyrovae.report.look.style import PAPER, Style
from pyrovae.report.run.collapse import CollapseReport
from pyrovae.study.store.folders import RunFolder
from pyrovae.training.settled import Settled


@dataclass(frozen=True, repr=False)
class EvaluationReport:
    """What was measured of a model.

    Attributes
    ----------
    name
        Of the run, or of the kind of model.
    found
        Everything that is kept.
    history
        One row for each record along training; ``None`` if unknown.
    settled
        Whether the run had settled when its training ended; ``None`` if it is not known.
    law
        Whether the law of variance is about this model: its prior is standard normal.
    """

    name: str
    found: Evaluation
    history: pd.DataFrame | None = None
    settled: Settled | None = None
    law: bool = False

    @classmethod
    def of_run(cls, folder: RunFolder) -> EvaluationReport:
        """Return what is stored of a run.

        Raises
        ------
        DataError
            If a file is missing or damaged.
        """
        metrics = folder.metrics()
        found = Evaluation(
            metrics["scores"],
            metrics["estimators"],
            folder.units(),
            folder.images(),
            folder.posterior(),
            folder.codes(),
            folder.factors(),
            tuple(metrics.get("factor_names", ())),
            folder.directions(),
        )
        law = folder.config().has_variance_law
        return cls(folder.id, found, folder.history(), folder.settled(), law)

    @property
    def scores(self) -> dict[str, float]:
        """One number each, by name."""
        return self.found.scores

    @property
    def units(self) -> pd.DataFrame:
        """One row for each latent unit, in the model's order."""
        return self.found.units

    @property
    def codes(self) -> np.ndarray:
        """Posterior means of the data that were scored, ``(n, latent_dim)``."""
        return self.found.codes

    @property
    def images(self) -> dict[str, Tensor]:
        """Inputs, reconstructions, traversals and samples: see :class:`Evaluation`."""
        return self.found.images

    @property
    def posterior(self) -> InferenceData:
        """Draws from the guide, for ArviZ."""
        return self.found.posterior

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row for each score, by its name: group, title, value, its error, unit, better."""
        known = {key: score_of(key) for key in self.scores if not key.endswith(STANDARD_ERROR)}
        rows = [
            {
                "score": key,
                "group": score.group,
                "title": score.title,
                "value": self.scores[key],
                "standard_error": self.scores.get(f"{key}{STANDARD_ERROR}", float("nan")),
                "unit": score.unit,
                "better": score.better,
            }
            for key, score in sorted(known.items(), key=lambda item: place_of(item[1].group))
        ]
        return pd.DataFrame(rows).set_index("score")

    @cached_property
    def collapse(self) -> CollapseReport:
        """What each latent unit does, of the same numbers."""
        found = self.found
        measures = CollapseMeasures(
            found.units, found.scores, found.images["sensitivity"], found.directions
        )
        return CollapseReport.of_model(
            self.name, measures, self.history, self.settled, law=self.law
        )

    def text(self) -> str:
        """Return the scores, by group."""
        lines: list[str] = []
        for group, rows in self.table.groupby("group", sort=False):
            lines += ["", str(group)]
            for row in rows.to_dict("records"):
                error = row["standard_error"]
                spread = "" if np.isnan(error) else f" ± {error:.2g}"
                lines.append(f"  {row['title']:<44} {row['value']:.5g}{spread} {row['unit']}")
        return "\n".join(line.rstrip() for line in lines[1:])

    def drawn(self, *, style: Style = PAPER) -> list[Drawn]:
        """Return the figures of :attr:`collapse`, with their data and captions."""
        return self.collapse.drawn(style=style)

    def figures(self) -> dict[str, Figure]:
        """Return Matplotlib figures by name, to change and save."""
        return self.collapse.figures()

    def save(self, folder: str | Path) -> list[Path]:
        """Write each figure as PDF and PNG, with its data and caption; return the PNGs."""
        return self.collapse.save(folder)

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(f"evaluation of {self.name}", self.table)
