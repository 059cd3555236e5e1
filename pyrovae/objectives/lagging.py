"""Aggressive inference: the guide catches up before the model moves on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from pyrovae.objectives.base import OBJECTIVES, Update
from pyrovae.objectives.elbo import Elbo

_UNTIL = 1000


@OBJECTIVES.register("lagging")
class Lagging(Elbo):
    r"""ELBO with several updates of the guide for each of the model, early in training.

    .. math:: \mathcal{L} = D + R

    The original goes on until the mutual information of data and code stops rising, and until the
    inner loop has converged. Here both numbers are given: what a run does depends on its
    configuration alone. There the model moves alone at the end of each inner loop; here the guide
    moves with it, on the same minibatch.

    Parameters
    ----------
    inner
        Updates of the guide alone before each joint update.
    until
        Steps, of either kind, after which all are joint.

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
    ) -> None:
        super().__init__()
        self.inner, self.until = inner, until

    @classmethod
    def constant_from(cls, parameters: Mapping[str, Any]) -> float:
        """Return the step from which on all updates are joint."""
        return max(super().constant_from(parameters), parameters.get("until", _UNTIL))

    def groups(self, step: int) -> dict[str, Update]:
        """Return whether the model is updated at a step."""
        period = self.inner + 1
        done = step + 1
        joint = done > self.until or done % period == 0
        count = min(done, self.until) // period + max(done - self.until, 0)
        return {"model": Update(count=max(count, 1), on=joint)}
