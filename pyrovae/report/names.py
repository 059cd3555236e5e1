"""Names that people read, from names that machines use: ``full_rank_normal``, ``beta(beta=4.0)``."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
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
    noun = {"latent_dim": "latent units", "network": "", "dataset": ""}.get(label, title(label).lower())
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
    return f"{words(call[1])} ({_arguments(call[2])})"


def display_levels(values: Sequence[Any]) -> dict[Any, str]:
    """Return the shown form of each value of one label, without what they all share.

    >>> display_levels(["beta(beta=1.0)", "beta(beta=4.0)"])
    {'beta(beta=1.0)': 'β = 1', 'beta(beta=4.0)': 'β = 4'}
    """
    calls = [_CALL.fullmatch(str(value)) for value in values]
    found = [call for call in calls if call]
    if len(found) == len(calls) > 1 and len({call[1] for call in found}) == 1:
        return {value: _arguments(call[2]) for value, call in zip(values, found, strict=True)}
    return {value: display(value) for value in values}


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


def wrapped(text: str, width: int) -> str:
    """Break a name into lines of about ``width`` characters, never inside a word."""
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def slug(text: str) -> str:
    """Return a name that is safe in a file name.

    >>> slug("Gaussian mixture (components = 5), mean-field normal")
    'gaussian-mixture-components-5-mean-field-normal'
    """
    plain = text.replace("β", "beta").replace("σ", "sigma")
    return re.sub(r"[^A-Za-z0-9.]+", "-", plain).strip("-").lower()


def _arguments(text: str) -> str:
    pairs = _ARGUMENT.findall(text)
    if not pairs:
        return text
    return ", ".join(f"{_SYMBOLS.get(key) or words(key)} = {_number(value)}" for key, value in pairs)


def _number(text: str) -> str:
    """Return ``4`` for ``4.0``, and any other text as it is."""
    return re.sub(r"(\d+)\.0\b", r"\1", text)
