"""The estimators of the original papers, where they differ from Locatello et al. 2019's.

::

    dci(codes, factors, rng, **ORIGINAL_ESTIMATORS["dci"])

or, in a study, the same keywords. Metrics that are not listed are estimated alike in both, or the
original needs more than arrays: Chen et al. 2018 estimate MIG by integrating over q(z|x), and
Higgins et al. 2017 leave the sample sizes of the BetaVAE score open.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

ORIGINAL_ESTIMATORS = MappingProxyType[str, dict[str, Any]](
    {
        # Eastwood & Williams 2018: a lasso, next to a random forest.
        "dci": {"learner": "lasso"},
        # Ridgeway & Mozer 2018: a regression for each value of a factor.
        "explicitness": {"classifier": "one_vs_rest"},
        # Kim & Mnih 2018, with the sizes that Carbonneau et al. 2020 give for it.
        "factor_vae": {"batch_size": 200, "n_train": 800, "n_test": 800},
        # Suter et al. 2019: the largest deviation, and factors as they are.
        "irs": {"quantile": 1.0, "n_factor_bins": None},
        # Do & Tran 2020: finer bins. They report parts["unnormalized"].
        "jemmig": {"n_bins": 100},
        # Kumar et al. 2018: squared correlation for ordered factors.
        "sap": {"factor_kind": "continuous"},
    }
)
"""Keyword parameters by metric name."""
