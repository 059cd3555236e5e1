"""Archives: what goes out comes in, and nothing else does."""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pyrovae.commands.main import main
from pyrovae.study.sharing import ArchiveError, Limits, export_study, import_study
from pyrovae.study.sharing.manifest import check_path
from pyrovae.study.store.results import StudyResults

Content = dict[str, bytes]


def _read(archive: Path) -> Content:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def _write(path: Path, content: Content, modes: dict[str, int] | None = None) -> Path:
    """Write an archive as a stranger would."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in content.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (modes or {}).get(name, stat.S_IFREG | 0o644) << 16
            made.writestr(entry, data)
    return path


def _add(content: Content, name: str, data: bytes = b"x", size: int | None = None) -> None:
    """Put a file in, and into the manifest with its true checksum."""
    manifest = json.loads(content["manifest.json"])
    manifest["files"][name] = {
        "size": len(data) if size is None else size,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    content["manifest.json"] = json.dumps(manifest).encode()
    content[name] = data


def _refused(archive: Path, tmp_path: Path, match: str, **options: Limits) -> None:
    results = tmp_path / "elsewhere" / "results"
    with pytest.raises(ArchiveError, match=match):
        import_study(archive, results, **options)
    assert not results.exists() or not list(results.iterdir())


def test_round_trip_keeps_every_file(shared_study: StudyResults, archive: Path, tmp_path: Path):
    found = import_study(archive, tmp_path / "results")
    pd.testing.assert_frame_equal(found.runs, shared_study.runs)
    assert (found.failed, found.missing) == (shared_study.failed, shared_study.missing)
    root = shared_study.store.root
    for file in found.store.root.rglob("*"):
        if file.is_file():
            assert file.read_bytes() == (root / file.relative_to(found.store.root)).read_bytes()
    run = found.runs["run"].iloc[0]
    assert found.folder(run).posterior()["posterior"]["z"].dims[-1] == "latent"


def test_leaves_locks_and_leftovers_behind(archive: Path):
    assert not [name for name in _read(archive) if "/." in name or name.startswith(".")]


def test_same_results_same_bytes(shared_study: StudyResults, archive: Path, tmp_path: Path):
    again = export_study(shared_study, tmp_path / "again.zip")
    assert again.read_bytes() == archive.read_bytes()


def test_names_the_environment(archive: Path):
    about = json.loads(_read(archive)["manifest.json"])["environment"]
    assert {"python", "platform", "torch", "pyro-ppl"} <= set(about)


def test_a_study_that_is_there_is_not_overwritten(archive: Path, tmp_path: Path):
    import_study(archive, tmp_path)
    with pytest.raises(ArchiveError, match="there is a study 'shared'"):
        import_study(archive, tmp_path)


def test_a_link_is_not_exported(shared_study: StudyResults, tmp_path: Path):
    link = shared_study.store.root / "secret.txt"
    link.symlink_to(tmp_path)
    target = tmp_path / "target"
    target.write_text("secret")
    link.unlink()
    link.symlink_to(target)
    try:
        with pytest.raises(ArchiveError, match="is a link"):
            export_study(shared_study, tmp_path / "out.zip")
    finally:
        link.unlink()
    assert [entry.name for entry in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../outside",
        "runs/../../outside",
        "runs/./here",
        "runs//here",
        "runs/",
        "",
        "C:/windows",
        "C:windows",
        "runs\\..\\..\\outside",
        "runs/nul",
        "AUX.txt",
        "runs/name\0.txt",
        "runs/line\nbreak",
        "runs/trailing.",
        "runs/trailing ",
        ".hidden",
        "runs/.hidden",
        "a/" * 600 + "deep",
    ],
)
def test_odd_paths_are_refused(path: str, archive: Path, tmp_path: Path):
    with pytest.raises(ArchiveError, match="not allowed"):
        check_path(path)
    content = _read(archive)
    _add(content, path)
    try:
        made = _write(tmp_path / "odd.zip", content)
    except ValueError:
        return  # zipfile itself cannot write it
    # Some of these end as folders, or as a name that zipfile cuts: all are refused.
    _refused(made, tmp_path, "not allowed|not a plain file")


@given(st.text(st.sampled_from("ab./\\: \0~"), max_size=12))
def test_a_path_that_is_allowed_stays_inside(path: str):
    try:
        check_path(path)
    except ArchiveError:
        return
    root = Path("/some/where")
    assert (root / path).resolve().is_relative_to(root)
    assert (root / path).resolve() != root


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK])
def test_links_and_devices_are_refused(kind: int, archive: Path, tmp_path: Path):
    content = _read(archive)
    _add(content, "odd", b"/etc/passwd")
    made = _write(tmp_path / "odd.zip", content, {"odd": kind | 0o777})
    _refused(made, tmp_path, "'odd' is not a plain file")


def _change_file(content: Content) -> None:
    content["study.json"] = content["study.json"].replace(b"shared", b"sharee")


def _shorten_file(content: Content) -> None:
    content["study.json"] = content["study.json"][:-1]


def _lengthen_file(content: Content) -> None:
    content["study.json"] += b" "


def _drop_file(content: Content) -> None:
    del content["study.json"]


def _add_untold(content: Content) -> None:
    content["untold"] = b"x"


def _differ_by_case(content: Content) -> None:
    _add(content, "STUDY.json")


def _file_as_folder(content: Content) -> None:
    _add(content, "study.json/inside")


def _no_manifest(content: Content) -> None:
    del content["manifest.json"]


def _nameless(content: Content) -> None:
    about = json.loads(content["manifest.json"]) | {"study": "../up"}
    content["manifest.json"] = json.dumps(about).encode()


def _renamed(content: Content) -> None:
    about = json.loads(content["manifest.json"]) | {"study": "other"}
    content["manifest.json"] = json.dumps(about).encode()


def _not_json(content: Content) -> None:
    content["manifest.json"] = b"{"


def _no_study(content: Content) -> None:
    _add(content, "study.json", b"[]")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_change_file, "'study.json' does not match its checksum"),
        (_shorten_file, "'study.json' does not match its checksum"),
        (_lengthen_file, "'study.json' is longer than the manifest says"),
        (_drop_file, "'study.json' is missing"),
        (_add_untold, "'untold' is not in the manifest"),
        (_differ_by_case, "one file on some systems"),
        (_file_as_folder, "both a file and a folder"),
        (_no_manifest, "no manifest.json"),
        (_nameless, "no name of a study"),
        (_renamed, "under the name 'other'"),
        (_not_json, "manifest.json"),
        (_no_study, "cannot be read"),
    ],
)
def test_changed_archives_are_refused(
    change: Callable[[Content], None], match: str, archive: Path, tmp_path: Path
):
    content = _read(archive)
    change(content)
    _refused(_write(tmp_path / "changed.zip", content), tmp_path, match)


def test_duplicates_are_refused(archive: Path, tmp_path: Path):
    made = _write(tmp_path / "twice.zip", _read(archive))
    with zipfile.ZipFile(made, "a") as opened, pytest.warns(UserWarning, match="Duplicate"):
        opened.writestr("study.json", b"{}")
    _refused(made, tmp_path, "'study.json' is there twice")


def test_bombs_are_refused(archive: Path, tmp_path: Path):
    content = _read(archive)
    _add(content, "zeros", bytes(60_000_000))
    made = _write(tmp_path / "bomb.zip", content)
    assert made.stat().st_size < 1_000_000
    limits = Limits(small=1_000_000)
    _refused(made, tmp_path, "more than 50 times its size", limits=limits)
    # One that lies about its size does not get further than it said.
    content = _read(archive)
    _add(content, "zeros", bytes(30_000_000), size=10)
    made = _write(tmp_path / "liar.zip", content)
    _refused(made, tmp_path, "longer than the manifest says", limits=limits)
    _refused(archive, tmp_path, "holds .* files", limits=Limits(files=3))
    _refused(archive, tmp_path, "manifest.json is too large", limits=Limits(manifest=10))


def test_any_flipped_byte_is_noticed_or_harmless(archive: Path, tmp_path: Path):
    """A damaged archive is refused in one line, or what it holds is right all the same."""
    original = archive.read_bytes()
    damaged = tmp_path / "damaged.zip"
    for i, at in enumerate(range(0, len(original), max(1, len(original) // 60))):
        changed = bytearray(original)
        changed[at] ^= 0x55
        damaged.write_bytes(changed)
        try:
            found = import_study(damaged, tmp_path / f"results-{i}")
        except ArchiveError:
            continue
        for name, data in _read(archive).items():
            if name != "manifest.json":
                assert (found.store.root / name).read_bytes() == data


def test_commands(shared_study: StudyResults, tmp_path: Path):
    results = shared_study.store.root.parent
    out = tmp_path / "a.zip"
    told = CliRunner().invoke(
        main, ["study", "export", "shared", "--results", str(results), "--out", str(out)]
    )
    assert told.exit_code == 0, told.output
    told = CliRunner().invoke(
        main, ["study", "import", str(out), "--results", str(tmp_path / "results")]
    )
    assert told.exit_code == 0, told.output
    assert "(2 runs)" in told.output
    out.write_text("not a zip")
    told = CliRunner().invoke(main, ["study", "import", str(out), "--results", str(tmp_path)])
    assert told.exit_code == 2
    assert len(told.output.strip().splitlines()) == 1
