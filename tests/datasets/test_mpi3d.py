from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pyrovae.core.errors import ConfigError, DataError
from pyrovae.datasets import load_dataset, mpi3d
from pyrovae.datasets.grids import FactorGrid
from pyrovae.datasets.mpi3d import read_mpi3d

GRID = FactorGrid(mpi3d.GRID.names, (2, 2, 2, 1, 1, 2, 3))
IMAGES = np.random.default_rng(0).integers(0, 256, (len(GRID), 64, 64, 3), np.uint8)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_reads_the_rows_asked_for(tmp_path: Path, save) -> None:
    save(tmp_path / "m.npz", images=IMAGES)
    index = np.array([40, 0, 17])
    read = read_mpi3d(tmp_path / "m.npz", index, GRID)
    assert np.array_equal(read, IMAGES[index].transpose(0, 3, 1, 2))


def test_the_challenge_s_smaller_grid_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", images=IMAGES[:32])
    with pytest.raises(DataError, match=r"is not MPI3D with 48 images: .*\(32, 64, 64, 3\)"):
        read_mpi3d(tmp_path / "m.npz", np.arange(3), GRID)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", images=IMAGES)
    whole = (tmp_path / "m.npz").read_bytes()
    (tmp_path / "m.npz").write_bytes(whole[:-100_000])
    with pytest.raises(DataError, match="is not MPI3D"):
        read_mpi3d(tmp_path / "m.npz", np.arange(3), GRID)


def test_each_variant_has_a_file_of_its_own(user_data: Path, monkeypatch) -> None:
    (user_data / "mpi3d").mkdir()
    monkeypatch.setattr(mpi3d, "GRID", GRID)
    for shade, variant in enumerate(("toy", "realistic", "real")):
        np.savez(user_data / f"mpi3d/mpi3d_{variant}.npz", images=np.full_like(IMAGES, shade))
    for shade, variant in enumerate(("toy", "realistic", "real")):
        data = load_dataset("mpi3d", variant=variant, n_train=4, n_test=4)
        assert (data.train.values == shade).all()
    with pytest.raises(ConfigError, match="'toy', 'realistic' or 'real'"):
        load_dataset("mpi3d", variant="complex")


def test_grid_is_the_published_one() -> None:
    assert len(mpi3d.GRID) == 1_036_800
