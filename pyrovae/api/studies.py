"""A study as one object: tables, posteriors, analysis, figures. What ``pyrovae.load_study`` gives.

This is the end of the data's way, above results and report, so that neither knows the other's use.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

from matplotlib.figure import Figure

from pyrovae.core.errors import ConfigError, did_you_mean
from pyrovae.measures.arviz import InferenceData
from pyrovae.report.look.presented import present
from pyrovae.report.study.gallery import KINDS, draw
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


class Study(StudyResults):
    """A study's results, with what is made from them.

    Besides what :class:`pyrovae.study.store.results.StudyResults` has (``runs``, ``units()``,
    ``history()``, ``folder(run)``):
    """

    @property
    def posterior(self) -> Posteriors:
        """ArviZ InferenceData by run: ``z`` with dims chain, draw, datum, latent."""
        return Posteriors(self)

    def figure(self, kind: str) -> Figure:
        """Draw a figure of the report, to change and save; of several of a kind, the first.

        Parameters
        ----------
        kind
            A key of :data:`pyrovae.report.study.gallery.KINDS`.

        Raises
        ------
        ConfigError
            If there is no such kind.
        NothingToDraw
            If the study lacks what it shows.
        """
        if kind not in KINDS:
            raise ConfigError(f"there is no figure '{kind}'{did_you_mean(kind, KINDS)}")
        return next(iter(draw(present(self), kind))).figure


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
