"""Whether chains agree well enough to conclude from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from pyrovae.measures.arviz import ess, rhat

#: What chains must reach, in each quantity, before anything is concluded from it (Vehtari et al.
#: 2021, arXiv:1903.08008, sec. 4: 400 for four chains).
MAX_R_HAT, MIN_ESS = 1.01, 400
#: Share of transitions that may diverge.
MAX_DIVERGENT = 0.005


@dataclass(frozen=True)
class Convergence:
    """How well chains agree, at worst over all quantities that were checked.

    Attributes
    ----------
    r_hat
        Rank-normalised split R-hat.
    ess_bulk, ess_tail
        Effective number of draws, for the centre and for the tails.
    divergent
        Share of transitions that diverged.
    """

    r_hat: float
    ess_bulk: float
    ess_tail: float
    divergent: float

    @property
    def reason(self) -> str:
        """What is wrong; empty if nothing is."""
        # Written so that NaN fails.
        wrong = []
        if not self.r_hat <= MAX_R_HAT:
            wrong.append(f"R-hat is {self.r_hat:.3f}, above {MAX_R_HAT}")
        for name, size in (("bulk", self.ess_bulk), ("tail", self.ess_tail)):
            if not size >= MIN_ESS:
                wrong.append(f"the effective number of draws ({name}) is {size:.0f} of {MIN_ESS}")
        if not self.divergent <= MAX_DIVERGENT:
            wrong.append(f"{self.divergent:.1%} of transitions diverged, above {MAX_DIVERGENT:.1%}")
        return ", ".join(wrong)

    @property
    def passed(self) -> bool:
        """Whether conclusions may be drawn."""
        return not self.reason


def convergence(draws: Mapping[str, np.ndarray], *, divergent: float) -> Convergence:
    """Check chains.

    Parameters
    ----------
    draws
        What is concluded from, by name: ``(chain, draw, *shape)`` each, at least one.
    divergent
        Share of transitions that diverged.
    """
    chains = list(draws.values())
    # numpy's max and min keep NaN: a quantity that never moved does not pass.
    return Convergence(
        r_hat=_largest(rhat(values) for values in chains),
        ess_bulk=-_largest(-ess(values, "bulk") for values in chains),
        ess_tail=-_largest(-ess(values, "tail") for values in chains),
        divergent=divergent,
    )


def _largest(arrays: Iterable[np.ndarray]) -> float:
    return float(np.max(np.concatenate([np.ravel(values) for values in arrays])))
