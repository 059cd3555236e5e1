"""Whoever says something of a score says the same: what was declared."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from pyrovae.analysis.metrics import comparable, describe
from pyrovae.analysis.study import load_analysis
from pyrovae.commands.main import main
from pyrovae.core.errors import UnknownNameError
from pyrovae.measures.disentanglement import METRICS
from pyrovae.measures.disentanglement.representation import Resampling, score_representation
from pyrovae.measures.scores import (
    STANDARD_ERROR,
    USED_ONLY,
    Score,
    declare,
    declared_scores,
    score_of,
)
from pyrovae.report import escapes
from pyrovae.report.look.presented import present
from pyrovae.report.look.scores import table_scores
from pyrovae.report.page.columns import columns, score_groups
from pyrovae.report.page.write import render_page
from pyrovae.report.study.cell_scores import disentanglement
from pyrovae.report.study.effects import effects
from pyrovae.report.study.profiles import performance_profiles
from pyrovae.report.tables import cells
from pyrovae.report.tables import effects as effects_table
from pyrovae.study.store.results import StudyResults
from report.made import PRIORS, compare_study, make_study

PLUGIN = Path(__file__).parents[1] / "core" / "plugin" / "pyrovae_cauchy" / "__init__.py"
_BEST_HIGH = (
    *("beta_vae", "dci", "dcimig", "explicitness", "factor_vae", "irs", "jemmig", "mig"),
    *("mig_sup", "modularity", "sap", "udr", "infom", "infoc", "infoe", "mcc"),
)
#: Written down apart from the declarations: unit and direction.
KNOWN = {
    "used_units": ("count", "neither"),
    "informative_units": ("count", "neither"),
    "elbo": ("nats", "high"),
    "log_px": ("nats", "high"),
    "rate": ("nats", "neither"),
    "distortion": ("nats", "low"),
    "gaussian_total_correlation": ("nats", "low"),
    "average_mutual_information": ("nats", "low"),
    "wasserstein_correlation": ("", "low"),
    **dict.fromkeys(_BEST_HIGH, ("", "high")),
    "mean_correlation": ("", "high"),
    "sample_efficiency": ("", "high"),
    "unfairness": ("", "low"),
    "intrinsic_dimension": ("", "neither"),
    "undeclared": ("", "neither"),
    "mig[n_bins=5]": ("", "high"),
    "gaussian_total_correlation[x=1]": ("nats", "low"),
    "gone": ("", "neither"),
    "gone[mode=a]": ("", "neither"),
}
#: What tables show besides: scores of active units alone, and a law where it holds.
SHOWN = KNOWN | {
    "dci_used_only": ("", "high"),
    "variance_law_used": ("", "low"),  # No unit here is idle.
}
#: What is compared: scores of active units alone where they are others than those of all.
COMPARED = {"dci_used_only" if key == "dci" else key: said for key, said in KNOWN.items()}
ARROWS = {"high": "↑", "low": "↓", "neither": ""}
SAID = {"high": "higher is better", "low": "lower is better", "neither": ""}


@pytest.fixture(scope="module")
def plugin() -> Iterator[None]:
    """The plug-in's metrics among the known ones, as if it were installed."""
    list(METRICS)  # Installed ones are loaded.
    patch = pytest.MonkeyPatch()
    for table in ("_entries", "_sources", "_facts"):
        patch.setattr(METRICS, table, dict(getattr(METRICS, table)))
    spec = importlib.util.spec_from_file_location("pyrovae_cauchy_in_test", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    METRICS.register("undeclared", source="plugin")(module.undeclared)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def study(plugin: None, tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """A compared study that has every main score, and some that nobody has declared."""
    root = tmp_path_factory.mktemp("results") / "all"
    made = make_study(root, seeds=2, units=4, event=(12,), prior=PRIORS[:2])
    rng = np.random.default_rng(0)
    more = {key: rng.uniform(0.2, 0.6, len(made.runs)) for key in KNOWN if key not in made.runs}
    more["gone_part"] = more["gone_se"] = rng.uniform(size=len(made.runs))
    more["informative_units"] = made.runs["used_units"] - 1  # It is shown where it differs.
    more["training.lr"] = rng.uniform(size=len(made.runs))  # A setting, and no score.
    found = replace(made, runs=made.runs.assign(**more))
    compare_study(found)
    path = found.store.root / "analysis" / "analysis.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "runs": len(found.runs)}))
    return found


def test_every_main_score_is_written_down_here(study: StudyResults):
    main = {score.key for score in declared_scores() if score.main}
    assert main == {k for k in KNOWN if "[" not in k and k != "gone"}
    assert set(comparable(study.runs)) == set(COMPARED)


@pytest.mark.parametrize("key", KNOWN)
def test_declared_as_written_down(plugin: None, key: str):
    score = score_of(key)
    assert (score.key, score.unit, score.better) == (key, *KNOWN[key])


def test_the_analysis(study: StudyResults):
    analysis = load_analysis(study)
    assert analysis is not None
    said = {key: entry["better"] for key, entry in analysis.about["metrics"].items()}
    assert said == {key: better for key, (_, better) in COMPARED.items()}
    best = analysis.table("cells").groupby("metric")["best"].sum()
    for key, (_, better) in COMPARED.items():
        assert best[key] == pytest.approx(0 if better == "neither" else 1)
    described = describe("mean_correlation", study.runs["mean_correlation"])
    assert (described.kind, described.equivalence) == ("proportion", 0.02)


def test_the_table(study: StudyResults):
    scores = table_scores(present(study).runs)
    assert {score.key for score in scores} == set(SHOWN)
    header = [cell.strip() for cell in cells.markdown(present(study)).splitlines()[0].split(" | ")]
    latex = cells.latex(present(study)).splitlines()
    stacked = next(line for line in latex if r"\shortstack{Seeds}" in line).count(r"\shortstack")
    assert stacked == 2 + len(scores)
    for score in scores:
        unit, better = SHOWN[score.key]
        title = score.title.replace("|", r"\|")
        heading = f"{title} {ARROWS[better]}".strip() + (f" ({unit})" if unit else "")
        assert heading in [cell.strip("| ") for cell in header]
    text = "\n".join(latex)
    known = [better for _, better in SHOWN.values()]
    assert text.count(r"\uparrow") == known.count("high")
    assert text.count(r"\downarrow") == known.count("low")
    appendix = effects_table.latex(present(study))
    compared = [score for score in scores if score.key in COMPARED]
    assert all(escapes.latex(score.axis_label) in appendix for score in compared)


def test_the_page(study: StudyResults):
    assert columns(study.runs) == table_scores(study.runs)
    text = render_page(study)
    overview = json.loads(re.search(r'id="overview">(.*?)</script>', text)[1])
    for told in overview["columns"]:
        score = score_of(told["key"])
        assert (told["title"], told["unit"], told["better"]) == (
            score.title,
            *SHOWN[told["key"]],
        )
    glossary = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text))
    for score in table_scores(study.runs):
        if score.meaning:
            unit = f" <small>({score.unit})</small>" if score.unit else ""
            (said,) = [v for k, v in glossary.items() if k == score.title + unit]
            assert said.endswith(SAID[score.better].capitalize() + "." * bool(SAID[score.better]))
    groups = score_groups(dict.fromkeys(KNOWN, 0.5))
    told = {title for rows in groups.values() for title, _, _ in rows}
    assert told == {score_of(key).axis_label for key in KNOWN}
    assert {title for title, _, _ in groups["Other"]} == {"Gone", "Gone (mode = a)"}


def test_figures(study: StudyResults):
    figure = effects(present(study)).figure
    panels = {
        ax.get_title().replace("\n", " "): ax.get_xlabel() for ax in figure.axes if ax.get_title()
    }
    assert panels == {
        score_of(key).title: f"Effect ({unit})" if unit else "Effect"
        for key, (unit, _) in COMPARED.items()
    }
    figure = performance_profiles(present(study)).figure
    told = {
        ax.get_xlabel().replace("\n", " "): ax.get_title(loc="right")
        for ax in figure.axes
        if ax.get_xlabel()
    }
    assert told == {
        score_of(key).axis_label: SAID[better]
        for key, (_, better) in COMPARED.items()
        if better != "neither"
    }
    drawn = disentanglement(present(study))
    labels = {ax.get_xlabel().replace("\n", " ") for ax in drawn.figure.axes} - {""}
    compared = [score_of(k) for k in KNOWN if score_of(k).group == "Disentanglement"]
    assert labels == {score.axis_label for score in compared}
    lower = re.search(r"; of ([^;]*), lower is better", drawn.caption)[1]
    assert set(re.split(r", | and ", lower)) == {s.title for s in compared if s.better == "low"}


def test_the_list(plugin: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "1000")
    text = CliRunner().invoke(main, ["list", "metrics"], catch_exceptions=False).output
    lines = [line.strip(" │") for line in text.splitlines()]
    said = {line.rpartition("│")[2].strip() for line in lines}
    for name in METRICS:
        for score in METRICS.scores_of(name):
            unit = f" ({score.unit})" if score.unit else ""
            line = ", ".join(filter(None, [score.title + unit, SAID[score.better]]))
            assert line in said
    assert "Lost factors (bits), lower is better" in said


def test_the_documentation(plugin: None, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs" / "_build"))
    import hooks

    table = hooks.scores_table("mean_correlation")
    lost = r"| `mean_correlation_lost` | Lost factors (bits) | low | What no code knows. |"
    assert lost in table
    assert r"| `mean_correlation` | Mean \|r\| | high |" in table
    assert len(table.splitlines()) == 4


def test_all_that_metrics_store_is_declared(plugin: None):
    factors = np.random.default_rng(0).integers(3, size=(120, 2))
    codes = factors + 0.3 * np.random.default_rng(1).normal(size=(120, 2))
    quick = {
        "dci": {"learner": "lasso"},
        "beta_vae": {"n_train": 50, "n_test": 50},
        # What the plain column is of; by default the key tells the classifier.
        "explicitness": {"classifier": "one_vs_rest"},
    }
    metrics = [{"name": name, **quick.get(name, {})} for name in METRICS]
    active = np.array([True, False])
    stored, _ = score_representation(
        codes, factors, {USED_ONLY: active}, metrics, Resampling(halves=2), 0
    )
    declared = {score.key for score in declared_scores()}
    plain = {key.removesuffix(STANDARD_ERROR).removesuffix(USED_ONLY) for key in stored}
    assert plain - declared == set()
    assert {s.key for name in METRICS for s in METRICS.scores_of(name)} - plain == set()


def test_nothing_is_claimed_of_the_unknown():
    for key in ("gone", "gone_part", "gone[a=1]"):
        score = score_of(key)
        assert (score.better, score.unit, score.kind, score.meaning) == ("neither", "", "real", "")
    assert score_of("what_was_it").title == "What was it"
    # A part that a known metric returns and does not declare is that metric's.
    assert score_of("mig_more").group == "Disentanglement"
    assert score_of("mig_more").better == "neither"


def test_nobody_declares_what_cannot_be():
    with pytest.raises(ValueError, match="better is one of high, low, neither, got 'higher'"):
        Score("mine", "Mine", better="higher")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'elbo' is declared twice"):
        declare(Score("elbo", "Mine"))
    for wrong in ({"score": Score("his", "His")}, {"parts": [Score("part", "Part")]}):
        with pytest.raises(ValueError, match="metric 'mine'"):
            METRICS.register("mine", source="", **wrong)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError):
        METRICS.scores_of("mine")


def test_a_numeric_setting_is_no_score():
    runs = pd.DataFrame({"latent_dim": [1], "seed": [0], "training.lr": [0.1], "mig": [0.3]})
    assert comparable(runs) == ["mig"]
