"""The page's script, where there is no browser: V8 itself reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pyrovae.report.page as page

mini_racer = pytest.importorskip("py_mini_racer", reason="mini-racer is not installed")
SCRIPT = (Path(page.__file__).parent / "page.js").read_text()


def _read(code: str) -> None:
    """Compile code without running it."""
    # Asked for anew each time: what one reading leaves, the next does not find.
    mini_racer.MiniRacer().eval(f"new Function({json.dumps(code)}); true")


def test_the_script_has_no_error_of_syntax():
    _read(SCRIPT)


@pytest.mark.parametrize(
    "slip",
    [
        SCRIPT.replace("})();", "})(;"),  # a bracket too few
        SCRIPT.replace("const $ =", "const $ = const", 1),
        SCRIPT.replace("const root =", "let data = 1; const root =", 1),  # declared twice
    ],
    ids=["bracket", "word", "twice"],
)
def test_an_error_of_syntax_would_be_seen(slip: str):
    assert slip != SCRIPT
    with pytest.raises(mini_racer.JSEvalException, match="SyntaxError"):
        _read(slip)
