"""Whatever people write stands as it is in every format that it lands in."""

from __future__ import annotations

import dataclasses
import html
import io
import os
import re
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from matplotlib.cbook import is_math_text
from matplotlib.text import Text
from rich.console import Console

from pyrovae.report import escapes
from pyrovae.report.look import names
from pyrovae.report.look.presented import present
from pyrovae.report.study.gallery import draw
from pyrovae.report.study.index import index_page
from pyrovae.report.study.methods import latex_methods
from pyrovae.report.tables.cells import latex
from pyrovae.study.store.results import StudyResults
from pyrovae.study.watch.follow import view
from pyrovae.study.watch.live import RunProgress, Snapshot
from report.latex import compiled, needs_latex

HOSTILE = [
    "<script>alert(1)</script>",
    "</td><b>x",
    "a | b",
    "snake_case_ and _emphasis_ and **bold**",
    "from $5 to $9",
    "\\textbf{x} \\| \\n \\",
    "`code` ``",
    "[red]x[/red] [a](http://b) ![c](d)",
    "# heading",
    "- item",
    "1. item",
    "=== ---",
    "~~gone~~ &lt; &amp; 100 % ^ {x}",
]
#: GitHub's dialect, as far as a report uses it.
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def visible(rendered: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", rendered)).strip()


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_hostile_text(text: str) -> None:
    assert MARKDOWN.render(escapes.markdown(text)) == f"<p>{html.escape(text)}</p>\n".replace(
        "&#x27;", "'"
    )
    row = escapes.markdown_row([escapes.markdown_line(text), "next"])
    table = MARKDOWN.render(f"| a | b |\n| --- | --- |\n{row}")
    assert [visible(cell) for cell in re.findall(r"<td>(.*?)</td>", table)] == [text, "next"]


@given(st.text(st.sampled_from("ab1 \n.<>&|_*$\\`[]()#-+=~!{}\"'"), max_size=30))
@settings(max_examples=200, deadline=None)
def test_markdown_shows_any_text(text: str) -> None:
    shown = " ".join(visible(MARKDOWN.render(escapes.markdown(text))).split())
    assert shown == " ".join(text.split())
    tags = set(re.findall(r"<(\w+)", MARKDOWN.render(escapes.markdown(text))))
    assert tags <= {"p", "br"}


@given(st.text(st.sampled_from("ab$\\ "), max_size=12))
@settings(max_examples=100, deadline=None)
def test_figures_show_any_text(text: str) -> None:
    shown = escapes.figure_text(text)
    assert not is_math_text(shown)
    assert shown.replace(r"\$", "$") == text  # As Matplotlib does with text without mathematics.


#: The name of somebody's prior.
EVIL = "$x_1$<i>|[red]`y` \\a"


@pytest.fixture(scope="module")
def hostile_study(small_study: StudyResults) -> StudyResults:
    """Description, a level's name and a failure hold what every format reads in its own way."""
    runs = small_study.runs.replace({"prior": {"laplace": EVIL}})
    evil = runs.loc[runs["prior"] == EVIL, "run"]
    configs = {
        run: config.model_copy(update={"prior": {"name": EVIL}}) if run in set(evil) else config
        for run, config in small_study.configs.items()
    }
    return dataclasses.replace(
        small_study,
        description="\n\n".join(HOSTILE),
        runs=runs,
        configs=configs,
        failed={"ab|cd": "<class 'E'>: a_b_c"},
    )


def test_the_report_shows_it(hostile_study: StudyResults) -> None:
    page = index_page(present(hostile_study), {"a": "|x| < 1 of $a$"}, {"kind": "<none>"})
    rendered = MARKDOWN.render(page)
    for text in [*HOSTILE, "|x| < 1 of $a$", "kind: <none>", "ab|cd: <class 'E'>: a_b_c"]:
        assert text in visible(rendered)
    assert not {"script", "b", "i", "code"} & set(re.findall(r"<(\w+)", rendered))
    (cell,) = re.findall(r"<td>(\$.*?)</td>", rendered)
    assert visible(cell) == names.words(EVIL)


@pytest.mark.parametrize("kind", ["disentanglement", "kl_profile", "samples", "rate_distortion"])
def test_figures_show_it(kind: str, hostile_study: StudyResults) -> None:
    shown = 0
    for drawn in draw(present(hostile_study), kind):
        for text in drawn.figure.findobj(Text):
            assert isinstance(text, Text)
            if "[red]" in text.get_text():
                shown += 1
                assert not is_math_text(text.get_text())
    assert shown


def test_latex_has_no_special_characters_left() -> None:
    assert escapes.latex("β = 4 \\ ~^") == (
        r"\ensuremath{\beta} = 4 \textbackslash{} \textasciitilde{}\textasciicircum{}"
    )
    # After the end of a row a bracket would be its argument, a star part of the command.
    assert escapes.latex("[red]*`") == r"{[}red]{*}\`{}"


@needs_latex
def test_latex_compiles_it(hostile_study: StudyResults, tmp_path: Path) -> None:
    parts = [
        *map(escapes.latex, HOSTILE),
        latex_methods(present(hostile_study)),
        latex(present(hostile_study)),
    ]
    rows = " \\\\\n".join(map(escapes.latex, HOSTILE))
    compiled(
        tmp_path,
        "\n\n".join(
            [
                r"\documentclass{article}\usepackage{booktabs,graphicx,siunitx}\begin{document}",
                *parts,
                rf"\begin{{tabular}}{{l}}{rows}\end{{tabular}}",
                r"\end{document}",
            ]
        ),
    )


def test_the_terminal_shows_it(tmp_path: Path) -> None:
    run = RunProgress(name="[red]x[/red] [/]", started=0.0, steps=3)
    snapshot = Snapshot(
        study="s",
        host=socket.gethostname(),
        process=os.getpid(),
        started=0.0,
        updated=0.0,
        total=1,
        runs={"a" * 16: run},
    )
    console = Console(file=io.StringIO(), width=200)
    console.print(view(snapshot, None, 1.0))  # type: ignore[arg-type]
    assert "[red]x[/red] [/]" in console.file.getvalue()  # type: ignore[attr-defined]
