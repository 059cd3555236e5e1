"""A diagnosis in words, with what had to be left out said first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyrovae.measures.arviz import USABLE_K
from pyrovae.measures.posterior.blame import ENOUGH_POINTS, LARGEST_KL
from pyrovae.measures.posterior.convergence import MAX_R_HAT, MIN_ESS

#: How log p(x) was estimated: the name among the scores, and in words.
ESTIMATORS = {
    "log_px_iwae": "importance sampling with the guide",
    "log_px_iwae_best": "importance sampling with the best q of each point",
    "log_px_ais": "annealed importance sampling",
}


def said(scores: Mapping[str, Any]) -> str:
    """Return the main scores as lines of text."""
    lines = [
        f"{scores['points_passed']} of {scores['points']} points pass the gate (R-hat <= "
        f"{MAX_R_HAT}, ESS >= {MIN_ESS})"
        + (
            f"; {scores['points_failed']} FAIL and are left out of what is said of the true "
            "posterior"
            if scores["points_failed"]
            else ""
        ),
        f"{scores['points_multimodal']} points have a posterior of several modes; "
        f"{scores['divergences']} divergent iterations",
        f"log p(x): {_number(scores, 'log_px')} nats ({ESTIMATORS[scores['log_px_by']]}); "
        f"ELBO: {_number(scores, 'elbo')}, best in the family: {_number(scores, 'elbo_best')}",
        f"approximation gap {_gap(scores, 'approximation_gap')}, "
        f"amortisation gap {_gap(scores, 'amortisation_gap')} nats{_unseen(scores)}",
        f"AIS on simulated data: {_number(scores, 'bracket_width')} nats between lower and upper "
        "bound",
        f"Pareto k: median {_shown(scores['pareto_k_median'])}, above {USABLE_K} for "
        f"{100 * scores['pareto_k_bad_share']:.0f} % of the points",
        f"calibration: p = {scores['sbc_p']:.2g}; 90 % intervals hold "
        f"{100 * scores['coverage_90']:.0f} % of the codes{_more_calibration(scores)}",
        f"{scores['collapsed_units']} collapsed units: {scores['blame_model']} by the model, "
        f"{scores['blame_guide']} by the guide{_missed(scores)}, "
        f"{scores['blame_undecided']} undecided{_too_few(scores)}",
    ]
    return "\n".join(lines)


def _unseen(scores: Mapping[str, Any]) -> str:
    # Earlier versions did not have it, nor has a data set without training points.
    if "amortisation_generalisation_gap" not in scores:
        return ""
    more = _gap(scores, "amortisation_generalisation_gap")
    return f", of which on points not seen in training {more} more"


def _more_calibration(scores: Mapping[str, Any]) -> str:
    # Earlier versions did not have them.
    if "tarp_p" not in scores:
        return ""
    told = (
        f"; all units at once (TARP): p = {scores['tarp_p']:.2g}; centre (VSBC): "
        f"p = {scores['vsbc_p']:.2g}"
    )
    if "local_c2st_p" in scores:
        told += (
            f"; classifiers (local C2ST): p = {scores['local_c2st_p']:.2g}, "
            f"{100 * scores['local_c2st_rejected']:.0f} % of the points rejected"
        )
    return told


def _missed(scores: Mapping[str, Any]) -> str:
    nats = scores.get("blame_guide_kl")
    if not nats:
        return ""
    # Near the ceiling of a single unit the true sum may be far larger.
    ceiling = f"; at most {LARGEST_KL:.2f} are seen of a unit" if nats > LARGEST_KL / 2 else ""
    return f" ({nats:.2f} nats for each point{ceiling})"


def _too_few(scores: Mapping[str, Any]) -> str:
    if scores["points_passed"] >= ENOUGH_POINTS or not scores["blame_undecided"]:
        return ""
    return f" (an interval takes {ENOUGH_POINTS} points that pass)"


def _gap(scores: Mapping[str, Any], name: str) -> str:
    told, spread = _number(scores, name), scores.get(f"{name}_points_se")
    return told if spread is None else f"{told} (over points: ± {spread:.2f})"


def _number(scores: Mapping[str, Any], name: str) -> str:
    return f"{scores[name]:.2f} ± {scores[f'{name}_se']:.2f}"


def _shown(value: float | None) -> str:
    # No number: the weights are all equal, as for an exact guide.
    return "none" if value is None else f"{value:.2f}"
