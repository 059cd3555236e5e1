"""Each kind of file of the user's own: what it gives, and what is said of a malformed one."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_study import run as train

from pyrovae.commands.main import main
from pyrovae.core.errors import ConfigError, DataError
from pyrovae.datasets import Dataset, load_dataset
from pyrovae.datasets.own_files import look_in
from pyrovae.datasets.own_files.texts import read_text
from pyrovae.study.config.read import load_study_file
from pyrovae.study.plan.planning import make_plan
from pyrovae.study.store.folders import RunFolder
from pyrovae.study.store.trained import load_trained

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 4, 6), np.uint8)
LABELS = np.arange(20) % 3
ANGLES = np.linspace(-1, 1, 20) ** 3
WORDS = np.array(["cat", "dog", "eel"])[LABELS]


def _load(path: Path, **options: Any) -> Dataset:
    return load_dataset("files", path=str(path), **options)


def _together(dataset: Dataset) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return all observations and labels, in the order of the file."""
    whole = [dataset.train, dataset.test]
    values = np.concatenate([split.floats().numpy() for split in whole])
    labels = {k: np.concatenate([s.labels[k] for s in whole]) for k in dataset.train.labels}
    n = len(values)
    order = np.argsort(np.random.PCG64(0).random_raw(n), kind="stable").argsort()
    return values[order], {name: column[order] for name, column in labels.items()}


def _npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def _npy(path: Path, array: Any) -> Path:
    np.save(path, array)
    return path


def _hdf5(path: Path, compression: str | None = None, **arrays: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            small = compression if np.ndim(array) > 1 else None
            file.create_dataset(name.replace("__", "/"), data=array, compression=small)
    return path


def _pictures(folder: Path, images: np.ndarray = IMAGES, mode: str | None = None) -> Path:
    for i, image in enumerate(images):
        place = folder / WORDS[i]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image, mode).save(place / f"{i:03d}.png")
    return folder


def _text(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


TABLE = pd.DataFrame({"a": ANGLES, "b": LABELS * 2.0, "animal": WORDS, "angle": ANGLES * 2})


def _csv(path: Path, table: pd.DataFrame = TABLE, **how: Any) -> Path:
    table.to_csv(path, index=False, **how)
    return path


def test_npy(tmp_path: Path) -> None:
    data = _load(_npy(tmp_path / "x.npy", IMAGES))
    assert (data.event_shape, data.train.values.dtype) == ((1, 4, 6), torch.uint8)
    assert (len(data.train), len(data.test)) == (16, 4)
    values, labels = _together(data)
    np.testing.assert_array_equal(values, IMAGES[:, None] / np.float32(255))
    assert labels == {}


@pytest.mark.parametrize("write", [_npz, _hdf5])
def test_npz_and_hdf5_keep_labels(tmp_path: Path, write: Callable[..., Path]) -> None:
    name = "x.npz" if write is _npz else "x.h5"
    words = WORDS if write is _npz else WORDS.tolist()
    path = write(tmp_path / name, images=IMAGES, kind=LABELS, animal=words, angle=ANGLES)
    data = _load(path)
    values, labels = _together(data)
    np.testing.assert_array_equal(values, IMAGES[:, None] / np.float32(255))
    np.testing.assert_array_equal(labels["kind"], LABELS)
    np.testing.assert_array_equal(labels["angle"], ANGLES)
    np.testing.assert_array_equal(labels["animal"], WORDS)
    assert [labels[name].dtype.kind for name in ("kind", "angle", "animal")] == ["i", "f", "U"]
    assert data.train.factors is None
    scored = _load(path, factors=["kind", "angle"])
    assert (scored.factor_names, scored.factor_sizes) == (("kind", "angle"), (3, 10))
    factors = scored.train.factors
    assert factors is not None
    np.testing.assert_array_equal(factors[:, 0], scored.train.labels["kind"])
    # Ten bins of two values each, in their order.
    ranks = np.argsort(np.argsort(ANGLES)) // 2
    np.testing.assert_array_equal(
        factors[:, 1], ranks[np.searchsorted(ANGLES, scored.train.labels["angle"])]
    )
    assert data.fingerprint != scored.fingerprint


def test_arrays_are_named_where_there_are_several(tmp_path: Path) -> None:
    path = _hdf5(tmp_path / "x.hdf5", "gzip", a__x=IMAGES, a__y=IMAGES[:, 0], z=LABELS, w=[1.0])
    with pytest.raises(DataError, match="arrays a/x, a/y: name the observations by 'array'"):
        _load(path)
    with pytest.raises(DataError, match="array 'w' is of 1 observations, and there are 20"):
        _load(path, array="a/y")
    data = _load(path, array="a/y", labels=["z"])
    assert (data.event_shape, list(data.train.labels)) == ((6,), ["z"])
    with pytest.raises(ConfigError, match="no array 'q'") as refusal:
        _load(path, array="q")
    assert refusal.value.place == "array"


def test_what_nobody_asked_for_is_not_unpickled(tmp_path: Path) -> None:
    path = _bomb_within(tmp_path / "x.npz")
    data = _load(path, labels=[])
    assert (data.event_shape, data.train.labels) == ((1, 4, 6), {})
    with pytest.raises(DataError, match=r"x.npz is not readable in array 'meta': .*'labels'"):
        _load(path)


def test_channels_may_be_last(tmp_path: Path) -> None:
    colours = RNG.integers(0, 256, (20, 5, 6, 3), np.uint8)
    values, _ = _together(_load(_npy(tmp_path / "x.npy", colours)))
    np.testing.assert_array_equal(values, colours.transpose(0, 3, 1, 2) / np.float32(255))


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_tables(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    if kind == "parquet":
        TABLE.to_parquet(path)
    else:
        _csv(path, sep="," if kind == "csv" else "\t")
    data = _load(path, labels=["animal"], factors=["angle"])
    assert (data.event_shape, data.train.values.dtype) == ((2,), torch.float32)
    values, labels = _together(data)
    np.testing.assert_array_equal(values, TABLE[["a", "b"]].to_numpy(np.float32))
    np.testing.assert_array_equal(labels["animal"], WORDS)
    np.testing.assert_allclose(labels["angle"], ANGLES * 2)
    assert (data.factor_names, data.factor_sizes) == (("angle",), (10,))
    assert _load(path, columns=["b"]).event_shape == (1,)


def test_a_table_without_names_and_of_bytes(tmp_path: Path) -> None:
    bytes_ = pd.DataFrame(np.arange(60).reshape(20, 3).astype(np.uint8))
    values, _ = _together(_load(_csv(tmp_path / "x.csv", bytes_, header=False)))
    np.testing.assert_array_equal(values, bytes_.to_numpy(np.float32))
    named = bytes_.rename(columns=str)
    named.to_parquet(tmp_path / "x.parquet")
    values, _ = _together(_load(tmp_path / "x.parquet"))
    np.testing.assert_array_equal(values, bytes_.to_numpy(np.float32))


def test_pictures_and_their_folders(tmp_path: Path) -> None:
    folder = _pictures(tmp_path / "animals")
    (folder / "notes.md").write_text("not a picture")
    (folder / ".hidden.png").write_text("not a picture")
    data = _load(folder)
    order = np.argsort(WORDS, kind="stable")
    values, labels = _together(data)
    np.testing.assert_array_equal(values, IMAGES[order][:, None] / np.float32(255))
    np.testing.assert_array_equal(labels["label"], WORDS[order])
    # By folder and name whatever the system's order: flat, there are no labels.
    flat = tmp_path / "flat"
    flat.mkdir()
    for i, image in enumerate(IMAGES):
        Image.fromarray(image).save(flat / f"{i:03d}.png")
    values, labels = _together(_load(flat))
    np.testing.assert_array_equal(values, IMAGES[:, None] / np.float32(255))
    assert labels == {}
    assert _load(folder, factors=["label"]).factor_sizes == (3,)


def test_pictures_are_brought_to_one_size_and_colour(tmp_path: Path) -> None:
    folder = _pictures(tmp_path / "x")
    Image.fromarray(np.full((8, 8, 3), [10, 20, 30], np.uint8)).save(folder / "cat/000.png")
    with pytest.raises(DataError, match=r"cat/003.png is 4×6 pixels and 000.png 8×8: set 'size'"):
        _load(folder)
    with pytest.raises(DataError, match=r"is grey and 000.png in colours: set 'colour'"):
        _load(folder, size=5)
    data = _load(folder, size=[3, 5], colour="rgb")
    assert data.event_shape == (3, 3, 5)
    values, _ = _together(data)
    np.testing.assert_array_equal(
        values[0] * 255, np.array([10, 20, 30])[:, None, None] * np.ones((3, 5))
    )
    np.testing.assert_array_equal(values[1][0], values[1][1])
    # Cut to a square around the middle, then averaged.
    middle = _together(_load(folder, size=2, colour="grey"))[0][1, 0] * 255
    expected = Image.fromarray(IMAGES[3][:, 1:5]).resize((2, 2), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(middle, np.asarray(expected), atol=1)


def test_pictures_of_sixteen_bits(tmp_path: Path) -> None:
    for i, image in enumerate(IMAGES):
        Image.fromarray(image.astype(np.uint16) * 257).save(tmp_path / f"{i:02d}.png")
    np.testing.assert_array_equal(_together(_load(tmp_path))[0][:, 0] * 255, IMAGES)


LINES = ["to be or not", "to be", "", "or not to be at all"] * 5


def test_text(tmp_path: Path) -> None:
    path = _text(tmp_path / "x.txt", LINES)
    words = _load(path, unit="words")
    assert words.vocabulary == ("", "all", "at", "be", "not", "or", "to")
    values, _ = _together(words)
    assert values.shape == (15, 6)
    lines = [" ".join(words.vocabulary[int(i)] for i in row).strip() for row in values]
    assert lines == [line for line in LINES if line]
    characters = _load(path, length=5)
    values, _ = _together(characters)
    assert ["".join(characters.vocabulary[int(i)] for i in row) for row in values[:3]] == [
        "to be", "to be", "or no"
    ]  # fmt: skip
    few = _load(path, unit="words", vocabulary=4, length=3)
    assert few.vocabulary == ("", "\N{REPLACEMENT CHARACTER}", "be", "to")
    assert _together(few)[0][0].tolist() == [3, 2, 1]
    hot = _load(path, unit="words", one_hot=True)
    codes = _together(words)[0].astype(int)
    np.testing.assert_array_equal(_together(hot)[0].reshape(15, 6, 7), np.eye(7)[codes])
    other = _text(tmp_path / "y.txt", [line.replace("to", "too") for line in LINES])
    same_codes = _load(other, unit="words")
    assert torch.equal(same_codes.train.values, words.train.values)  # type: ignore[arg-type]
    assert same_codes.fingerprint != words.fingerprint


ORIGINALS: dict[str, Callable[[Path], Path]] = {
    "x.npy": lambda p: _npy(p, IMAGES),
    "x.npz": lambda p: _npz(p, x=IMAGES, y=LABELS, z=WORDS),
    "x.h5": lambda p: _hdf5(p, "gzip", x=IMAGES, y=LABELS),
    "x.csv": lambda p: _csv(p, TABLE[["a", "b"]]),
    "x.txt": lambda p: _text(p, LINES),
    "x": _pictures,
}


@pytest.mark.parametrize("name", ORIGINALS)
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_damaged_files_are_read_or_refused_in_one_line(name: str, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        whole = ORIGINALS[name](Path(folder) / name)
        path = whole / "dog/004.png" if whole.is_dir() else whole
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        told = path.name
        try:
            _load(whole)
        except (DataError, ConfigError) as refusal:
            told = str(refusal)
        assert path.name in told
        assert "\n" not in told


def test_text_can_be_coded_by_the_vocabulary_of_other_text(tmp_path: Path) -> None:
    path = _text(tmp_path / "x.txt", ["be to", "to be or"] * 5)
    known = ("", "be", "or", "to")
    codes = read_text(path, unit="words", length=3, known=known)
    assert codes.vocabulary == known
    assert codes.values[:2].tolist() == [[1, 3, 0], [3, 1, 2]]
    with pytest.raises(DataError, match=r"x.txt holds 'or', which is not in the vocabulary"):
        read_text(path, unit="words", known=("", "be", "to"))


def test_counts_of_observations(tmp_path: Path) -> None:
    path = _npy(tmp_path / "x.npy", IMAGES)
    sizes = [
        (len(d.train), len(d.test))
        for d in (_load(path, n_train=5), _load(path, n_test=5), _load(path, n_train=5, n_test=4))
    ]
    assert sizes == [(5, 15), (15, 5), (5, 4)]
    carved = _load(path, validation=4)
    assert (len(carved.train), len(carved.validation or ())) == (12, 4)
    assert not torch.equal(_load(path, seed=1).test.floats(), _load(path).test.floats())


def _truncated(path: Path, keep: float = 0.6) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    return path


def _with(value: float) -> np.ndarray:
    changed = IMAGES / 255.0
    changed[7, 2, 1] = value
    return changed


def _pickled(path: Path) -> Path:
    np.save(path, np.array([{}, []], dtype=object), allow_pickle=True)
    return path


class _Bomb:
    """Fails the test if it is ever unpickled."""

    def __reduce__(self) -> Any:
        return (pytest.fail, ("unpickled",))


def _bomb(path: Path) -> Path:
    path.write_bytes(pickle.dumps(_Bomb()))
    return path


def _bomb_within(path: Path) -> Path:
    np.savez(path, x=IMAGES, meta=np.array([_Bomb()], dtype=object))
    return path


def _empty(path: Path, *files: str) -> Path:
    path.mkdir()
    for name in files:
        (path / name).write_text("text")
    return path


def _broken_picture(path: Path) -> Path:
    _truncated(_pictures(path) / "dog/004.png", 0.6)
    return path


def _lists(path: Path) -> Path:
    pd.DataFrame({"a": [[1, 2]] * 20}).to_parquet(path)
    return path


def _fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def _corrupt_chunk(path: Path) -> Path:
    """Spoil the third of five compressed chunks."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("x", data=IMAGES, chunks=(4, 4, 6), compression="gzip")
        chunk = data.id.get_chunk_info(2)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\0" * chunk.size
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("write", "options", "message"),
    [
        (lambda p: p / "gone.npy", {}, "no file or folder '.*gone.npy'"),
        (lambda p: _text(p / "x.docx", LINES), {}, r"x.docx: .* '.docx' are not read; known: .npy"),
        (lambda p: _text(p / "x", LINES), {}, "files of the kind '' are not read"),
        (lambda p: _text(p / "x.png", LINES), {}, "'.png' .* and folders of pictures"),
        (lambda p: _npy(p / "x.npy", _with(np.nan)), {}, r"x.npy holds nan at \[7, 2, 1\]"),
        (lambda p: _npy(p / "x.npy", _with(-np.inf)), {}, r"x.npy holds -inf at \[7, 2, 1\]"),
        (lambda p: _npy(p / "x.npy", IMAGES.astype(complex)), {}, "x.npy holds complex128"),
        (lambda p: _npy(p / "x.npy", IMAGES.astype(str)), {}, "x.npy holds <U3 of shape"),
        (lambda p: _npy(p / "x.npy", LABELS), {}, r"x.npy holds an array of shape \(20,\)"),
        (lambda p: _npy(p / "x.npy", IMAGES[:3]), {}, "x.npy holds 3 observations: at least 10"),
        (lambda p: _npy(p / "x.npy", IMAGES[:0]), {}, "x.npy"),
        (lambda p: _truncated(_npy(p / "x.npy", IMAGES)), {}, "x.npy is not an npy file"),
        (lambda p: _text(p / "x.npy", [""]), {}, "x.npy"),
        (lambda p: _pickled(p / "x.npy"), {}, "x.npy is not an npy file"),
        (lambda p: _bomb(p / "x.npy"), {}, "x.npy .*pickle"),
        (lambda p: _bomb(p / "x.npz"), {}, "x.npz .*pickle"),
        (lambda p: _bomb_within(p / "x.npz"), {}, "x.npz .*'meta'"),
        (lambda p: _npz(p / "x.npz", x=IMAGES, y=LABELS[1:]), {}, "x.npz: array 'y' is of 19 ob"),
        (lambda p: _npz(p / "x.npz", x=_with(np.nan)), {}, r"x.npz: array 'x' holds nan at \[7, 2"),
        (lambda p: _npz(p / "x.npz", x=IMAGES, y=ANGLES * np.nan), {}, "x.npz holds label 'y' nan"),
        (lambda p: _npz(p / "x.npz", **{"x\ny": _with(np.inf)}), {}, r"array 'x\\ny' holds inf"),
        (lambda p: _npz(p / "x.npz", y=LABELS), {}, "no array of two or more dimensions"),
        (lambda p: _truncated(_npz(p / "x.npz", x=IMAGES)), {}, "x.npz is not an npz file"),
        (lambda p: _text(p / "x.h5", LINES), {}, "x.h5 is not an HDF5 file"),
        (lambda p: _truncated(_hdf5(p / "x.h5", x=IMAGES)), {}, "x.h5 is not an HDF5 file"),
        (lambda p: _corrupt_chunk(p / "x.h5"), {}, r"x.h5 is not readable in rows \d+ to \d+ "),
        (lambda p: _hdf5(p / "x.h5", x=IMAGES, y=LABELS[1:]), {}, "x.h5: array 'y' is of 19 obs"),
        (lambda p: _hdf5(p / "x.h5", x=IMAGES.astype("S3")), {}, "x.h5: array 'x' holds "),
        (lambda p: _text(p / "x.csv", [""]), {}, "x.csv is not a table"),
        (lambda p: _text(p / "x.csv", ["a,b"]), {}, "x.csv holds no rows"),
        (lambda p: _text(p / "x.parquet", LINES), {}, "x.parquet is not a Parquet file"),
        (lambda p: _lists(p / "x.parquet"), {}, "x.parquet"),
        (lambda p: _fifo(p / "x.csv"), {}, "x.csv is neither a file nor a folder"),
        (lambda p: p / ("x" * 300), {}, "File name too long"),
        (lambda p: _npy(p / "x.npy", IMAGES.astype("M8[D]")), {}, "x.npy holds datetime64"),
        (lambda p: _empty(p / "x"), {}, "x holds nothing: a folder of pictures"),
        (lambda p: _empty(p / "x", "a.txt"), {}, "x holds 1 files, none of them a picture"),
        (lambda p: _empty(p / "x", "a.png"), {}, "a.png is not a whole picture"),
        (lambda p: _broken_picture(p / "x"), {}, "dog/004.png is not a whole picture"),
        (lambda p: _text(p / "x.txt", ["", " "]), {}, "x.txt holds no text"),
        (lambda p: _text(p / "x.txt", ["a"] * 3), {}, "x.txt holds 3 observations"),
        (lambda p: _bomb(p / "x.txt"), {}, "x.txt is not text in UTF-8"),
        (lambda p: _npy(p / "x.npy", IMAGES), {"size": 8}, "size: 'size' is for folders of pict"),
        (lambda p: _npy(p / "x.npy", IMAGES), {"factors": ["a"]}, "factors: .* has no label 'a'"),
        (lambda p: _npy(p / "x.npy", IMAGES), {"n_train": 30}, "30 training"),
    ],
)  # fmt: skip
def test_malformed_files_are_one_line_with_the_place(
    write: Callable[[Path], Path], options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises((DataError, ConfigError), match=message) as refusal:
        _load(write(tmp_path), **options)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (["1,2,x,4"], {}, "is not a table: line 2 has 4 entries, and the first 3"),
        ([*["1,2,x"] * 6, "1,2,x,4"], {}, "line 8 has 4 entries"),
        (["1,2,x", "1,2"], {}, "line 3 has 2 entries"),
        (["", '1,2,"x\ny"', "1,,x"], {}, "x.csv: column 'b' has no value in line 5"),
        (["1,2,"], {}, "x.csv: column 'c' has no value in line 2"),
        (["1,q,x"], {}, "x.csv: column 'b' holds 'q' in line 2: must be numbers"),
        (["1,inf,x"], {}, "x.csv: column 'b' holds inf in line 2"),
        (["1,1e99,x"], {}, r"x.csv: column 'b' holds 1e\+99 in line 2"),
        (["1,2,x"], {"labels": None}, "x.csv: column 'c' holds 'x' in line 2: .*'labels'"),
        (["1,2,x"], {"columns": ["d"]}, r"^columns: .*x.csv has no column 'd'"),
        (["1,2,x"], {"labels": ["d"]}, r"^labels: .*x.csv has no column 'd'"),
        (["1,2,x"], {"labels": ["a", "b", "c"]}, "x.csv holds no columns to be observed"),
    ],
)
def test_malformed_tables_are_one_line_with_the_place(
    lines: list[str], options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = _text(tmp_path / "x.csv", ["a,b,c", *lines, *["1,2,x"] * 20])
    with pytest.raises((DataError, ConfigError), match=message) as refusal:
        _load(path, **{"labels": ["c"], **options})
    assert "\n" not in str(refusal.value)


STUDY = """
name: own
base:
  dataset: {name: files, path: animals}
  network: {name: mlp, hidden: [4]}
  prior: standard_normal
  posterior: mean_field_normal
  likelihood: bernoulli
  objective: elbo
  latent_dim: 2
  training: {steps: 2, batch_size: 8, records: 1}
  evaluation: {points: 4, samples: 2, metrics: [], guide_draws: {points: 2, draws: 4}}
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "own.yaml").write_text(STUDY)
    _pictures(folder / "animals")
    return folder / "own.yaml"


def test_content_and_not_the_path_decides_identity(study: Path, user_data: Path) -> None:
    plan = make_plan(load_study_file(study))
    (run,) = plan.runs
    assert run.config.dataset["path"] == "animals"
    results = study.parent / "results"
    assert train(plan, results).done == 1
    # Elsewhere, under another name, it is the same run, and nothing is trained again.
    shutil.move(study.parent / "animals", user_data / "moved")
    moved = ["dataset.path=moved"]
    again = make_plan(load_study_file(study, overrides=moved))
    assert (again.runs[0].id, again.runs[0].structure) == (run.id, run.structure)
    outcome = train(again, results)
    assert (outcome.done, outcome.kept) == (0, 1)
    folder = RunFolder(results / "own/runs" / run.id)
    assert folder.damage() is None
    assert load_trained(folder)[1].fingerprint == run.fingerprint
    assert folder.metrics()["cell"] == again.runs[0].config.cell()
    with pytest.raises(ConfigError, match=r"base.dataset: there is no file or folder 'animals' in"):
        make_plan(load_study_file(study))
    # Another picture, or another label, is other data.
    shutil.move(user_data / "moved/cat/000.png", user_data / "moved/dog/000.png")
    relabelled = make_plan(load_study_file(study, overrides=moved)).runs[0]
    Image.fromarray(255 - IMAGES[0]).save(user_data / "moved/dog/000.png")
    repainted = make_plan(load_study_file(study, overrides=moved)).runs[0]
    assert len({run.id, relabelled.id, repainted.id}) == 3


def test_a_run_says_if_its_data_have_changed(study: Path) -> None:
    plan, results = make_plan(load_study_file(study)), study.parent / "results"
    train(plan, results)
    folder = RunFolder(results / "own/runs" / plan.runs[0].id)
    assert load_trained(folder)[1].fingerprint == plan.runs[0].fingerprint
    Image.fromarray(255 - IMAGES[0]).save(study.parent / "animals/cat/000.png")
    with pytest.raises(ConfigError, match="gives other data than this run was trained on"):
        load_trained(folder)


def test_without_a_study_file_paths_begin_at_the_working_directory(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_in(None)
    with pytest.raises(DataError, match="no file or folder 'animals'"):
        load_dataset("files", path="animals")
    monkeypatch.chdir(study.parent)
    assert load_dataset("files", path="animals").event_shape == (1, 4, 6)


def test_a_command_answers_with_one_line_and_2(study: Path) -> None:
    _truncated(study.parent / "animals/dog/004.png")
    told = CliRunner().invoke(main, ["study", "plan", str(study)])
    assert told.exit_code == 2
    assert "dog/004.png is not a whole picture" in told.output
    assert "Traceback" not in told.output
    assert len(told.output.strip().splitlines()) == 1


def test_files_are_listed() -> None:
    told = CliRunner().invoke(main, ["list", "datasets"])
    assert told.exit_code == 0
    assert "files" in told.output
