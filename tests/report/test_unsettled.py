"""Runs that have not settled: every table, figure, page and sentence about them is marked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from pyrovae.analysis.heldout import compare_cells
from pyrovae.analysis.study import analyse, load_analysis
from pyrovae.api.studies import load_study
from pyrovae.commands.main import main
from pyrovae.core.errors import NotSettled
from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.marks import with_unsettled
from pyrovae.report.look.presented import present
from pyrovae.report.page import render_page
from pyrovae.report.page.verdicts import verdicts
from pyrovae.report.study import gallery
from pyrovae.report.study.methods import methods
from pyrovae.report.study.write import write_report
from pyrovae.report.tables import cells as table
from pyrovae.report.tables import effects as effects_table
from pyrovae.study.store.results import StudyResults
from pyrovae.study.store.settling import MARK
from pyrovae.training.settled import NOT_RECORDED, Settled
from report.made import PRIORS, compare_study, make_study
from report.texts import cut_off, overlaps

_FALL = Settled(False, ("units 3, 17 still fall",))
_TOLD = (
    "2 of 6 runs have not settled and 1 is not known to have: 2 of standard normal prior "
    "(units 3, 17 still fall); 1 of Laplace prior"
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """Two priors, three seeds; two runs of the first have not settled, one of the other may."""
    root = tmp_path_factory.mktemp("results") / "moving"
    states = {0: _FALL, 2: _FALL, 4: NOT_RECORDED}
    return make_study(root, seeds=3, units=16, prior=PRIORS[:2], unsettled=states)


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """The same, compared although it has not settled."""
    root = tmp_path_factory.mktemp("results") / "compared"
    states = {0: _FALL, 2: _FALL, 4: NOT_RECORDED}
    study = make_study(root, seeds=3, units=4, prior=PRIORS[:2], unsettled=states)
    compare_study(study)
    path = root / "analysis" / "analysis.json"
    about = json.loads(path.read_text())
    about["unsettled"] = {"runs": list(study.settling.unsettled), "told": study.settling.told}
    path.write_text(json.dumps(about))
    return study


def _marks(figure: Figure) -> int:
    return sum(text.get_text() == MARK for text in figure.texts)


def _invoke(study: StudyResults, *arguments: str) -> tuple[int, str]:
    results = ["--results", str(study.store.root.parent)]
    told = CliRunner().invoke(main, [*arguments, *results])
    return told.exit_code, told.output


def test_the_study_knows_which_and_why(study: StudyResults) -> None:
    assert study.settling.told.startswith(_TOLD)
    assert [study.runs["run"].tolist().index(run) for run in study.settling.unsettled] == [0, 2, 4]


def test_analyse_refuses_and_stores_nothing(study: StudyResults) -> None:
    with pytest.raises(NotSettled, match="units 3, 17 still fall"):
        analyse(study)
    code, output = _invoke(study, "study", "analyse", study.name, "--workers", "1")
    assert code == 1
    (line,) = output.strip().splitlines()
    assert line.startswith("nothing is concluded, as 2 of 6 runs have not settled")
    assert study.runs["run"][0][:8] in line
    assert "--unsettled" in line
    assert load_analysis(study) is None


def test_an_analysis_that_is_asked_for_remembers(tmp_path: Path) -> None:
    study = make_study(tmp_path / "asked", seeds=2, units=4, prior=PRIORS[:2], unsettled={0: _FALL})
    short = ["--chains", "2", "--draws", "10", "--warmup", "20", "--metric", "rate"]
    arguments = ["study", "analyse", "asked", "--workers", "1", "--unsettled", *short]
    code, output = _invoke(study, *arguments)
    assert code == 1  # chains so short do not converge
    assert f"{MARK} 1 of 4 runs has not settled" in output
    stored = load_analysis(study)
    assert stored is not None
    assert stored.about["unsettled"]["runs"] == [study.runs["run"][0]]
    assert stored.unsettled == study.settling.told
    assert stored.table("bootstrap")["unsettled"].eq(1).all()


def test_compare_refuses_before_it_measures(study: StudyResults) -> None:
    with pytest.raises(NotSettled):
        compare_cells(study, points=10)
    code, output = _invoke(study, "study", "compare", study.name)
    assert code == 1
    assert "nothing is concluded" in output
    assert not (study.store.root / "derived" / "heldout.parquet").exists()


@pytest.mark.parametrize("kind", [*gallery.FIGURES, "capacity_curve"])
def test_every_figure_carries_the_mark_once(analysed: StudyResults, kind: str) -> None:
    try:
        drawn = list(gallery.draw(present(analysed), kind))
    except NothingToDraw as reason:
        pytest.skip(str(reason))
    assert drawn
    for figure in drawn:
        open_runs = analysed.settling.unsettled
        shown = figure.data["run"].isin(open_runs).any() if "run" in figure.data else True
        assert _marks(figure.figure) == int(shown)
        assert overlaps(figure.figure) == []
        assert cut_off(figure.figure) == []
        assert (MARK in figure.caption) == shown
        if shown:
            assert "not settled" in figure.caption or "not known" in figure.caption
            assert figure.data["unsettled"].max() >= 1


def test_figures_of_settled_studies_have_none(small_study: StudyResults) -> None:
    for kind in ("active_units", "samples", "evolution"):
        for drawn in gallery.draw(present(small_study), kind):
            assert _marks(drawn.figure) == 0
            assert MARK not in drawn.caption
            assert "unsettled" not in drawn.data


def test_correlations_are_drawn_when_they_are_asked_for(study: StudyResults) -> None:
    for kind in ("metric_correlation", "sparsity"):
        with pytest.raises(NothingToDraw, match="nothing is concluded"):
            list(gallery.draw(present(study), kind))
        (drawn,) = gallery.draw(present(study, unsettled=True), kind)
        assert _marks(drawn.figure) == 1
    figure = load_study(study.store.root).figure("metric_correlation", unsettled=True)
    assert _marks(figure) == 1


def test_tables_mark_the_cells(study: StudyResults) -> None:
    presented = present(study)
    assert presented.cells["unsettled"].tolist() == [2, 1]
    rows = table.markdown(presented).splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == [
        f"standard normal{MARK}",
        f"Laplace{MARK}",
    ]
    tex = table.latex(presented)
    assert tex.count(r"\textsuperscript{\ddag} & 3") == 2
    assert study.settling.noted in table.caption(presented)


def test_tables_leave_settled_cells_unmarked(small_study: StudyResults) -> None:
    presented = present(small_study)
    assert presented.cells["unsettled"].eq(0).all()
    for text in (table.markdown(presented), table.latex(presented), table.caption(presented)):
        assert MARK not in text
        assert "ddag" not in text


def test_rows_are_counted_by_what_they_are_about(study: StudyResults) -> None:
    presented = present(study)
    by_cell = pd.DataFrame({"cell": study.runs["cell"].drop_duplicates(), "value": 0.0})
    assert with_unsettled(by_cell, presented)["unsettled"].tolist() == [2, 1]
    by_prior = study.runs[["prior", "seed"]]
    assert with_unsettled(by_prior, presented)["unsettled"].tolist() == [1, 0, 1, 0, 1, 0]
    overall = pd.DataFrame({"score": ["mig"]})
    assert with_unsettled(overall, presented)["unsettled"].tolist() == [3]


def test_the_report_says_it_everywhere(analysed: StudyResults) -> None:
    folder = write_report(analysed)
    page = (folder / "report.md").read_text()
    assert page.count("2 of 6 runs have not settled") >= 3
    assert "## Runs that have not settled" in page
    for csv in folder.glob("tables/*.csv"):
        assert "unsettled" in pd.read_csv(csv), csv
    latex = effects_table.latex(present(analysed))
    assert r"\endlastfoot" in latex
    assert r"\textsuperscript{\ddag}" in latex


def test_methods_tell_how_long_and_how_many(study: StudyResults, small_study: StudyResults) -> None:
    assert "Runs trained for 3,000 steps; 2 of 6 runs have not settled" in methods(present(study))
    assert "Runs trained for 3,000 steps; all had settled" in methods(present(small_study))


def test_the_page_marks_verdicts_cells_and_runs(analysed: StudyResults) -> None:
    found = verdicts(present(analysed))
    assert found is not None
    assert analysed.settling.noted in found.basis
    said = [verdict.statement for card in found.cards for verdict in card.verdicts]
    assert said
    assert all(statement.endswith(MARK) for statement in said)
    page = render_page(analysed)
    assert f"no{MARK}" in page
    assert f"not known{MARK}" in page
    assert f"Laplace prior{MARK}" in page
    assert "not settled: units 3, 17 still fall" in page


def test_status_counts_and_says_why(study: StudyResults) -> None:
    study.store.write_index()
    for _ in range(2):
        code, output = _invoke(study, "study", "status", study.name)
        assert code == 0
        assert "6 done (3 settled), 0 failed" in output
        assert output.count("unsettled ") == 3
        assert "not settled: units 3, 17 still fall" in output
        assert "not known to be settled" in output
        # Without the index, and of versions whose index did not know, runs are asked.
        (study.store.root / "runs.parquet").unlink(missing_ok=True)


def test_runs_of_the_first_version_are_not_known_to_have_settled(tmp_path: Path) -> None:
    study = make_study(tmp_path / "old", seeds=2, units=4, prior=PRIORS[:1])
    for run in study.runs["run"]:
        path = study.folder(run).path / "metrics.json"
        stored = json.loads(path.read_text())
        del stored["settled"], stored["scores"]["settled"], stored["scores"]["used_units"]
        path.write_text(json.dumps(stored))
    old = load_study(study.store.root)
    assert old.settling.told.startswith("2 of 2 runs are not known to have settled (")
    # Active units of theirs are counted as they were measured, and it is said.
    (drawn,) = gallery.draw(present(old), "active_units")
    assert "Var(mu) > 0.01" in drawn.caption
    assert "without training" in drawn.caption
    assert drawn.data["value"].tolist() == old.runs["active_units"].tolist()
    assert np.isin("active_units_mean", present(old).cells.columns)
