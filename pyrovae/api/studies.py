"""A study as one object: tables, posteriors, analysis, figures. What ``pyrovae.load_study`` gives.

This is the end of the data's way, above results and report, so that neither knows the other's use.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from seaborn import FacetGrid

from pyrovae.analysis.heldout import elpd_of_cells, measure_heldout
from pyrovae.api.runs import Run, load_run
from pyrovae.core.errors import ConfigError, did_you_mean
from pyrovae.measures.arviz import InferenceData
from pyrovae.measures.scores import score_of
from pyrovae.report.look import grids
from pyrovae.report.look.notebook import as_html
from pyrovae.report.look.presented import present
from pyrovae.report.study.gallery import KINDS, draw
from pyrovae.study.execute.runner import Outcome
from pyrovae.study.store import results
from pyrovae.study.store.folders import open_study
from pyrovae.study.store.results import StudyResults


class Posteriors(Mapping[str, InferenceData]):
    """Draws from each run's guide, read from disk when asked for.

    Parameters
    ----------
    study
        Whose runs they are. A run may be named by the start of its hash.
    """

    def __init__(self, study: StudyResults) -> None:
        self._study = study

    def __getitem__(self, run: str) -> InferenceData:
        found = [known for known in self if known.startswith(run)]
        if len(found) != 1:
            raise KeyError(f"{len(found)} runs of {self._study.name} start with '{run}'")
        return self._study.folder(found[0]).posterior()

    def __iter__(self) -> Iterator[str]:
        return iter(self._study.runs["run"])

    def __len__(self) -> int:
        return len(self._study.runs)


class Comparisons(Mapping[str, InferenceData]):
    """The stored comparison of a study's cells in each metric, read from disk when asked for.

    Parameters
    ----------
    study
        That ``pyrovae study analyse`` has compared.
    """

    def __init__(self, study: StudyResults) -> None:
        self._analysis = present(study).analysis

    def __getitem__(self, metric: str) -> InferenceData:
        if metric not in self._analysis.about["metrics"]:
            raise KeyError(f"'{metric}' was not compared: {', '.join(self)}")
        return self._analysis.posterior(metric)

    def __iter__(self) -> Iterator[str]:
        return iter(self._analysis.metrics())

    def __len__(self) -> int:
        return len(self._analysis.metrics())


@dataclass(frozen=True)
class Study(StudyResults):
    """A study's results, with what is made from them.

    Besides what :class:`pyrovae.study.store.results.StudyResults` has (``runs``, ``units()``,
    ``history()``, ``folder(run)``):

    Attributes
    ----------
    outcome
        What became of the runs in the call that ran the study; ``None`` if it was opened.
    """

    outcome: Outcome | None = None

    @property
    def posterior(self) -> Posteriors:
        """ArviZ's container (InferenceData, in 1.x a DataTree) by run: ``z``, see below."""
        return Posteriors(self)

    @property
    def comparison(self) -> Comparisons:
        """The comparison of cells by metric, for ArviZ: :mod:`pyrovae.analysis.container`.

        Iterating names the metrics whose chains passed; those of the others can be looked at.

        Raises
        ------
        NothingToDraw
            If the runs as they are have not been compared.
        """
        return Comparisons(self)

    def heldout(self, *, points: int = 500, samples: int = 200) -> dict[str, Any]:
        """Return held-out log p(x) of each cell as ArviZ's ELPDData: ``az.compare`` takes it.

        What has not been measured is measured now, as ``pyrovae study compare`` does: seconds for
        each run.

        Parameters
        ----------
        points, samples
            Test points, and draws from the guide for each.

        Returns
        -------
        dict
            By what tells a cell from the others.
        """
        measure_heldout(self, points=points, samples=samples)
        titles = present(self).titles
        found = elpd_of_cells(self, points=points)
        return {titles[cell]: content for cell, content in found.items()}

    def catplot(self, score: str, **options: Any) -> FacetGrid:
        """Draw a score by cell with :func:`seaborn.catplot`, in the report's colours.

        Parameters
        ----------
        score
            A column of ``runs``.
        **options
            Of :func:`seaborn.catplot`, in place of what is chosen: a point for each run, the first
            label along y and in colour, the second in columns.

        Returns
        -------
        seaborn.FacetGrid
            To go on with: its ``axes``, ``set``, ``refline``, ``savefig``.
        """
        return grids.catplot(present(self), score, options)

    def relplot(
        self, x: str, y: str, data: pd.DataFrame | None = None, **options: Any
    ) -> FacetGrid:
        """Draw one column against another with :func:`seaborn.relplot`, in the report's look.

        Parameters
        ----------
        x, y
            Columns of ``data``.
        data
            With the labels: ``runs`` (the default), ``units()`` or ``history()``.
        **options
            Of :func:`seaborn.relplot`, in place of what is chosen: the first label in colour, the
            second by shape, or by dashes if ``kind="line"``.

        Returns
        -------
        seaborn.FacetGrid
            To go on with.
        """
        return grids.relplot(present(self), x, y, self.runs if data is None else data, options)

    def run(self, prefix: str) -> Run:
        """Open the finished run whose id starts with ``prefix``.

        Raises
        ------
        ConfigError
            If there is none, or more than one, or a file of it is missing or damaged.
        """
        found = [run for run in self.runs.get("run", ()) if run.startswith(prefix)]
        if len(found) != 1:
            problem = f"{len(found) or 'no'} finished runs of {self.name}"
            raise ConfigError(f"{problem} have an id that starts with '{prefix}'")
        return load_run(self.folder(found[0]).path)

    def _repr_html_(self) -> str:
        main = [key for key in self.runs if key not in self.labels and score_of(key).main]
        varying = [] if self.runs.empty else self.varying()
        shown = [key for key in ("run", *varying, "seed", *main) if key in self.runs]
        said = [self.description] if self.description else []
        said += [f"failed {run}: {reason}" for run, reason in self.failed.items()]
        said += [f"{len(self.missing)} runs are missing"] if self.missing else []
        return as_html(f"study {self.name}", self.runs[shown], said)

    def figure(self, kind: str, *, unsettled: bool = False) -> Figure:
        """Draw a figure of the report, to change and save; of several of a kind, the first.

        Parameters
        ----------
        kind
            A key of :data:`pyrovae.report.study.gallery.KINDS`.
        unsettled
            Whether to conclude from runs that have not settled too: figures of correlations do.

        Raises
        ------
        ConfigError
            If there is no such kind.
        NothingToDraw
            If the study lacks what it shows, or it concludes from runs that have not settled.
        """
        if kind not in KINDS:
            raise ConfigError(f"there is no figure '{kind}'{did_you_mean(kind, KINDS)}")
        return next(iter(draw(present(self, unsettled=unsettled), kind))).figure


def load_study(path: str | Path) -> Study:
    """Open a study's folder, ``results/<name>``.

    Raises
    ------
    ConfigError
        If no study has been run there.
    """
    folder = Path(os.path.abspath(path))  # "." has no name
    found = results.load_study(open_study(folder.parent, folder.name).root)
    return Study(**{field.name: getattr(found, field.name) for field in fields(found)})
