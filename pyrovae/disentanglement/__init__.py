"""Disentanglement metrics: pure functions of arrays, each with its source, registered by name.

>>> import numpy as np
>>> from pyrovae.disentanglement import mig
>>> rng = np.random.default_rng(0)
>>> factors = rng.integers(10, size=(5_000, 2))
>>> round(mig(factors.astype(float), factors).score, 2)  # each code is one factor
1.0

Names of the review of Carbonneau et al. 2020 (arXiv:2012.09276) that differ: Z-diff is
``beta_vae``, Z-min variance is ``factor_vae``, RMIG is ``mig``.
"""

from pyrovae.disentanglement.base import (
    METRICS,
    MetricResult,
    compares_factors,
    costly,
    is_costly,
    min_factors,
    needs_factors,
    unsupervised,
)
from pyrovae.disentanglement.beta_vae import beta_vae
from pyrovae.disentanglement.dci import dci
from pyrovae.disentanglement.dcimig import dcimig
from pyrovae.disentanglement.explicitness import explicitness
from pyrovae.disentanglement.factor_vae import factor_vae
from pyrovae.disentanglement.files import score_files
from pyrovae.disentanglement.inactive import only_active, with_and_without_inactive
from pyrovae.disentanglement.irs import irs
from pyrovae.disentanglement.jemmig import jemmig
from pyrovae.disentanglement.mig import mig
from pyrovae.disentanglement.mig_sup import mig_sup
from pyrovae.disentanglement.modularity import modularity
from pyrovae.disentanglement.original import ORIGINAL_ESTIMATORS
from pyrovae.disentanglement.sap import sap
from pyrovae.disentanglement.scoring import as_text, score
from pyrovae.disentanglement.udr import udr
from pyrovae.disentanglement.uncertainty import standard_error, with_standard_error
from pyrovae.disentanglement.unsupervised import (
    average_mutual_information,
    gaussian_total_correlation,
    wasserstein_correlation,
)

__all__ = [
    "METRICS",
    "ORIGINAL_ESTIMATORS",
    "MetricResult",
    "as_text",
    "average_mutual_information",
    "beta_vae",
    "compares_factors",
    "costly",
    "dci",
    "dcimig",
    "explicitness",
    "factor_vae",
    "gaussian_total_correlation",
    "irs",
    "is_costly",
    "jemmig",
    "mig",
    "mig_sup",
    "min_factors",
    "modularity",
    "needs_factors",
    "only_active",
    "sap",
    "score",
    "score_files",
    "standard_error",
    "udr",
    "unsupervised",
    "wasserstein_correlation",
    "with_and_without_inactive",
    "with_standard_error",
]
