"""A folder of pictures: every file that Pillow reads, in the order of their names."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from pyrovae.core import memory
from pyrovae.core.errors import DataError
from pyrovae.core.reading import reading
from pyrovae.datasets.own_files.content import Content

if TYPE_CHECKING:
    from PIL.Image import Image

#: Pillow's modes without colours.
_GREY = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"}


def read_pictures(
    folder: Path, *, size: int | list[int] | None = None, colour: str | None = None
) -> Content:
    """Read a folder; a picture's label is the sub-folder that it is in. Opacity is ignored."""
    found = _pictures(folder)
    height, width, colours = _shape(found, size, colour)
    event = (3 if colours else 1, height, width)
    memory.require(len(found) * event[0] * height * width, f"the pictures in {folder}", "path")
    values = np.empty((len(found), *event), np.uint8)
    for row, path in zip(values, found, strict=True):
        with _opened(path) as picture:
            row[:] = _pixels(picture, (width, height) if size else None, colours)
    parents = [path.parent.relative_to(folder).as_posix() for path in found]
    labels = {} if set(parents) == {"."} else {"label": np.array(parents)}
    return Content(torch.from_numpy(values), labels)


def _pictures(folder: Path) -> list[Path]:
    from PIL import Image  # slow to import

    known = Image.registered_extensions()
    with reading(folder, "a folder that can be read"):
        inside = sorted(path for path in folder.rglob("*") if path.is_file())
    shown = [
        path
        for path in inside
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    found = [path for path in shown if path.suffix.lower() in known]
    if not found:
        told = f"{len(shown)} files, none of them a picture" if shown else "nothing"
        raise DataError(f"{folder} holds {told}: a folder of pictures is expected")
    return found


@contextmanager
def _opened(path: Path) -> Iterator[Image]:
    from PIL import Image

    with reading(path, "a whole picture"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about what it can read nevertheless
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path) as picture:
            yield picture


def _shape(
    found: list[Path], size: int | list[int] | None, colour: str | None
) -> tuple[int, int, bool]:
    """Return height, width and whether there are colours, of all pictures."""
    asked = [size, size] if isinstance(size, int) else size
    first: tuple[tuple[int, int], bool] | None = None
    for path in found:
        with _opened(path) as picture:
            turned = picture.getexif().get(0x0112, 1) >= 5  # on its side, says the camera
            width, height = picture.size[::-1] if turned else picture.size
            colours = picture.mode not in _GREY
        this = ((height, width), colours)
        first = first or this
        if asked is None and this[0] != first[0]:
            raise DataError(
                f"{path} is {height}×{width} pixels and {found[0].name} {first[0][0]}×"
                f"{first[0][1]}: set 'size' to bring all to one"
            )
        if colour is None and this[1] != first[1]:
            kinds = ("grey", "in colours")
            raise DataError(
                f"{path} is {kinds[colours]} and {found[0].name} {kinds[first[1]]}: set 'colour' "
                "to grey or rgb"
            )
    assert first is not None
    height, width = asked or first[0]
    return height, width, first[1] if colour is None else colour == "rgb"


def _pixels(picture: Image, size: tuple[int, int] | None, colours: bool) -> np.ndarray:
    """Return ``(channels, height, width)``, ``uint8``."""
    from PIL import Image, ImageOps

    if picture.mode.startswith("I") or picture.mode == "F":
        deep = np.asarray(picture)
        if picture.mode == "F" or deep.min() < 0 or deep.max() > 65535:
            raise ValueError(f"its pixels are of mode {picture.mode}: must be of 8 or 16 bits")
        picture = Image.fromarray(np.rint(deep / 257).astype(np.uint8))
    picture = ImageOps.exif_transpose(picture).convert("RGB" if colours else "L")
    if size is not None:
        picture = _middle(picture, size).resize(size, Image.Resampling.BILINEAR)
    pixels = np.asarray(picture)
    return pixels.transpose(2, 0, 1) if colours else pixels[None]


def _middle(picture: Image, shape: tuple[int, int]) -> Image:
    """Return the largest part around the middle whose sides are as those of ``shape``."""
    scale = min(side / wanted for side, wanted in zip(picture.size, shape, strict=True))
    width, height = (max(1, round(wanted * scale)) for wanted in shape)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))
