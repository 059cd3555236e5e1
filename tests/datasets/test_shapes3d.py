from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pyrovae.core.errors import DataError
from pyrovae.datasets import load_dataset, shapes3d
from pyrovae.datasets.grids import FactorGrid
from pyrovae.datasets.shapes3d import read_shapes3d

GRID = FactorGrid(shapes3d.GRID.names, (2, 2, 2, 2, 2, 3))
IMAGES = np.random.default_rng(0).integers(0, 256, (len(GRID), 64, 64, 3), np.uint8)
# Hues and scales rise from 0, orientations from -30 degrees.
LABELS = GRID.factors(np.arange(len(GRID))) * [0.1, 0.1, 0.1, 0.25, 1, 30] + [0, 0, 0, 0.75, 0, -30]


def save(path: Path, images: np.ndarray = IMAGES, labels: np.ndarray = LABELS, **layout) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, **layout)
        file.create_dataset("labels", data=labels)
    return path


@pytest.mark.parametrize(
    "layout",
    [{}, {"chunks": (40, 8, 8, 1), "compression": "gzip"}, {"chunks": (1, 64, 64, 3)}],
    ids=["contiguous", "chunked", "chunk for each image"],
)
def test_reads_the_rows_asked_for(tmp_path: Path, layout: dict) -> None:
    index = np.array([90, 3, 41, 95, 0])
    read = read_shapes3d(save(tmp_path / "s.h5", **layout), index, GRID)
    assert read.dtype == np.uint8
    assert np.array_equal(read, IMAGES[index].transpose(0, 3, 1, 2))


def test_only_blocks_with_wanted_rows_are_read() -> None:
    class Recorder:
        chunks = (2000, 64, 64, 3)

        def __init__(self) -> None:
            self.read: list[slice] = []

        def __getitem__(self, part: slice) -> np.ndarray:
            self.read.append(part)
            return np.zeros((0,))

    images = Recorder()
    list(shapes3d._blocks(images, np.array([4100, 12, 5999, 7])))
    assert images.read == [slice(0, 2000), slice(4000, 6000)]


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"images": IMAGES[:-1]}, r"shape \(95, 64, 64, 3\)"),
        ({"images": IMAGES.astype(np.int16)}, "type int16"),
        ({"labels": LABELS[::-1]}, "order of the factor grid"),
        ({"labels": LABELS[:, 1:]}, "order of the factor grid"),
    ],
    ids=["count", "type", "order", "columns"],
)
def test_other_content_is_refused(tmp_path: Path, arrays: dict, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        read_shapes3d(save(tmp_path / "s.h5", **arrays), np.arange(3), GRID)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "s.h5")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match="is not 3D Shapes"):
        read_shapes3d(path, np.arange(3), GRID)
    with h5py.File(path, "w") as file:
        file.create_group("images")
        file.create_group("labels")
    with pytest.raises(DataError, match="is not 3D Shapes"):
        read_shapes3d(path, np.arange(3), GRID)


def test_dataset_pairs_images_and_factors(user_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (user_data / "shapes3d").mkdir()
    save(user_data / "shapes3d/3dshapes.h5")
    monkeypatch.setattr(shapes3d, "GRID", GRID)
    data = load_dataset("shapes3d", n_train=60, n_test=36)
    for split in (data.train, data.test):
        assert split.factors is not None
        expected = IMAGES[GRID.index(split.factors)].transpose(0, 3, 1, 2)
        assert np.array_equal(split.values.numpy(), expected)


def test_grid_is_the_published_one() -> None:
    assert len(shapes3d.GRID) == 480_000
