"""A LaTeX table that is made smaller where it is wider than the text."""

from __future__ import annotations

from collections.abc import Sequence


def fitted(columns: str, body: Sequence[str], *, font: str) -> list[str]:
    r"""Return the lines of a booktabs ``tabular``; needs booktabs and graphicx.

    Parameters
    ----------
    columns
        Their specification.
    body
        The lines between ``\toprule`` and ``\bottomrule``.
    font
        What is set for the table alone: its size, the space between columns.
    """
    return [
        rf"\begingroup{font}%",
        r"\sbox0{%",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        *body,
        r"\bottomrule",
        r"\end{tabular}}%",
        r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi",
        r"\endgroup",
    ]
