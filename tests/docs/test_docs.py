"""What the documentation says is run: code, YAML, commands; and every family has its formula."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from report.made import PRIORS, make_study

from pyrovae.core.schedules import at
from pyrovae.measures.disentanglement import METRICS
from pyrovae.study.config.read import load_study_file
from pyrovae.study.config.resolve import REGISTRIES
from pyrovae.study.config.yaml import read
from pyrovae.study.plan.planning import make_plan

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```', re.MULTILINE | re.DOTALL)
_PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _write_blocks(page: str, folder: Path) -> None:
    """Write the named files of a page, as its reader would."""
    for name, text in _BLOCK.findall((ROOT / "docs" / page).read_text()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _run(folder: Path, *command: str) -> str:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
        "OMP_NUM_THREADS": "1",
    }
    told = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


@pytest.mark.parametrize("kind", ["prior", "posterior", "likelihood", "objective"])
def test_every_family_has_a_formula(kind: str):
    formulas = read(ROOT / "docs" / "_build" / "formulas.yml")
    assert not [name for name in REGISTRIES[kind] if name not in formulas[kind]]


@pytest.mark.parametrize("kind", [*REGISTRIES, "metric"])
def test_every_entry_has_a_meaning_and_a_source(kind: str):
    registry = {**REGISTRIES, "metric": METRICS}[kind]
    for name in registry:
        assert registry.summary(name).endswith((".", ":", "?")), name
        assert registry.source(name), name


def test_the_tutorials_prior_works(tmp_path: Path):
    _write_blocks("adding-a-prior.md", tmp_path)
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    # What `pip install` would leave, without asking a package index for a build tool.
    about = tmp_path / "my_priors-0.1.dist-info"
    about.mkdir()
    about.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    about.joinpath("entry_points.txt").write_text("".join(points))
    assert "Independent logistic laws" in _run(tmp_path, "-m", "pyrovae", "list", "priors")
    options = ("--executor", "inline", "--no-compile")
    told = _run(tmp_path, "-m", "pyrovae", "study", "run", "logistic.yaml", *options)
    assert "logistic: 3 runs done" in told
    _run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_logistic.py")


def test_getting_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _write_blocks("getting-started.md", tmp_path)
    assert len(make_plan(load_study_file(tmp_path / "small.yaml")).runs) == 4
    make_study(tmp_path / "results" / "small", seeds=2, units=4, prior=PRIORS[:2])
    monkeypatch.chdir(tmp_path)
    for name in ("mine.py", "model.py"):
        exec(compile((tmp_path / name).read_text(), name, "exec"), {})
    assert (tmp_path / "mine.pdf").stat().st_size > 1000


def test_schedules(tmp_path: Path):
    _write_blocks("schedules.md", tmp_path)
    runs = make_plan(load_study_file(tmp_path / "warmup.yaml")).runs
    assert len(runs) == 6
    config = next(run.config for run in runs if run.config.objective["name"] == "beta")
    # The page's formulas, at half the way and after it.
    assert at(config.training.lr, 200) == pytest.approx(5e-4)
    assert at(config.prior["spike"], 100) == pytest.approx(0.175)
    assert at(config.prior["spike"], 399) == pytest.approx(0.05)


def test_from_python(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    page: dict[str, object] = {"__name__": "python_page"}
    for block in _PYTHON.findall((ROOT / "docs" / "python.md").read_text()):
        exec(compile(block, "python.md", "exec"), page)
    assert list(page["vae"].history["step"]) == [0, 20, 40, 60, 80, 100]
    assert page["wide"].prior.scale == 2.0
    assert (tmp_path / "results/heavy_tails/study.json").exists()
    assert page["study"].runs["prior"].nunique() == 2
    assert page["codes"].shape == (5, 4)
    assert "step 100/100: loss" in capsys.readouterr().out


def test_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    text = (ROOT / "README.md").read_text()
    make_study(tmp_path / "results" / "prior_comparison", seeds=2, units=4, prior=PRIORS[:2])
    monkeypatch.chdir(tmp_path)
    for block in _PYTHON.findall(text):
        exec(compile(block, "README.md", "exec"), {})
    shown = re.findall(r"!\[[^\]]*\]\((docs/[^)]+)\)", text)
    assert len(shown) == 3
    for image in shown:
        assert (ROOT / image).stat().st_size < 300_000


def test_pages_from_the_registries(monkeypatch: pytest.MonkeyPatch):
    for library in ("griffe", "latex2mathml", "mkdocs"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    monkeypatch.syspath_prepend(ROOT / "docs" / "_build")
    import hooks

    page = hooks.family_page("prior", *hooks.PAGES["prior"])
    assert "## `vampprior`" in page
    assert r"\frac{1}{K} \sum_{k=1}^K q(z \mid u_k)" in page
    assert "| `pseudo_inputs` | `100` | Number K; each step encodes them all." in page
    assert "[arXiv:1705.07120](https://arxiv.org/abs/1705.07120)" in page
    assert "pyrovae study export" in hooks.commands_page()
    schedules = hooks.on_page_markdown((ROOT / "docs" / "schedules.md").read_text())
    assert "| prior | [`student_t`](families/priors.md#student_t) | `df`, `scale` |" in schedules
    assert "`components`" not in schedules.split("refuses one")[0]
    assert hooks.escaped("E_q of ``x_1`` * 2 <b>") == r"E\_q of `x_1` \* 2 &lt;b>"
    made = hooks.on_page_content('<span class="arithmatex">\\(a &lt; b\\)</span>')
    assert "<math" in made
    assert "arithmatex" not in made
