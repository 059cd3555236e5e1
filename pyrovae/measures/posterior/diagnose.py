"""All diagnostics of one trained model, and what they say in numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pyrovae.core.given import Data, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.datasets import Dataset
from pyrovae.measures.arviz import (
    USABLE_K,
    InferenceData,
    bundle,
    dataset,
    pareto_k,
)
from pyrovae.measures.collapse import ACTIVE_VARIANCE, measure_units, posterior_means
from pyrovae.measures.posterior import blame, predictive
from pyrovae.measures.posterior.annealing import (
    Annealing,
    Bracket,
    log_px,
    simulate,
    simulated_bracket,
)
from pyrovae.measures.posterior.calibration import Calibration, calibrate
from pyrovae.measures.posterior.comparison import compare_marginals
from pyrovae.measures.posterior.density import draw_codes
from pyrovae.measures.posterior.gaps import amortisation_gap, best_in_family
from pyrovae.measures.posterior.local import Local, local_c2st
from pyrovae.measures.posterior.reference import Reference, main_directions, sample_posterior
from pyrovae.measures.posterior.scores import NOMINAL
from pyrovae.measures.posterior.settings import DiagnosticsSettings
from pyrovae.measures.posterior.weights import Estimate, Weighted, draw_guide, elbo, log_mean
from pyrovae.models.contract import LatentModel

#: Replicated images that are kept for each point.
_KEPT = 6
#: Prior draws that marginals of the true posterior are compared with.
_PRIOR_DRAWS = 20_000
#: Estimates of log p(x).
_LOG_PX = ("log_px_iwae", "log_px_iwae_best", "log_px_ais")


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes
    ----------
    scores
        One number each, by name; nats where not told otherwise.
    points
        One row for each test point: gate, Pareto k, bounds and gaps.
    marginals
        One row for each test point and unit: guide against reference.
    units
        One row for each unit: activity by guide and by true posterior, and who is to blame; in a
        layered model with its ``layer``.
    data
        Draws and everything that figures need; see :func:`diagnose`.
    """

    scores: dict[str, Any]
    points: pd.DataFrame
    marginals: pd.DataFrame
    units: pd.DataFrame
    data: InferenceData


@only_measures
def diagnose(
    vae: LatentModel,
    dataset_: Dataset,
    settings: DiagnosticsSettings,
    seed: int,
    *,
    compiled: bool = False,
    progress: Callable[[str], None] = lambda stage: None,
) -> Diagnosis:
    """Sample the true posterior of test points and judge the guide by it.

    ``data`` has the groups ``posterior`` (``z``: chain, draw, datum, latent; NUTS),
    ``sample_stats``, ``guide`` (``z``: draws of q(z|x), same dims), ``observed_data``,
    ``constant_data`` (what is known of each datum, with ``main_modes``; ``modes``, ``unit_rhat``
    and ``main_direction``: datum, latent),
    ``calibration`` (``rank``: simulation, latent; ``distance_rank``: simulation), ``bracket``
    (``lower``, ``upper``: simulated),
    for images, ``posterior_predictive`` (``x``) and ``replicated`` (statistics: replicate, datum).

    Parameters
    ----------
    vae
        The trained model and guide.
    dataset_
        What it was trained on; the test split is looked at.
    settings
        How closely.
    seed
        Of every random draw made here.
    compiled
        Whether the sampler is compiled.
    progress
        Told what is done next.

    Raises
    ------
    PyrovaeError
        If the prior has no density.
    """
    x = dataset_.test.floats(slice(settings.points))
    generator = torch.Generator().manual_seed(seed)
    progress(f"NUTS: {len(x)} points, {settings.chains} chains")
    reference = sample_posterior(
        vae,
        x,
        chains=settings.chains,
        warmup=settings.warmup,
        draws=settings.draws,
        seed=seed,
        compiled=compiled,
        progress=lambda share: progress(f"NUTS: {100 * share:.0f} %"),
    )
    progress("guide: weights, best bound in its family")
    weighted = draw_guide(vae, x, samples=settings.guide_samples, seed=seed)
    best = best_in_family(
        vae, x, steps=settings.search_steps, samples=settings.guide_samples, seed=seed
    )
    unseen = _generalisation(vae, dataset_, best, weighted, settings, seed)
    progress("annealed importance sampling")
    annealing = Annealing(settings.annealed_chains, settings.temperatures, settings.leapfrog)
    annealed, accepted = log_px(vae, x, annealing, generator)
    context = dataset_.test.context
    bracket, _ = simulated_bracket(
        vae,
        settings.simulated,
        annealing,
        generator,
        None if context is None else _in_turn(context, settings.simulated),
    )
    progress("calibration")
    calibration = calibrate(
        vae,
        simulations=settings.simulations,
        draws=settings.calibration_draws,
        seed=seed,
        context=context,
    )
    local = None
    if settings.local_classifiers:
        progress("classifiers")
        local = local_c2st(
            vae,
            x,
            simulations=settings.simulations,
            classifiers=settings.local_classifiers,
            seed=seed,
            context=context,
        )
    datum = np.arange(len(x))
    bounds, nearest = _bounds(weighted.log_weight, best, annealed)
    k = pareto_k(weighted.log_weight.numpy())
    points = _points_table(datum, reference, k, bounds)
    if local is not None:
        points["local_c2st"], points["local_c2st_p"] = local.statistic, local.p_values
    units = _units_table(vae, dataset_, reference, generator, seed)
    marginals = _marginals(weighted, reference, datum, units)
    if vae.blocks is not None:
        units.insert(1, "layer", [vae.blocks.names[i] for i in vae.blocks.of_units])
    scores = {
        **_point_scores(points, reference),
        **_gap_scores(bounds),
        **unseen,
        "log_px_by": nearest,
        **_bracket_scores(bracket),
        "ais_acceptance": accepted,
        **_calibration_scores(calibration),
        **_local_scores(local),
        **_marginal_scores(marginals),
        **_blame_scores(units),
    }
    data = _inference_data(
        vae, x, settings, reference, weighted, points, calibration, bracket, generator
    )
    return Diagnosis(scores, points, marginals, units, data)


def _bounds(
    log_weight: Tensor, best: Tensor, annealed: Estimate
) -> tuple[dict[str, Estimate], str]:
    """Return bounds on log p(x) of each point by name, and the name of the one to go by."""
    bounds = {
        "elbo": elbo(log_weight),
        "elbo_best": elbo(best),
        "log_px_iwae": log_mean(log_weight),
        "log_px_iwae_best": log_mean(best),
        "log_px_ais": annealed,
    }
    nearest = nearest_bound({name: bounds[name] for name in _LOG_PX})
    return {**bounds, "log_px": bounds[nearest]}, nearest


def _marginals(
    weighted: Weighted, reference: Reference, datum: np.ndarray, units: pd.DataFrame
) -> pd.DataFrame:
    """Compare guide and reference unit by unit, at the points that pass the gate."""
    passed = reference.passed
    compared = compare_marginals(
        weighted.z.numpy()[:, passed], _pooled(reference.z)[:, passed], datum[passed]
    )
    return compared.merge(units[["unit", "guide_active"]], on="unit")


def nearest_bound(lower: dict[str, Estimate]) -> str:
    """Return which of several estimates of log p(x), all lower bounds in expectation, to go by.

    The highest is the nearest, but the highest of several noisy ones is too high: two standard
    errors are taken off each.
    """

    def surely(name: str) -> float:
        mean, error = lower[name].mean()
        return mean - 2 * error

    return max(lower, key=surely)


def _pooled(z: np.ndarray) -> np.ndarray:
    """Return ``(chain, draw, n, d)`` as ``(draws, n, d)``."""
    return z.reshape(-1, *z.shape[2:])


def _points_table(
    datum: np.ndarray, reference: Reference, k: np.ndarray, bounds: dict[str, Estimate]
) -> pd.DataFrame:
    columns: dict[str, Any] = {
        "datum": datum,
        "passed": reference.passed,
        "multimodal": reference.multimodal,
        "rhat": reference.rhat.max(1),
        "ess_bulk": reference.ess_bulk.min(1),
        "ess_tail": reference.ess_tail.min(1),
        "divergences": reference.divergences,
        "pareto_k": k,
    }
    for name, estimate in bounds.items():
        columns[name] = estimate.value.numpy()
        columns[f"{name}_se"] = estimate.error.numpy()
    return pd.DataFrame(columns)


def _units_table(
    vae: LatentModel, dataset_: Dataset, reference: Reference, generator: torch.Generator, seed: int
) -> pd.DataFrame:
    data = dataset_.test.floats(slice(5000))
    context = dataset_.test.context
    if context is not None:
        var_mu = measure_units(vae, data, seed=seed).var_mu.numpy()
    else:
        var_mu = posterior_means(vae, data).var(0, correction=0).numpy()
    active = var_mu > ACTIVE_VARIANCE
    rng, passed = np.random.default_rng(seed), reference.passed
    if passed.sum() < 2:
        nothing = np.full(len(active), np.nan)
        unknown = blame.Interval(nothing, nothing, nothing)
        return blame.units_table(active, var_mu, unknown, unknown)
    z, ess = reference.z[:, :, passed], reference.ess_bulk[passed]
    if context is not None:
        told = context[: len(passed)][torch.from_numpy(passed)]
        prior, z = _standardised(vae, z, told, generator)
        return blame.units_table(active, var_mu, None, blame.marginal_kl(z, prior, ess, rng))
    prior = draw_codes(vae, _PRIOR_DRAWS, generator).numpy()
    means = blame.moving_means(z, ess, rng)
    return blame.units_table(active, var_mu, means, blame.marginal_kl(z, prior, ess, rng))


def _in_turn(context: Tensor, n: int) -> Tensor:
    return context[torch.arange(n) % len(context)]


def _standardised(
    vae: LatentModel,
    z: np.ndarray,
    context: Tensor,
    generator: torch.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return draws of p(z|c) and of p(z|x, c) in coordinates in which p(z|c) is one law.

    A KL does not change when both laws are moved and stretched together.
    """
    contexts = _in_turn(context, _PRIOR_DRAWS)
    prior = draw_codes(vae, _PRIOR_DRAWS, generator, contexts)
    # A LatentModel that is conditional takes a context in each of its laws.
    model: Any = vae
    law = model.prior_law(context=contexts)
    if not law.batch_shape:
        return prior.numpy(), z
    own, base = model.prior_law(context=context).base_dist, law.base_dist
    moved = (torch.from_numpy(z) - own.loc) / own.scale
    return ((prior - base.loc) / base.scale).detach().numpy(), moved.detach().numpy()


def _point_scores(points: pd.DataFrame, reference: Reference) -> dict[str, Any]:
    k = points["pareto_k"]
    return {
        "points": len(points),
        "points_passed": int(points["passed"].sum()),
        "points_failed": int((~points["passed"]).sum()),
        "points_multimodal": int(points["multimodal"].sum()),
        "divergences": int(points["divergences"].sum()),
        "rhat_largest": float(np.nanmax(reference.rhat)),
        "ess_smallest": float(np.nanmin(np.minimum(reference.ess_bulk, reference.ess_tail))),
        "pareto_k_median": float(k.median()),
        "pareto_k_bad_share": float((k > USABLE_K).mean()),
    }


def _gap_scores(bounds: dict[str, Estimate]) -> dict[str, float]:
    log_px, best, bound = bounds["log_px"], bounds["elbo_best"], bounds["elbo"]
    gaps = {
        "approximation_gap": log_px - best,
        "amortisation_gap": best - bound,
        "inference_gap": log_px - bound,
    }
    scores: dict[str, float] = {}
    for name, estimate in (bounds | gaps).items():
        scores[name], scores[f"{name}_se"] = estimate.mean()
    for name, estimate in gaps.items():
        # Other test points would have other gaps: Monte Carlo errors leave that out.
        if len(estimate.value) > 1:
            scores[f"{name}_points_se"] = float(estimate.value.std()) / len(estimate.value) ** 0.5
    return scores


def _generalisation(
    vae: LatentModel,
    dataset_: Dataset,
    best: Tensor,
    weighted: Weighted,
    settings: DiagnosticsSettings,
    seed: int,
) -> dict[str, float]:
    """Return the amortisation gap of training points, and that of test points less it.

    Zhang, Hayes & Barber 2022 (arXiv:2205.11640) find that VAEs overfit by their encoder: then the
    encoder is nearer to the best q of points that it has seen.
    """
    x_train = dataset_.train.floats(slice(settings.points))
    if len(x_train) < 2:
        return {}
    seen = amortisation_gap(
        vae, x_train, steps=settings.search_steps, samples=settings.guide_samples, seed=seed
    )
    test = elbo(best) - elbo(weighted.log_weight)
    (of_test, test_error), (of_seen, seen_error) = test.mean(), seen.mean()
    spread = [float(e.value.var()) / len(e.value) for e in (test, seen) if len(e.value) > 1]
    return {
        "amortisation_gap_train": of_seen,
        "amortisation_gap_train_se": seen_error,
        "amortisation_generalisation_gap": of_test - of_seen,
        "amortisation_generalisation_gap_se": float(np.hypot(test_error, seen_error)),
        "amortisation_generalisation_gap_points_se": sum(spread) ** 0.5,
    }


def _bracket_scores(bracket: Bracket) -> dict[str, float]:
    width, error = bracket.width
    return {
        "simulated_log_px_lower": bracket.lower.mean()[0],
        "simulated_log_px_upper": bracket.upper.mean()[0],
        "bracket_width": width,
        "bracket_width_se": error,
    }


def _calibration_scores(calibration: Calibration) -> dict[str, float]:
    nominal = np.array(NOMINAL)
    coverages = {
        "coverage": calibration.coverage(nominal).mean(1),
        "tarp_coverage": calibration.expected_coverage(nominal),
    }
    return {
        "sbc_p": calibration.p_value,
        "sbc_units_rejected": int((calibration.p_values < 0.01).sum()),
        "vsbc_p": calibration.symmetry_p_value,
        "vsbc_units_rejected": int((calibration.symmetry_p_values < 0.01).sum()),
        "tarp_p": calibration.tarp_p_value,
        **{
            f"{name}_{round(100 * a)}": float(c)
            for name, found in coverages.items()
            for a, c in zip(NOMINAL, found, strict=True)
        },
    }


def _local_scores(local: Local | None) -> dict[str, float]:
    if local is None:
        return {}
    return {
        "local_c2st_p": local.p_value,
        "local_c2st_rejected": float((local.p_values < 0.05).mean()),
    }


def _marginal_scores(marginals: pd.DataFrame) -> dict[str, float]:
    scores: dict[str, float] = {}
    for name, part in (
        ("active", marginals[marginals["guide_active"]]),
        ("collapsed", marginals[~marginals["guide_active"]]),
    ):
        scores[f"w1_sd_{name}"] = float(part["w1_sd"].mean())
        scores[f"sd_ratio_{name}"] = float(part["sd_ratio"].median())
        scores[f"shift_{name}"] = float(part["shift"].abs().mean())
    return scores


def _blame_scores(units: pd.DataFrame) -> dict[str, float]:
    counts = units["blame"].value_counts()
    scores = {f"blame_{who}": int(counts.get(who, 0)) for who in ("model", "guide", "undecided")}
    # Whether it is much that the guide misses: a mean may move, and still tell next to nothing.
    missed = float(units.loc[units["blame"] == "guide", "kl"].sum())
    return {"collapsed_units": sum(scores.values()), **scores, "blame_guide_kl": missed}


def _inference_data(
    vae: LatentModel,
    x: Data,
    settings: DiagnosticsSettings,
    reference: Reference,
    weighted: Weighted,
    points: pd.DataFrame,
    calibration: Calibration,
    bracket: Bracket,
    generator: torch.Generator,
) -> InferenceData:
    z = reference.z
    chains, draws, _, d = z.shape
    coords = {
        "chain": np.arange(chains),
        "draw": np.arange(draws),
        "datum": points["datum"].to_numpy(),
        "latent": np.arange(d),
    }
    about = {"inference_library": "pyrovae", "sampler": "NUTS, p(z|x)"}

    def made(dims: tuple[str, ...], **variables: np.ndarray) -> Any:
        return dataset(dims, coords, about, **variables)

    sampled = ("chain", "draw", "datum")
    kept = {name: points[name].to_numpy() for name in points if name != "datum"}
    kept["main_modes"] = reference.main_modes
    by_unit = {
        "modes": reference.modes,
        "unit_rhat": reference.rhat,
        "main_direction": main_directions(z),
    }
    guide = weighted.z[: len(weighted.z) // chains * chains].unflatten(0, (chains, -1)).numpy()
    guide_coords = {**coords, "draw": np.arange(guide.shape[1])}
    groups = {
        "posterior": made((*sampled, "latent"), z=z),
        "sample_stats": made(sampled, **reference.statistics),
        "guide": dataset((*sampled, "latent"), guide_coords, {"sampler": "guide q(z|x)"}, z=guide),
        "observed_data": made(("datum",), x=observed(x).numpy()),
        "constant_data": made(("datum",), **kept).merge(made(("datum", "latent"), **by_unit)),
        "calibration": made(("simulation", "latent"), rank=calibration.ranks)
        .merge(made(("simulation",), distance_rank=np.asarray(calibration.distance_ranks)))
        .assign_attrs(draws=calibration.draws),
        "bracket": made(
            ("simulated",), lower=bracket.lower.value.numpy(), upper=bracket.upper.value.numpy()
        ),
    }
    if observed(x).dim() == 4:
        pooled = torch.from_numpy(_pooled(z))
        chosen = torch.randint(len(pooled), (settings.replicates,), generator=generator)
        codes = pooled[chosen]
        shown = simulate(vae, codes[:_KEPT], generator, **given(x))
        statistics = predictive.replicated_statistics(vae, codes, generator, **given(x))
        one = {"chain": np.arange(1), "datum": coords["datum"]}
        groups["posterior_predictive"] = dataset(sampled, one, about, x=shown.unsqueeze(0).numpy())
        groups["replicated"] = made(
            ("replicate", "datum"), **{name: value.numpy() for name, value in statistics.items()}
        )
    return bundle(groups)
