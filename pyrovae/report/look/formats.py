"""A figure as files: the formats that it can have, with nothing in them that changes by the day."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from pyrovae.core import atomic
from pyrovae.core.errors import ConfigError, did_you_mean
from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.style import PAPER, Style, theme

#: What figures are written as unless asked otherwise. The Markdown page shows the PNG.
FORMATS = ("pdf", "png")
#: What they can be written as, with metadata that would change from day to day left out: the same
#: results give the same bytes.
_UNDATED: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None},
    "png": {},
    "svg": {"Date": None},
}


def files(drawn: Drawn, style: Style = PAPER, formats: Sequence[str] = FORMATS) -> dict[str, bytes]:
    """Return a figure's files by suffix: the pictures, its data and its caption."""
    made = {}
    _lay_out(drawn.figure, style)
    # Matplotlib numbers the parts of an SVG by a salted hash.
    with theme(style), matplotlib.rc_context({"svg.hashsalt": drawn.name}):
        for kind in formats:
            buffer = io.BytesIO()
            metadata = {"Title": drawn.name, **_UNDATED[kind]}
            drawn.figure.savefig(buffer, format=kind, metadata=metadata)
            made[kind] = buffer.getvalue()
    made["csv"] = drawn.data.to_csv(index=False).encode()
    made["txt"] = f"{drawn.caption}\n".encode()
    return made


def _lay_out(figure: Figure, style: Style) -> None:
    """Place everything once: the same in each format, and Matplotlib does not do it for each."""
    if figure.get_layout_engine() is not None:
        with theme(style):
            figure.draw_without_rendering()
            figure.set_layout_engine(None)


def save(figures: Iterable[Drawn], folder: str | Path, *, style: Style = PAPER) -> list[Path]:
    """Write the :func:`files` of figures into a folder, and return their PNGs."""
    shown = []
    for drawn in figures:
        for suffix, content in files(drawn, style).items():
            atomic.write_bytes(Path(folder) / f"{drawn.name}.{suffix}", content)
        shown.append(Path(folder) / f"{drawn.name}.png")
    return shown


def parse_formats(text: str) -> tuple[str, ...]:
    """Return the formats of ``"pdf,png"``.

    Raises
    ------
    ConfigError
        For one that figures are not written as.
    """
    chosen = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for part in chosen:
        if part not in _UNDATED:
            raise ConfigError(f"unknown format '{part}'{did_you_mean(part, _UNDATED)}", "--format")
    return chosen
