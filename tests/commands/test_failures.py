"""Every command answers what it cannot use with one line, the place, and exit code 2."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from commands.conftest import Place
from safetensors.torch import save_file

from pyrovae.commands.main import main
from pyrovae.study.store import status


def _leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _leaves(command, (*path, name))
        else:
            yield (*path, name)


def _command(path: tuple[str, ...]) -> click.Command:
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    return command


#: Found in click's tree, so that a new command is walked through from its first day.
COMMANDS = sorted(_leaves(main))
WORDS = [" ".join(path) for path in COMMANDS]


def _arguments(path: tuple[str, ...], place: Place, **other: str) -> list[str]:
    """Return good arguments of a command, but for the ``other`` ones."""
    valid = {**place.valid(), **other}
    if path[0] == "claims":
        valid["names"] = other.get("names", "sparsity")
    if path[0] == "published":
        valid["names"] = other.get("names", "mnist_burda")
    if path == ("list",):
        valid["kind"] = other.get("kind", "compat")
    if path == ("study", "copy"):
        valid["name"] = other.get("name", "prior_comparison")
    names = [p.name for p in _command(path).params if isinstance(p, click.Argument)]
    # A new argument's good value belongs into Place.valid.
    return [valid[str(name)] for name in names]


#: Arguments that name what is to be made: an absent file is a good one.
_MADE = {"dest"}


@pytest.mark.parametrize("path", COMMANDS, ids=WORDS)
def test_wrong_and_absent_arguments(path: tuple[str, ...], shared: Place) -> None:
    arguments = [p for p in _command(path).params if isinstance(p, click.Argument)]
    for argument in arguments:
        if argument.name in _MADE:
            continue
        for wrong in ("absent", "", "..", "a/b", "[red]x[/red]", "x" * 5000, "ünï"):
            line = shared.refused(*path, *_arguments(path, shared, **{str(argument.name): wrong}))
            assert wrong in line or len(wrong) > 1000
    if all(argument.nargs == 1 for argument in arguments):
        assert "unexpected extra argument" in shared.refused(
            *path, *_arguments(path, shared), "x", "x"
        )
    if any(argument.required for argument in arguments):
        assert "Missing" in shared.refused(*path)
    assert "--no-such" in shared.refused(*path, "--no-such")


#: Options whose every value is a good one, or is looked at by another program.
_FREE = {"address"}


@pytest.mark.parametrize("path", COMMANDS, ids=WORDS)
def test_wrong_and_huge_options(path: tuple[str, ...], shared: Place) -> None:
    for option in _command(path).params:
        if not isinstance(option, click.Option) or option.is_flag or option.name in _FREE:
            continue
        flag = option.opts[0]
        if isinstance(option.type, click.types.IntParamType | click.types.FloatParamType):
            wrong = ["many", "", "-1", str(10**30), str(-(10**30)), "nan", "inf", "1e400"]
        elif isinstance(option.type, click.Path):
            wrong = [str(shared.root if option.type.file_okay else shared.root / "tiny.yaml")]
        else:
            wrong = ["[red]x[/red]", "x" * 300]
        for value in wrong:
            line = shared.refused(*path, *_arguments(path, shared), flag, value)
            assert flag in line or value in line, (flag, value, line)


#: The commands that write, with what makes them quick.
WRITING = {
    "study report": ("study", "report", "tiny"),
    "study page": ("study", "page", "tiny"),
    "study export": ("study", "export", "tiny"),
    "study run": ("study", "run", "tiny.yaml", "--no-compile", "--set", "latent_dim=2"),
    "import": ("study", "import", "archive.zip", "--results", "elsewhere"),
    "collapse": ("collapse", "{run}"),
    "inspect": ("inspect", "{run}", "--points", "1", "--units", "1"),
    "traverse": ("traverse", "{run}", "--points", "1", "--units", "1", "--steps", "2"),
    "plot": ("plot", "active_units", "tiny"),
    "encode": ("encode", "{run}", "images.npy", "--out", "made.csv"),
    "evaluate": ("evaluate", "{run}", "images.npy", "--out", "made.csv", "--samples", "2"),
    "sample": ("sample", "{run}", "--n", "2"),
}


@pytest.mark.parametrize("arguments", WRITING.values(), ids=WRITING)
def test_results_that_cannot_be_written(
    arguments: tuple[str, ...], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, dir: Path, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), f"{dir}/.tmp-1-x")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    line = place.refused(*(word.format(run=place.run.name) for word in arguments))
    assert line.endswith("Read-only file system")
    assert ".tmp" not in line, "the place is what was to be written"
    assert len(line) > len("Read-only file system: ")


def test_a_file_where_a_folder_should_be(place: Place) -> None:
    (place.study / "collapse").write_text("")
    assert "collapse" in place.refused("collapse", place.run.name)
    (place.study / "report").write_text("")
    assert "report" in place.refused("study", "report", "tiny")


#: Which command reads a file of a run first.
READ_BY = {
    "metrics.json": ("plot", "active_units", "tiny"),
    "units.parquet": ("plot", "kl_profile", "tiny"),
    "history.parquet": ("plot", "evolution", "tiny"),
    "images.safetensors": ("plot", "samples", "tiny"),
    "config.yaml": ("prune", "{run}"),
    "model.safetensors": ("prune", "{run}"),
    "posterior.nc": ("inspect", "{run}"),
}


def _truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def _garbled(file: Path) -> None:
    file.write_bytes(b"\xff\x00 nothing")


def _emptied(file: Path) -> None:
    file.write_bytes(b"")


def _made_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("damage", [_truncated, _garbled, _emptied, _made_a_folder])
@pytest.mark.parametrize("name", READ_BY)
def test_a_damaged_file_of_a_run(name: str, damage: Callable[[Path], None], place: Place) -> None:
    run = place.run.name
    damage(place.run / name)
    arguments = [word.format(run=run) for word in READ_BY[name]]
    if "{run}" in READ_BY[name]:  # once by its checksum, once without
        line = place.refused(*arguments)
        assert name in line
        assert "checksum" in line
    (place.run / "checksums.json").unlink()
    assert name in place.refused(*arguments)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"name": "a", "description": "", "runs": [3]}', "\xff"]
)
@pytest.mark.parametrize("command", ["report", "status", "compare", "analyse", "page", "export"])
def test_a_damaged_plan_of_a_study(content: str, command: str, place: Place) -> None:
    (place.study / "study.json").write_bytes(content.encode("latin1"))
    assert "tiny/study.json is not the plan of a study" in place.refused("study", command, "tiny")


@pytest.mark.parametrize("command", ["report", "compare", "analyse", "page"])
def test_a_study_without_finished_runs(command: str, place: Place) -> None:
    plan = place.study / "study.json"
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "runs": []}))
    assert "no run is finished" in place.refused("study", command, "tiny")


def test_parameters_of_another_model(place: Place) -> None:
    save_file({"w": torch.zeros(1)}, place.run / "model.safetensors")
    (place.run / "checksums.json").unlink()
    assert "model.safetensors is not what" in place.refused("prune", place.run.name)


def test_more_points_than_were_drawn_for(shared: Place) -> None:
    line = shared.refused("inspect", shared.run.name, "--points", "33")
    assert "--points: draws of 3 test points are stored, not of 33" in line


def test_arrays_that_are_none(place: Place) -> None:
    for content in (b"", b"\x93NUMPY", b"x" * 100):
        (place.root / "codes.npy").write_bytes(content)
        assert "codes.npy" in place.refused("metrics", "codes.npy", "factors.npy")
    np.save(place.root / "codes.npy", np.full((30, 2), np.nan))
    assert "codes.npy" in place.refused("metrics", "codes.npy", "factors.npy")


class TestWhatNobodyExpected:
    """The last line of defence, whatever a command raises."""

    def _raising(self, monkeypatch: pytest.MonkeyPatch, failure: BaseException) -> None:
        def fail(_: Path) -> None:
            raise failure

        monkeypatch.setattr(status, "progress", fail)

    @pytest.mark.parametrize(
        ("failure", "code", "line"),
        [
            (KeyError("z"), 70, "a fault of pyrovae's own: KeyError: 'z'; `pyrovae --debug"),
            (RuntimeError("two\nlines"), 70, "a fault of pyrovae's own: RuntimeError: two;"),
            (KeyboardInterrupt(), 130, "interrupted"),
            (MemoryError("cannot allocate 9 GiB"), 2, "this needs more memory than there is: cann"),
            (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 2, "this needs more mem"),
            (PermissionError(13, "Permission denied", "a/b"), 2, "a/b: Permission denied"),
        ],
    )
    def test_is_one_line(
        self,
        shared: Place,
        monkeypatch: pytest.MonkeyPatch,
        failure: BaseException,
        code: int,
        line: str,
    ) -> None:
        self._raising(monkeypatch, failure)
        told = shared.invoke("study", "status", "tiny")
        assert told.exit_code == code
        assert told.stderr.startswith(line)
        assert told.stderr.count("\n") == 1

    @pytest.mark.parametrize("variable", [False, True])
    def test_debug_shows_where(
        self, shared: Place, monkeypatch: pytest.MonkeyPatch, variable: bool
    ) -> None:
        self._raising(monkeypatch, KeyError("z"))
        if variable:
            monkeypatch.setenv("PYROVAE_DEBUG", "1")
        told = shared.invoke(*([] if variable else ["--debug"]), "study", "status", "tiny")
        assert told.exit_code == 70
        assert "Traceback" in told.stderr
        assert "in fail" in told.stderr
        assert told.stderr.splitlines()[-1].startswith("a fault of pyrovae's own")

    def test_a_closed_pipe_is_quiet(self, shared: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        self._raising(monkeypatch, BrokenPipeError(errno.EPIPE, "Broken pipe"))
        told = shared.invoke("study", "status", "tiny")
        assert (told.exit_code, told.stderr) == (1, "")

    def test_before_any_command(self, shared: Place) -> None:
        assert "--nonsense" in shared.refused("--nonsense")
        assert "stdy" in shared.refused("stdy")
