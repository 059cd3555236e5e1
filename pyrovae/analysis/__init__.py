"""The comparison across runs: a hierarchical Pyro model of each metric, and checks beside it.

::

    from pyrovae.analysis import fit
    from pyrovae.study.results import load_study

    runs = load_study("results/prior_comparison").runs
    mig = fit(runs, "mig", ["prior", "posterior"])
    (mig.of(prior="laplace") > mig.of(prior="standard_normal")).mean()  # P(Laplace is better)
    mig.contrasts()  # all pairs: difference, interval, P(better), P(practically equal)
"""

from __future__ import annotations

from pyrovae.analysis.fit import NothingToCompare, fit
from pyrovae.analysis.metrics import comparable, describe
from pyrovae.analysis.posterior import CellPosterior, NotConverged
from pyrovae.analysis.sampling import Sampling
from pyrovae.analysis.study import StudyAnalysis, analyse, load_analysis

__all__ = [
    "CellPosterior",
    "NotConverged",
    "NothingToCompare",
    "Sampling",
    "StudyAnalysis",
    "analyse",
    "comparable",
    "describe",
    "fit",
    "load_analysis",
]
