"""Figures, tables and the methods paragraph in a paper of two columns."""

from __future__ import annotations

import re
from pathlib import Path

from pyrovae.report import escapes
from pyrovae.report.look import style
from pyrovae.report.look.presented import present
from pyrovae.report.study.gallery import draw
from pyrovae.report.study.methods import latex_methods
from pyrovae.report.study.write import files
from pyrovae.report.tables import cells as table
from pyrovae.study.store.results import StudyResults
from report.latex import compiled, needs_latex

pytestmark = needs_latex

#: ICML's measures, without its style file.
PREAMBLE = r"""
\documentclass[10pt,twocolumn]{article}
\usepackage[letterpaper,textwidth=6.75in,textheight=9in,columnsep=0.25in]{geometry}
\usepackage{times,booktabs,graphicx,longtable,siunitx}
\begin{document}
"""
#: Of a column's width, and of the text's.
KINDS = ("kl_profile", "rate_distortion", "effects")


def test_two_columns_take_figures_at_their_own_size(
    main_study: StudyResults, tmp_path: Path
) -> None:
    body = ["Before the figures.", latex_methods(present(main_study))]
    widths = set()
    for kind in KINDS:
        drawn = next(draw(present(main_study), kind))
        wide = drawn.figure.get_figwidth() > style.PAPER.column
        widths.add(wide)
        (tmp_path / f"{drawn.name}.pdf").write_bytes(files(drawn, formats=["pdf"])["pdf"])
        star = "*" if wide else ""
        body += [
            rf"\begin{{figure{star}}}[t]\centering",
            # No width is given: the file has the column's.
            rf"\includegraphics{{{drawn.name}.pdf}}",
            rf"\caption{{{escapes.latex(drawn.caption)}}}\end{{figure{star}}}",
        ]
    body += [r"\begin{table*}\centering", table.latex(present(main_study)), r"\end{table*}"]
    assert widths == {False, True}
    told = compiled(tmp_path, "\n".join([PREAMBLE, *body, r"\end{document}"]))
    # A twentieth of a point is the rounding of a PDF's box.
    too_wide = [float(w) for w in re.findall(r"Overfull \\hbox \(([\d.]+)pt", told)]
    assert [w for w in too_wide if w > 0.05] == []
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")
