from __future__ import annotations

import gzip
import hashlib
import logging
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pooch
import pytest

from pyrovae.core.errors import DataError
from pyrovae.core.reading import reading
from pyrovae.datasets.files import data_dir, locate, open_binary
from pyrovae.datasets.sources import SOURCES, RemoteFile, Source

CONTENT = b"the canonical bytes"
CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Address of a loopback server that has one file, ``toy.bin``."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "toy.bin").write_bytes(CONTENT)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch):
    """Make ``toy`` a data set of one remote file."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    pooch.get_logger().setLevel(logging.ERROR)

    def add(url: str, checksum: str | None) -> None:
        source = Source("", "", "", files={"toy.bin": RemoteFile(url, checksum)})
        monkeypatch.setitem(SOURCES, "toy", source)

    return add


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_user_directory_comes_before_the_cache(user_data: Path, tmp_path: Path, publish) -> None:
    publish("http://127.0.0.1:9/toy.bin", CHECKSUM)
    cached, own = tmp_path / "cache/toy/toy.bin", user_data / "toy/toy.bin"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(CONTENT)
    assert locate("toy", "toy.bin") == cached
    own.parent.mkdir()
    own.write_bytes(b"anything: the format is checked by the reader, not the checksum")
    assert locate("toy", "toy.bin") == own


def test_preferred_name_comes_first(user_data: Path, publish) -> None:
    publish("http://127.0.0.1:9/toy.bin", CHECKSUM)
    (user_data / "toy").mkdir()
    for name in ("toy.npz", "toy.bin"):
        (user_data / "toy" / name).touch()
    assert locate("toy", "toy.npz", "toy.bin").name == "toy.npz"
    assert locate("toy", "toy.bin", "toy.npz").name == "toy.bin"


def test_download_is_kept_in_the_cache(server: str, tmp_path: Path, publish) -> None:
    publish(f"{server}/toy.bin", CHECKSUM)
    path = locate("toy", "other-name.npz", "toy.bin")
    assert path == tmp_path / "cache/toy/toy.bin"
    assert path.read_bytes() == CONTENT
    publish("http://127.0.0.1:9/gone", CHECKSUM)
    assert locate("toy", "toy.bin") == path


def test_download_with_another_checksum_is_refused_and_leaves_nothing(
    server: str, tmp_path: Path, publish
) -> None:
    publish(f"{server}/toy.bin", "sha256:" + "0" * 64)
    with pytest.raises(DataError, match="does not have the known checksum"):
        locate("toy", "toy.bin")
    assert files_below(tmp_path / "cache") == []


def test_failing_download_says_where_it_looked(
    server: str, user_data: Path, tmp_path: Path, publish
) -> None:
    publish(f"{server}/absent.bin", CHECKSUM)
    with pytest.raises(DataError) as caught:
        locate("toy", "toy.bin")
    for part in (str(user_data / "toy"), str(tmp_path / "cache/toy"), f"{server}/absent.bin"):
        assert part in str(caught.value)
    assert files_below(tmp_path / "cache") == []


def test_file_without_known_checksum_is_never_downloaded(
    server: str, tmp_path: Path, publish
) -> None:
    publish(f"{server}/toy.bin", None)
    with pytest.raises(DataError, match=r"not downloaded from .*/toy\.bin, as no checksum"):
        locate("toy", "toy.bin")
    assert files_below(tmp_path / "cache") == []


def test_data_dir(monkeypatch: pytest.MonkeyPatch, user_data: Path) -> None:
    assert data_dir() == user_data
    monkeypatch.setenv("PYROVAE_DATA", "")
    assert data_dir() is None
    monkeypatch.delenv("PYROVAE_DATA")
    assert data_dir() is None
    monkeypatch.setenv("PYROVAE_DATA", str(user_data / "nowhere"))
    with pytest.raises(DataError, match="not a directory"):
        data_dir()


def test_open_binary_decompresses_by_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    (tmp_path / "a.gz").write_bytes(gzip.compress(CONTENT))
    for name in ("a", "a.gz"):
        with open_binary(tmp_path / name) as stream:
            assert stream.read() == CONTENT


def test_reading_names_the_file_and_lets_data_errors_through() -> None:
    path = Path("x.npz")
    with pytest.raises(DataError, match=r"^x\.npz is not a thing: why$"), reading(path, "a thing"):
        raise ValueError("why")
    with pytest.raises(DataError, match=r"^already clear$"), reading(path, "a thing"):
        raise DataError("already clear")
    with (
        pytest.raises(DataError, match=r"a thing: MemoryError$") as caught,
        reading(path, "a thing"),
    ):
        raise MemoryError
    assert isinstance(caught.value.__cause__, MemoryError)
    with pytest.raises(KeyboardInterrupt), reading(path, "a thing"):
        raise KeyboardInterrupt
