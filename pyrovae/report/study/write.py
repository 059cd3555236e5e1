"""All figures and tables of a study, in one folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from pyrovae.analysis.udr import with_udr
from pyrovae.core import atomic
from pyrovae.core.reading import reading
from pyrovae.report.diagnosis import write_missing_figures
from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.formats import FORMATS, files
from pyrovae.report.look.marks import with_unsettled
from pyrovae.report.look.presented import Presented, present
from pyrovae.report.look.style import PAPER, Style
from pyrovae.report.study import gallery, methods
from pyrovae.report.study.index import index_page
from pyrovae.report.tables import cells as table
from pyrovae.report.tables import effects as effects_table
from pyrovae.report.tables import settling, true_posterior
from pyrovae.study.store.results import StudyResults

#: Names the files of the last report, so that the next one removes what it no longer writes.
_MANIFEST = "manifest.json"


def write_report(
    study: StudyResults,
    *,
    style: Style = PAPER,
    formats: Sequence[str] = FORMATS,
    unsettled: bool = False,
) -> Path:
    """Write every figure and table of a study.

    ::

        results/<study>/report/report.md              all of it, for reading
                               figures/<name>.pdf     for the paper; .png for a look
                               figures/<name>.csv     the numbers in it
                               figures/<name>.txt     draft of a caption
                               tables/cells.csv       means and intervals
                               tables/cells.tex       booktabs, siunitx; .txt draft of its caption
                               tables/settling.csv steps, rise of the bound, settled; .tex
                               tables/effects.csv     main effects and interactions; .tex
                               methods.txt            draft of a paragraph; .tex for LaTeX
                               references.bib         what it and the captions cite
                               tables/variation.csv   of scores: over seeds, points, dead units
                               tables/diagnosed.csv   who collapsed each cell's units

    Files appear complete, each in one step; those of an earlier report that this one has no more
    are removed. Figures keep the formats that they had, too.

    Parameters
    ----------
    study
        With at least one finished run.
    style
        Of the figures.
    formats
        Of the figures: ``pdf``, ``png``, ``svg``.
    unsettled
        Whether to conclude from runs that have not settled too. All that is shown of them is marked
        in any case.

    Returns
    -------
    Path
        The folder.
    """
    presented = present(with_udr(study), unsettled=unsettled)
    write_missing_figures(study, style=style)
    folder = study.store.root / "report"
    # The page shows the PNG; figures in a format of an earlier report are drawn again, not left as
    # they were, and not taken away.
    formats = list(dict.fromkeys([*formats, *_former_formats(folder), "png"]))
    written: set[str] = set()

    def write(name: str, content: bytes) -> None:
        atomic.write_bytes(folder / name, content)
        written.add(name)

    captions: dict[str, str] = {}
    skipped: dict[str, str] = {}
    for kind in (*gallery.FIGURES, *gallery.ON_REQUEST):
        try:
            for drawn in gallery.draw(presented, kind, style=style):
                for suffix, content in files(drawn, style, formats).items():
                    write(f"figures/{drawn.name}.{suffix}", content)
                captions[drawn.name] = drawn.caption
        except NothingToDraw as reason:
            if kind in gallery.FIGURES:
                skipped[kind] = str(reason)
    write("tables/cells.csv", presented.cells.to_csv(index=False).encode())
    write("tables/cells.tex", table.latex(presented).encode())
    write("tables/cells.txt", f"{table.caption(presented)}\n".encode())
    write("tables/settling.csv", _csv(settling.by_cell(presented), presented))
    write("tables/settling.tex", settling.latex(presented).encode())
    effects = effects_table.effects_table(presented)
    if not effects.empty:
        write("tables/effects.csv", _csv(effects, presented))
        write("tables/effects.tex", effects_table.latex(presented).encode())
    write("methods.txt", f"{methods.methods(presented)}\n".encode())
    write("methods.tex", methods.latex_methods(presented).encode())
    write("references.bib", methods.references(presented, captions.values()).encode())
    if not presented.variation.empty:
        write("tables/variation.csv", _csv(presented.variation, presented))
    with suppress(NothingToDraw):
        diagnosed = true_posterior.by_cell(presented)
        write("tables/diagnosed.csv", _csv(diagnosed, presented))
    write("report.md", index_page(presented, captions, skipped, formats=formats).encode())
    _remove_former(folder, written)
    return folder


def write_figures(
    study: StudyResults,
    kind: str,
    out: Path,
    *,
    style: Style,
    formats: Sequence[str],
    unsettled: bool = False,
) -> list[Path]:
    """Write the figures of one kind into a folder, and return the pictures' paths.

    Raises
    ------
    NothingToDraw
        If the study lacks what they show.
    """
    written = []
    for drawn in gallery.draw(present(study, unsettled=unsettled), kind, style=style):
        for suffix, content in files(drawn, style, formats).items():
            path = out / f"{drawn.name}.{suffix}"
            atomic.write_bytes(path, content)
            if suffix in formats:
                written.append(path)
    return written


def _csv(table: pd.DataFrame, presented: Presented) -> bytes:
    return with_unsettled(table, presented).to_csv(index=False).encode()


def _former(folder: Path) -> list[str]:
    """Return the files of an earlier report."""
    manifest = folder / _MANIFEST
    if not manifest.exists():
        return []
    with reading(manifest, "a list of a report's files", "delete it"):
        return [str(name) for name in json.loads(manifest.read_text())]


def _former_formats(folder: Path) -> list[str]:
    suffixes = {Path(name).suffix[1:] for name in _former(folder) if name.startswith("figures/")}
    return sorted(suffixes - {"csv", "txt"})


def _remove_former(folder: Path, written: set[str]) -> None:
    for name in set(_former(folder)) - written:
        # The list may have come with someone else's archive.
        if ".." not in Path(name).parts and not Path(name).is_absolute():
            (folder / name).unlink(missing_ok=True)
    atomic.write_text(folder / _MANIFEST, json.dumps(sorted(written), indent=1))
