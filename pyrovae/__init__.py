"""Varying priors and posteriors in Pyro VAEs: collapse, disentanglement, diagnostics.

::

    import pyrovae

    study = pyrovae.run_study("prior_comparison", profile="quick")
    study = pyrovae.load_study("results/prior_comparison")
    study.runs                      # one row for each run: labels and scores
    study.posterior["88b8a5fc"]     # ArviZ InferenceData of a run
    study.figure("active_units")    # a Matplotlib figure
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pyrovae.api.running import run_study
    from pyrovae.api.runs import Run, load_run
    from pyrovae.api.studies import Study, load_study

#: Where each name stands. ``import pyrovae`` answers at once: torch and all that is imported when
#: a name is asked for.
_FACES = {
    "Run": "runs",
    "Study": "studies",
    "load_run": "runs",
    "load_study": "studies",
    "run_study": "running",
}
__all__ = ["Run", "Study", "load_run", "load_study", "run_study"]


def __getattr__(name: str) -> Any:
    """Import what stands behind a name."""
    if name in _FACES:
        return getattr(import_module(f"pyrovae.api.{_FACES[name]}"), name)
    raise AttributeError(f"module 'pyrovae' has no attribute '{name}'")
