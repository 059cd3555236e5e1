"""A run's model card: what someone who is given the run's folder alone has to know."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyrovae.core import dotted
from pyrovae.datasets.sources import SOURCES
from pyrovae.measures.scores import STANDARD_ERROR, score_of
from pyrovae.models.likelihoods import LIKELIHOODS
from pyrovae.study.config import yaml
from pyrovae.study.config.labels import label_of
from pyrovae.study.config.run import RunConfig
from pyrovae.training.settled import NOT_RECORDED, Settled
from pyrovae.training.validation import Kept

#: Its file in a run's folder. It is not among those with a checksum: whoever shares a run may add
#: to what it says.
NAME = "README.md"


def card(
    run: str,
    study: str,
    config: RunConfig,
    metrics: Mapping[str, Any],
    environment: Mapping[str, Any],
    *,
    event_shape: Sequence[int],
    fingerprint: str,
) -> str:
    """Return the card in Markdown.

    Parameters
    ----------
    run, study
        Hash of the run, name of its study.
    config, metrics, environment
        As they are stored with the run.
    event_shape
        Of one observation.
    fingerprint
        Of the data set.
    """
    parts = ["network", "prior", "posterior", "latent_dim"]
    parts += [] if config.layers is None else ["layers"]
    title = ", ".join(label_of(config, part).phrase() for part in parts)
    lines = [
        f"# Run {run}",
        "",
        f"A variational autoencoder of study `{study}`, seed {config.seed}: {_plain(title)}. "
        "Trained by pyrovae.",
        "",
        "## Data",
        "",
        *_data(config, event_shape, fingerprint),
        "",
        "## Scores",
        "",
        *_scores(metrics, config),
        "",
        "## Use",
        "",
        *_use(config),
        "",
        "## Settings",
        "",
        "```yaml",
        *yaml.dump(config.model_dump(mode="json", exclude={"evaluation"})).rstrip().split("\n"),
        "```",
        "",
        *_made(environment),
        "",
        "`config.yaml` has how it was measured too, `metrics.json` all scores and their",
        "estimators, `units.parquet` what each latent unit does, `history.parquet` the course of",
        "training, `posterior.nc` draws for ArviZ, `checksums.json` the sha256 of each file.",
    ]
    return "\n".join(lines) + "\n"


def _data(config: RunConfig, event_shape: Sequence[int], fingerprint: str) -> Iterator[str]:
    name = config.dataset["name"]
    source = SOURCES.get(name)
    yield f"- Data set: `{name}`, with the parameters below"
    if source is not None:
        yield f"- Licence: {source.licence}"
        yield f"- Source: {source.citation}; <{source.homepage}>"
    elif dotted.is_path(name):
        yield "- Licence: not known to pyrovae; the data are what this function returned."
    else:
        yield "- Licence: not known to pyrovae."
    yield f"- Observations: of shape {tuple(event_shape)}{_values(config, event_shape)}"
    yield f"- sha256 of both splits: `{fingerprint}`"


def _values(config: RunConfig, event_shape: Sequence[int]) -> str:
    if config.likelihood is None or dotted.is_path(config.likelihood["name"]):
        return ""
    parameters = {key: value for key, value in config.likelihood.items() if key != "name"}
    made = LIKELIHOODS.create(config.likelihood["name"], tuple(event_shape), **parameters)
    images = "; `uint8` stands for values / 255" if made.support == "unit" else ""
    return f": {made.explains}{images}"


def _scores(metrics: Mapping[str, Any], config: RunConfig) -> Iterator[str]:
    content = metrics.get("settled")
    settled = NOT_RECORDED if content is None else Settled.of(content)
    if settled.yes:
        yield "The run has settled: bound and counts of units stood still when training ended."
    else:
        yield f"The run is {_plain(settled.told)}. Nothing should be concluded from its numbers."
    if "kept" in metrics:
        kept = Kept.of(metrics["kept"])
        yield f"Its {kept.told}: loss {kept.loss:.4g}."
    yield ""
    yield "| Score | Value | Unit |"
    yield "| --- | --- | --- |"
    scores = metrics["scores"]
    for key, value in scores.items():
        score = score_of(key)
        if key.endswith(STANDARD_ERROR) or not score.main:
            continue
        error = scores.get(f"{key}{STANDARD_ERROR}", math.nan)
        spread = "" if error is None or math.isnan(error) else f" ± {error:.2g}"
        shown = "–" if value is None or math.isnan(value) else f"{value:.5g}{spread}"
        yield f"| {_plain(score.heading)} | {shown} | {score.unit} |"
    yield ""
    yield (
        f"On the test set, its first {config.evaluation.points} points at most; arrows point to "
        "what is better, ± is a standard error."
    )


def _use(config: RunConfig) -> Iterator[str]:
    own = sorted(
        component["name"]
        for component in config.model_dump().values()
        if isinstance(component, dict) and dotted.is_path(str(component.get("name", "")))
    )
    own = [name for name in own if name != config.dataset["name"]]
    if own:
        yield f"It needs code that is not in this folder: {', '.join(f'`{n}`' for n in own)}."
        yield ""
    told, rest, values = "", "", ""
    if config.condition is not None:
        columns = [_plain(name) for name in config.condition.on]
        yield f"The model is given {', '.join(columns)} of each datum, by name, in `context`."
        yield ""
        told, rest = ", context", ", context=context"
        values = "".join(f" --given {name}=…" for name in config.condition.on)
    yield from (
        "```python",
        "import pyrovae",
        "",
        'run = pyrovae.load_run("path/to/this/folder")',
        f"codes = run.encode(x{told})  # (n, latent_dim)",
        f"pictures = run.reconstruct(x{told})",
        f"drawn = run.sample(64{rest})",
        "run.model  # Pyro programs model and guide",
        "```",
        "",
        "```sh",
        f"pyrovae encode path/to/this/folder data.npy{values} --out codes.parquet",
        f"pyrovae evaluate path/to/this/folder data.npy{values} --out scores.parquet",
        f"pyrovae sample path/to/this/folder{values} --n 64 --out samples.npy",
        "```",
    )


def _made(environment: Mapping[str, Any]) -> Iterator[str]:
    versions = environment.get("versions", {})
    if versions:
        told = ", ".join(f"{name} {version}" for name, version in versions.items())
        yield f"Made with {told}, Python {environment.get('python', '?')}."
    lineage = environment.get("lineage")
    if lineage:
        yield f"It is run `{lineage.get('parent')}` without units that it did not need."


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is."""
    for mark in "\\|*_`[]<>":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
