r"""Text that people wrote, so that each format shows it as it stands.

Descriptions, the names of a third party's components, values of parameters, names of factors and
reasons of failures hold any character. Plain text (a caption, a paragraph, a heading, a level's
name) is escaped where it enters a format, never before: what is stored and passed on is plain. The
page needs nothing here: its template escapes, and its script writes text, not HTML.
"""

from __future__ import annotations

import re

#: What begins something inside a line of GitHub's Markdown: HTML as entities, which all dialects
#: know, the rest by a backslash. Dollars: mathematics.
_INLINE = str.maketrans(
    {**{c: f"\\{c}" for c in r"\`*_[]|~$"}, "&": "&amp;", "<": "&lt;", ">": "&gt;"}
)
#: What begins a block where a line begins with it: headings, lists, rules.
_STARTS = re.compile(r"^([#+=-])|^(\d+)([.)])(?=\s|$)", re.MULTILINE)

_LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "`": r"\`{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "|": r"\ensuremath{|}",
    # At the start of a row they would be arguments of the row above.
    "[": "{[}",
    "*": "{*}",
    "–": "--",
    "−": r"\ensuremath{-}",
    "†": r"\dag{}",
    "↑": r"\ensuremath{\uparrow}",
    "↓": r"\ensuremath{\downarrow}",
    "β": r"\ensuremath{\beta}",
    "σ": r"\ensuremath{\sigma}",
    "γ": r"\ensuremath{\gamma}",
}


def markdown(text: str) -> str:
    r"""Return plain text as Markdown; lines stay lines, empty ones part paragraphs.

    >>> print(markdown("<script> of a_b, [1] | `x`"))
    &lt;script&gt; of a\_b, \[1\] \| \`x\`
    >>> print(markdown("# no heading"))
    \# no heading
    """
    lines = (line.strip() for line in text.translate(_INLINE).splitlines())
    return _STARTS.sub(lambda at: f"\\{at[1]}" if at[1] else f"{at[2]}\\{at[3]}", "\n".join(lines))


def markdown_line(text: str) -> str:
    """Return plain text as Markdown on one line: for headings, entries and places of a table."""
    return markdown(" ".join(text.split()))


def markdown_row(cells: list[str]) -> str:
    """Return a row of a table from places that are Markdown."""
    return f"| {' | '.join(cells)} |"


def latex(text: str) -> str:
    r"""Return plain text for LaTeX.

    >>> print(latex("50 % of a_b & {c}"))
    50 \% of a\_b \& \{c\}
    """
    return "".join(_LATEX.get(character, character) for character in text)


def figure_text(text: str) -> str:
    r"""Return plain text for Matplotlib, which sets what is between two dollars as mathematics.

    >>> print(figure_text("from $5 to $9"))
    from \$5 to \$9
    """
    return text.replace("$", r"\$")
