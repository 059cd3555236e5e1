"""Between training and reporting: what reports and judges read, computed and kept."""

from __future__ import annotations

from collections.abc import Callable

from pyrovae.analysis.chance import measure_chance
from pyrovae.analysis.phase_diagram import measure_principal_variances
from pyrovae.analysis.udr import measure_udr
from pyrovae.shrink.pruning.stage import measure_pruning
from pyrovae.study.store.results import StudyResults


def measure_study(
    study: StudyResults, *, pruning: bool = False, tell: Callable[[str], None] = lambda _: None
) -> None:
    """Compute what takes all runs of a study, and keep it in ``results/<study>/derived``.

    UDR of the runs of each cell; chance levels of scores that compare with factors; and, for linear
    VAEs that theory speaks of, the principal variances of their data. What is there and still right
    is not computed again.

    Parameters
    ----------
    study
        With at least one finished run.
    pruning
        Whether every run is pruned too; takes seconds to minutes for each.
    tell
        Is told what is being done.

    Raises
    ------
    PyrovaeError
        If a run is to be pruned and cannot be.
    """
    measure_udr(study)
    measure_chance(study)
    measure_principal_variances(study)
    if pruning:
        measure_pruning(study, tell=lambda run: tell(f"pruning {run}"))
