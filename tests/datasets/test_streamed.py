"""Observations that stay in their file: the same as in memory, in memory of its own size."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_study import run, tiny_plan

from pyrovae.core.errors import ConfigError, DataError
from pyrovae.datasets import Dataset, load_dataset, observed
from pyrovae.datasets.own import as_dataset
from pyrovae.datasets.streamed import PlainRows, Stamp, Streamed
from pyrovae.study.execute.workers import _received, _shared
from pyrovae.study.plan.planning import program_of
from pyrovae.training import Member, Trainer
from pyrovae.training import stage as stages

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (120, 6, 5), np.uint8)
KINDS = {
    "bytes": GREY,
    "reals": RNG.normal(size=(120, 7)),
    "big_endian": GREY.astype(">f4"),
    "coins": GREY > 100,
    "whole": GREY.astype(np.int64)[:, None] * 3,
    "channels_last": RNG.integers(0, 256, (120, 6, 5, 3), np.uint8),
}


def _write(path: Path, values: np.ndarray) -> Path:
    if path.suffix == ".npy":
        np.save(path, values)
        return path
    with h5py.File(path, "w") as file:
        how: dict[str, Any] = {}
        if path.stem == "chunks":
            how = {"chunks": (7, *values.shape[1:]), "compression": "gzip"}
        file.create_dataset("x", data=values, **how)
    return path


def _both(path: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[Dataset, Dataset]:
    """Return the data in memory, and in the file."""
    held = load_dataset("files", path=str(path), **options)
    monkeypatch.setattr(observed, "STREAMED_FROM", 0)
    left = load_dataset("files", path=str(path), **options)
    assert isinstance(held.trained_on, torch.Tensor)
    assert isinstance(left.trained_on, Streamed)
    return held, left


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x.npy", "chunks.h5", "plain.h5"])
def test_the_same_in_the_file_as_in_memory(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, left = _both(_write(tmp_path / name, KINDS[kind]), monkeypatch, validation=9)
    assert (left.fingerprint, left.event_shape) == (held.fingerprint, held.event_shape)
    assert left.outside_unit() == held.outside_unit()
    for which, split in held.splits.items():
        other = left.splits[which]
        assert other.values.dtype == split.values.dtype
        index = torch.tensor([3, 1, 3, 7])
        for chosen in (None, slice(2, 6), index, index.numpy()):
            assert torch.equal(other.floats(chosen), split.floats(chosen))


@pytest.mark.parametrize(
    "option", [{"flatten": True}, {"binarize": "static"}, {"binarize": "dynamic", "flatten": True}]
)
def test_options_change_what_is_in_the_file_as_in_memory(
    option: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, left = _both(_write(tmp_path / "x.npy", GREY), monkeypatch, validation=9, **option)
    assert left.fingerprint == held.fingerprint
    assert torch.equal(left.trained_on[:], held.trained_on[:])


@settings(deadline=None)
@given(st.lists(st.integers(0, 119), max_size=40))
def test_rows_are_those_asked_for(rows: list[int]) -> None:
    def read(index: np.ndarray) -> torch.Tensor:
        assert (np.diff(index) > 0).all()
        return torch.from_numpy(GREY[index])

    streamed = Streamed(read, torch.arange(120), (6, 5), torch.uint8)
    index = torch.tensor(rows, dtype=torch.long)
    assert np.array_equal(streamed[index].numpy(), GREY[rows].reshape(-1, 6, 5))
    again = streamed.narrowed(index)
    assert np.array_equal(again[::1].numpy(), GREY[rows].reshape(-1, 6, 5))


def test_plain_rows_begin_at_their_offset(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"abc" + GREY.tobytes())
    rows = PlainRows(path, 3, GREY.shape, GREY.dtype, Stamp.of(path))
    index = np.array([0, 1, 2, 50, 51, 119])
    assert np.array_equal(rows(index), GREY[index])


def test_a_users_function_may_return_what_is_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(tmp_path / "x.npy", GREY)
    labels = np.arange(120) % 4
    held = as_dataset("mine:load", (GREY[10:110], labels[10:110]))
    monkeypatch.setattr(observed, "STREAMED_FROM", 0)
    # A part of a map, whose beginning NumPy does not tell.
    mapped = np.load(path, mmap_mode="r")
    left = as_dataset("mine:load", (mapped[10:110], labels[10:110]))
    assert isinstance(left.train.values, Streamed)
    assert left.fingerprint == held.fingerprint
    # What was changed in memory alone is not in the file.
    changed = np.load(path, mmap_mode="c")
    changed[:] = 255 - GREY
    assert isinstance(as_dataset("mine:load", changed).train.values, torch.Tensor)
    written = np.load(path, mmap_mode="r+")
    written[:] = 255 - GREY
    other = as_dataset("mine:load", written)
    assert isinstance(other.train.values, Streamed)
    assert other.fingerprint == as_dataset("mine:load", changed).fingerprint
    for name in ("chunks.h5", "plain.h5"):
        with h5py.File(_write(tmp_path / name, GREY), "r") as file:
            from_hdf5 = as_dataset("mine:load", file["x"])
        assert isinstance(from_hdf5.train.values, Streamed)
        assert from_hdf5.fingerprint == as_dataset("mine:load", GREY).fingerprint


def test_a_users_function_may_return_a_data_set_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, left = _both(_write(tmp_path / "x.npy", GREY), monkeypatch, binarize="dynamic")
    again = as_dataset("mine:load", left)
    assert isinstance(again.trained_on, Streamed)
    assert again.fingerprint == left.fingerprint


def test_a_file_that_was_written_since_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(tmp_path / "x.npy", GREY)
    _, left = _both(path, monkeypatch)
    os.utime(path, ns=(0, 0))
    with pytest.raises(DataError, match=r"x.npy was changed while it was being used"):
        left.train.floats()
    path.unlink()
    with pytest.raises(DataError, match=r"x.npy: No such file"):
        left.train.floats()


def test_large_arrays_in_fortran_order_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(tmp_path / "x.npy", np.asfortranarray(GREY))
    assert np.array_equal(
        load_dataset("files", path=str(path), n_train=119).train.values.shape, (119, 1, 6, 5)
    )
    monkeypatch.setattr(observed, "STREAMED_FROM", 0)
    with pytest.raises(DataError, match="rows are not one after the other"):
        load_dataset("files", path=str(path))


def test_malformed_values_in_the_file_have_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = KINDS["reals"].copy()
    values[97, 3] = np.nan
    path = _write(tmp_path / "chunks.h5", values)
    monkeypatch.setattr(observed, "STREAMED_FROM", 0)
    with pytest.raises(DataError, match=r"array 'x' holds nan at \[97, 3\]: must be finite"):
        load_dataset("files", path=str(path))
    path = _write(tmp_path / "x.npy", KINDS["reals"] * 3)
    with pytest.raises(ConfigError, match=r"holds -?\d.* of 'train': intensities"):
        load_dataset("files", path=str(path), binarize="static")


def test_workers_read_the_file_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, left = _both(_write(tmp_path / "x.npy", GREY), monkeypatch)
    sent = ForkingPickler.dumps(_shared(left))
    assert len(sent) < GREY.nbytes
    assert _received(pickle.loads(sent)).fingerprint == left.fingerprint


_OVERRIDES = (
    "grid.prior=[laplace]",
    "seeds=2",
    "training.steps=130",
    "training.batch_size=17",
    "evaluation.points=20",
    "evaluation.metrics=[]",
)


@pytest.mark.parametrize(("size", "most"), [(1, 2**26), (2, 2**26), (2, 3 * 2 * 17 * 30)])
def test_training_gives_the_numbers_of_the_same_data_in_memory(
    size: int, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 130 steps of 17 of 96 observations: past epochs, and past the noise of 50 steps; with little
    # memory, three steps are read at a time.
    monkeypatch.setattr(stages, "_BYTES", most)
    path = _write(tmp_path / "x.npy", GREY)
    plan = tiny_plan(tmp_path, f"dataset={{name: files, path: {path}}}", *_OVERRIDES)
    config = plan.runs[0].config
    losses, found = [], []
    for data in _both(path, monkeypatch):
        programs = [program_of(r.config, data) for r in plan.runs[:size]]
        trainer = Trainer(programs[0], data.trained_on, config.training, compiled=False, size=size)
        members = [Member(p, seed, config.training) for seed, p in enumerate(programs)]
        ended = sorted(trainer.train_together(members), key=lambda each: each.member)
        losses.append([record.loss for each in ended for record in each.records[1:]])
        found.append([p for program in programs for p in program.parameters()])
    assert losses[0] == losses[1]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_a_study_gives_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _write(tmp_path / "x.npy", GREY)
    told = []
    for limit in (2**28, 0):
        monkeypatch.setattr(observed, "STREAMED_FROM", limit)
        plan = tiny_plan(tmp_path, f"dataset={{name: files, path: {path}}}", *_OVERRIDES, "seeds=1")
        assert run(plan, tmp_path / str(limit)).done == 1
        folder = tmp_path / str(limit) / "tiny/runs" / plan.runs[0].id
        told.append([(folder / name).read_bytes() for name in _RESULTS])
    assert told[0] == told[1]


#: Files of a run that hold nothing but numbers of its own.
_RESULTS = ("model.safetensors", "history.parquet", "units.parquet")

_MEASURED = """
import json, resource, sys
from pathlib import Path
from pyrovae.datasets import observed
from pyrovae.study.config.read import load_study_file
from pyrovae.study.execute.runner import RunOptions, run_plan
from pyrovae.study.plan.planning import make_plan
import h5netcdf.legacyapi, pyarrow.parquet, sklearn.ensemble, torch._dynamo, pyrovae.models.vae

folder = Path(sys.argv[1])
if sys.argv[2] == "memory":
    observed.STREAMED_FROM = 2**40

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

before = peak()
plan = make_plan(load_study_file(folder / "large.yaml"))
run_plan(plan, folder / sys.argv[2], RunOptions("inline", compiled=False))
print(json.dumps({"growth": peak() - before, "run": plan.runs[0].id}))
"""

_LARGE = """
name: large
base:
  dataset: {name: files, path: large.npy}
  network: {name: mlp, hidden: [32]}
  prior: standard_normal
  posterior: mean_field_normal
  likelihood: bernoulli
  objective: elbo
  latent_dim: 4
  training: {steps: 300, batch_size: 128, records: 2}
  evaluation: {points: 500, samples: 2, metrics: [], guide_draws: {points: 2, draws: 5}}
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="sparse files, and kilobytes of ru_maxrss")
def test_three_gigabytes_train_within_one(tmp_path: Path) -> None:
    n = 3 * 2**30 // 4096
    images = np.lib.format.open_memmap(tmp_path / "large.npy", "w+", np.uint8, (n, 64, 64))
    images[::500] = RNG.integers(0, 256, images[::500].shape, np.uint8)
    images.flush()
    del images
    (tmp_path / "large.yaml").write_text(_LARGE)
    told = {}
    for where in ("file", "memory"):
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, str(tmp_path), where],
            capture_output=True,
            text=True,
            check=True,
        )
        told[where] = json.loads(done.stdout.splitlines()[-1])
    assert told["file"]["growth"] < 2**30
    assert told["memory"]["growth"] > 3 * 2**30
    assert told["file"]["run"] == told["memory"]["run"]
    for name in _RESULTS:
        file = Path("large/runs") / told["file"]["run"] / name
        assert (tmp_path / "file" / file).read_bytes() == (tmp_path / "memory" / file).read_bytes()
