from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from pyrovae.core.errors import DataError
from pyrovae.datasets import load_dataset, smallnorb
from pyrovae.datasets.grids import FactorGrid
from pyrovae.datasets.smallnorb import NorbFiles, read_smallnorb

GRID = FactorGrid(smallnorb.GRID.names, (2, 4, 2, 3, 2))
N = len(GRID) // 2
PAIRS = np.random.default_rng(0).integers(0, 256, (2 * N, 2, 96, 96), np.uint8)
# The grid points in some order, the first half in one part, the second in the other.
ORDER = np.random.default_rng(1).permutation(2 * N)

BYTE, INTEGER = 0x1E3D4C55, 0x1E3D4C54


def write_matrix(path: Path, array: np.ndarray, code: int) -> None:
    """Write the authors' format: fewer than three dimensions are padded with ones."""
    dims = [*array.shape, 1, 1][: max(3, array.ndim)]
    content = struct.pack(f"<{2 + len(dims)}i", code, array.ndim, *dims)
    content += array.astype("<i4" if code == INTEGER else "u1").tobytes()
    path.write_bytes(gzip.compress(content, 0) if path.suffix == ".gz" else content)


def save(folder: Path, suffix: str = ".mat.gz", order: np.ndarray = ORDER) -> list[NorbFiles]:
    parts = []
    for number, points in enumerate(np.split(order, 2)):
        files = NorbFiles(*(folder / f"{number}-{kind}{suffix}" for kind in NorbFiles._fields))
        category, instance, elevation, azimuth, lighting = GRID.factors(points).T
        info = np.stack([instance, elevation, 2 * azimuth, lighting], axis=1)
        write_matrix(files.dat, PAIRS[points], BYTE)
        write_matrix(files.cat, category, INTEGER)
        write_matrix(files.info, info, INTEGER)
        parts.append(files)
    return parts


@pytest.mark.parametrize("suffix", [".mat", ".mat.gz"])
def test_reads_the_first_of_each_pair_by_its_factors(tmp_path: Path, suffix: str) -> None:
    index = np.random.default_rng(2).permutation(2 * N)[:50]
    read = read_smallnorb(save(tmp_path, suffix), index, 96, GRID)
    assert read.dtype == np.uint8
    assert np.array_equal(read, PAIRS[index, :1])


def test_rows_of_one_part_only(tmp_path: Path) -> None:
    read = read_smallnorb(save(tmp_path), ORDER[:3], 96, GRID)
    assert np.array_equal(read, PAIRS[ORDER[:3], :1])


def test_images_are_averaged_down(tmp_path: Path) -> None:
    index = np.arange(20)
    means = PAIRS[index, :1].astype(float).reshape(20, 1, 32, 3, 32, 3).mean(axis=(3, 5))
    assert np.abs(read_smallnorb(save(tmp_path), index, 32, GRID) - means).max() <= 0.5


def test_an_image_held_twice_is_refused(tmp_path: Path) -> None:
    order = ORDER.copy()
    order[0] = order[1]
    with pytest.raises(DataError, match="do not hold each image once"):
        read_smallnorb(save(tmp_path, order=order), np.arange(3), 96, GRID)


def test_factors_off_the_grid_are_refused(tmp_path: Path) -> None:
    parts = save(tmp_path)
    write_matrix(parts[1].cat, np.full(N, 2), INTEGER)
    with pytest.raises(DataError, match=r"1-cat\.mat\.gz or 1-info\.mat\.gz"):
        read_smallnorb(parts, np.arange(3), 96, GRID)


@pytest.mark.parametrize("kind", NorbFiles._fields)
def test_damaged_files_are_refused(tmp_path: Path, kind: str) -> None:
    parts = save(tmp_path, ".mat")
    path = getattr(parts[0], kind)
    whole = path.read_bytes()
    for damaged, complaint in (
        (b"", "unpack"),
        (b"\0" + whole[1:], "type code"),
        (whole[:8] + struct.pack("<i", N + 1) + whole[12:], "header says"),
        (whole[:-1], "ends within rows"),
        (whole + b"\0", "goes on after"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=complaint) as caught:
            read_smallnorb(parts, np.arange(2 * N), 96, GRID)
        assert str(caught.value).startswith(f"{path} is not a NORB matrix")


def test_dataset_pools_both_parts(user_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = user_data / "smallnorb"
    folder.mkdir()
    stems = ("5x46789x9x18x6x2x96x96-training", "5x01235x9x18x6x2x96x96-testing")
    for files, stem in zip(save(folder), stems, strict=True):
        for kind, path in files._asdict().items():
            path.rename(folder / f"smallnorb-{stem}-{kind}.mat.gz")
    monkeypatch.setattr(smallnorb, "GRID", GRID)
    data = load_dataset("smallnorb", size=96, n_train=60, n_test=36)
    for split in (data.train, data.test):
        assert split.factors is not None
        assert np.array_equal(split.values.numpy(), PAIRS[GRID.index(split.factors), :1])


def test_grid_is_the_published_one() -> None:
    assert len(smallnorb.GRID) == 48_600
