"""Varying priors and posteriors in Pyro VAEs: collapse, disentanglement, diagnostics.

::

    import pyrovae

    vae = pyrovae.build((1, 28, 28), latent_dim=16, prior="student_t")
    vae = pyrovae.fit(vae, images)  # trained in place; vae.history is a DataFrame
    print(pyrovae.collapse(vae, images))  # what each latent unit does

    study = pyrovae.run_study("prior_comparison", profile="quick")
    study = pyrovae.load_study("results/prior_comparison")
    study.runs                      # one row for each run: labels and scores
    study.posterior["88b8a5fc"]     # a run's draws, as ArviZ has them
    study.figure("active_units")    # a Matplotlib figure
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pyrovae.api.building import build
    from pyrovae.api.checks import (
        CheckFailed,
        check_likelihood,
        check_metric,
        check_network,
        check_objective,
        check_optimizer,
        check_posterior,
        check_prior,
        likelihood_checks,
        metric_checks,
        network_checks,
        objective_checks,
        optimizer_checks,
        posterior_checks,
        prior_checks,
    )
    from pyrovae.api.fitting import fit
    from pyrovae.api.measuring import collapse, diagnose, evaluate, score
    from pyrovae.api.running import run_study
    from pyrovae.api.runs import Run, load_run
    from pyrovae.api.shrinking import capacity, prune
    from pyrovae.api.studies import Study, load_study
    from pyrovae.api.wrapping import wrap

#: Where each name stands. ``import pyrovae`` answers at once: torch and all that is imported when
#: a name is asked for.
_FACES = {
    **dict.fromkeys(
        (
            "CheckFailed",
            "check_likelihood",
            "check_metric",
            "check_network",
            "check_objective",
            "check_optimizer",
            "check_posterior",
            "check_prior",
            "likelihood_checks",
            "metric_checks",
            "network_checks",
            "objective_checks",
            "optimizer_checks",
            "posterior_checks",
            "prior_checks",
        ),
        "checks",
    ),
    "Run": "runs",
    "Study": "studies",
    "build": "building",
    **dict.fromkeys(("capacity", "prune"), "shrinking"),
    **dict.fromkeys(("collapse", "diagnose", "evaluate", "score"), "measuring"),
    "fit": "fitting",
    "load_run": "runs",
    "load_study": "studies",
    "run_study": "running",
    "wrap": "wrapping",
}
__all__ = [
    "CheckFailed",
    "Run",
    "Study",
    "build",
    "capacity",
    "check_likelihood",
    "check_metric",
    "check_network",
    "check_objective",
    "check_optimizer",
    "check_posterior",
    "check_prior",
    "collapse",
    "diagnose",
    "evaluate",
    "fit",
    "likelihood_checks",
    "load_run",
    "load_study",
    "metric_checks",
    "network_checks",
    "objective_checks",
    "optimizer_checks",
    "posterior_checks",
    "prior_checks",
    "prune",
    "run_study",
    "score",
    "wrap",
]


def __getattr__(name: str) -> Any:
    """Import what stands behind a name."""
    if name in _FACES:
        return getattr(import_module(f"pyrovae.api.{_FACES[name]}"), name)
    raise AttributeError(f"module 'pyrovae' has no attribute '{name}'")


def __dir__() -> list[str]:
    """Return the names, for completion."""
    return sorted({*globals(), *_FACES})
