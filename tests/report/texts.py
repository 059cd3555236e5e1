"""What a figure says, as drawn: each text with its place on the page."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

#: Pixels at 100 dpi that two boxes may share: a box includes room above and below the letters.
_TOLERANCE = 0.75


def drawn_texts(figure: Figure) -> list[tuple[str, Bbox, float]]:
    """Return the texts that drawing really puts on the page, with their boxes and sizes."""
    found: list[Text] = []
    with _recorded(found):
        figure.draw_without_rendering()
    seen = {id(text): text for text in found if text.get_visible() and text.get_text().strip()}
    return [(t.get_text(), t.get_window_extent(), t.get_fontsize()) for t in seen.values()]


@contextmanager
def _recorded(found: list[Text]) -> Iterator[None]:
    original = Text.draw

    def draw(self: Text, *args: object, **kwargs: object) -> None:
        found.append(self)
        original(self, *args, **kwargs)

    # Tick labels that are out of view exist, but nobody draws them: only `draw` knows.
    with patch.object(Text, "draw", draw):
        yield


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Return the pairs of texts that run into each other."""
    boxes = [(text, _shrunk(box)) for text, box, _ in drawn_texts(figure)]
    return [
        (a, b)
        for (a, box), (b, other) in itertools.combinations(boxes, 2)
        if box.x0 < other.x1 and other.x0 < box.x1 and box.y0 < other.y1 and other.y0 < box.y1
    ]


def cut_off(figure: Figure) -> list[str]:
    """Return the texts that reach over the edge of the page."""
    page = figure.bbox
    return [
        text
        for text, box in ((text, _shrunk(box)) for text, box, _ in drawn_texts(figure))
        if box.x0 < page.x0 or box.y0 < page.y0 or box.x1 > page.x1 or box.y1 > page.y1
    ]


def _shrunk(box: Bbox) -> Bbox:
    return box.padded(-min(_TOLERANCE, box.width / 3, box.height / 3))
