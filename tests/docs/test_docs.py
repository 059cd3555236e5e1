"""What the documentation says is run: code, YAML, commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from report.made import PRIORS, make_study

import pyrovae
from pyrovae.core.schedules import at
from pyrovae.models.posteriors import POSTERIORS
from pyrovae.objectives import OBJECTIVES
from pyrovae.report.study.gallery import ON_REQUEST
from pyrovae.study.config.read import load_study_file
from pyrovae.study.plan.compatibility import objective_conflict
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
    places = (folder, ROOT, ROOT / "tests", ROOT / "docs" / "_build")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, places)),
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


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the package that "Adding a prior" makes, installed."""
    folder = tmp_path_factory.mktemp("tutorial")
    _write_blocks("adding-a-prior.md", folder)
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    # What `pip install` would leave, without asking a package index for a build tool.
    about = folder / "my_priors-0.1.dist-info"
    about.mkdir()
    about.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    about.joinpath("entry_points.txt").write_text("".join(points))
    return folder


@pytest.mark.slow
def test_the_tutorials_prior_works(tutorial: Path):
    assert "Independent logistic laws" in _run(tutorial, "-m", "pyrovae", "list", "priors")
    assert _run(tutorial, "-m", "docs.documented").strip() == ""  # its parts among all others
    options = ("--executor", "inline", "--no-compile")
    told = _run(tutorial, "-m", "pyrovae", "study", "run", "logistic.yaml", *options)
    assert "logistic: 3 runs done" in told
    options = ("-q", "-p", "no:cacheprovider", "--doctest-modules")
    assert "3 passed" in _run(tutorial, "-m", "pytest", *options, "test_logistic.py", "my_priors")


def test_a_plug_ins_parts_are_on_the_pages(tutorial: Path):
    for library in ("griffe", "latex2mathml", "mkdocs"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    told = _run(tutorial, "-c", "import hooks; print(hooks.family_page('prior', 'Priors', ''))")
    page = told.split("## `logistic`")[1].split("\n## ")[0]
    assert r"\mathrm{sech}^2" in page
    assert "| `scale` | `0.55" in page
    assert ">>> LogisticPrior(3)().variance" in page
    assert "Source: Johnson, Kotz & Balakrishnan 1995, vol. 2, ch. 23; plugin my_priors" in page


def test_getting_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _write_blocks("getting-started.md", tmp_path)
    assert len(make_plan(load_study_file(tmp_path / "small.yaml")).runs) == 4
    make_study(tmp_path / "results" / "small", seeds=2, units=4, prior=PRIORS[:2])
    monkeypatch.chdir(tmp_path)
    for name in ("mine.py", "model.py"):
        exec(compile((tmp_path / name).read_text(), name, "exec"), {})
    assert (tmp_path / "mine.pdf").stat().st_size > 1000


@pytest.mark.slow
def test_from_a_folder_of_pictures_to_a_page(tmp_path: Path):
    text = (ROOT / "docs/getting-started.md").read_text()
    shown = next(b for b in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S) if "pictures" in b)
    lines = shown.strip().splitlines()
    assert len(lines) == 3
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for i in range(20):
        picture = Image.fromarray(rng.integers(0, 256, (36, 40), np.uint8))
        picture.save(tmp_path / "pictures" / f"{i}.png")
    less = ["seeds=1", "training.steps=5", "grid.prior=[laplace]", "network.hidden=[4]"]
    for line in lines:
        command = shlex.split(line)
        assert command[0] == "pyrovae"
        if "run" in command:
            command += ["--no-compile", "--workers=1", *(f"--set={each}" for each in less)]
        _run(tmp_path, "-m", *command)
    page = tmp_path / "results/pictures-quick/pictures-quick.html"
    assert "pictures-quick" in page.read_text()


def test_schedules(tmp_path: Path):
    _write_blocks("schedules.md", tmp_path)
    runs = make_plan(load_study_file(tmp_path / "warmup.yaml")).runs
    assert len(runs) == 6
    config = next(run.config for run in runs if run.config.objective["name"] == "beta")
    # The page's formulas, at half the way and after it.
    assert at(config.training.lr, 200) == pytest.approx(5e-4)
    assert at(config.prior["spike"], 100) == pytest.approx(0.175)
    assert at(config.prior["spike"], 399) == pytest.approx(0.05)


def test_conditions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    _write_blocks("conditions.md", tmp_path)
    plan = make_plan(load_study_file(tmp_path / "digits.yaml"))
    given = [run.config.condition for run in plan.runs[::2]]
    assert [each and (each.on, each.prior) for each in given] == [
        None,
        (["digit"], False),
        (["digit"], True),
    ]
    told: dict[str, Any] = {}
    for block in _PYTHON.findall((ROOT / "docs/conditions.md").read_text()):
        exec(compile(block, "conditions.md", "exec"), told)
    assert told["context"].shape == (8, 10)
    assert told["threes"].shape == (8, *told["data"].event_shape)


def test_layers(tmp_path: Path):
    _write_blocks("layers.md", tmp_path)
    runs = make_plan(load_study_file(tmp_path / "deep.yaml")).runs[::2]
    layers = [run.config.layers for run in runs]
    assert [each and each.told for each in layers] == ["16", "16, 8", "16, 8, 4, ladder"]
    assert [run.config.latent_dim for run in runs] == [16, 24, 28]
    named = set(re.findall(r"plot (\w+)", (ROOT / "docs/layers.md").read_text()))
    assert named <= set(ON_REQUEST)


def test_codes_of_labels(tmp_path: Path):
    _write_blocks("discrete.md", tmp_path)
    posteriors = [
        run.config.posterior or {}
        for run in make_plan(load_study_file(tmp_path / "labels.yaml")).runs[::2]
    ]
    assert [each["gradient"] for each in posteriors] == ["concrete", "straight_through", "score"]
    told: dict[str, Any] = {}
    (block,) = _PYTHON.findall((ROOT / "docs/discrete.md").read_text())
    exec(compile(block, "discrete.md", "exec"), told)
    assert told["vae"].classes == (2, 2, 2, 2)
    page = (ROOT / "docs/discrete.md").read_text()
    takes, _, refuses = page.partition("Those that need more of a draw")
    for name in OBJECTIVES:
        q = {"name": "categorical", **POSTERIORS.resolve("categorical", {})}
        given = {"name": name, **OBJECTIVES.resolve(name, {})}
        refused = objective_conflict(given, posterior=q) is not None
        assert refused != (f"`{name}`" in takes.partition("Objectives that are")[2]), name
    assert "refused by name" in refuses


def test_optimisers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _write_blocks("optimisers.md", tmp_path)
    runs = make_plan(load_study_file(tmp_path / "recipe.yaml")).runs
    assert [run.config.training.optimizer["name"] for run in runs[::2]] == [
        "adam_norm_grad",
        "adamw",
    ]
    assert [run.config.network["name"] for run in runs[::2]] == ["gated_mlp", "mlp"]
    for block in _PYTHON.findall((ROOT / "docs/optimisers.md").read_text()):
        exec(compile(block, "optimisers.md", "exec"), {})
    monkeypatch.syspath_prepend(tmp_path)
    pyrovae.check_optimizer("my_optimizers:SignDescent", beta=0.5)


def test_from_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "docs" / "_build")
    import pages

    page: dict[str, Any] = {}
    told = [shown.told for shown in pages.run(ROOT / "docs/python.md", short=False, names=page)]
    assert list(page["vae"].history["step"]) == [0, 20, 40, 60, 80, 100]
    assert page["wide"].prior.scale == 2.0
    assert (tmp_path / "results/heavy_tails/study.json").exists()
    assert page["study"].runs["prior"].nunique() == 2
    assert page["codes"].shape == (5, 4)
    assert "step 100/100: loss" in "".join(told)


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


def test_stored_pages_are_what_the_code_says() -> None:
    """The repository's own page shows them; mkdocs makes them anew, with what plug-ins add."""
    for library in ("griffe", "latex2mathml", "mkdocs"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    # In a process of its own: other tests register parts.
    called = subprocess.run(
        [sys.executable, "-c", "import hooks, json; print(json.dumps(hooks.generated()))"],
        cwd=ROOT / "docs" / "_build",
        capture_output=True,
        text=True,
        check=True,
    )
    for path, content in json.loads(called.stdout).items():
        stored = (ROOT / "docs" / path).read_text()
        assert stored == content, f"docs/{path}: run `python docs/_build/hooks.py`"
