from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrovae.datasets import rows
from pyrovae.datasets.rows import gather_rows, npz_blocks, stream_blocks


def blocks_of(array: np.ndarray, step: int) -> list[tuple[int, np.ndarray]]:
    return [(start, array[start : start + step]) for start in range(0, len(array), step)]


@given(st.integers(1, 40), st.integers(1, 50), st.data())
def test_gathering_equals_indexing(n: int, step: int, data: st.DataObject) -> None:
    array = np.arange(n * 2).reshape(n, 2)
    wanted = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, unique=True)))
    assert np.array_equal(gather_rows(blocks_of(array, step), wanted), array[wanted])
    summed = gather_rows(blocks_of(array, step), wanted, lambda taken: taken.sum(axis=1))
    assert np.array_equal(summed, array[wanted].sum(axis=1))


def test_missing_rows_are_noticed() -> None:
    array = np.arange(10)
    with pytest.raises(ValueError, match="only 1 of 2 rows"):
        gather_rows(blocks_of(array, 3), np.array([2, 10]))


@pytest.mark.parametrize("block_bytes", [1, 50, 2**20])
def test_stream_blocks_rebuild_the_array(block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_BLOCK_BYTES", block_bytes)
    array = np.arange(7 * 3, dtype="<i4").reshape(7, 3)
    blocks = list(stream_blocks(io.BytesIO(array.tobytes()), array.shape, array.dtype))
    assert [start for start, _ in blocks] == np.cumsum([0, *(len(b) for _, b in blocks)])[
        :-1
    ].tolist()
    assert np.array_equal(np.concatenate([block for _, block in blocks]), array)
    assert len(blocks) == {1: 7, 50: 2, 2**20: 1}[block_bytes]


def test_stream_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="ends within rows"):
        list(stream_blocks(io.BytesIO(b"12345"), (3, 2), np.dtype("uint8")))
    with pytest.raises(ValueError, match="goes on after 2 rows"):
        list(stream_blocks(io.BytesIO(b"12345"), (2, 2), np.dtype("uint8")))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_blocks_rebuild_the_array(tmp_path: Path, save) -> None:
    array = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
    save(tmp_path / "a.npz", images=array, other=np.zeros(3))
    blocks = npz_blocks(tmp_path / "a.npz", "images", array.shape, "uint8")
    assert np.array_equal(np.concatenate([block for _, block in blocks]), array)


@pytest.mark.parametrize(
    "stored",
    [
        np.zeros((4, 3), np.uint8),
        np.zeros((5, 3), np.int16),
        np.asfortranarray(np.zeros((5, 3), np.uint8)),
    ],
    ids=["shape", "type", "order"],
)
def test_npz_of_something_else_is_refused(tmp_path: Path, stored: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", images=stored)
    with pytest.raises(ValueError, match="'images' has"):
        next(npz_blocks(tmp_path / "a.npz", "images", (5, 3), "uint8"))


def test_pickled_arrays_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.array([{}] * 5, dtype=object))
    with pytest.raises(ValueError, match="'images' has"):
        next(npz_blocks(tmp_path / "a.npz", "images", (5,), "uint8"))


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((50, 8), np.uint8))
    damaged = bytearray((tmp_path / "a.npz").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "a.npz").write_bytes(damaged)
    with pytest.raises(zipfile.BadZipFile, match="CRC"):
        list(npz_blocks(tmp_path / "a.npz", "images", (50, 8), "uint8"))
