"""Labels: what tells the runs of a study apart, as data, and how it is written for people.

A label is a part of a run, its name, and its parameters. Every part that is chosen by name is one
(:data:`LABELS`), and so is every setting of training or evaluation in which runs differ, under its
dotted path: ``training.lr``. Tables of runs hold readable text in a column for each label, which
tells values apart and is not parsed: what people read is computed from the configurations.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pydantic import BaseModel

from pyrovae.core import dotted
from pyrovae.core.errors import PyrovaeError
from pyrovae.core.registry import Registry
from pyrovae.core.schedules import is_schedule
from pyrovae.study.config import column_groups
from pyrovae.study.config.resolve import INSIDE, REGISTRIES
from pyrovae.study.config.run import COMPONENTS, OPTIMIZER, OWN, RunConfig

#: The labels that every run has, besides the seed.
LABELS = (*COMPONENTS, "latent_dim")
#: The labels that are chosen by name from a registry and have parameters.
NAMED = (*COMPONENTS, OPTIMIZER)
#: The parts of a run whose settings are labels where they vary.
_SETTINGS = ("condition", "layers", "training", "evaluation")
#: Tells runs of an edited model apart; no parameter that people set.
_SOURCE = "source"

#: Words that are not written as they stand. Anything else keeps its letters, so that the name of a
#: third party's prior needs no entry here.
_WORDS = {
    "adam norm grad": "AdamNormGrad",
    "adam": "Adam",
    "adamax": "AdaMax",
    "adamw": "AdamW",
    "bernoulli": "Bernoulli",
    "cauchy": "Cauchy",
    "elbo": "ELBO",
    "freyfaces": "Frey faces",
    "gaussian": "Gaussian",
    "iaf": "IAF",
    "iwae": "IWAE",
    "kl": "KL",
    "laplace": "Laplace",
    "mlp": "MLP",
    "mnist": "MNIST",
    "nsf": "NSF",
    "poisson": "Poisson",
    "sgd": "SGD",
    "student t": "Student t",
    "vampprior": "VampPrior",
    "von mises fisher": "von Mises–Fisher",
}
#: Parameters that are written as symbols; as part of a component's name they stay words.
_SYMBOLS = {"beta": "β", "sigma": "σ", "gamma": "γ", "eps": "ε", "lr": "learning rate"}
#: Pairs of words that are written with a hyphen when a noun follows.
_HYPHENATED = ("full rank", "low rank", "mean field", "two stage", "semi amortized")
#: Headings of labels; others are capitalised.
_TITLES = {
    "latent_dim": "Latent units",
    "dataset": "Data set",
    "condition": "Condition",
    "condition.on": "Condition",
    "condition.encoder": "Condition at the encoder",
    "condition.decoder": "Condition at the decoder",
    "condition.prior": "Condition at the prior",
    "layers": "Layers",
    "layers.sizes": "Layers",
    "layers.guide": "Guide of layers",
    "layers.skip": "Skip connections",
    "layers.hidden": "Networks between layers",
    "training.lr": "Learning rate",
    "training.batch_size": "Batch size",
    OPTIMIZER: "Optimiser",
    "training.clip_norm": "Most norm of gradients",
    "training.clip_value": "Most element of gradients",
    "training.rates.guide": "Rate factor of the guide",
    "training.rates.model": "Rate factor of the model",
    "training.rates.objective": "Rate factor of the objective",
}


@dataclass(frozen=True)
class Label:
    """One of the things that a run is made of.

    Attributes
    ----------
    part
        ``"prior"``, ``"latent_dim"``, or the dotted path of a setting: ``"training.lr"``.
    name
        The registry's name of a component, the dotted path of a user's own model; else the value
        itself.
    parameters
        Every parameter of a component, default or not; empty for anything else.
    """

    part: str
    name: Any
    parameters: Mapping[str, Any]

    def changed(self) -> Label:
        """Return the label with those parameters only that are not the default.

        Those of a component that no registry has any more, and of a user's own model, which is not
        imported for this, are all kept.
        """
        default = defaults(self.part, self.name) if self.parameters else {}
        kept = {
            key: value
            for key, value in self.parameters.items()
            if key != _SOURCE and not (key in default and value == default[key])
        }
        return replace(self, parameters=kept)

    def having(self, keys: Iterable[str]) -> Label:
        """Return the label with these parameters only; one that it leaves out has its default."""
        known = defaults(self.part, self.name) | dict(self.parameters)
        return replace(self, parameters={key: known.get(key) for key in keys})

    def shown(self) -> str:
        """Return the name and the parameters as people read them.

        >>> Label("prior", "gaussian_mixture", {"components": 5}).shown()
        'Gaussian mixture (components = 5)'
        >>> Label("training.lr", 0.001, {}).shown()
        '0.001'
        """
        name = words(self.name) if isinstance(self.name, str) else value_text(self.name)
        return f"{name} ({assignments(self.parameters)})" if self.parameters else name

    def phrase(self) -> str:
        """Return :meth:`shown` of what is not the default, to be read without its heading."""
        return phrase(self.part, self.changed().shown())


def is_label(column: str) -> bool:
    """Tell whether a column of a table of runs is a label, the path of a setting included.

    >>> is_label("prior"), is_label("training.lr"), is_label("mig"), is_label("training:my_metric")
    (True, True, False, False)
    """
    return column in LABELS or (column.partition(".")[0] in _SETTINGS and ":" not in column)


def label_of(config: RunConfig, part: str) -> Label:
    """Return a label of a run.

    A user's own model stands where the network would; the parts that it decides are named so.
    """
    value: Any = config
    for key in part.split("."):
        value = getattr(value, key, None)
    if part in ("condition", "layers"):
        return Label(part, "none" if value is None else value.told, {})
    if part not in NAMED:
        return Label(part, _plain(value), {})
    component = value
    if component is None:
        assert config.model is not None
        if part != "network":
            return Label(part, OWN, {})
        component = config.model
    return Label(part, component["name"], {k: v for k, v in component.items() if k != "name"})


def varying_settings(configs: Iterable[RunConfig]) -> list[str]:
    """Return the dotted paths of the settings in which runs differ, in the order of their fields.

    ``training.lr`` is one, whether numbers or schedules; of settings that some runs have and some
    have not (``evaluation.diagnostics``), the whole.
    """
    known = list(configs)
    return [
        path
        for part in _SETTINGS
        for path in _differing(part, [getattr(config, part) for config in known])
    ]


def _differing(path: str, values: Sequence[Any]) -> Iterator[str]:
    if all(value == values[0] for value in values):
        return
    first = values[0]
    group = isinstance(first, BaseModel) and not is_schedule(first)
    if group and all(type(value) is type(first) for value in values):
        for field in type(first).model_fields:
            yield from _differing(f"{path}.{field}", [getattr(value, field) for value in values])
    else:
        yield path


def columns(
    configs: Sequence[RunConfig], stored: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return each run's labels as a table of runs has them, those of settings that vary included.

    Parameters
    ----------
    configs
        Of all runs of the table.
    stored
        Text of each run's :data:`LABELS`, as it was written with the run, and its ``seed``.

    Returns
    -------
    list of dict
        Equal where the configurations are, and nowhere else: a text that was written for two
        different values (a default has changed in between) is told apart, and one value has one
        text.
    """
    found: list[dict[str, Any]] = [{} for _ in configs]
    for part in (*LABELS, *varying_settings(configs)):
        labels = [label_of(config, part) for config in configs]
        if part in COMPONENTS:
            values = _told_apart(labels, [str(each[part]) for each in stored])
        else:
            values = _values([_data(label) for label in labels])
        for row, value in zip(found, values, strict=True):
            row[part] = value
    return [{**row, "seed": config.seed} for row, config in zip(found, configs, strict=True)]


def _told_apart(labels: Sequence[Label], texts: Sequence[str]) -> list[str]:
    """Return a text for each label, one to one: the one that was written first for it."""
    text_of: dict[str, str] = {}
    meant: dict[str, str] = {}
    for label, text in zip(labels, texts, strict=True):
        key = _key((label.name, dict(label.parameters)))
        if key not in text_of:
            unique = text if text not in meant else f"{label.name}{_key(dict(label.parameters))}"
            text_of[key], meant[unique] = unique, key
    return [text_of[_key((label.name, dict(label.parameters)))] for label in labels]


def _data(label: Label) -> Any:
    return {"name": label.name, **label.parameters} if label.part in NAMED else label.name


def _values(values: Sequence[Any]) -> list[Any]:
    """Return numbers as they are, where all are; else a text for each value, one to one."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return list(values)
    # "None" is read back from a CSV file as a missing value.
    texts = ["none" if value is None else value_text(value) for value in values]
    keys = [_key(value) for value in values]
    return texts if len(set(texts)) == len(set(keys)) else keys


def cells(configs: Sequence[RunConfig], stored: Sequence[str]) -> list[str]:
    """Return the cell of each run: runs share it if they differ by their seed and nothing else.

    Parameters
    ----------
    configs
        Of all runs of a table.
    stored
        The cells that were written with the runs, which say nothing about evaluation. They are
        kept; where runs of one were evaluated in different ways, those that come later get a
        number.
    """
    meant: dict[str, str] = {}
    names: set[str] = set()
    found = []
    for config, written in zip(configs, stored, strict=True):
        key = config.model_dump_json(exclude={"seed"})
        if key not in meant:
            numbered = (f"{written}-{n}" for n in itertools.count(2))
            candidates = itertools.chain([written], numbered)
            meant[key] = next(name for name in candidates if name not in names)
            names.add(meant[key])
        found.append(meant[key])
    return found


def title(part: str) -> str:
    """Return a label's name as a heading.

    >>> title("latent_dim"), title("prior"), title("training.lr"), title("evaluation.points")
    ('Latent units', 'Prior', 'Learning rate', 'Evaluation points')
    """
    return _TITLES.get(part, part.replace("_", " ").replace(".", " ").capitalize())


def phrase(part: str, shown: str) -> str:
    """Return a shown value so that it can be read without its heading.

    >>> phrase("prior", "Laplace"), phrase("latent_dim", "32"), phrase("network", "MLP")
    ('Laplace prior', '32 latent units', 'MLP')
    >>> phrase("training.lr", "0.001")
    'learning rate 0.001'
    """
    if "." in part:
        return f"{title(part).lower()} {shown}"
    noun = {"latent_dim": "latent units", "network": "", "dataset": ""}.get(
        part, title(part).lower()
    )
    return f"{shown} {noun}".rstrip()


def words(name: str) -> str:
    """Return an identifier as words.

    >>> words("mean_field_normal")
    'mean-field normal'
    """
    text = name.replace("_", " ")
    for pair in _HYPHENATED:
        text = re.sub(rf"\b{pair}\b(?= )", pair.replace(" ", "-"), text)
    for word, written in _WORDS.items():
        text = re.sub(rf"\b{word}\b", written, text)
    return text


def assignments(parameters: Mapping[str, Any]) -> str:
    """Return parameters with their values.

    >>> assignments({"beta": 4.0, "hidden": [256, 256]})
    'β = 4, hidden = [256, 256]'
    """
    return ", ".join(
        f"{_SYMBOLS.get(key) or words(key)} = {value_text(value)}"
        for key, value in parameters.items()
    )


def value_text(value: Any) -> str:
    """Return a parameter's value: six digits of a number that has more, a schedule in words.

    >>> value_text(4.0), value_text([256, 128]), value_text(0.123456789)
    ('4', '[256, 128]', '0.123457')
    >>> value_text({"schedule": "linear", "from": 0.0, "to": 10.0, "steps": 50})
    '0 to 10 in 50 steps'
    >>> value_text([{"family": "gaussian", "count": 2}, {"family": "student_t", "df": 3.0}])
    '[2 Gaussian, Student t (df = 3)]'
    >>> value_text({"schedule": "piecewise", "values": [0.1, 0.01], "milestones": [50]})
    '0.1, 0.01 from step 50'
    """
    if isinstance(value, float):
        text = str(value)
        long = len(text.partition("e")[0].partition(".")[2]) > 6
        return f"{value:.6g}" if long else text.removesuffix(".0")
    if isinstance(value, Mapping):
        return _component_text(value) if "name" in value else _mapping_text(value)
    if column_groups.are_groups(value):
        groups = [
            count + _component_text({"name": family, **changed})
            for count, family, changed in column_groups.told(value)
        ]
        return f"[{', '.join(groups)}]"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    return str(value)


def _component_text(value: Mapping[str, Any]) -> str:
    parameters = assignments({key: entry for key, entry in value.items() if key != "name"})
    return f"{words(str(value['name']))}{f' ({parameters})' if parameters else ''}"


def _mapping_text(value: Mapping[str, Any]) -> str:
    entries = {key: value_text(entry) for key, entry in value.items()}
    if entries.get("schedule") == "piecewise":
        first, *later = value["values"]
        parts = zip(later, value["milestones"], strict=True)
        begun = [f"{value_text(number)} from step {step}" for number, step in parts]
        return ", ".join([value_text(first), *begun])
    if not {"from", "to"} <= entries.keys():
        return "[" + ", ".join(f"{key} {text}" for key, text in entries.items()) + "]"
    kind = entries.pop("schedule", "linear")
    ends = f"{entries.pop('from')} to {entries.pop('to')}"
    steps = f" in {entries.pop('steps')} steps" if "steps" in entries else ""
    others = "".join(f", {key} {text}" for key, text in entries.items())
    return f"{'' if kind == 'linear' else kind + ' '}{ends}{steps}{others}"


def _plain(value: Any) -> Any:
    """Return settings as the data that they are in a file."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def defaults(part: str, name: str) -> dict[str, Any]:
    """Return a component's defaults as its registry has them now; empty if it is not known.

    A dotted path is not known: results are read without importing what somebody's study names.
    """
    registry = _registry(part)
    try:
        if registry is None or dotted.is_path(name) or name not in registry:
            return {}
        return _defaults(part, name, registry[name])
    except PyrovaeError:  # A plug-in that cannot be loaded: its runs can still be read.
        return {}


def _registry(part: str) -> Registry | None:
    return (REGISTRIES | INSIDE).get(part)


@cache  # by the entry too: a notebook may have registered another of the name
def _defaults(part: str, name: str, _entry: Any) -> dict[str, Any]:
    registry = _registry(part)
    assert registry is not None
    parameters = registry.parameters(name)
    return parameters.model_construct().model_dump(mode="json", by_alias=True)
