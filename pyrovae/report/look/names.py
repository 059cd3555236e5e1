"""Names that people read, from those machines use: ``full_rank_normal``, ``beta(beta=4.0)``."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

#: Words that are not written as they stand. Anything else keeps its letters, so that the name of a
#: third party's prior needs no entry here.
_WORDS = {
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
    "student t": "Student t",
    "vampprior": "VampPrior",
    "von mises fisher": "von Mises–Fisher",
}
#: Parameters that are written as symbols; as part of a component's name they stay words.
_SYMBOLS = {"beta": "β", "sigma": "σ", "gamma": "γ", "lr": "learning rate"}
#: Pairs of words that are written with a hyphen when a noun follows.
_HYPHENATED = ("full rank", "low rank", "mean field", "two stage", "semi amortized")
#: Titles of the labels that tell runs apart; others are capitalised.
_TITLES = {"latent_dim": "Latent units", "dataset": "Data set"}
_CALL = re.compile(r"(\w+)\((.*)\)", re.DOTALL)
_ENTRY = re.compile(r"'(\w+)': (?:'([^']*)'|([^,}]*))")
_ARGUMENT = re.compile(r"(\w+)=((?:\[[^\]]*\]|\{[^}]*\}|[^,])*)(?:, |$)")


def title(label: str) -> str:
    """Return a label's name as a heading.

    >>> title("latent_dim"), title("prior")
    ('Latent units', 'Prior')
    """
    return _TITLES.get(label, label.replace("_", " ").capitalize())


def phrase(label: str, shown: str) -> str:
    """Return a shown value so that it can be read without its label.

    >>> phrase("prior", "Laplace"), phrase("latent_dim", "32"), phrase("network", "MLP")
    ('Laplace prior', '32 latent units', 'MLP')
    """
    noun = {"latent_dim": "latent units", "network": "", "dataset": ""}.get(
        label, title(label).lower()
    )
    return f"{shown} {noun}".rstrip()


def display(value: Any) -> str:
    """Return a label's value as it is shown in figures and tables.

    >>> display("full_rank_normal"), display("gaussian_mixture(components=5)"), display(32)
    ('full-rank normal', 'Gaussian mixture (components = 5)', '32')
    """
    text = str(value)
    call = _CALL.fullmatch(text)
    if not call:
        return words(text) if isinstance(value, str) else text
    pairs = dict(_ARGUMENT.findall(call[2]))
    return with_parameters(call[1], pairs) if pairs else f"{words(call[1])} ({call[2]})"


def component(value: Any) -> str:
    """Return the registry name in a component's label.

    >>> component("beta(beta=4.0)")
    'beta'
    """
    return str(value).partition("(")[0]


def with_parameters(name: str, parameters: Mapping[str, Any]) -> str:
    """Return a component and some of its parameters as they are shown.

    >>> with_parameters("gaussian_mixture", {"components": 5})
    'Gaussian mixture (components = 5)'
    """
    return f"{words(name)} ({assignments(parameters)})" if parameters else words(name)


def assignments(parameters: Mapping[str, Any]) -> str:
    """Return parameters with their values.

    >>> assignments({"beta": 4.0, "hidden": [256, 256]})
    'β = 4, hidden = [256, 256]'
    >>> assignments({"capacity": "{'from': 0.0, 'to': 10.0, 'steps': 50, 'schedule': 'linear'}"})
    'capacity = 0 to 10 in 50 steps'
    """
    return ", ".join(
        f"{_SYMBOLS.get(key) or words(key)} = {_number(_plain(str(value)))}"
        for key, value in parameters.items()
    )


def words(name: str) -> str:
    """Return an identifier as words.

    >>> words("mean_field_normal")
    'mean-field normal'
    """
    text = name.replace("_", " ")
    for phrase in _HYPHENATED:
        text = re.sub(rf"\b{phrase}\b(?= )", phrase.replace(" ", "-"), text)
    for word, written in _WORDS.items():
        text = re.sub(rf"\b{word}\b", written, text)
    return text


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence has them.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def wrapped(text: str, width: int) -> str:
    """Break a name into lines of about ``width`` characters, never inside a word."""
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def slug(text: str) -> str:
    """Return a name that is safe in a file name.

    >>> slug("Gaussian mixture (components = 5), mean-field normal")
    'gaussian-mixture-components-5-mean-field-normal'
    """
    plain = text.replace("β", "beta").replace("σ", "sigma")
    return re.sub(r"[^A-Za-z0-9.]+", "-", plain).strip("-.").lower()


def _plain(text: str) -> str:
    """Return a mapping, such as a schedule's, without the marks of a program."""
    if not text.startswith("{"):
        return text
    entries = {key: word or other for key, word, other in _ENTRY.findall(text)}
    if not {"from", "to"} <= entries.keys():
        return "[" + ", ".join(f"{key} {value}" for key, value in entries.items()) + "]"
    kind = entries.pop("schedule", "linear")
    ends = f"{entries.pop('from')} to {entries.pop('to')}"
    steps = f" in {entries.pop('steps')} steps" if "steps" in entries else ""
    others = "".join(f", {key} {value}" for key, value in entries.items())
    return f"{'' if kind == 'linear' else kind + ' '}{ends}{steps}{others}"


def _number(text: str) -> str:
    """Return ``4`` for ``4.0``, six digits of a number that has more, other text as it is."""
    text = re.sub(r"\d+\.\d{7,}", lambda found: f"{float(found[0]):.6g}", text)
    return re.sub(r"(\d+)\.0\b", r"\1", text)
