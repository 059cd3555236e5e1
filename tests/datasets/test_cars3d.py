from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from pyrovae.core.errors import DataError
from pyrovae.datasets import cars3d, load_dataset
from pyrovae.datasets.cars3d import read_cars3d
from pyrovae.datasets.grids import FactorGrid

GRID = FactorGrid(cars3d.GRID.names, (2, 3, 4))
# Indexed by model, then as in the published files: y, x, channel, azimuth, elevation.
MESHES = np.random.default_rng(0).integers(0, 256, (4, 128, 128, 3, 3, 2), np.uint8)


def save(path: Path, meshes: np.ndarray = MESHES, key: str = "im") -> Path:
    """The published archive's layout, with the models in no order and other files between them."""
    with tarfile.open(path, "w:gz", compresslevel=0) as archive:

        def add(name: str, content: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))

        for model in reversed(range(len(meshes))):
            stream = io.BytesIO()
            savemat(stream, {key: meshes[model], "mask": np.zeros(3)})
            add(f"data/cars/car_{model:03d}_mesh.mat", stream.getvalue())
            add(f"data/cars/._car_{model:03d}_mesh.mat", b"a file system's leftover")
        add("data/cars/list.txt", b"car_000_mesh")
        add("data/sprites/sprites_000.mat", b"another data set")
    return path


def test_reads_the_images_asked_for(tmp_path: Path) -> None:
    path = save(tmp_path / "c.tar.gz")
    index = np.array([23, 0, 7, 12])
    read = read_cars3d(path, index, 128, GRID)
    assert read.dtype == np.uint8
    for image, (elevation, azimuth, model) in zip(read, GRID.factors(index), strict=True):
        expected = MESHES[model, :, :, :, azimuth, elevation].transpose(2, 0, 1)
        assert np.array_equal(image, expected)


def test_halving_takes_means_of_four_pixels(tmp_path: Path) -> None:
    path, index = save(tmp_path / "c.tar.gz"), np.arange(len(GRID))
    full = read_cars3d(path, index, 128, GRID).astype(float)
    means = full.reshape(-1, 3, 64, 2, 64, 2).mean(axis=(3, 5))
    assert np.abs(read_cars3d(path, index, 64, GRID) - means).max() <= 0.5


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"meshes": MESHES[:3]}, "has 3 files"),
        ({"meshes": MESHES[:, :64]}, r"shape \(64, 128, 3, 3, 2\)"),
        ({"meshes": MESHES / 255}, "type float64"),
        ({"key": "image"}, "im"),
    ],
    ids=["count", "shape", "type", "name"],
)
def test_other_content_is_refused(tmp_path: Path, change: dict, complaint: str) -> None:
    path = save(tmp_path / "c.tar.gz", **change)
    with pytest.raises(DataError, match=f"is not the Cars3D archive with 4 models: .*{complaint}"):
        read_cars3d(path, np.arange(3), 64, GRID)


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "c.tar.gz")
    whole = path.read_bytes()
    for damaged in (b"", b"\x1f\x8b\x08 nothing", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="is not the Cars3D archive"):
            read_cars3d(path, np.arange(3), 64, GRID)


def test_dataset_pairs_images_and_factors(user_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (user_data / "cars3d").mkdir()
    path = save(user_data / "cars3d/nips2015-analogy-data.tar.gz")
    monkeypatch.setattr(cars3d, "GRID", GRID)
    data = load_dataset("cars3d", size=32, n_train=16, n_test=8)
    everything = read_cars3d(path, np.arange(len(GRID)), 32, GRID)
    for split in (data.train, data.test):
        assert split.factors is not None
        assert np.array_equal(split.values.numpy(), everything[GRID.index(split.factors)])


def test_grid_is_the_published_one() -> None:
    assert len(cars3d.GRID) == 17_568
