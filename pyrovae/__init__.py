"""Varying priors and posteriors in Pyro VAEs: collapse, disentanglement, diagnostics.

::

    import pyrovae

    study = pyrovae.load_study("results/prior_comparison")
    study.runs                      # one row for each run: labels and scores
    study.posterior["88b8a5fc"]     # ArviZ InferenceData of a run
    study.figure("active_units")    # a Matplotlib figure
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pyrovae.api.studies import Study, load_study

__all__ = ["Study", "load_study"]


def __getattr__(name: str) -> Any:
    """Import torch and all that only when it is asked for: ``import pyrovae`` answers at once."""
    if name in __all__:
        from pyrovae.api import studies

        return getattr(studies, name)
    raise AttributeError(f"module 'pyrovae' has no attribute '{name}'")
