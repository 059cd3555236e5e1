"""The paragraph on methods says what is stored, no more and no less."""

from __future__ import annotations

import re

from pyrovae.report.look.presented import present
from pyrovae.report.study.methods import latex_methods, methods
from pyrovae.study.store.results import StudyResults


def test_it_names_every_part_that_ran(main_study: StudyResults, small_study: StudyResults) -> None:
    text = methods(present(small_study))
    assert "Priors: standard normal (Kingma & Welling 2014); Laplace (scale = " in text
    assert "Posterior: mean-field normal (Kingma & Welling 2014)." in text
    assert "Latent units: 8." in text
    assert "Seeds: 0, 1, 2 in each cell." in text
    assert "steps = 3000, batch size = 128, learning rate = 0.001" in text
    assert "6 runs, hash " in text
    assert "Comparison" not in text  # None is stored.
    assert "Seeds: 4 to 5 in each cell, as some runs failed or are missing." in methods(
        present(main_study)
    )


def test_other_runs_have_another_hash(small_study: StudyResults) -> None:
    fewer = StudyResults("small", "", small_study.runs[:-1], {}, [], small_study.store)
    assert (
        methods(present(fewer)).rsplit("hash", 1)[1]
        != methods(present(small_study)).rsplit("hash", 1)[1]
    )


def test_latex_takes_it(small_study: StudyResults) -> None:
    plain, tex = methods(present(small_study)), latex_methods(present(small_study))
    assert "_" not in tex.replace(r"\_", "")
    assert tex.count(r"\cite{") == len(re.findall(r" \((?:[A-Z][^()]*? \d{4}(?:; )?)+\)", plain))
