"""From results to one file."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pyrovae import __version__
from pyrovae.analysis.udr import with_udr
from pyrovae.core import atomic
from pyrovae.report.look.presented import present
from pyrovae.report.page.content import content
from pyrovae.report.page.details import run_details, with_headings
from pyrovae.report.page.pictures import are_pictures, tile_side
from pyrovae.report.page.verdicts import verdicts
from pyrovae.study.store.columns import side_by_side
from pyrovae.study.store.results import StudyResults


def write_page(study: StudyResults, path: Path | None = None) -> Path:
    """Write the page of a study.

    Parameters
    ----------
    study
        With at least one finished run.
    path
        Of the file; ``results/<study>/<study>.html`` if not given.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    PyrovaeError
        If no run is finished.
    """
    path = path or study.store.root / f"{study.name}.html"
    atomic.write_text(path, render_page(study))
    return path


def render_page(study: StudyResults) -> str:
    """Return the page as HTML."""
    presented = present(with_udr(study))
    parts = content(presented)
    runs = [row["id"] for row in parts.rows]
    images = study.folder(runs[0]).images()
    side = tile_side(images, len(runs)) if are_pictures(images["inputs"]) else 0
    folders = [study.folder(run) for run in runs]
    stored = side_by_side(folder.metrics() for folder in folders)
    details = {
        folder.id: run_details(
            folder,
            known["scores"],
            runs=len(runs),
            side=side,
            law=study.configs[folder.id].has_variance_law,
        )
        for folder, known in zip(folders, stored, strict=True)
    }
    headings, short = with_headings(details)
    environment = Environment(
        loader=PackageLoader("pyrovae.report.page", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        study=study,
        content=parts,
        verdicts=verdicts(presented),
        overview=embedded(parts.overview | {"headings": headings}),
        details={run: embedded(about) for run, about in short.items()},
        style=_asset("style.css"),
        script=_asset("page.js"),
        library=_asset("vendor/echarts.min.js"),
        version=__version__,
    )


def embedded(value: Any) -> str:
    """Return JSON that may stand inside a ``<script>`` element, whatever its strings say."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _asset(name: str) -> str:
    return files("pyrovae.report.page").joinpath(name).read_text(encoding="utf-8")
