"""The page as a file."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from pyrovae.analysis.udr import measure_udr
from pyrovae.commands.main import main
from pyrovae.report.page.columns import score_groups
from pyrovae.report.page.details import run_details
from pyrovae.report.page.pictures import BUDGET, run_pictures, tile_side
from pyrovae.report.page.write import embedded, render_page, write_page
from pyrovae.study.store.results import StudyResults, load_study
from report.made import POSTERIORS, PRIORS, make_study


def test_carries_the_numbers_of_the_store(made_study: StudyResults, page: Path):
    text = page.read_text()
    overview = json.loads(re.search(r'id="overview">(.*?)</script>', text)[1])
    assert [run["id"] for run in overview["runs"]] == made_study.runs["run"].tolist()
    for told, row in zip(overview["runs"], made_study.runs.to_dict("records"), strict=True):
        assert told["values"]["elbo"] == pytest.approx(row["elbo"], rel=1e-4)
        assert overview["cells"][told["cell"]]["means"]["mig"][0] == pytest.approx(
            made_study.runs.query("cell == @row['cell']")["mig"].mean(), rel=1e-4
        )
    assert "http-equiv" in text
    assert "default-src 'none'" in text


def test_whole_numbers_keep_their_digits_and_udr_is_shown(tmp_path: Path):
    study = make_study(tmp_path / "s", seeds=3, units=4, prior=PRIORS[:2])
    run = study.folder(study.runs["run"].iloc[0])
    measure_udr(study)
    page = render_page(load_study(study.store.root))
    assert run_details(run, {"parameters": 682_048.0}, runs=6, side=0)["scores"] == {
        "Other": [["Parameters (count)", 682_048, None]]
    }
    overview = json.loads(re.search(r'id="overview">(.*?)</script>', page)[1])
    assert "udr" in overview["runs"][0]["values"]


def test_json_cannot_end_its_element():
    evil = {"</script><!--": "\u2028&"}
    text = embedded(evil)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == evil


def test_runs_that_are_no_pictures_and_have_no_factors(tmp_path: Path):
    study = make_study(
        tmp_path / "lone", seeds=1, units=4, factors=False, event=(12,), prior=PRIORS[:1]
    )
    text = render_page(study)
    assert "data:image" not in re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    assert "MIG" not in re.sub(r"<script>.*?</script>", "", text, flags=re.S)


def test_pictures_shrink_until_they_fit():
    """Noise is what compresses worst."""
    noise = torch.rand(64, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    grid = noise.unflatten(0, (8, 8))
    images = {
        "inputs": noise[:8],
        "reconstructions": noise[8:16],
        "traversals": grid,
        "samples": noise,
    }
    sides = [tile_side(images, runs) for runs in (1, 100, 200)]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] == 64
    for runs, side in zip((1, 100, 200), sides, strict=True):
        size = sum(len(picture.uri) for picture in run_pictures(images, side).values())
        assert size * runs <= BUDGET


def test_scores_are_grouped_with_their_errors():
    scores = {"elbo": -2.0, "train_elbo": -1.0, "elbo_gap": 1.0, "train_active_units": 3.0}
    scores |= {"mutual_information": 2.0, "mutual_information_se": 0.1, "dci_completeness": 0.5}
    scores |= {"posterior_sbc_p": 0.2, "mine": 7.0}
    scores |= {"aggregate_kl": 0.25}
    found = score_groups(scores)
    assert list(found)[-1] == "Other"
    assert found == {
        "Test set": [("ELBO (nats)", -2.0, None)],
        "Training set": [("ELBO, training set (nats)", -1.0, None)],
        "Gap between training and test set": [("ELBO, test minus train (nats)", 1.0, None)],
        "Collapse, training set": [("Units with Var(mu) > 0.01, training set (count)", 3.0, None)],
        "Information in the code": [
            ("Mutual information, lower bound (nats)", 2.0, 0.1),
            ("Aggregate KL, upper bound (nats)", 0.25, None),
        ],
        "Disentanglement": [("DCI completeness", 0.5, None)],
        "Posterior diagnostics": [("SBC p-value", 0.2, None)],
        "Other": [("Mine", 7.0, None)],
    }


def test_a_diagnosis_is_shown(made_study: StudyResults, tmp_path: Path):
    run = made_study.folder(made_study.runs["run"].iloc[0])
    root = made_study.store.root / "diagnostics" / run.id
    root.mkdir(parents=True)
    table = pd.DataFrame({"datum": [0, 1], "passed": [True, False], "pareto_k": [0.3, np.nan]})
    table.to_csv(root / "points.csv", index=False)
    try:
        (told,) = run_details(run, {}, runs=1, side=16)["tables"]
    finally:
        shutil.rmtree(root.parent)
    assert told["columns"] == ["datum", "passed", "pareto k"]
    assert told["rows"] == [[0, "yes", 0.3], [1, "no", None]]


def test_command_writes_the_file(made_study: StudyResults, tmp_path: Path):
    out = tmp_path / "made.html"
    arguments = ["study", "page", "made", "--results", str(made_study.store.root.parent)]
    result = CliRunner().invoke(main, [*arguments, "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert out.read_text().startswith("<!doctype html>")


def test_a_study_without_results_is_refused_in_one_line(tmp_path: Path):
    study = make_study(tmp_path / "empty", seeds=1, leave_out=[0], prior=PRIORS[:1])
    arguments = ["study", "page", "empty", "--results", str(study.store.root.parent)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert result.output.strip() == "empty: no run is finished, there is nothing to show"


@pytest.mark.slow
def test_two_hundred_runs_stay_under_ten_megabytes(tmp_path: Path):
    study = make_study(tmp_path / "many", seeds=17, units=64, prior=PRIORS, posterior=POSTERIORS)
    assert len(study.runs) >= 200
    path = write_page(study)
    assert path.stat().st_size < 10_000_000
