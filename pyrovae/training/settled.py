"""Whether a run has settled: its held-out bound and the counts of its units stand still.

A learning rate that falls to 0 makes any run stand still, so that only what was seen while it was
above a tenth of its peak is evidence, and nothing is concluded before the last scheduled number
has reached its end. Of that time the last third, the *window*, is looked at:

- The bound no longer rises: by at most 0.1 % or 0.25 nats, whichever is more, along the line
  through the window by least squares. (Comparisons take half a nat for practically none.) Either
  the training loss does not fall by more, whose means over all steps between two records scatter
  little; or, since training goes on fitting what it has seen, the held-out bound does not rise by
  more even with its standard error added.
- The numbers of informative and of used units are the same at every record of the window, and so
  they are at the end of training.
- No unit is about to change sides: the share of its variance that the data explain does not move
  so that, on the line through its logarithm, it passes the threshold of being informative before
  training is twice as long. This is what a unit looks like that wakes at a saddle of the bound, or
  falls asleep slowly.

What the rule overlooks, and how often, is measured in the documentation: *How long to train*.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Share of its peak above which a learning rate lets a run move.
AWAKE = 0.1
#: Records that the window must have: fewer are seen on any plateau. The last third of a run with
#: the default number of records has so many.
LEAST_RECORDS = 7
#: Rise of the bound over the window that is practically none: share of it, and nats.
RISE_SHARE, RISE_NATS = 1e-3, 0.25
#: Share of a unit's variance that the data explain, above which it is informative.
TOLD = 0.2
#: Level at which the trend of any unit is told from noise.
_LEVEL = 0.01
#: Shares below this are numerical noise.
_FLOOR = 1e-6
#: Units that a reason names.
_NAMED = 6


@dataclass(frozen=True)
class Looks:
    """What was seen of a run along training, one row for each record.

    Attributes
    ----------
    step
        Steps done, ``(n,)``.
    loss
        Mean training loss since the record before, nats per datum, ``(n,)``.
    bound
        Held-out ELBO in nats per datum, from the same data and noise at each record, ``(n,)``.
    informative, used
        Number of such units, ``(n,)``.
    told
        Share of each unit's variance that the data explain, ``(n, units)``.
    aligned
        Whether column u of ``told`` is latent unit u at each record; if not, columns are
        directions of the code by falling information.
    """

    step: NDArray[np.int64]
    loss: NDArray[np.float64]
    bound: NDArray[np.float64]
    informative: NDArray[np.int64]
    used: NDArray[np.int64]
    told: NDArray[np.float64]
    aligned: bool = True

    def until(self, n: int) -> Looks:
        """Return the first ``n`` records."""
        return Looks(
            self.step[:n],
            self.loss[:n],
            self.bound[:n],
            self.informative[:n],
            self.used[:n],
            self.told[:n],
            self.aligned,
        )


@dataclass(frozen=True)
class Settled:
    """Whether a run has settled, and why not.

    Attributes
    ----------
    yes
        Whether it has; ``None`` where the record along training does not tell.
    reasons
        Why not, or why that is not known, in words; empty if it has.
    window
        First and last step of the window.
    rise
        Of the held-out bound over the window, nats; NaN where it is not known.
    """

    yes: bool | None
    reasons: tuple[str, ...] = ()
    window: tuple[int, int] = (0, 0)
    rise: float = float("nan")

    @property
    def told(self) -> str:
        """The verdict in a line: ``"not settled: units 3, 17 still fall"``."""
        if self.yes:
            return "settled"
        said = "not settled" if self.yes is False else "not known to be settled"
        return f"{said}: {'; '.join(self.reasons)}"

    @property
    def scores(self) -> dict[str, float]:
        """The score ``settled``, 1 or 0; nothing where it is not known."""
        return {} if self.yes is None else {"settled": float(self.yes)}

    def content(self) -> dict[str, Any]:
        """Return it as data for JSON."""
        rise = None if np.isnan(self.rise) else self.rise
        return {
            "yes": self.yes,
            "reasons": list(self.reasons),
            "window": list(self.window),
            "rise": rise,
        }

    @classmethod
    def of(cls, content: dict[str, Any]) -> Settled:
        """Return what :meth:`content` was made of."""
        rise = content["rise"]
        return cls(
            content["yes"],
            tuple(content["reasons"]),
            (content["window"][0], content["window"][1]),
            float("nan") if rise is None else rise,
        )


#: Of a run whose record along training lacks what the rule needs.
NOT_RECORDED = Settled(None, ("its held-out bound was not recorded along training",))


def judge(looks: Looks, rate: Callable[[int], float], constant_from: float = 0) -> Settled:
    """Return whether a run has settled.

    Parameters
    ----------
    looks
        All that was seen of it.
    rate
        Learning rate at a step.
    constant_from
        Step from which on all scheduled numbers are constant.
    """
    last = int(looks.step[-1])
    if last < constant_from:
        words = "never ends" if np.isinf(constant_from) else f"ends at step {constant_from:,.0f}"
        return Settled(False, (f"a schedule {words}, training did at {last:,}",))
    awake = _awake(looks.step, rate)
    start = max(looks.step[awake][-1] * 2 / 3, constant_from)
    inside = awake & (looks.step >= start) & (looks.step > 0)
    if inside.sum() < LEAST_RECORDS:
        few = f"{inside.sum()} records in the last third of training at full learning rate"
        return Settled(False, (f"{few}, {LEAST_RECORDS} are needed to tell",))
    step = looks.step[inside]
    window = (int(step[0]), int(step[-1]))
    rise, error = _rise(step, looks.bound[inside])
    fall = -_rise(step, looks.loss[inside])[0]
    told = np.log(np.maximum(looks.told[inside], _FLOOR))
    horizon = 2 * last
    reasons = [
        *_of_bound(rise, error, fall, looks.bound[inside]),
        *_of_counts("informative", looks.informative, inside),
        *_of_counts("used", looks.used, inside),
        *_of_trends(step, told, horizon, looks.aligned),
    ]
    return Settled(not reasons, tuple(reasons), window, rise)


def first_settled(
    looks: Looks, rate: Callable[[int], float], constant_from: float = 0, *, seen: int = 0
) -> int | None:
    """Return the first step at which a run was settled by what had been seen of it until then.

    Parameters
    ----------
    looks, rate, constant_from
        As for :func:`judge`.
    seen
        Records after which it is known not to have been.
    """
    for n in range(max(seen, LEAST_RECORDS) + 1, len(looks.step) + 1):
        if judge(looks.until(n), rate, constant_from).yes:
            return int(looks.step[n - 1])
    return None


def _awake(steps: NDArray[np.int64], rate: Callable[[int], float]) -> NDArray[np.bool_]:
    """Return at which records the learning rate was above a tenth of its peak until then."""
    # The rate of the last step before a record is what moved the run there.
    rates = np.array([rate(max(int(step) - 1, 0)) for step in steps])
    return np.asarray(rates > AWAKE * rates.max())


def _rise(step: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[float, float]:
    """Return by how much the line through values rises over all steps, and its standard error."""
    if not np.isfinite(values).all():
        return float("nan"), float("nan")
    # Imported late: `plan` and `status` do without it, and it takes a second.
    from scipy import stats

    line, length = stats.linregress(step, values), step[-1] - step[0]
    return float(line.slope * length), float(line.stderr * length)


def _of_bound(rise: float, error: float, fall: float, bound: NDArray[np.float64]) -> list[str]:
    if np.isnan(rise) or np.isnan(fall):
        return ["the bound is not finite"]
    practically_none = max(RISE_SHARE * abs(bound.mean()), RISE_NATS)
    if fall <= practically_none or rise + error <= practically_none:
        return []
    if rise > practically_none:
        return [f"the held-out bound rose {rise:.2g} nats in the last third"]
    return [
        f"the training loss fell {fall:.2g} nats in the last third, and the held-out bound "
        f"({rise:+.2g} ± {error:.2g}) does not say that it stood still"
    ]


def _of_counts(word: str, counts: NDArray[np.int64], inside: NDArray[np.bool_]) -> list[str]:
    seen = counts[inside]
    if seen.min() != seen.max():
        return [f"{seen.min()} to {seen.max()} {word} units in the last third"]
    if counts[-1] != seen[-1]:
        return [f"{word} units went from {seen[-1]} to {counts[-1]} as the learning rate fell"]
    return []


def _of_trends(
    step: NDArray[np.int64], told: NDArray[np.float64], horizon: int, aligned: bool
) -> list[str]:
    """Return which units are about to pass the threshold, in either direction."""
    falling, rising = [], []
    units = told.shape[1]
    # Imported late: `plan` and `status` do without it, and it takes a second.
    from scipy import stats

    # Each of all units is looked at.
    sure = float(stats.t.ppf(1 - _LEVEL / (2 * units), len(step) - 2))
    for unit, values in enumerate(told.T):
        line = stats.linregress(step, values)
        # Records in a row are not independent: a line without scatter is the clearest trend.
        if not np.isfinite(line.slope) or abs(line.slope) <= sure * line.stderr:
            continue
        now = line.intercept + line.slope * step[-1]
        then = line.intercept + line.slope * horizon
        if now < np.log(TOLD) < then:
            rising.append(unit)
        elif now > np.log(TOLD) > then:
            falling.append(unit)
    return [
        f"{_named(found, aligned)} {word if len(found) > 1 else singular}"
        for found, word, singular in (
            (falling, "still fall", "still falls"),
            (rising, "are waking", "is waking"),
        )
        if found
    ]


def _named(units: Sequence[int], aligned: bool) -> str:
    what = "unit" if aligned else "direction"
    if len(units) == 1:
        return f"{what} {units[0]}"
    if len(units) > _NAMED:
        return f"{len(units)} {what}s"
    return f"{what}s {', '.join(map(str, units))}"
