"""What a part's docstring says besides its parameters: formula and reference.

A part documents itself, so that one from a plug-in has all that a built-in one has: ``pyrovae
list`` and the documentation's pages read it here::

    .. math:: p(z) = \\prod_u \\mathcal{N}(z_u \\mid 0, 1)

    References
    ----------
    Kingma & Welling 2014, arXiv:1312.6114
"""

from __future__ import annotations

import inspect
import re
from typing import Any

_MATH = re.compile(r"^\.\. math::(?P<first>.*)\n(?P<rest>(?:[ \t]+\S.*\n|[ \t]*\n)*)", re.MULTILINE)
_HEADING = re.compile(r"^(\S.*)\n-{3,}[ \t]*\n", re.MULTILINE)


def formula(entry: Any) -> str:
    """Return the LaTeX of the first ``.. math::`` of a part's docstring; empty if there is none."""
    found = _MATH.search(_text(entry))
    return " ".join(f"{found['first']} {found['rest']}".split()) if found else ""


def without_formula(text: str) -> str:
    """Return a text without its first ``.. math::``."""
    found = _MATH.search(text + "\n")
    if not found:
        return text
    return (text[: found.start()].rstrip() + "\n\n" + text[found.end() :].lstrip()).strip()


def reference(entry: Any) -> str:
    """Return what stands under ``References`` in a part's docstring, in one line; else nothing."""
    return " ".join(section(entry, "References").split())


def section(entry: Any, title: str) -> str:
    """Return the text of a section of a part's docstring; empty if it has none of this title."""
    _, *parts = _HEADING.split(_text(entry))
    return dict(zip(parts[::2], parts[1::2], strict=True)).get(title, "").strip()


def _text(entry: Any) -> str:
    return (inspect.getdoc(entry) or "") + "\n"
