"""Runs the Python of a page, and keeps what it prints and draws beside it.

A page is Markdown. Its ``python`` blocks run one after the other, in one namespace; one with a title
is a script, with a namespace of its own. A ``text`` block
behind one is what it prints: standard output, then its last expression. A picture behind one is its
last expression, a figure. A comment before a block gives its short form, for tests::

    <!-- short: steps=3000 -> steps=30; points=32 -> points=2 -->

or ``<!-- short: skip -->`` for one that takes its minutes in any form, and is only compiled then.

``python docs/_build/pages.py docs/tutorials/first-vae.md …`` runs pages in full, and writes the
texts and pictures anew.
"""

from __future__ import annotations

import ast
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

_BLOCK = re.compile(
    r"""(?:^<!--\ short:\ (?P<short>[^\n]*)\ -->\n)?
    ^```python(?:\ title="(?P<title>[^"]+)")?\n(?P<code>.*?)^```\n
    (?:\n```text\n(?P<told>.*?)^```\n)?
    (?:\n!\[[^\]]*\]\((?P<picture>[^)\s]+)\))?""",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
#: Of a picture: dots per inch, and colours that are kept.
_DPI, _COLOURS = 150, 64


@dataclass(frozen=True)
class Shown:
    """A block that has run.

    Attributes
    ----------
    block
        Its match in the page: ``title``, ``code``, ``told``, ``picture``.
    told
        What it printed.
    value
        Its last expression, or ``None``.
    """

    block: re.Match[str]
    told: str
    value: Any


def run(page: Path, *, short: bool, names: dict[str, Any] | None = None) -> Iterator[Shown]:
    """Run the blocks of a page in the working directory.

    Parameters
    ----------
    page
        A Markdown file.
    short
        Whether the short forms are run.
    names
        The namespace, to look into.

    Raises
    ------
    ValueError
        If a short form replaces what is not there.
    """
    names = {} if names is None else names
    # What a page defines is in a module of its name, as far as labels tell.
    names["__name__"] = page.stem.replace("-", "_")
    for block in _BLOCK.finditer(page.read_text()):
        if short and block["short"] == "skip":
            compile(block["code"], page.name, "exec")
            continue
        code = _shortened(block) if short else block["code"]
        with redirect_stdout(io.StringIO()) as printed:
            if block["title"]:
                value = _as_script(code, block["title"])
            else:
                value = _execute(code, page.name, names)
            if value is not None and block["told"] is not None:
                print(value)
        yield Shown(block, printed.getvalue(), value)


def figure_of(value: Any) -> Figure | None:
    """Return the figure that a block ends with: a Matplotlib figure, or what holds one."""
    found = getattr(value, "figure", value)
    return found if isinstance(found, Figure) else None


def _shortened(block: re.Match[str]) -> str:
    code = block["code"]
    for pair in filter(None, (block["short"] or "").split("; ")):
        old, _, new = pair.partition(" -> ")
        if old not in code:
            raise ValueError(f"'{old}' is not in:\n{code}")
        code = code.replace(old, new)
    return code


def _as_script(code: str, name: str) -> Any:
    """Run a file's text as ``python FILE`` does."""
    own, before = ModuleType("__main__"), sys.modules["__main__"]
    sys.modules["__main__"] = own
    try:
        return _execute(code, name, vars(own))
    finally:
        sys.modules["__main__"] = before


def _execute(code: str, name: str, names: dict[str, Any]) -> Any:
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), names)
    return eval(compile(ast.Expression(last.value), name, "eval"), names) if last else None


def renew(page: Path) -> None:
    """Run a page in full and write what it shows."""
    text, shift = page.read_text(), 0
    for shown in run(page, short=False):
        block = shown.block
        if block["told"] is not None:
            start, end = (at + shift for at in block.span("told"))
            told = "".join(f"{line.rstrip()}\n" for line in shown.told.strip("\n").splitlines())
            text = text[:start] + told + text[end:]
            shift += len(told) - (end - start)
        if block["picture"]:
            save(shown.value, page.parent / block["picture"])
    page.write_text(text)


def save(value: Any, path: Path) -> None:
    """Write a figure as a small PNG."""
    figure = figure_of(value)
    if figure is None:
        raise TypeError(f"{path.name}: {value!r} is no figure")
    memory = io.BytesIO()
    figure.savefig(memory, format="png", dpi=_DPI, bbox_inches="tight", facecolor="white")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.open(memory).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)


if __name__ == "__main__":
    for page in [Path(name).resolve() for name in sys.argv[1:]]:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            renew(page)
