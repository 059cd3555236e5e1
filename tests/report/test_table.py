"""The table: its numbers, and that LaTeX takes it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pyrovae.report.look.presented import present
from pyrovae.report.tables import cells as table
from pyrovae.report.tables import settling
from pyrovae.report.tables.effects import effects_table
from pyrovae.report.tables.effects import latex as effects_latex
from pyrovae.study.store.results import StudyResults
from report.latex import compiled, needs_latex
from report.made import POSTERIORS, PRIORS, make_study


def texts(study: StudyResults) -> tuple[list[str], list[list[str]]]:
    """Return the table's headings and rows as they are read."""
    presented = present(study)
    rows = [
        [*row.labels, str(row.seeds), *(place.markdown() for place in row.places)]
        for row in table.rows(presented)
    ]
    return table.headings(presented)[0], rows


def test_numbers_are_those_of_the_runs(main_study: StudyResults) -> None:
    cells = present(main_study).cells
    assert cells["prior"].drop_duplicates().tolist() == list(PRIORS)
    assert len(cells) == 12
    assert cells["seeds"].tolist() == [4, 4, *[5] * 10]  # One run failed, one is missing.
    for row in cells.itertuples():
        runs = main_study.runs[main_study.runs["cell"] == row.cell]
        for key in ("used_units", "elbo", "rate", "distortion", "mig"):
            low, high = stats.t.interval(
                0.95, len(runs) - 1, loc=runs[key].mean(), scale=stats.sem(runs[key])
            )
            if key == "used_units":  # Seeds that agree may be off by one where others are not.
                least = 1 - 0.025 ** (1 / len(runs))
                low = np.nanmin([low, runs[key].mean() - least])
                high = np.nanmax([high, runs[key].mean() + least])
            assert getattr(row, f"{key}_mean") == pytest.approx(runs[key].mean())
            assert getattr(row, f"{key}_low") == pytest.approx(low)
            assert getattr(row, f"{key}_high") == pytest.approx(high)
            assert getattr(row, f"{key}_n") == len(runs)


def test_a_score_that_is_missing_is_a_dash(lone_study: StudyResults) -> None:
    header, (row,) = texts(lone_study)
    for title in ("MIG ↑", "DCI disent. ↑", "FactorVAE ↑"):
        assert row[header.index(title)] == table.MISSING
    # One seed: a number, no interval.
    assert "±" not in row[header.index("ELBO ↑")]
    assert float(row[header.index("Rate")]) == pytest.approx(
        lone_study.runs["rate"].iloc[0], rel=0.01
    )


def test_markdown_and_latex_say_the_same(main_study: StudyResults) -> None:
    in_markdown = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table.markdown(present(main_study)).splitlines()[2:]
    ]
    in_latex = [
        [cell.strip() for cell in line.removesuffix(r" \\").split("&")]
        for line in table.latex(present(main_study)).splitlines()
        if re.search(r"& .*\d\(\d", line)
    ]
    assert len(in_markdown) == len(in_latex) == 12
    for plain, tex in zip(in_markdown, in_latex, strict=True):
        assert plain[2] == tex[2]
        for one, other in zip(plain[3:], tex[3:], strict=True):
            if "±" not in one:  # No law of variance under this prior, or seeds that agree.
                assert one == other.replace("{--}", table.MISSING)
                continue
            mean, half = (float(n) for n in re.findall(r"[\d.]+", one))
            last, units = re.search(r"([\d.]+)\((\d+)\)", other).groups()
            assert float(last) == mean
            # The number in brackets counts the last digits.
            assert int(units) * 10.0 ** -len(last.partition(".")[2]) == pytest.approx(half)


def test_effects_are_listed_with_interactions(main_study: StudyResults) -> None:
    listed = effects_table(present(main_study))
    lines = [
        line for line in effects_latex(present(main_study)).splitlines() if line.count(" & ") == 4
    ][1:]
    assert len(lines) == len(listed)
    for line, row in zip(lines, listed.itertuples(), strict=True):
        name, mean, low, high, positive = line.removesuffix(r" \\").split(" & ")
        assert ("," in name) == (":" in row.term)
        step = 10.0 ** -len(mean.partition(".")[2])
        assert [float(mean), float(low), float(high)] == pytest.approx(
            [row.mean, row.low, row.high], abs=step
        )
        assert float(positive) == pytest.approx(row.positive, abs=1e-3)
    pair = next(line for line in lines if "," in line)
    assert pair.startswith("standard normal prior, mean-field normal posterior")


@pytest.mark.parametrize(
    ("half", "decimals"), [(1.2, 1), (0.4, 1), (0.03, 3), (0.05, 2), (12.0, 0), (0.0351, 3)]
)
def test_decimals_follow_the_interval(
    small_study: StudyResults, half: float, decimals: int
) -> None:
    runs = small_study.runs.copy()
    spread = half / stats.t.ppf(0.975, 2) * 3**0.5
    runs["rate"] = [10 - spread, 10, 10 + spread] * 2
    study = StudyResults("s", "", runs, {}, [], small_study.store)
    header, rows = texts(study)
    assert rows[0][header.index("Rate")] == f"{10:.{decimals}f} ± {half:.{decimals}f}"


def test_no_interval_has_no_width(small_study: StudyResults) -> None:
    runs = small_study.runs.copy()
    runs["rate"] = [10.0, 10.0, 10.0, 8.0, 10.0, 12.0]
    runs["distortion"] = [10.0, 10.001, 10.002, 8.0, 10.0, 12.0]
    study = StudyResults("s", "", runs, {}, [], small_study.store)
    header, rows = texts(study)
    assert rows[0][header.index("Rate")] == "10"
    assert rows[0][header.index("Distortion ↓")] == "10.0 ± 0.1"


def test_no_interval_leaves_the_range_of_its_score(
    small_study: StudyResults, main_study: StudyResults
) -> None:
    runs = small_study.runs.copy()
    runs["used_units"] = runs["informative_units"] = runs["active_units"] = [8, 8, 8, 8, 7, 6.0]
    runs["factor_vae"] = runs["factor_vae_used_only"] = [1.0, 0.99, 0.9, 0.5, 0.6, 0.7]
    study = StudyResults("s", "", runs, {}, [], small_study.store)
    header, rows = texts(study)
    counts = [row[header.index("Active units")] for row in rows]
    assert counts == ["8.0 [7.3, 8.0]", "7.0 [4.5, 8.0]"]
    at = header.index("FactorVAE ↑")
    # 0.963 ± 0.137, and 0.6 ± 0.248.
    assert [row[at] for row in rows] == ["0.96 [0.83, 1.00]", "0.60 [0.35, 0.85]"]
    tex = table.latex(present(study))
    assert "$0.96_{-0.14}^{+0.04}$" in tex
    assert "both its ends" in table.caption(present(study))
    assert "both its ends" not in table.caption(present(main_study))


def test_the_law_of_variance_is_told_of_used_and_idle_units_where_it_is_one(
    main_study: StudyResults,
) -> None:
    header, rows = texts(main_study)
    units = main_study.units()
    off = (units["var_mu"] + units["mean_var"] - 1).abs()
    for which, chosen in (("used", units["used"]), ("idle", ~units["used"])):
        told = [row[header.index(f"Variance law, {which} ↓")] for row in rows]
        normal, laplace = told[0], told[len(POSTERIORS)]
        here = chosen & (units["prior"] == "standard_normal")
        assert float(normal.split()[0]) == pytest.approx(off[here].median(), abs=1e-4)
        assert laplace == table.MISSING
    assert "no other has this law" in table.caption(present(main_study))


def test_scores_of_active_units_stand_first(main_study: StudyResults) -> None:
    header, rows = texts(main_study)
    first = header.index("DCI disent., active units only ↑")
    assert header[first + 1] == "DCI disent. ↑"
    assert float(rows[0][first].split()[0]) > float(rows[0][first + 1].split()[0])
    # Where both are the same, one column is enough.
    assert "MIG, active units only ↑" not in header


@needs_latex
@pytest.mark.parametrize("which", ["main", "lone", "odd"])
def test_latex_compiles_and_fits_the_page(
    which: str, main_study: StudyResults, lone_study: StudyResults, tmp_path: Path
) -> None:
    study = {"main": main_study, "lone": lone_study}.get(which) or make_study(
        tmp_path / "odd",
        seeds=1,
        network=["mlp", {"name": "mlp", "hidden": [64, 64]}],
        objective=["elbo", {"name": "beta", "beta": 4.0}],
    )
    document = "\n".join(
        [
            r"\documentclass[10pt]{article}",
            r"\usepackage[textwidth=6.75in]{geometry}",
            r"\usepackage{booktabs,graphicx,longtable,siunitx}",
            r"\begin{document}\begin{table}\centering",
            table.latex(present(study)),
            r"\end{table}\begin{table}\centering",
            settling.latex(present(study)),
            r"\end{table}",
            "" if effects_table(present(study)).empty else effects_latex(present(study)),
            r"\end{document}",
        ]
    )
    told = compiled(tmp_path, document)
    assert "Overfull" not in told
    assert (tmp_path / "paper.pdf").exists()


def test_only_what_the_posterior_is_sure_of_is_bold(
    main_study: StudyResults, small_study: StudyResults
) -> None:
    best = table.best_cells(present(main_study))
    stored = pd.read_csv(main_study.store.root / "analysis" / "cells.csv")
    sure = stored[stored["best"] > 0.95]
    assert len(best) == len(sure) > 0
    runs = main_study.runs.drop_duplicates("cell").set_index("cell")
    named = {(*runs.loc[cell, ["prior", "posterior"]], key) for cell, key in best}
    assert named == set(sure[["prior", "posterior", "metric"]].itertuples(index=False, name=None))
    # Neither many nor few active units are better.
    assert "used_units" not in {key for _, key in best}
    shown = [score.key for score in table.table_scores(main_study.runs)]
    in_table = sum(key in shown for _, key in best)
    assert table.markdown(present(main_study)).count("**") == 2 * in_table
    assert table.latex(present(main_study)).count(r"\bfseries") == in_table
    # Nobody compared the small study: its largest number is just a number.
    assert table.best_cells(present(small_study)) == set()
    assert "**" not in table.markdown(present(small_study))
    assert "Bold" not in table.caption(present(small_study))
