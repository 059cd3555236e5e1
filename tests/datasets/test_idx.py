from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyrovae.core.errors import DataError
from pyrovae.datasets.idx import read_idx

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)


def idx_bytes(array: np.ndarray, code: int = 8) -> bytes:
    header = struct.pack(">HBB", 0, code, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


GOOD = idx_bytes(IMAGES)


@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_reads_plain_and_compressed(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(GOOD) if name.endswith(".gz") else GOOD)
    read = read_idx(path, IMAGES.shape)
    assert read.dtype == np.uint8
    assert np.array_equal(read, IMAGES)


def test_reads_a_hand_written_file(tmp_path: Path) -> None:
    # Two vectors of three bytes, after the format's description.
    (tmp_path / "a").write_bytes(bytes.fromhex("00000802 00000002 00000003 010203 0405ff"))
    assert read_idx(tmp_path / "a", (2, 3)).tolist() == [[1, 2, 3], [4, 5, 255]]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"\x01" + GOOD[1:], "magic number is 0100"),
        (idx_bytes(IMAGES, code=0x0D), "magic number is 00000d03"),
        (idx_bytes(IMAGES[0]), "magic number is 00000802"),
        (idx_bytes(IMAGES[:4]), r"its header says \(4, 4, 3\)"),
        (GOOD[:-1], "fewer values"),
        (GOOD + b"\0", "more values"),
        (GOOD[:10], "unpack"),
        (b"", "unpack"),
        (b"<html>404</html>", "magic number"),
    ],
    ids=["zeros", "type", "rank", "count", "truncated", "longer", "header", "empty", "html"],
)
def test_other_content_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    for name, stored in (("images", content), ("images.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(stored)
        with pytest.raises(DataError, match=complaint) as caught:
            read_idx(tmp_path / name, IMAGES.shape)
        assert str(caught.value).startswith(f"{tmp_path / name} is not an IDX file of shape")


def test_damaged_compression_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(GOOD)
    for damaged in (packed[:-9], GOOD, packed[:20] + b"\xff\xff" + packed[22:]):
        (tmp_path / "images.gz").write_bytes(damaged)
        with pytest.raises(DataError, match="is not an IDX file"):
            read_idx(tmp_path / "images.gz", IMAGES.shape)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=100), st.booleans())
def test_random_bytes_only_ever_raise_a_data_error(
    tmp_path: Path, content: bytes, compressed: bool
) -> None:
    path = tmp_path / ("noise.gz" if compressed else "noise")
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_idx(path, IMAGES.shape)
