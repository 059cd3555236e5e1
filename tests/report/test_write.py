"""The folder that a report is."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.image import imread

from pyrovae.report import escapes, write_report
from pyrovae.report.look.presented import present
from pyrovae.report.study.index import index_page
from pyrovae.study.store.results import StudyResults, load_study

FIGURES = {
    "active-units",
    "code-map-laplace-prior",
    "code-map-standard-normal-prior",
    "disentanglement",
    "evolution",
    "factors-laplace-prior",
    "factors-standard-normal-prior",
    "kl-profile",
    "metric-correlation",
    "overview",
    "rate-distortion",
    "reconstructions",
    "samples",
    "traversals-laplace-prior",
    "traversals-standard-normal-prior",
    "variance-law",
}


@pytest.fixture(scope="module")
def written(small_study: StudyResults) -> Path:
    return write_report(small_study)


def test_each_figure_has_its_pictures_data_and_caption(
    written: Path, small_study: StudyResults
) -> None:
    assert written == small_study.store.root / "report"
    found = {path.name for path in (written / "figures").iterdir()}
    assert found == {f"{n}.{s}" for n in FIGURES for s in ("pdf", "png", "csv", "txt")}
    for name in FIGURES:
        stem = written / "figures" / name
        assert len(pd.read_csv(f"{stem}.csv")) > 0
        assert Path(f"{stem}.txt").read_text().strip().endswith(".")
        # A column, or the text: UDR makes the fourth panel of disentanglement.
        width = 6.75 if name in ("disentanglement", "overview") else 3.25
        assert imread(f"{stem}.png").shape[1] == pytest.approx(width * 300, abs=1)
    assert {path.name for path in (written / "tables").iterdir()} == {
        "cells.csv",
        "cells.tex",
        "cells.txt",
        "settling.csv",
        "settling.tex",
        "variation.csv",
    }


def test_pdfs_embed_their_fonts_as_truetype(written: Path) -> None:
    for path in (written / "figures").glob("*.pdf"):
        content = path.read_bytes()
        assert b"/FontFile2" in content, path.name
        assert b"/Type3" not in content, path.name


def test_the_index_names_every_figure_and_shows_the_table(written: Path) -> None:
    page = (written / "report.md").read_text()
    for link in re.findall(r"\]\(([^)]*)\)", page):
        assert (written / link).exists(), link
    assert set(re.findall(r"figures/([^)]*)\.png", page)) == FIGURES
    for name in (*(f"figures/{name}" for name in FIGURES), "tables/cells"):
        assert escapes.markdown((written / f"{name}.txt").read_text()) in page
    assert "| standard normal | 3 |" in page
    assert "failed" not in page


def test_writing_again_changes_no_byte_and_nothing_in_pyplot(
    written: Path, small_study: StudyResults
) -> None:
    before = {p: p.read_bytes() for p in written.rglob("*") if p.is_file()}
    backend, open_figures = plt.get_backend(), plt.get_fignums()
    assert write_report(small_study) == written
    assert {p: p.read_bytes() for p in written.rglob("*") if p.is_file()} == before
    assert (plt.get_backend(), plt.get_fignums()) == (backend, open_figures)


def test_failed_and_missing_runs_are_told(main_study: StudyResults) -> None:
    page = index_page(present(main_study), {}, {})
    assert "58 runs in 12 cells" in page
    assert "1 failed and 1 are missing" in page
    (failed,) = main_study.failed
    assert f"- {failed}: diverged at step 17" in page
    assert f"- {main_study.missing[0]}" in page


def test_what_cannot_be_drawn_is_told(lone_study: StudyResults) -> None:
    folder = write_report(lone_study)
    page = (folder / "report.md").read_text()
    assert "- disentanglement: the data has no ground-truth factors" in page
    assert "- samples: observations of shape (12,)" in page
    assert not list((folder / "figures").glob("disentanglement*"))
    assert (folder / "figures" / "kl-profile.pdf").exists()


def test_figures_of_an_earlier_report_go_and_a_users_files_stay(
    written: Path, small_study: StudyResults, tmp_path: Path
) -> None:
    root = tmp_path / "study"
    shutil.copytree(small_study.store.root, root)  # With its report.
    mine = root / "report" / "figures" / "my-own.pdf"
    mine.write_bytes(b"mine")
    for run in small_study.runs.loc[small_study.runs["prior"] == "laplace", "run"]:
        shutil.rmtree(root / "runs" / run)
    assert list((root / "report" / "figures").glob("traversals-laplace*"))
    folder = write_report(load_study(root))
    assert not list((folder / "figures").glob("traversals-laplace*"))
    assert mine.read_bytes() == b"mine"


def test_another_format_takes_none_away(
    written: Path, small_study: StudyResults, tmp_path: Path
) -> None:
    root = tmp_path / "study"
    shutil.copytree(small_study.store.root, root)  # With its report, of PDFs.
    pdf = root / "report" / "figures" / "kl-profile.pdf"
    pdf.write_bytes(b"old")
    folder = write_report(load_study(root), formats=["svg"])
    assert (folder / "figures" / "kl-profile.svg").exists()
    assert pdf.read_bytes().startswith(b"%PDF")  # drawn again: of these runs, like the other
