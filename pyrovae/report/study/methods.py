"""The paragraph on methods: what ran, told from what is stored with the runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pyrovae.core import dotted
from pyrovae.core.digest import short_digest
from pyrovae.measures.scores import score_of
from pyrovae.report.escapes import latex as escape
from pyrovae.report.look import names
from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.presented import Presented
from pyrovae.study.config.labels import LABELS, label_of
from pyrovae.study.config.run import OPTIMIZER, RunConfig
from pyrovae.study.store.columns import side_by_side
from pyrovae.training.optimizers import OPTIMIZERS

_PLURALS = {
    "dataset": "data sets",
    "network": "networks",
    "prior": "priors",
    "posterior": "posteriors",
    "likelihood": "likelihoods",
    "objective": "objectives",
    "latent_dim": "numbers of latent units",
}


def methods(presented: Presented) -> str:
    """Return a draft of the paragraph, with every parameter, default or not.

    Parameters
    ----------
    presented
        Of a study with at least one finished run; what is said holds for the finished runs.
    """
    study = presented.study
    folders = [study.folder(run) for run in study.runs["run"]]
    runs = [study.configs[folder.id] for folder in folders]
    configs = [run.model_dump(mode="json") for run in runs]
    parts = []
    for label in LABELS:
        values = _distinct(
            names.value_text(config[label]) for config in configs if config.get(label)
        )
        if not values:
            continue
        several = _PLURALS.get(label, f"{names.title(label).lower()}s")
        noun = names.title(label) if len(values) == 1 else several
        parts.append(f"{noun[0].upper()}{noun[1:]}: {'; '.join(values)}.")
    given = _distinct(run.condition.told for run in runs if run.condition)
    if given:
        parts.append(
            f"Given a condition: {'; '.join(given)}; rates, bounds and counts of units of these "
            "runs are those given it."
        )
    parts.append(f"Seeds: {_seeds(presented)}.")
    training = _distinct(
        f"{_optimizer(run)}: {_assigned(config['training'])}"
        for run, config in zip(runs, configs, strict=True)
    )
    parts.append(f"Training by {'; or by '.join(training)}.")
    parts.append(_settled(presented))
    evaluation = _distinct(
        f"at most {s['points']} points of each split, {s['samples']} draws of z for each"
        for s in (config["evaluation"] for config in configs)
    )
    parts.append(f"Evaluation: {'; or '.join(evaluation)}.")
    parts += _estimators(
        [run["estimators"] for run in side_by_side(folder.metrics() for folder in folders)]
    )
    parts += _comparison(presented)
    parts += _software([folder.environment() for folder in folders])
    identity = short_digest("".join(sorted(study.runs["run"])))
    parts.append(f"{len(configs)} runs, hash {identity}.")
    return " ".join(parts)


def latex_methods(presented: Presented) -> str:
    """Return the paragraph for LaTeX."""
    return escape(methods(presented)) + "\n"


def _settled(presented: Presented) -> str:
    """Tell how long runs trained, and how many had settled by then."""
    study = presented.study
    steps = study.history().groupby("run")["step"].max()
    low, high = int(steps.min()), int(steps.max())
    long = f"{low:,} steps" if low == high else f"{low:,} to {high:,} steps"
    text = f"Runs trained for {long}"
    stopped = sum(config.training.until == "validation" for config in study.configs.values())
    best = sum(config.training.keep == "best" for config in study.configs.values())
    if stopped:
        text += f"; {stopped} of them until the loss on the validation split no longer fell"
    if best:
        text += f"; of {best} the parameters with the lowest loss on it were kept"
    settling = study.settling
    if settling.unsettled:
        return f"{text}; {settling.told}."
    return (
        f"{text}; all had settled: over the last third at full learning rate the held-out bound "
        "rose by no more than 0.1 % or 0.1 nats, and the numbers of used and of informative units "
        "stood still."
    )


def _optimizer(run: RunConfig) -> str:
    """Return an optimiser with its source; with its parameters, where one is not the default."""
    label = label_of(run, OPTIMIZER)
    told = []
    if not dotted.is_path(label.name) and label.name in list(OPTIMIZERS):
        first = re.split("[,;]", OPTIMIZERS.source(label.name))[0]
        told.append(first.replace("&", "and"))
    if label.changed().parameters:
        told.append(names.assignments(label.parameters))
    name = names.words(label.name)
    return f"{name} ({'; '.join(told)})" if told else name


def _assigned(settings: Mapping[str, Any]) -> str:
    left = {k: v for k, v in settings.items() if v is not None and k != "optimizer"}
    return names.assignments(left)


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _seeds(presented: Presented) -> str:
    by_cell = presented.runs.groupby("cell")["seed"].apply(lambda seeds: tuple(sorted(seeds)))
    if by_cell.nunique() == 1:
        return ", ".join(map(str, by_cell.iloc[0])) + " in each cell"
    counts = by_cell.map(len)
    return f"{counts.min()} to {counts.max()} in each cell, as some runs failed or are missing"


def _estimators(stored: list[Mapping[str, Any]]) -> list[str]:
    """Tell the settings that scores were really estimated with, as stored with them."""
    said: dict[str, list[str]] = {}
    for estimators in stored:
        for key, entry in estimators.items():
            if isinstance(entry, Mapping) and isinstance(entry.get("estimator"), Mapping):
                said.setdefault(key, []).append(names.assignments(entry["estimator"]))
    if not said:
        return []
    scores = [
        f"{score_of(key).title} ({'; or '.join(_distinct(texts))})" for key, texts in said.items()
    ]
    return [f"Scores: {', '.join(scores)}."]


def _comparison(presented: Presented) -> list[str]:
    try:
        analysis = presented.analysis
    except NothingToDraw:
        return []
    sampling = analysis.about["sampling"]
    effects = " and ".join(names.title(f).lower() for f in analysis.factors)
    text = (
        "Comparison: for each metric a hierarchical Bayesian model"
        + (f" with effects of {effects} and their two-way interactions" if effects else "")
        + f", seeds as noise; NUTS with {sampling['chains']} chains of {sampling['draws']} draws "
        f"after {sampling['warmup']} of warm-up, seed {sampling['seed']}."
    )
    refused = [score_of(key).title for key in analysis.refused()]
    return [text + (f" No conclusion about: {', '.join(refused)}." if refused else "")]


def _software(environments: list[Mapping[str, Any]]) -> list[str]:
    known = [e for e in environments if e.get("versions")]
    if not known:
        return []
    versions = _distinct(", ".join(f"{k} {v}" for k, v in e["versions"].items()) for e in known)
    pythons = _distinct(f"Python {e['python']}" for e in known if e.get("python"))
    revisions = _distinct(str(e["git"]) for e in known if e.get("git"))
    revised = f" (revision {', '.join(revisions)})" if revisions else ""
    return [f"Software: {', '.join(['; or '.join(versions) + revised, *pythons])}."]
