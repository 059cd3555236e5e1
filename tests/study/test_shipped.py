"""Studies that come with pyrovae: found by name from any folder, in a checkout and in a wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hatchling.builders.wheel import WheelBuilder

from pyrovae.commands.main import main
from pyrovae.study.config import shipped, yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_every_file_has_a_name_of_its_own_and_says_what_it_is() -> None:
    assert set(shipped.studies().values()) == set((ROOT / "studies").rglob("*.yaml"))
    for name, path in shipped.studies().items():
        assert name == yaml.read(path)["name"]
        assert shipped.description(name)


def test_a_file_of_that_path_wins(elsewhere: Path) -> None:
    name = Path("prior_comparison")
    assert shipped.located(name) == ROOT / "studies/prior_comparison.yaml"
    name.mkdir()  # A folder of results is no study.
    assert shipped.located(name) == ROOT / "studies/prior_comparison.yaml"
    name.rmdir()
    name.write_text("name: mine\n")
    assert shipped.located(name) == name


def test_plan_takes_a_name(elsewhere: Path) -> None:
    told = _call("study", "plan", "claims-networks", "--quick")
    assert told.exit_code == 0, told.output
    assert "claims-networks-quick:" in told.output


@pytest.mark.parametrize("command", [("study", "plan"), ("study", "run"), ("capacity",)])
@pytest.mark.parametrize("wrong", ["prior_comparson", "studies/prior_comparson.yaml"])
def test_a_wrong_name_is_told_the_nearest(
    elsewhere: Path, command: tuple[str, ...], wrong: str
) -> None:
    told = _call(*command, wrong)
    assert told.exit_code == 2
    assert told.output == (
        f"{wrong}: No such file, and no study of that name comes with pyrovae; "
        "did you mean 'prior_comparison'?\n"
    )


def test_a_name_like_no_other_is_told_all(elsewhere: Path) -> None:
    assert "known: capacity_linear_gaussian, claims-dis" in _call("study", "plan", "zzz").output


def test_a_copy_is_the_file_and_replaces_none(elsewhere: Path) -> None:
    assert _call("study", "copy", "claims-networks").output == "networks.yaml\n"
    made = elsewhere / "networks.yaml"
    assert made.read_bytes() == (ROOT / "studies/claims/networks.yaml").read_bytes()
    made.write_text("mine")
    for dest in ("networks.yaml", ".", "none/a.yaml", "x" * 5000, "a\0b"):
        told = _call("study", "copy", "claims-networks", dest)
        assert told.exit_code == 2
        assert told.output.count("\n") == 1
    assert made.read_text() == "mine"
    told = _call("study", "copy", "claims-network", "other.yaml")
    assert told.exit_code == 2
    assert told.output.endswith("did you mean 'claims-networks'?\n")
    assert not Path("other.yaml").exists()


def test_claims_need_no_folder(elsewhere: Path) -> None:
    told = _call("claims", "run", "networks", "--set", "base.latent_dim=none")
    assert told.exit_code == 2
    assert str(ROOT / "studies/claims/networks.yaml") in told.output
    Path("networks.yaml").write_text("name: mine\n")
    assert _call("claims", "run", "networks", "--files", ".").output.startswith("networks.yaml: ")


def test_a_wheel_carries_them(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")  # what installing it without dependencies does
    code = "import pyrovae.commands.main as m; print(m.__file__); m.main()"
    told = subprocess.run(
        [sys.executable, "-c", code, "list", "studies"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(str(tmp_path / "site"))
    for name in shipped.studies():
        assert name in told.stdout
    assert (tmp_path / "site/pyrovae/py.typed").exists()
