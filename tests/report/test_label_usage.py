"""Which labels are in use: what is drawn is what is stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_study import run, tiny_plan

from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.presented import present
from pyrovae.report.run.label_usage import label_usage, usage_of_labels
from pyrovae.report.study.gallery import draw
from pyrovae.study.store.results import StudyResults, load_study
from report.made import make_study


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    folder = tmp_path_factory.mktemp("labels")
    changes = (
        "dataset={name: digits, n_train: 200, n_test: 150}",
        "latent_dim=3",
        "posterior={name: vector_quantized, classes: 6}",
        "grid.prior=[{name: categorical, classes: 6}]",
        "seeds=1",
    )
    assert run(tiny_plan(folder, *changes), folder / "results").done == 1
    return load_study(folder / "results/tiny")


def test_shares_and_dead_labels_are_those_of_the_codes(trained: StudyResults) -> None:
    (drawn,) = draw(present(trained), "label_usage")
    folder = trained.folder(trained.runs["run"].iloc[0])
    codes, units = folder.codes(), folder.units().set_index("unit")
    assert len(drawn.data) == 3 * 6
    for row in drawn.data.itertuples():
        assert row.share == pytest.approx((codes[:, row.unit] == row.label).mean())
        assert row.dead == (row.share == 0)
        assert row.mi == units.loc[row.unit, "mi"]
    counted = drawn.data.groupby("unit")["dead"].sum()
    assert counted.tolist() == units["dead_labels"].tolist()
    # What is certain has the entropy of its labels as its perplexity.
    for unit, part in drawn.data.groupby("unit"):
        share = part["share"][part["share"] > 0]
        entropy = -(share * np.log(share)).sum()
        assert units.loc[unit, "perplexity"] == pytest.approx(np.exp(entropy), rel=1e-4)
    marks = [text.get_text() for text in drawn.axes[0].texts]
    assert marks.count("·") == drawn.data["dead"].sum()
    shown = [tick.get_text() for tick in drawn.axes[0].get_yticklabels()]
    order = units["mi"].sort_values(ascending=False, kind="stable")
    assert shown == [f"{unit} ({value:.2f})" for unit, value in order.items()]


def test_real_units_beside_labels_are_left_out() -> None:
    codes = np.array([[0.3, 1.0, 0.0], [-2.0, 1.0, 1.0], [9.0, 2.0, 1.0]])
    table = usage_of_labels(codes, [0, 4, 2]).set_index(["unit", "label"])
    assert table["share"].tolist() == pytest.approx([0, 2 / 3, 1 / 3, 0, 1 / 3, 2 / 3])
    assert table["dead"].tolist() == [True, False, False, True, False, False]


def test_codes_without_labels_have_nothing_to_draw(tmp_path: Path) -> None:
    study = make_study(tmp_path / "s", seeds=1, units=4, prior=["standard_normal"])
    with pytest.raises(NothingToDraw, match="no cell has codes of labels"):
        next(draw(present(study), "label_usage"))
    with pytest.raises(NothingToDraw, match="no cell has codes of labels"):
        label_usage(study.folder(study.runs["run"].iloc[0]))
