"""A stored run on data from files: encoded, measured, sampled; what does not fit is refused."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from commands.conftest import CHANGES, Place
from PIL import Image
from tiny_study import run, tiny_plan

import pyrovae
from pyrovae.commands.main import main
from pyrovae.report.look.mosaics import mosaic


def images(n: int = 6) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (n, 1, 16, 16), dtype=np.uint8)


def run_of(place: Place) -> pyrovae.Run:
    return pyrovae.load_run(place.run)


def test_codes_are_those_of_the_guide(place: Place) -> None:
    x, labels = images(), np.array(["a", "b", "a", "b", "b", "a"])
    np.savez(place.root / "mine.npz", images=x, label=labels)
    told = place.invoke(
        "encode", place.run.name, "mine.npz", "--draws", "300", "--out", "c.parquet"
    )
    assert told.output == "c.parquet: 6 codes of 4 units\n"
    table = pd.read_parquet("c.parquet")
    assert list(table["label"]) == list(labels)
    with torch.no_grad():
        q = run_of(place).model.encode(torch.from_numpy(x).float() / 255)
    for u in range(4):
        np.testing.assert_allclose(table[f"mean_{u}"], q.mean[:, u], atol=1e-6)
        np.testing.assert_allclose(table[f"scale_{u}"], q.stddev[:, u], rtol=1e-5)
        draws = table[[f"draw_{k}_{u}" for k in range(300)]]
        error = (draws.mean(axis=1) - q.mean[:, u].numpy()) / (q.stddev[:, u].numpy() / 300**0.5)
        assert error.abs().max() < 4.5
        np.testing.assert_allclose(draws.std(axis=1), q.stddev[:, u], rtol=0.2)
    np.save(place.root / "mine.npy", x[:, 0])  # grey images may lack the channel
    for out in ("c.csv", "c.npz", "c.npy"):
        assert place.invoke("encode", place.run.name, "mine.npy", "--out", out).exit_code == 0
    np.testing.assert_allclose(np.load("c.npy"), q.mean, atol=1e-6)
    np.testing.assert_allclose(np.load("c.npz")["scale"], q.stddev, rtol=1e-5)
    assert list(pd.read_csv("c.csv")) == [f"{s}_{u}" for s in ("mean", "scale") for u in range(4)]


def test_samples_are_those_of_the_run(place: Place) -> None:
    trained = run_of(place)
    for out in ("s.png", "s.npy", "s.csv"):
        told = place.invoke("sample", place.run.name, "--n", "5", "--seed", "3", "--out", out)
        assert told.output == f"{out}: 5 samples\n"
    drawn = trained.sample(5, seed=3)
    np.testing.assert_array_equal(np.load("s.npy"), drawn)
    np.testing.assert_allclose(pd.read_csv("s.csv"), drawn.flatten(1), rtol=1e-5)
    shown = np.asarray(Image.open(io.BytesIO(Path("s.png").read_bytes())))
    grid = mosaic(torch.cat([drawn, torch.ones(1, 1, 16, 16)]).unflatten(0, (2, 3)))
    np.testing.assert_array_equal(shown, (255 * grid).round())
    assert place.invoke("sample", place.run.name, "--noise", "--out", "n.npz").exit_code == 0
    assert set(np.unique(np.load("n.npz")["x"])) == {0, 1}


def test_samples_from_the_codes_of_the_training_data(place: Place) -> None:
    asked = "{name: mixture, components: 2}"
    told = place.invoke("sample", place.run.name, "--n", "5", "--sampler", asked, "--out", "m.npy")
    assert told.exit_code == 0, told.output
    drawn = run_of(place).sample(5, sampler={"name": "mixture", "components": 2})
    np.testing.assert_array_equal(np.load("m.npy"), drawn)
    for wrong, told_why in (("mixtur", "unknown sampler 'mixtur'"), ("{", "not valid YAML")):
        assert told_why in place.refused("sample", place.run.name, "--sampler", wrong)


def test_scores_of_each_observation_add_up(place: Place) -> None:
    np.savez(place.root / "mine.npz", x=images(12), label=np.arange(12) % 3)
    told = place.invoke(
        "evaluate", place.run.name, "mine.npz", "--out", "s.csv", "--samples", "8", "--seed", "1"
    )
    assert told.exit_code == 0, told.output
    table = pd.read_csv("s.csv")
    report = pyrovae.evaluate(run_of(place), images(12), np.arange(12) % 3, samples=8, seed=1)
    assert report.text() in told.output
    assert "MIG" in told.output
    np.testing.assert_allclose(table["elbo"], -(table["rate"] + table["distortion"]), rtol=1e-5)
    for key in ("elbo", "rate", "distortion", "log_px"):
        assert table[key].mean() == pytest.approx(report.scores[key], rel=1e-4)
    assert (table["log_px"] >= table["elbo"] - 1e-3).mean() > 0.5
    assert list(table["label"]) == list(np.arange(12) % 3)


@pytest.mark.parametrize("command", ["encode", "evaluate"])
def test_data_of_another_kind_are_refused(place: Place, command: str) -> None:
    x = images().astype(np.float32) / 255
    wrong = x.copy()
    wrong[4, 0, 2, 3] = 1.5
    nan = x.copy()
    nan[1, 0, 0, 0] = np.nan
    for name, array, told in (
        ("shape", x[..., :8], "observations of shape (1, 16, 8), and the model is for (1, 16, 16)"),
        ("range", wrong, "values in [0, 1] but x holds 1.5 at [4, 0, 2, 3]"),
        ("finite", nan, "holds nan at [1, 0, 0, 0]"),
        ("words", np.array(["a", "b"]), "must be real numbers"),
        ("none", x[:0], "an empty array"),
        ("number", np.float32(3), "an array of shape ()"),
    ):
        np.save(place.root / f"{name}.npy", array)
        line = place.refused(command, place.run.name, f"{name}.npy")
        assert line.startswith(f"{name}.npy")
        assert told in line


def test_files_that_hold_no_observations_are_refused(place: Place) -> None:
    x = images()
    np.save(place.root / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(place.root / "two.npz", first=x, second=x)
    np.savez(place.root / "labels.npz", labels=np.arange(3))
    np.savez(place.root / "short.npz", x=x, labels=np.arange(3))
    (place.root / "torn.npz").write_bytes((place.root / "two.npz").read_bytes()[:200])
    (place.root / "text.npy").write_text("1, 2")
    (place.root / "folder.npy").mkdir()
    (place.root / "poem.txt").write_text("roses are red\nviolets are blue\n")
    for name, told in (
        ("pickled.npy", "is not an npy file of numbers"),
        ("two.npz", "has arrays first, second"),
        ("labels.npz", "has no array of two or more dimensions"),
        ("short.npz", "array 'labels' is of 3 observations, and there are 6"),
        ("torn.npz", "is not an npz file"),
        ("text.npy", "is not an npy file of numbers"),
        ("folder.npy", "a folder of pictures is expected"),
        ("poem.txt", "text is not read here"),
        ("images.doc", "No such file or directory"),
        ("tiny.yaml", "files of the kind '.yaml' are not read"),
    ):
        line = place.refused("encode", place.run.name, name)
        assert line.startswith(name)
        assert told in line
    assert "must end in .parquet or .csv" in place.refused(
        "encode", place.run.name, "images.npy", "--out", "codes.txt"
    )


def test_data_are_read_as_those_of_the_run_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.standard_normal((60, 3)), columns=["a", "b", "c"])
    table.assign(note="x", kind=np.arange(60) % 3).to_csv("train.csv", index=False)
    study = {
        "dataset": {
            "name": "files",
            "path": "train.csv",
            "columns": ["a", "c"],
            "labels": ["kind"],
        },
        "network": {"name": "mlp", "hidden": [4]},
        "likelihood": "student_t",
        "latent_dim": 2,
        "training": {"steps": 5, "batch_size": 8, "records": 1},
        "evaluation": {"points": 10, "samples": 2, "metrics": [], "guide_draws": {"points": 2}},
    }
    plan = tiny_plan(tmp_path, text=json.dumps({"name": "t", "base": study | _PARTS}))
    assert run(plan, tmp_path / "results").done == 1
    columns = [f"{s}_{u}" for s in ("mean", "scale") for u in range(2)]
    for name, new, labels in (
        ("labelled.csv", table.assign(kind=2), ["kind"]),
        ("bare.csv", table, []),
    ):
        new.to_csv(name, index=False)
        told = CliRunner().invoke(main, ["encode", plan.runs[0].id, name, "--out", "c.csv"])
        assert told.exit_code == 0, told.output
        found = pd.read_csv("c.csv")
        assert list(found) == [*columns, *labels]
        trained = pyrovae.load_run(plan.runs[0].id)
        codes = trained.encode(table[["a", "c"]].to_numpy(np.float32))
        np.testing.assert_allclose(found[columns[:2]], codes, atol=1e-5)


_PARTS = {
    "prior": "standard_normal",
    "posterior": "mean_field_normal",
    "objective": "elbo",
}


@pytest.mark.parametrize("one_hot", [False, True])
def test_text_is_coded_by_the_vocabulary_of_the_run(
    place: Place, one_hot: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.root)
    Path("own.txt").write_text("be or not to be\nto be\n" * 8)
    Path("new.txt").write_text("to be or not to be at all\nnot to be\n")
    plan = tiny_plan(
        place.root,
        "dataset={name: files, path: own.txt, unit: words, vocabulary: 6}",
        f"dataset.one_hot={one_hot}",
        f"likelihood={'bernoulli' if one_hot else 'gaussian'}",
        "grid.prior=[laplace]",
        "seeds=1",
        "training.steps=2",
        "training.batch_size=4",
        "evaluation.points=3",
        "evaluation.metrics=[]",
    )
    assert run(plan, place.root / "results").done == 1
    told = place.invoke("encode", plan.runs[0].id, "new.txt", "--out", "c.npy")
    assert told.exit_code == 0, told.output
    (data,) = plan.datasets.values()
    words = ["to be or not to", "not to be"]  # as many as the longest line of the run's
    codes = np.zeros((2, 5), int)
    for row, line in zip(codes, words, strict=True):
        row[: len(line.split())] = [data.vocabulary.index(word) for word in line.split()]
    x = np.eye(len(data.vocabulary))[codes].reshape(2, -1) if one_hot else codes
    stored = pyrovae.load_run(place.root / "results/tiny/runs" / plan.runs[0].id)
    expected = stored.encode(x.astype(np.float32))
    np.testing.assert_allclose(np.load("c.npy"), expected, atol=1e-6)


def test_what_stays_in_its_file_is_encoded_as_what_is_in_memory(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyrovae.datasets.observed.STREAMED_FROM", 1)
    monkeypatch.setattr("pyrovae.datasets.streamed.BLOCK_BYTES", 5 * 256)
    np.save(place.root / "mine.npy", images(12))
    told = place.invoke("encode", place.run.name, "mine.npy", "--out", "c.npy")
    assert told.exit_code == 0, told.output
    trained = run_of(place)
    np.testing.assert_allclose(np.load("c.npy"), trained.encode(images(12)), atol=1e-6)
    told = place.invoke("evaluate", place.run.name, "mine.npy", "--out", "s.csv")
    assert told.exit_code == 0, told.output
    assert len(pd.read_csv("s.csv")) == 12
    wrong = images(12).astype(np.float32) / 255
    wrong[11, 0, 2, 3] = -1
    np.save(place.root / "wrong.npy", wrong)
    line = place.refused("encode", place.run.name, "wrong.npy")
    assert "x holds -1 at [11, 0, 2, 3]" in line


def test_a_run_is_used_where_its_data_are_not(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As someone has it who was given its folder alone."""
    alone = shutil.copytree(place.run, place.root / "given")

    def absent(*_: object, **__: object) -> None:
        raise AssertionError("data are loaded")

    monkeypatch.setattr("pyrovae.study.store.trained.load_dataset", absent)
    for command in (["encode", str(alone), "images.npy"], ["sample", str(alone)]):
        told = place.invoke(*command)
        assert told.exit_code == 0, told.output


def test_the_card_tells_what_the_run_is(place: Place) -> None:
    text = (place.run / "README.md").read_text()
    scores = json.loads((place.run / "metrics.json").read_text())["scores"]
    for part in (
        f"# Run {place.run.name}",
        "Laplace prior",
        "Licence: MIT (drawn by pyrovae",
        "of shape (1, 16, 16): values in [0, 1]; `uint8` stands for values / 255",
        "The run is not settled: ",
        f"| ELBO ↑ | {scores['elbo']:.5g} ± ",
        "name: mean_field_normal",
        "pyrovae encode path/to/this/folder data.npy",
        'pyrovae.load_run("path/to/this/folder")',
    ):
        assert part in text


def test_a_card_that_is_changed_or_gone_does_no_harm(place: Place) -> None:
    (place.run / "README.md").write_text("# My run\n")
    results = place.root / "results"
    assert run(tiny_plan(place.root, *CHANGES), results).kept == 1
    assert (place.run / "README.md").read_text() == "# My run\n"
    # Measured again, it is written again, and the model is the same.
    model = (place.run / "model.safetensors").read_bytes()
    assert run(tiny_plan(place.root, *CHANGES, "evaluation.samples=5"), results).done == 1
    text = (place.run / "README.md").read_text()
    scores = json.loads((place.run / "metrics.json").read_text())["scores"]
    assert f"| ELBO ↑ | {scores['elbo']:.5g} ± " in text
    assert (place.run / "model.safetensors").read_bytes() == model
    (place.run / "README.md").unlink()
    assert place.invoke("study", "export", "tiny", "--out", "a.zip").exit_code == 0
    told = place.invoke("study", "import", "a.zip", "--results", str(place.root / "elsewhere"))
    assert told.exit_code == 0, told.output
