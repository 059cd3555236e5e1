"""The paragraph on methods: what ran, told from what is stored with the runs.

Sources stand in the paragraph as marks, which become names and years in plain text, and keys of a
bibliography in LaTeX.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from pyrovae.analysis.active import criterion
from pyrovae.analysis.chance import COSTLY_PERMUTATIONS, PERMUTATIONS
from pyrovae.analysis.judged import bar
from pyrovae.core import dotted
from pyrovae.core.digest import short_digest
from pyrovae.measures.disentanglement import METRICS
from pyrovae.measures.samplers import SAMPLERS
from pyrovae.measures.scores import score_of
from pyrovae.report.escapes import latex as escape
from pyrovae.report.look import names, sources
from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.presented import Presented
from pyrovae.report.tables import settling
from pyrovae.study.config.labels import LABELS, label_of
from pyrovae.study.config.resolve import REGISTRIES
from pyrovae.study.config.run import OPTIMIZER, RunConfig
from pyrovae.study.store.columns import side_by_side
from pyrovae.training.optimizers import OPTIMIZERS
from pyrovae.training.settled import RISE_NATS, RISE_SHARE

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
    return _MARK.sub(lambda mark: f" ({mark[2]})", _marked(presented))


def latex_methods(presented: Presented) -> str:
    r"""Return the paragraph for LaTeX; its ``\cite`` keys are those of :func:`references`."""
    return _MARK.sub(lambda mark: rf"~\cite{{{mark[1]}}}", escape(_marked(presented))) + "\n"


def references(presented: Presented, captions: Iterable[str] = ()) -> str:
    """Return the ``.bib`` file of what the paragraph and some captions cite."""
    keys = {key for mark in _MARK.finditer(_marked(presented)) for key in mark[1].split(",")}
    found = {source.key: source for source in _sources_of(presented) if source.key in keys}
    found |= {source.key: source for text in captions for source in sources.cited(text)}
    return sources.bibliography(found.values())


#: A mark: keys and names, between characters that no text has.
_MARK = re.compile("\x02([^\x03]*)\x03([^\x04]*)\x04")
#: What the analysis and the software rest on.
_NUTS = "Hoffman & Gelman 2014"
_MODEL = "Gelman 2005"
_PASSED = "Vehtari et al. 2021, arXiv:1903.08008"
_EQUIVALENCE = "Kruschke 2018"
_SOFTWARE = (
    "Bingham et al. 2019, arXiv:1810.09538; doi:10.21105/joss.01143; doi:10.21105/joss.03021"
)


def _cite(text: str) -> str:
    """Return the mark of the sources that a text names; nothing if it names none."""
    found = sources.cited(text)
    if not found:
        return ""
    keys, shorts = ",".join(s.key for s in found), "; ".join(s.short for s in found)
    return f"\x02{keys}\x03{shorts}\x04"


def _sources_of(presented: Presented) -> list[sources.Source]:
    """Return every source that the paragraph may cite."""
    texts = [
        _NUTS,
        _MODEL,
        _PASSED,
        _EQUIVALENCE,
        *_SOFTWARE.split("; "),
        criterion(presented.runs),
    ]
    for registry in (*REGISTRIES.values(), OPTIMIZERS, METRICS, SAMPLERS):
        texts += [registry.source(name) for name in registry]
    return [source for text in texts for source in sources.cited(text)]


def _source(registry: Any, name: str) -> str:
    """Return the mark of a part's sources; a part of one's own has none."""
    return "" if dotted.is_path(name) or name not in registry else _cite(registry.source(name))


@lru_cache(maxsize=1)  # a report asks for it in three forms
def _marked(presented: Presented) -> str:
    study = presented.study
    folders = [study.folder(run) for run in study.runs["run"]]
    runs = [study.configs[folder.id] for folder in folders]
    configs = [run.model_dump(mode="json") for run in runs]
    parts = []
    for label in LABELS:
        values = _distinct(
            names.value_text(config[label]) + _of_part(label, config[label])
            for config in configs
            if config.get(label)
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
    parts.append(
        "Parameters are fitted to the training split; what is seen along training is of the "
        "validation split where the data have one, else of the test split; scores are of the test "
        f"split. Evaluation: {'; or '.join(evaluation)}."
    )
    told = criterion(presented.runs)
    parts.append(f"{told.rstrip('.')}.")
    parts += _estimators(
        [run["estimators"] for run in side_by_side(folder.metrics() for folder in folders)]
    )
    parts += _chance(presented)
    parts += _comparison(presented)
    parts += _software([folder.environment() for folder in folders])
    identity = short_digest("".join(sorted(study.runs["run"])))
    parts.append(f"{len(configs)} runs, hash {identity}.")
    return " ".join(parts)


def _of_part(label: str, value: Any) -> str:
    """Return the mark of the sources of a part of a run; a number has none."""
    registry = REGISTRIES.get(label)
    name = value.get("name") if isinstance(value, Mapping) else value
    return "" if registry is None or not isinstance(name, str) else _source(registry, name)


def _settled(presented: Presented) -> str:
    """Tell how long runs trained, and how many had settled by then."""
    study = presented.study
    steps = presented.history.groupby("run")["step"].max()
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
        "rose no more, or the training loss fell no more, than by "
        f"{100 * RISE_SHARE:g} % or {RISE_NATS} nats, and the numbers of used and of informative "
        f"units stood still.{_risen(presented)}"
    )


def _risen(presented: Presented) -> str:
    """Return by how much the bounds of cells rose over what runs were judged by."""
    rises = settling.by_cell(presented)["rise"].dropna()
    if rises.empty:
        return ""
    low, high = (f"{value:+.2f}".replace("-", "−") for value in (rises.min(), rises.max()))
    return f" There the bound rose by {low} to {high} nats, mean over the seeds of a cell."


def _optimizer(run: RunConfig) -> str:
    """Return an optimiser with its source; with its parameters, where one is not the default."""
    label = label_of(run, OPTIMIZER)
    name = names.words(label.name)
    if label.changed().parameters:
        name += f" ({names.assignments(label.parameters)})"
    return name + _source(OPTIMIZERS, label.name)


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
        f"{score_of(key).title} ({'; or '.join(_distinct(texts))})"
        f"{_source(METRICS, key.partition('[')[0])}"
        for key, texts in said.items()
    ]
    return [f"Scores: {', '.join(scores)}."]


def _chance(presented: Presented) -> list[str]:
    if presented.chance.empty:
        return []
    return [
        "Chance levels: the same scores against factors whose rows are permuted, "
        f"{PERMUTATIONS} times for each cell, {COSTLY_PERMUTATIONS} times for scores that fit "
        "learners."
    ]


def _comparison(presented: Presented) -> list[str]:
    try:
        analysis = presented.analysis
    except NothingToDraw:
        return []
    sampling = analysis.about["sampling"]
    enough = bar(analysis.table("contrasts"), analysis.table("within"))
    effects = " and ".join(names.title(f).lower() for f in analysis.factors)
    text = (
        f"Comparison: for each metric a hierarchical Bayesian model{_cite(_MODEL)}"
        + (f" with effects of {effects} and their two-way interactions" if effects else "")
        + f", seeds as noise; NUTS{_cite(_NUTS)} with {sampling['chains']} chains of "
        f"{sampling['draws']} draws after {sampling['warmup']} of warm-up, seed "
        f"{sampling['seed']}; convergence by R-hat and "
        f"effective sample sizes{_cite(_PASSED)}. A difference is asserted if it is beyond "
        f"practical equivalence{_cite(_EQUIVALENCE)} with a posterior probability of "
        f"{100 * enough:.2f} %, so that all that is asserted holds together with at least 95 %."
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
    told = ", ".join(["; or ".join(versions) + revised, *pythons])
    return [f"Software: {told}{_cite(_SOFTWARE)}."]
