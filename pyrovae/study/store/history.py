"""What was recorded along a run's training, and whether the run had settled by it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from pyrovae.training import Record, TrainingSettings
from pyrovae.training.course import Course
from pyrovae.training.settled import NOT_RECORDED, Looks, Settled, first_settled, judge

if TYPE_CHECKING:
    import pandas as pd

#: Columns that every history has.
_LOSSES = ("step", "loss", "distortion", "rate")
_OF_UNITS = ("active_units", "kl", "var_mu", "mean_var", "collapsed")
#: Columns that tell whether a run has settled; histories of version 0.1.0 lack them.
_LOOKS = ("elbo", "informative_units", "used_units", "noise_share")


def history_table(records: Sequence[Record]) -> pd.DataFrame:
    """Return the history of a run, a row for each record.

    ``measured`` of each is a :class:`pyrovae.measures.collapse.measure.AlongTraining`, whose
    columns follow those of the losses.
    """
    import pandas as pd

    validated = [] if all(isnan(r.validation_loss) for r in records) else ["validation_loss"]
    rows = [
        {name: getattr(r, name) for name in (*_LOSSES, *validated)} | r.measured.columns
        for r in records
    ]
    return pd.DataFrame(rows, columns=None if rows else [*_LOSSES, *_OF_UNITS])


def settled_of(history: pd.DataFrame, settings: TrainingSettings, constant_from: float) -> Settled:
    """Return whether a run had settled when its training ended.

    Parameters
    ----------
    history
        Its whole history.
    settings
        How it was trained.
    constant_from
        Step from which on all its scheduled numbers are constant.
    """
    looks = looks_of(history)
    if looks is None:
        return NOT_RECORDED
    course = Course(settings)
    made = history[history["step"] > 0]  # before the first step there is no loss
    validated = made.get("validation_loss", made["loss"])
    course.see(zip(made["step"], made["loss"], validated, strict=True))
    if settings.until != "settled":
        return judge(looks, course.rate, constant_from)
    settled = first_settled(looks, course.rate, constant_from)
    if settled is not None:
        course.settle(settled)
    # The fall is no evidence: with the noise the bound rises, whatever the run was at.
    return judge(looks, lambda step: float(step < course.turn), constant_from)


class Watch:
    """Tells of a run in training since when it has been settled.

    Parameters
    ----------
    settings, constant_from
        As for :func:`settled_of`.
    before
        The history until training was interrupted, if it was.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        constant_from: float,
        before: pd.DataFrame | None = None,
    ) -> None:
        self._rate, self._constant_from = Course(settings).rate, constant_from
        self._before = before
        self._seen = 0

    def __call__(self, records: list[Record]) -> int | None:
        """Return the first step at which the run was seen settled, given all later records."""
        tables = [] if self._before is None else [self._before]
        tables += [history_table(records)] if records else []
        import pandas as pd

        looks = looks_of(pd.concat(tables, ignore_index=True))
        if looks is None:
            return None
        found = first_settled(looks, self._rate, self._constant_from, seen=self._seen)
        self._seen = len(looks.step)
        return found


def looks_of(history: pd.DataFrame) -> Looks | None:
    """Return what a history tells of settling; ``None`` if the held-out bound is not in it."""
    if not set(_LOOKS) <= set(history.columns) or history[list(_LOOKS)].isna().any(axis=None):
        return None
    noise = np.array(history["noise_share"].tolist(), dtype=float)
    return Looks(
        step=history["step"].to_numpy(dtype=np.int64),
        loss=history["loss"].to_numpy(dtype=float),
        bound=history["elbo"].to_numpy(dtype=float),
        informative=history["informative_units"].to_numpy(dtype=np.int64),
        used=history["used_units"].to_numpy(dtype=np.int64),
        told=1 - noise,
        aligned=not history["turned"].any(),
    )
