"""Disentanglement metrics: pure functions of arrays, each with its source, registered by name.

>>> import numpy as np
>>> from pyrovae.measures.disentanglement import mig
>>> rng = np.random.default_rng(0)
>>> factors = rng.integers(10, size=(5_000, 2))
>>> round(mig(factors.astype(float), factors).score, 2)  # each code is one factor
1.0

Names of the review of Carbonneau et al. 2020 (arXiv:2012.09276) that differ: Z-diff is
``beta_vae``, Z-min variance is ``factor_vae``, RMIG is ``mig``.
"""

from pyrovae.measures.disentanglement.base import (
    METRICS,
    MetricResult,
    is_costly,
    min_factors,
    needs_factors,
)
from pyrovae.measures.disentanglement.beta_vae import beta_vae
from pyrovae.measures.disentanglement.dci import dci
from pyrovae.measures.disentanglement.dcimig import dcimig
from pyrovae.measures.disentanglement.downstream import sample_efficiency, unfairness
from pyrovae.measures.disentanglement.explicitness import explicitness
from pyrovae.measures.disentanglement.factor_vae import factor_vae
from pyrovae.measures.disentanglement.files import score_files
from pyrovae.measures.disentanglement.inactive import only_active, with_and_without_inactive
from pyrovae.measures.disentanglement.infomec import infoc, infoe, infom
from pyrovae.measures.disentanglement.intrinsic import intrinsic_dimension
from pyrovae.measures.disentanglement.irs import irs
from pyrovae.measures.disentanglement.jemmig import jemmig
from pyrovae.measures.disentanglement.mcc import mcc
from pyrovae.measures.disentanglement.mig import mig
from pyrovae.measures.disentanglement.mig_sup import mig_sup
from pyrovae.measures.disentanglement.modularity import modularity
from pyrovae.measures.disentanglement.original import ORIGINAL_ESTIMATORS
from pyrovae.measures.disentanglement.sap import sap
from pyrovae.measures.disentanglement.scoring import as_text, score
from pyrovae.measures.disentanglement.udr import udr
from pyrovae.measures.disentanglement.uncertainty import standard_error, with_standard_error
from pyrovae.measures.disentanglement.unsupervised import (
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
    "dci",
    "dcimig",
    "explicitness",
    "factor_vae",
    "gaussian_total_correlation",
    "infoc",
    "infoe",
    "infom",
    "intrinsic_dimension",
    "irs",
    "is_costly",
    "jemmig",
    "mcc",
    "mig",
    "mig_sup",
    "min_factors",
    "modularity",
    "needs_factors",
    "only_active",
    "sample_efficiency",
    "sap",
    "score",
    "score_files",
    "standard_error",
    "udr",
    "unfairness",
    "wasserstein_correlation",
    "with_and_without_inactive",
    "with_standard_error",
]
