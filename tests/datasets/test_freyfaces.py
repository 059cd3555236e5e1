from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from pyrovae.core.errors import DataError
from pyrovae.datasets import load_dataset
from pyrovae.datasets.freyfaces import read_freyfaces

FACES = np.random.default_rng(0).integers(0, 256, (6, 28, 20), np.uint8)


def test_both_formats_give_the_same_images(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "f.npz", images=FACES)
    # Roweis' file has a column for each image, its rows one after the other.
    savemat(tmp_path / "f.mat", {"ff": np.stack([face.ravel() for face in FACES], axis=1)})
    for name in ("f.npz", "f.mat"):
        read = read_freyfaces(tmp_path / name, n=6)
        assert read.dtype == np.uint8
        assert np.array_equal(read, FACES[:, None])


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"images": FACES[:5]}, "has shape"),
        ({"images": FACES.astype(float)}, "of type float64"),
        ({"faces": FACES}, "images"),
        ({"images": np.array([{}], dtype=object)}, "allow_pickle=False"),
    ],
    ids=["count", "type", "name", "pickle"],
)
def test_other_npz_files_are_refused(tmp_path: Path, arrays: dict, complaint: str) -> None:
    np.savez(tmp_path / "f.npz", **arrays)
    with pytest.raises(DataError, match=complaint):
        read_freyfaces(tmp_path / "f.npz", n=6)


@pytest.mark.parametrize("arrays", [{"ff": FACES.reshape(6, 560)}, {"gg": 1}, {"ff": "text"}])
def test_other_mat_files_are_refused(tmp_path: Path, arrays: dict) -> None:
    savemat(tmp_path / "f.mat", arrays)
    with pytest.raises(DataError, match="is not a file of 6 Frey faces"):
        read_freyfaces(tmp_path / "f.mat", n=6)


@pytest.mark.parametrize("name", ["f.npz", "f.mat"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"MATLAB 5.0 MAT-file" * 20])
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="is not a file of 6 Frey faces"):
        read_freyfaces(tmp_path / name, n=6)


def test_real_faces(real_data: Path) -> None:
    if not list(real_data.glob("freyfaces/*")):
        pytest.skip("needs Frey faces in PYROVAE_DATA")
    data = load_dataset("freyfaces")
    assert (len(data.train), len(data.test)) == (1565, 400)
    assert data.event_shape == (1, 28, 20)
    # Were height and width mixed up, pixels above each other would not resemble each other.
    upright = data.train.floats()
    mixed_up = upright.reshape(-1, 1, 20, 28)
    assert upright.diff(dim=2).abs().mean() < 0.6 * mixed_up.diff(dim=2).abs().mean()
