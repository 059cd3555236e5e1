"""All figures and tables of a study, in one folder."""

from __future__ import annotations

import io
import json
from pathlib import Path

from pyrovae.report import gallery, table, variation
from pyrovae.report.drawn import Drawn, NothingToDraw
from pyrovae.report.index import index_page
from pyrovae.report.style import PAPER, Style, theme
from pyrovae.study import atomic
from pyrovae.study.across_seeds import with_udr
from pyrovae.study.results import StudyResults

FORMATS = ("pdf", "png")
#: Names the files of the last report, so that the next one removes what it no longer writes.
_MANIFEST = "manifest.json"


def write_report(study: StudyResults, *, style: Style = PAPER) -> Path:
    """Write every figure and table of a study.

    ::

        results/<study>/report/report.md              all of it, for reading
                               figures/<name>.pdf     for the paper; .png for a look
                               figures/<name>.csv     the numbers in it
                               figures/<name>.txt     draft of a caption
                               tables/cells.csv       means and intervals
                               tables/cells.tex       booktabs; .txt draft of its caption
                               tables/variation.csv   of scores: over seeds, points, dead units

    Files appear complete, each in one step; those of an earlier report that this one has no more
    are removed.

    Parameters
    ----------
    study
        With at least one finished run.
    style
        Of the figures.

    Returns
    -------
    Path
        The folder.
    """
    study = with_udr(study)
    folder = study.store.root / "report"
    written: set[str] = set()

    def write(name: str, content: bytes) -> None:
        atomic.write_bytes(folder / name, content)
        written.add(name)

    captions: dict[str, str] = {}
    skipped: dict[str, str] = {}
    for kind in (*gallery.FIGURES, *gallery.ON_REQUEST):
        try:
            for drawn in gallery.draw(study, kind, style=style):
                for suffix, content in files(drawn, style).items():
                    write(f"figures/{drawn.name}.{suffix}", content)
                captions[drawn.name] = drawn.caption
        except NothingToDraw as reason:
            if kind in gallery.FIGURES:
                skipped[kind] = str(reason)
    write("tables/cells.csv", table.cell_table(study).to_csv(index=False).encode())
    write("tables/cells.tex", table.latex(study).encode())
    write("tables/cells.txt", f"{table.caption(study)}\n".encode())
    varied = variation.variation_table(study)
    if not varied.empty:
        write("tables/variation.csv", varied.to_csv(index=False).encode())
    write("report.md", index_page(study, captions, skipped).encode())
    _remove_former(folder, written)
    return folder


def files(drawn: Drawn, style: Style = PAPER) -> dict[str, bytes]:
    """Return a figure's files by suffix: the pictures, its data and its caption."""
    made = {}
    with theme(style):
        for kind in FORMATS:
            buffer = io.BytesIO()
            # Without a date the same results give the same bytes.
            metadata = {"Title": drawn.name, **({"CreationDate": None} if kind == "pdf" else {})}
            drawn.figure.savefig(buffer, format=kind, metadata=metadata)
            made[kind] = buffer.getvalue()
    made["csv"] = drawn.data.to_csv(index=False).encode()
    made["txt"] = f"{drawn.caption}\n".encode()
    return made


def _remove_former(folder: Path, written: set[str]) -> None:
    manifest = folder / _MANIFEST
    if manifest.exists():
        for name in set(json.loads(manifest.read_text())) - written:
            (folder / name).unlink(missing_ok=True)
    atomic.write_text(manifest, json.dumps(sorted(written), indent=1))
