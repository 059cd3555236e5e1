"""Aggressive inference: the guide catches up before the model moves on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Annotated, Any, Literal

from pydantic import Field

from pyrovae.core.registry import LATER
from pyrovae.objectives.base import OBJECTIVES, Update
from pyrovae.objectives.elbo import Elbo

_UNTIL = 1000


@OBJECTIVES.register("lagging")
class Lagging(Elbo):
    r"""ELBO with several updates of the guide for each of the model, early in training.

    .. math:: \mathcal{L} = D + R

    The original's inner loop goes on until it has converged; here its length is given. There the
    model moves alone at the end of each inner loop; here the guide moves with it, on the same
    minibatch.

    Parameters
    ----------
    inner
        Updates of the guide alone before each joint update.
    until
        Steps, of either kind, after which all are joint.
    stop
        ``until``: that alone decides. ``information``: the first record along training whose
        mutual information of data and code, on held-out data, is below that of a record before
        (the original's rule, which looks after each epoch), but at the latest ``until``. It then
        takes a posterior with known marginals.

    References
    ----------
    He et al. 2019, algorithm 1; arXiv:1901.05534

    Examples
    --------
    >>> from pyrovae.objectives import Lagging
    >>> updates = [Lagging(inner=2, until=6).groups(step) for step in range(8)]
    >>> [update["model"].on for update in updates]
    [False, False, True, False, False, True, True, True]
    """

    def __init__(
        self,
        *,
        inner: Annotated[int, Field(gt=0)] = 10,
        until: Annotated[int, Field(ge=0)] = _UNTIL,
        stop: Annotated[Literal["until", "information"], LATER] = "until",
    ) -> None:
        super().__init__()
        self.inner, self.until, self.stop = inner, until, stop
        self.heeds = "mutual_information" if stop == "information" else ""
        self._end = until

    @classmethod
    def requirements(cls, parameters: Mapping[str, Any]) -> frozenset[str]:
        """Return what mutual information takes besides, if it decides."""
        needs = super().requirements(parameters)
        if parameters.get("stop") == "information":
            needs |= {"posterior.marginals"}
        return needs

    def heed(self, seen: Sequence[tuple[int, float]]) -> None:
        """End the inner loops at the first record whose mutual information is below the best."""
        best = accumulate((value for _, value in seen), max)
        ends = [step for (step, value), most in zip(seen, best, strict=True) if value < most]
        self._end = min([self.until, *ends])

    @classmethod
    def constant_from(cls, parameters: Mapping[str, Any]) -> float:
        """Return the step from which on all updates are joint, at the latest."""
        return max(super().constant_from(parameters), parameters.get("until", _UNTIL))

    def groups(self, step: int) -> dict[str, Update]:
        """Return whether the model is updated at a step."""
        period = self.inner + 1
        done = step + 1
        joint = done > self._end or done % period == 0
        count = min(done, self._end) // period + max(done - self._end, 0)
        return {"model": Update(count=max(count, 1), on=joint)}
