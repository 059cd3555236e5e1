"""Which parts fit together, from what they declare; checked before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError, did_you_mean
from pyrovae.datasets import Dataset
from pyrovae.distributions import analytic_kl
from pyrovae.measures.samplers.base import refusal
from pyrovae.models.condition import Condition
from pyrovae.models.layered import Layers
from pyrovae.models.likelihoods import LIKELIHOODS, Likelihood
from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.posteriors.base import NormalisedHead
from pyrovae.models.priors import PRIORS
from pyrovae.models.spaces import DISCRETE, SPACES
from pyrovae.models.vae import VAE
from pyrovae.objectives import OBJECTIVES
from pyrovae.study.config.condition import ConditionSettings
from pyrovae.training import TrainingSettings

#: What an objective may need of a part, in words.
NEEDS = {
    "posterior.reparameterizable": "a posterior whose draws have derivatives",
    "posterior.expectations": "a posterior whose expectations have gradients",
    "posterior.scored": "draws of labels",
    "posterior.amortized": "a posterior that is a function of the encoder's output alone",
    "posterior.factorized": "a posterior with independent dimensions",
    "posterior.normal": "a posterior with independent normal units",
    "posterior.marginals": "a posterior with known one-dimensional marginals",
    "posterior.moments": "a posterior with known mean and variance",
    "posterior.covariance": "a posterior with known covariance",
    "posterior.fixed_scale": "a posterior whose scale is not learned",
    "posterior.real": "codes in real space",
    "posterior.summed": "a label that training sums over",
    "posterior.mixed": "a code of real units and labels",
    "training.batch": "minibatches of two or more",
    "code.flat": "one flat code, without layers",
    "prior.factorized": "a prior with independent dimensions",
    "prior.reparameterizable": "a prior whose draws are functions of standard noise",
    "prior.density": "a prior that has the density of its draws",
    "likelihood.mean": "a likelihood whose mean has derivatives",
    "likelihood.learned_scale": "a likelihood whose scale is learned",
    "likelihood.squared_error": "a Gaussian likelihood with one shared sigma",
}
#: How KL(q || p) of a pair is computed.
Mark = Literal["closed", "sampled", "refused"]


def latent_conflict(prior: str, posterior: str) -> str | None:
    """Return why a prior and a posterior family cannot be paired, or ``None`` if they can."""
    p, q = PRIORS[prior], POSTERIORS[posterior]
    if p.space is not None and p.space != q.space:
        return (
            f"posterior '{posterior}' lives on the {SPACES[q.space]} but prior '{prior}' on the "
            f"{SPACES[p.space]}: KL(q || p) is infinite"
        )
    if p.needs_encoder and q.needs_model:
        return (
            f"posterior '{posterior}' is fitted to the prior, but prior '{prior}' is made of the "
            "posterior"
        )
    if p.needs_encoder and q.space in DISCRETE:
        return (
            f"posterior '{posterior}' has codes of labels, and a mixture of such posteriors, as "
            f"prior '{prior}' is one, has no law that training could relax"
        )
    return None


def data_conflict(likelihood: Mapping[str, Any], dataset: Dataset) -> str | None:
    """Return why a likelihood cannot explain a data set, or ``None`` if it can.

    Parameters
    ----------
    likelihood
        ``{"name": …, **parameters}``, resolved.
    dataset
        All of whose observations are looked at.

    Raises
    ------
    ConfigError
        If the likelihood is not for observations of that shape.
    """
    made: Likelihood = LIKELIHOODS.create(
        likelihood["name"],
        dataset.event_shape,
        **{key: value for key, value in likelihood.items() if key != "name"},
    )
    for which, split in dataset.splits.items():
        found = made.first_refused(split.values)
        if found is not None:
            index, words, value = found
            return (
                f"likelihood '{likelihood['name']}' is for {words} but data set '{dataset.name}' "
                f"holds {value:g} at {which}{index}"
            )
    return None


def validation_conflict(
    training: TrainingSettings, constant_from: float, dataset: Dataset
) -> tuple[str, str] | None:
    """Return the place to blame, and why a run cannot be decided by a validation split.

    Parameters
    ----------
    training, dataset
        Of the run.
    constant_from
        Step from which on all its scheduled numbers are constant.
    """
    decided = training.until == "validation" or training.keep == "best"
    place = "training.until" if training.until == "validation" else "training.keep"
    place = place if decided else "training.lr.watch"
    if training.validates and dataset.validation is None:
        return place, (
            f"needs a validation split, and data set '{dataset.name}' has none: "
            "dataset.validation takes some of the training data for one"
        )
    if decided and constant_from > training.steps:
        when = "never" if constant_from == math.inf else f"at step {constant_from:,.0f}"
        return place, (
            "looks at the validation split once all schedules are over, which is "
            f"{when} of {training.steps:,}"
        )
    return None


def unknown_need(objective: Mapping[str, Any]) -> str | None:
    """Return why an objective's needs make no sense, or ``None``: a word that no part declares.

    A word is known if it is one of :data:`NEEDS`, or a property of some registered family.
    """
    known = set(NEEDS)
    registries = {"prior": PRIORS, "posterior": POSTERIORS, "likelihood": LIKELIHOODS}
    for part, registry in registries.items():
        known |= {f"{part}.{fact}" for name in registry for fact in registry[name].properties}
    needs = OBJECTIVES[objective["name"]].requirements(objective)
    for need in sorted(needs - known):
        near = did_you_mean(need, known)
        return f"objective '{objective['name']}' needs '{need}', which no part declares{near}"
    return None


def objective_conflict(
    objective: Mapping[str, Any],
    *,
    prior: Mapping[str, Any] | None = None,
    posterior: Mapping[str, Any] | None = None,
    likelihood: Mapping[str, Any] | None = None,
    layers: Layers | Mapping[str, Any] | None = None,
) -> str | None:
    """Return why an objective cannot be used with some parts, or ``None`` if it can.

    Parameters
    ----------
    objective, prior, posterior, likelihood
        Each ``{"name": …, **parameters}``, resolved; a part that is ``None`` is not looked at.
    layers
        Of the code; ``None`` for a flat one.
    """
    entry = OBJECTIVES[objective["name"]]
    facts: dict[str, tuple[str, frozenset[str]]] = {}
    if prior is not None:
        facts["prior"] = prior["name"], PRIORS[prior["name"]].properties
    if posterior is not None:
        family = POSTERIORS[posterior["name"]]
        known = family.facts(posterior) | {family.space}
        if "reparameterizable" in known:
            known |= {"expectations"}
        facts["posterior"] = posterior["name"], known
    if likelihood is not None:
        facts["likelihood"] = (
            likelihood["name"],
            LIKELIHOODS[likelihood["name"]].facts(likelihood),
        )
    if layers is not None:
        told = layers if isinstance(layers, Layers) else Layers(**layers)
        facts["code"] = f"layers {told.told}", frozenset()
    for need in sorted(entry.requirements(objective)):
        part, _, fact = need.partition(".")
        if part in facts and fact not in facts[part][1]:
            name = facts[part][0]
            hint = f"; {entry.hint}" if entry.hint else ""
            return (
                f"objective '{objective['name']}' needs {NEEDS.get(need, need)}, "
                f"and {part} '{name}' does not qualify{hint}"
            )
    return None


def training_conflict(
    model: nn.Module, objective: nn.Module, name: str, training: TrainingSettings
) -> tuple[str, str] | None:
    """Return the place to blame inside a run and the reason, where parts cannot be trained so.

    Parameters
    ----------
    model, objective, name
        What is trained; its parameters may be on the meta device. ``name`` is the objective's.
    training
        How.
    """
    if training.rates.objective != 1 and not list(objective.parameters()):
        return "training.rates.objective", f"objective '{name}' has no parameters of its own"
    if getattr(objective, "moves", False):
        for key, asked in (("until", "validation"), ("keep", "best")):
            if getattr(training, key) == asked:
                return f"training.{key}", (
                    f"compares losses of different steps, and objective '{name}' changes its "
                    "weights along training"
                )
    batched = (nn.modules.batchnorm._BatchNorm, NormalisedHead)
    if not any(isinstance(m, batched) for m in model.modules()):
        return None
    if training.batch_size < 2:
        reason = "batch normalisation compares data within a minibatch: it needs 2 or more"
        return "training.batch_size", reason
    reason = getattr(objective, "against_batch_norm", "")
    if reason and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules()):
        return "network", f"objective '{name}' {reason}: norm: layer can"
    if any(isinstance(m, NormalisedHead) for m in model.modules()):
        others = ""
        if getattr(objective, "encodes_others", False):
            others = f"objective '{name}' encodes reconstructions too"
        elif isinstance(model, VAE) and model.prior.needs_encoder:
            family = PRIORS.name_of(type(model.prior))
            others = f"prior '{family}' encodes pseudo-inputs too"
        if others:
            return "posterior.gamma", f"normalises over a minibatch of data, and {others}"
    if isinstance(model, VAE) and model.posterior.needs_model:
        family = POSTERIORS.name_of(type(model.posterior))
        return "network", (
            f"posterior '{family}' climbs by derivatives of the decoder, in which batch "
            "normalisation cannot keep its statistics: norm: layer can"
        )
    return None


def condition_conflict(
    condition: Condition | ConditionSettings | None,
    *,
    prior: str,
    posterior: str,
    objective: Mapping[str, Any] | None = None,
) -> tuple[str, str] | None:
    """Return the place to blame and why parts cannot be given a context, or ``None``.

    Parameters
    ----------
    condition
        What is given one.
    prior, posterior
        Names of families.
    objective
        ``{"name": …, **parameters}``, resolved; one that is ``None`` is not looked at.
    """
    if condition is None:
        return None
    p, q = PRIORS[prior], POSTERIORS[posterior]
    if "marginals" not in q.properties:
        return "posterior", (
            f"posterior '{posterior}' has no known marginals, without which what a unit says given "
            "a condition is not measured"
        )
    if condition.prior and not p.has_location:
        able = ", ".join(name for name in PRIORS if PRIORS[name].has_location)
        return "condition.prior", (
            f"prior '{prior}' has no location and scale that a condition could move (these have: "
            f"{able}): condition.prior: false leaves it as it is"
        )
    if condition.prior and "factorized" not in q.properties:
        return "condition.prior", (
            f"posterior '{posterior}' has dependent dimensions, whose directions are not known "
            "under a prior that moves"
        )
    if condition.encoder and p.needs_encoder:
        return "condition.encoder", (
            f"prior '{prior}' is made of the encoder, whose pseudo-inputs have no labels: "
            "condition.encoder: false leaves it as it is"
        )
    needs = (
        frozenset() if objective is None else OBJECTIVES[objective["name"]].requirements(objective)
    )
    against = OBJECTIVES[objective["name"]].against_condition if objective is not None else ""
    if objective is not None and against:
        return "objective", f"objective '{objective['name']}' {against}"
    if objective is not None and "training.batch" in needs:
        return "objective", (
            f"objective '{objective['name']}' compares the codes of a minibatch, as if all were "
            "given the same: it is not defined given a condition"
        )
    return None


def conflicts(run: dict[str, Any], dataset: Dataset) -> tuple[str, str] | None:
    """Return the place to blame inside a run and the reason, for its first conflict."""
    prior, posterior, likelihood = run["prior"], run["posterior"], run["likelihood"]
    reason = latent_conflict(prior["name"], posterior["name"])
    if reason:
        return "posterior", reason
    if run.get("condition"):
        found = condition_conflict(
            ConditionSettings(**run["condition"]),
            prior=prior["name"],
            posterior=posterior["name"],
            objective=run["objective"],
        )
        if found:
            return found
    try:
        reason = data_conflict(likelihood, dataset)
    except ConfigError as error:
        return f"likelihood.{error.place}".removesuffix("."), error.message
    if reason:
        return "likelihood", reason
    reason = PRIORS[prior["name"]].data_conflict(prior, len(dataset.train))
    if reason:
        return "prior", reason
    objective = run["objective"]
    reason = objective_conflict(
        objective,
        prior=prior,
        posterior=posterior,
        likelihood=likelihood,
        layers=run.get("layers"),
    )
    if reason:
        return "objective", reason
    reason = OBJECTIVES[objective["name"]].data_conflict(objective, dataset, run["latent_dim"])
    if reason:
        return "objective", f"objective '{objective['name']}' {reason}"
    needs = OBJECTIVES[objective["name"]].requirements(objective)
    if "training.batch" in needs and run["training"]["batch_size"] < 2:
        return (
            "training.batch_size",
            f"objective '{objective['name']}' compares data within a minibatch: it needs 2 or more",
        )
    if run["evaluation"].get("samplers"):
        space = POSTERIORS[posterior["name"]].space
        reason = refusal(space, conditional=bool(run.get("condition")))
        if reason:
            return "evaluation.samplers", reason
    return None


def has_closed_kl(prior: str, posterior: str) -> bool:
    """Return whether KL(q || p) of a pair is computed in closed form, with default parameters.

    For a hierarchical prior it is that of the code, given the global sites.
    """
    return _closed(_prior_law(prior, posterior), _law_of(posterior))


def _closed(p: Distribution, q: Distribution) -> bool:
    return analytic_kl(q, p.expand((1,))) is not None


def _prior_law(prior: str, posterior: str) -> Distribution:
    p = PRIORS.create(prior, 2)
    if p.needs_encoder:
        q = _law_of(posterior)
        p.bind(lambda inputs: q.expand(inputs.shape[:1]), (1,))
    return p.fitted()


def _law_of(posterior: str) -> Distribution:
    family = POSTERIORS.create(posterior, 2, 2)
    features = torch.zeros(1, 2)
    if family.needs_model:
        return family(features, lambda z: -(z**2).sum(-1))
    return family(features)


def latent_matrix() -> dict[str, dict[str, Mark]]:
    """Return, by posterior and then by prior, how KL(q || p) is computed, or that it is refused.

    The global random state is left as it is.
    """
    marks: dict[str, dict[str, Mark]] = {}
    with torch.random.fork_rng(devices=[]):
        for q in POSTERIORS:
            row = marks[q] = {}
            for p in PRIORS:
                if latent_conflict(p, q):
                    row[p] = "refused"
                else:
                    row[p] = "closed" if has_closed_kl(p, q) else "sampled"
    return marks


def refusals() -> list[tuple[list[str], list[str], str]]:
    """Return (priors, posteriors, reason) of the refused pairs: any of those with any of these."""
    by_reason: dict[str, tuple[list[str], list[str]]] = {}
    for prior in PRIORS:
        for posterior in POSTERIORS:
            reason = latent_conflict(prior, posterior)
            if reason is None:
                continue
            # The same reason for other names is told once.
            general = reason.replace(f" '{prior}'", "").replace(f" '{posterior}'", "")
            priors, posteriors = by_reason.setdefault(general, ([], []))
            priors += [prior] * (prior not in priors)
            posteriors += [posterior] * (posterior not in posteriors)
    return [(*names, reason) for reason, names in by_reason.items()]


@dataclass(frozen=True)
class ObjectiveRow:
    """What an objective asks for with default parameters, and what does not have it.

    Attributes
    ----------
    needs
        In words; those that no part declares, as they stand.
    refused
        Names by part (``prior``, ``posterior``, ``likelihood``), default parameters each.
    """

    needs: tuple[str, ...]
    refused: dict[str, list[str]]


def objective_matrix() -> dict[str, ObjectiveRow]:
    """Return the row of each objective."""
    rows: dict[str, ObjectiveRow] = {}
    for name in OBJECTIVES:
        objective = {"name": name, **OBJECTIVES.resolve(name, {})}
        needs = sorted(OBJECTIVES[name].requirements(objective))
        refused: dict[str, list[str]] = {}
        for part, registry in (
            ("prior", PRIORS),
            ("posterior", POSTERIORS),
            ("likelihood", LIKELIHOODS),
        ):
            refused[part] = [
                entry
                for entry in registry
                if objective_conflict(
                    objective, **{part: {"name": entry, **registry.resolve(entry, {})}}
                )
            ]
        rows[name] = ObjectiveRow(tuple(NEEDS.get(need, need) for need in needs), refused)
    return rows


def data_requirements() -> dict[str, str]:
    """Return, in words, which data each likelihood explains with default parameters."""
    return {name: LIKELIHOODS.create(name, (1,)).explains for name in LIKELIHOODS}
