"""Docstrings: what each part's says, and that every example in the package is true."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

import pyrovae
from docs.documented import gaps
from pyrovae.core import docstring

PACKAGE = Path(pyrovae.__file__).parent
#: Modules that have examples which need no stored results and no downloaded data.
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if re.search(r">>> (?!.*# doctest: \+SKIP)", path.read_text())
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of(name: str):
    module = importlib.import_module(name)
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed


def test_every_part_has_a_formula_a_reference_and_an_example():
    assert list(gaps()) == []


class _Documented:
    r"""A law.

    .. math::

        p(z) = \prod_u
        f(z_u)

    More of it.

    Parameters
    ----------
    scale
        A number.

    References
    ----------
    Somebody 2001,
    a journal

    Examples
    --------
    >>> 1 + 1
    2
    """


def test_what_is_read_from_a_docstring():
    assert docstring.formula(_Documented) == r"p(z) = \prod_u f(z_u)"
    assert docstring.reference(_Documented) == "Somebody 2001, a journal"
    assert docstring.section(_Documented, "Examples") == ">>> 1 + 1\n2"
    assert docstring.section(_Documented, "Notes") == ""
    assert docstring.without_formula("A law.\n\n.. math:: p(z)\n\nMore.") == "A law.\n\nMore."
    assert docstring.without_formula("A law.\n\n.. math::\n\n    p(z)") == "A law."
    assert docstring.without_formula("A law.") == "A law."
    assert docstring.formula(abs) == docstring.reference(abs) == ""
