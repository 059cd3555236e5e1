"""A study as a report presents it: what its figures and tables share, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from pyrovae.analysis.chance import chance_levels
from pyrovae.analysis.study import StudyAnalysis, load_analysis
from pyrovae.core.errors import NotSettled
from pyrovae.report.look import summaries
from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.encoding import Encoding, encode
from pyrovae.study.store.results import StudyResults


@dataclass(frozen=True, eq=False)  # two are the same if they are one
class Presented:
    """A study, and what is said of it in more than one place.

    Everything is computed when it is first asked for, and then kept: a report makes one of these
    and hands it to all figures and tables, a single figure pays for what it shows.

    Parameters
    ----------
    study
        Its results.
    unsettled
        Whether to conclude from runs that have not settled too.
    """

    study: StudyResults
    unsettled: bool = False

    @cached_property
    def runs(self) -> pd.DataFrame:
        """The study's finished runs, with the errors of the law of variance by kind of unit."""
        if self.study.runs.empty:
            return self.study.runs
        return summaries.with_variance_law(self.study, self.units)

    @cached_property
    def encoding(self) -> Encoding:
        """Which label is shown how."""
        return encode(self.study)

    @cached_property
    def labels(self) -> list[str]:
        """The labels that tell cells apart in a table: the prior, if nothing varies."""
        return self.study.varying() or self.encoding.labels

    @cached_property
    def stored_analysis(self) -> StudyAnalysis | None:
        """The stored comparison, which may be about other runs than those that are there."""
        return load_analysis(self.study)

    @property
    def analysis(self) -> StudyAnalysis:
        """The comparison of the study's runs.

        Raises
        ------
        NothingToDraw
            If there is none, or runs have come or gone since.
        """
        found, name = self.stored_analysis, self.study.name
        if found is None:
            raise NothingToDraw(f"the runs are not compared yet: pyrovae study analyse {name}")
        if not found.fresh:
            raise NothingToDraw(
                f"the runs have changed since they were compared: pyrovae study analyse {name}"
            )
        return found

    def conclude(self) -> None:
        """Refuse to conclude from runs that have not settled, unless that was asked for.

        It was if the stored comparison of these runs was made so.

        Raises
        ------
        NothingToDraw
            With the runs that have not settled.
        """
        found = self.stored_analysis if self.study.settling.unsettled else None
        asked = found is not None and found.fresh and bool(found.unsettled)
        try:
            self.study.settling.require(unsettled=self.unsettled or asked)
        except NotSettled as reason:
            raise NothingToDraw(str(reason)) from None

    @cached_property
    def cells(self) -> pd.DataFrame:
        """See :func:`pyrovae.report.look.summaries.cell_table`; how many have not settled too."""
        table = summaries.cell_table(self.runs, self.labels)
        open_runs = self.runs["run"].isin(self.study.settling.unsettled)
        counts = open_runs.groupby(self.runs["cell"]).sum()
        first = ["cell", *self.labels, "seeds"]
        counted = table[first].assign(unsettled=table["cell"].map(counts).astype(int))
        return pd.concat([counted, table.drop(columns=first)], axis=1)

    @cached_property
    def chance(self) -> pd.DataFrame:
        """See :func:`pyrovae.analysis.chance.chance_levels`."""
        return chance_levels(self.study)

    @cached_property
    def variation(self) -> pd.DataFrame:
        """See :func:`pyrovae.report.look.summaries.variation_table`."""
        return summaries.variation_table(self.runs, self.labels, self.chance)

    @cached_property
    def diagnosed(self) -> pd.DataFrame:
        """See :func:`pyrovae.report.look.summaries.diagnosed_runs`.

        Raises
        ------
        NothingToDraw
            If no run of the study has been diagnosed.
        """
        return summaries.diagnosed_runs(self.study, self.titles)

    @cached_property
    def titles(self) -> dict[str, str]:
        """What tells each cell from others, in words, by its hash."""
        first = self.study.runs.drop_duplicates("cell").to_dict("records")
        return {row["cell"]: self.encoding.cell_title(row) for row in first}

    @cached_property
    def units(self) -> pd.DataFrame:
        """See :meth:`pyrovae.study.store.results.StudyResults.units`."""
        return self.study.units()

    @cached_property
    def history(self) -> pd.DataFrame:
        """See :meth:`pyrovae.study.store.results.StudyResults.history`; not to be changed."""
        return self.study.history()

    @cached_property
    def representatives(self) -> pd.DataFrame:
        """The first finished seed of each cell, in the study's order: no choice by looks."""
        by_seed = self.runs.sort_values("seed", kind="stable")
        return by_seed.drop_duplicates("cell").sort_index()


def present(study: StudyResults, *, unsettled: bool = False) -> Presented:
    """Return a study as its figures and tables take it; see :class:`Presented`."""
    return Presented(study, unsettled)
