from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from pyrovae.core.errors import DataError
from pyrovae.datasets import dsprites, load_dataset, sprites
from pyrovae.datasets.dsprites import read_dsprites
from pyrovae.datasets.grids import FactorGrid

GRID = FactorGrid(("shape", "scale", "orientation", "x", "y"), (3, 2, 2, 2, 2))
NAME = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"


class Bomb:
    """Fails the test if it is ever unpickled."""

    def __reduce__(self) -> tuple:
        return pytest.fail, ("the metadata were unpickled",)


def content() -> dict[str, np.ndarray]:
    """The published file's layout on a small grid."""
    factors = GRID.factors(np.arange(len(GRID)))
    images = np.random.default_rng(0).integers(0, 2, (len(GRID), 64, 64), np.uint8)
    colour = np.zeros((len(GRID), 1), np.int64)
    return {"imgs": images, "latents_classes": np.concatenate([colour, factors], axis=1)}


def save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez_compressed(path, metadata=np.array(Bomb(), dtype=object), **arrays)
    return path


def test_reads_the_rows_asked_for_and_leaves_the_pickle_alone(tmp_path: Path) -> None:
    arrays = content()
    path = save(tmp_path / "d.npz", **arrays)
    with pytest.raises(pytest.fail.Exception), np.load(path, allow_pickle=True) as file:
        _ = file["metadata"]  # the bomb is armed
    index = np.array([47, 0, 13])
    read = read_dsprites(path, index, GRID)
    assert read.dtype == np.uint8
    assert np.array_equal(read, arrays["imgs"][index][:, None] * 255)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda a: {"imgs": a["imgs"][:-1]}, "'imgs' has"),
        (lambda a: {"imgs": a["imgs"] + 1}, "pixel of value 2"),
        (lambda a: {"latents_classes": a["latents_classes"][::-1]}, "order of the factor grid"),
        (lambda a: {"latents_classes": a["latents_classes"][:, 0]}, "too many indices"),
        (lambda a: {"latents_classes": np.array([{}], dtype=object)}, "allow_pickle=False"),
    ],
    ids=["count", "range", "order", "rank", "pickle"],
)
def test_other_content_is_refused(tmp_path: Path, change, complaint: str) -> None:
    arrays = content()
    path = save(tmp_path / "d.npz", **(arrays | change(arrays)))
    with pytest.raises(DataError, match=complaint):
        read_dsprites(path, np.arange(5), GRID)


def test_missing_arrays_and_damaged_files_are_refused(tmp_path: Path) -> None:
    arrays = content()
    np.savez(tmp_path / "d.npz", imgs=arrays["imgs"])
    with pytest.raises(DataError, match="latents_classes"):
        read_dsprites(tmp_path / "d.npz", np.arange(5), GRID)
    whole = save(tmp_path / "d.npz", **arrays).read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], pickle.dumps(Bomb())):
        (tmp_path / "d.npz").write_bytes(damaged)
        with pytest.raises(DataError, match="is not dSprites with 48 images"):
            read_dsprites(tmp_path / "d.npz", np.arange(5), GRID)


def test_dataset_pairs_images_and_factors(user_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = content()
    (user_data / "dsprites").mkdir()
    save(user_data / "dsprites" / NAME, **arrays)
    monkeypatch.setattr(dsprites, "GRID", GRID)
    data = load_dataset("dsprites", n_train=40, n_test=8)
    for split in (data.train, data.test):
        assert split.factors is not None
        expected = arrays["imgs"][GRID.index(split.factors)]
        assert np.array_equal(split.values.numpy()[:, 0], expected * 255)


def test_grid_is_shared_with_sprites() -> None:
    assert sprites.GRID.factors == dsprites.GRID


def test_real_dsprites(real_data: Path) -> None:
    if not (real_data / "dsprites" / NAME).is_file():
        pytest.skip("needs dSprites in PYROVAE_DATA")
    data = load_dataset("dsprites")
    assert data.train.floats().mean().item() == pytest.approx(0.0425, abs=5e-4)
