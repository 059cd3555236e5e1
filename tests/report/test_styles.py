"""Sizes, formats and colours: what a venue asks for is what a file has."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from matplotlib.colors import to_rgb

from pyrovae.commands.main import main
from pyrovae.report import STYLES, active_units, performance_profiles
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.formats import files
from pyrovae.report.look.presented import present
from pyrovae.report.look.style import palette, prior_colours, roles
from pyrovae.report.study.effects import effects
from pyrovae.study.store.results import StudyResults
from report.texts import cut_off, drawn_texts, overlaps

#: Inches of a column and of the text, and points of labels, as the venues' style files have them.
VENUES = {
    "icml": (3.25, 6.75, 8),
    "neurips": (5.5, 5.5, 9),
    "jmlr": (6.0, 6.0, 9),
    "beamer": (5.512, 5.512, 9),
    "poster": (10.0, 20.5, 24),
}


@pytest.mark.parametrize("name", VENUES)
def test_files_have_the_venues_width_and_letters(small_study: StudyResults, name: str) -> None:
    column, text, size = VENUES[name]
    style = STYLES[name]
    assert style.text == pytest.approx(text, abs=1e-3)
    drawn = active_units(present(small_study), style=style)
    made = files(drawn, style, ["pdf", "svg"])
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", made["pdf"])
    assert box
    assert float(box[1]) / 72 == pytest.approx(column, abs=0.01)
    assert float(re.search(rb'width="([\d.]+)pt"', made["svg"])[1]) / 72 == pytest.approx(
        column, abs=0.01
    )
    assert b"/Type3" not in made["pdf"]
    assert max(points for _, _, points in drawn_texts(drawn.figure)) == size
    assert overlaps(drawn.figure) == []
    assert cut_off(drawn.figure) == []


def test_the_same_results_give_the_same_bytes(small_study: StudyResults) -> None:
    first, second = (
        files(active_units(present(small_study)), formats=["pdf", "png", "svg"]) for _ in range(2)
    )
    assert first == second


def test_a_prior_has_one_colour_in_every_study() -> None:
    names = ["gaussian_mixture", "standard_normal", "horseshoe"]
    alone = [prior_colours([name])[0] for name in names]
    assert prior_colours(names) == alone
    assert len(set(alone)) == 3
    # The same prior twice, and one of a third party, get colours of their own.
    four = prior_colours(["laplace", "laplace", "cauchy", "student_t"])
    assert len(set(four)) == 4
    assert four[0] == prior_colours(["laplace"])[0]
    assert set(prior_colours([f"mine{i}" for i in range(10)])) == set(palette(10))


def test_effects_are_those_of_the_analysis(
    main_study: StudyResults, main_figure: Callable[[str], Drawn]
) -> None:
    drawn = main_figure("effects")
    table = pd.read_csv(main_study.store.root / "analysis" / "effects.csv")
    shown = drawn.data
    assert len(shown) == (~table["term"].str.contains(":")).sum()
    ax = drawn.figure.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()][:2] == [
        "standard normal prior",
        "Laplace prior",
    ]
    dots = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    first = shown[shown["metric"] == shown["metric"].iloc[0]]
    np.testing.assert_allclose(sorted(dots), sorted(first["mean"]))
    colours = [to_rgb(line.get_color()) for line in ax.lines if line.get_marker() == "o"]
    assert colours[:4] == prior_colours(list(main_study.runs["prior"].unique()))


def test_interactions_are_those_of_the_analysis(
    main_study: StudyResults, main_figure: Callable[[str], Drawn]
) -> None:
    drawn = main_figure("interactions")
    assert drawn.name == "interactions-prior-posterior"
    table = pd.read_csv(main_study.store.root / "analysis" / "effects.csv")
    table = table[table["term"] == "prior:posterior"].reset_index(drop=True)
    pd.testing.assert_frame_equal(drawn.data[list(table)], table)
    ax = drawn.figure.axes[0]
    names = [t.get_text().replace("\n", " ") for t in ax.get_yticklabels()]
    assert len(names) == 12
    assert names[4] == "Laplace prior, Laplace posterior"
    first = table[table["metric"] == table["metric"].iloc[0]].set_index("level")
    dots = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert dots[4] == pytest.approx(first.loc["laplace:laplace", "mean"])
    assert "0" in [t.get_text() for t in ax.get_xticklabels()]
    colours = [to_rgb(line.get_color()) for line in ax.lines if line.get_marker() == "o"]
    assert colours[3:6] == [prior_colours(["laplace"])[0]] * 3


def test_no_analysis_or_an_old_one_is_told(small_study: StudyResults) -> None:
    for kind in (effects, performance_profiles):
        with pytest.raises(NothingToDraw, match="pyrovae study analyse small"):
            kind(present(small_study))


def test_runs_that_came_since_are_told(main_study: StudyResults) -> None:
    fewer = StudyResults("prior_comparison", "", main_study.runs[1:], {}, [], main_study.store)
    with pytest.raises(NothingToDraw, match="have changed"):
        effects(present(fewer))


def test_plot_writes_one_kind(small_study: StudyResults, tmp_path: Path) -> None:
    options = ["--results", str(small_study.store.root.parent), "--out", str(tmp_path)]
    run = CliRunner().invoke(
        main, ["plot", "active_units", "small", "--format", "svg", "--style", "jmlr", *options]
    )
    assert run.exit_code == 0, run.output
    assert {p.name for p in tmp_path.iterdir()} == {
        f"active-units.{s}" for s in ("svg", "csv", "txt")
    }
    for wrong, word in (
        (["plot", "active_unit", "small"], "active_units"),
        (["plot", "active_units", "small", "--style", "icmll"], "icml"),
        (["plot", "active_units", "small", "--format", "pdf,bmp"], "unknown format 'bmp'"),
        (["plot", "active_units", "smal"], "small"),
    ):
        run = CliRunner().invoke(main, [*wrong, *options])
        assert run.exit_code == 2
        assert word in run.output


def test_what_is_no_level_has_no_levels_colour() -> None:
    assert not set(roles(10)) & {*palette(10), *palette(10, ordered=True)}
    assert len(set(roles(10))) == 10
