"""Runs that were measured in different ways stand in columns of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report.made import PRIORS, make_study
from tiny_study import TINY, tiny_plan

from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement.asked import keys_of
from pyrovae.report.look.presented import present
from pyrovae.report.look.scores import disentanglement_scores
from pyrovae.report.page.write import render_page
from pyrovae.report.study.methods import methods
from pyrovae.report.tables import cells
from pyrovae.study.store.columns import has_all, side_by_side
from pyrovae.study.store.results import load_study

DEFAULT = {"name": "mig", "n_bins": 20, "binning": "uniform"}
FIVE = DEFAULT | {"n_bins": 5}
TEN = DEFAULT | {"n_bins": 10}


def _stored(*metrics: dict[str, Any], scores: dict[str, float], **measured: Any) -> dict[str, Any]:
    estimators = {key: {"estimator": {}, "metric": metric} for key, metric in measured.items()}
    return {"evaluation": {"metrics": metrics}, "scores": scores, "estimators": estimators}


def _keys(*runs: dict[str, Any]) -> list[set[str]]:
    return [set(run["scores"]) for run in side_by_side(runs)]


def test_runs_that_agree_keep_their_names():
    old = _stored(FIVE, scores={"mig": 0.1, "mig_se": 0.01, "mig_sup": 0.3})
    assert _keys(old, old) == [set(old["scores"])] * 2


def test_parameters_that_differ_between_runs_make_columns():
    scores = {"mig": 0.1, "mig_se": 0.01, "elbo": -3.0}
    five = {"mig[n_bins=5]", "mig[n_bins=5]_se", "elbo"}
    assert _keys(_stored(FIVE, scores=scores), _stored(DEFAULT, scores=scores)) == [
        five,
        set(scores),
    ]
    # Without a default, the first keeps the name.
    assert _keys(_stored(TEN, scores=scores), _stored(FIVE, scores=scores)) == [set(scores), five]
    # A parameter that the older run did not know has its default there.
    assert (
        _keys(
            _stored({"name": "mig", "n_bins": 20}, scores=scores), _stored(DEFAULT, scores=scores)
        )
        == [set(scores)] * 2
    )


def test_names_of_other_metrics_are_no_parts():
    sup = {"name": "mig_sup", "n_bins": 20, "binning": "uniform"}
    both = _stored(FIVE, sup, scores={"mig": 0.1, "mig_sup": 0.2, "mig_sup_se": 0.1})
    other = _stored(DEFAULT, scores={"mig": 0.1})
    assert _keys(both, other) == [{"mig[n_bins=5]", "mig_sup", "mig_sup_se"}, {"mig"}]


def test_a_metric_that_is_not_installed_is_told_apart_too():
    scores = {"gone": 0.1, "gone_part": 0.2}
    one, two = ({"name": "gone", "mode": mode} for mode in ("a", "b b"))
    assert _keys(_stored(one, scores=scores), _stored(two, scores=scores)) == [
        set(scores),
        {'gone[mode="b b"]', 'gone[mode="b b"]_part'},
    ]


def test_of_several_of_one_name_the_first_version_kept_the_last():
    old = _stored(DEFAULT, FIVE, scores={"mig": 0.1})
    new = _stored(DEFAULT, scores={"mig": 0.2}, mig=DEFAULT)
    assert _keys(old, new) == [{"mig[n_bins=5]"}, {"mig"}]
    old["estimators"]["mig"] = {"estimator": {}}
    assert not has_all(old)
    assert has_all(new)
    assert has_all(_stored(DEFAULT, FIVE, scores={}, **{"mig": DEFAULT, "mig[n_bins=5]": FIVE}))
    assert has_all(_stored(DEFAULT, FIVE, scores={}))  # There are no factors.


def test_a_column_keeps_its_meaning_when_a_default_is_another():
    """Explicitness was by one regression against the rest before there was a choice."""
    sizes = {"n_train": 10_000, "n_test": 5_000}
    before = _stored({"name": "explicitness", **sizes}, scores={"explicitness": 0.96})
    chosen, softmax, rest = (
        {"name": "explicitness", **classifier, **sizes}
        for classifier in ({}, {"classifier": "softmax"}, {"classifier": "one_vs_rest"})
    )
    new = keys_of([chosen])
    assert new == keys_of([softmax]) == ["explicitness[classifier=softmax]"]
    assert keys_of([rest]) == ["explicitness"]
    assert keys_of([rest, softmax]) == ["explicitness", *new]
    after = _stored(softmax, scores={new[0]: 1.0}, **{new[0]: softmax})
    again = _stored(rest, scores={"explicitness": 0.97}, explicitness=rest)
    assert _keys(before, after, again) == [{"explicitness"}, set(new), {"explicitness"}]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            TINY.replace("[mig]", "[irs, mig, {name: mig, n_bins: 20}]"),
            "base.evaluation.metrics[2]",
        ),
        (
            TINY + "zip: {latent_dim: [3], evaluation.metrics: [[mig, {name: mig}]]}",
            "zip.evaluation.metrics[0][1]",
        ),
    ],
)
def test_the_same_twice_is_refused_with_its_place(tmp_path: Path, text: str, place: str):
    with pytest.raises(ConfigError) as caught:
        tiny_plan(tmp_path, text=text)
    assert caught.value.place == place
    assert caught.value.message == "metric 'mig' is asked for twice with the same parameters"


def test_two_of_a_name_go_through_the_store_and_all_reports(tmp_path: Path):
    study = make_study(tmp_path / "two", seeds=2, units=4, event=(12,), prior=PRIORS[:2])
    for i, run in enumerate(study.runs["run"]):
        path = study.folder(run).path / "metrics.json"
        stored = json.loads(path.read_text())
        scores = {"mig[n_bins=5]": 0.3 + 0.01 * i, "mig[n_bins=5]_se": 0.01}
        stored["scores"] |= scores
        stored["estimators"]["mig[n_bins=5]"] = {
            "metric": FIVE,
            "estimator": {"n_bins": 5},
        }
        path.write_text(json.dumps(stored))
    study.store.write_index()
    study = load_study(study.store.root)
    assert study.runs["mig[n_bins=5]"].tolist() == pytest.approx([0.3, 0.31, 0.32, 0.33])
    index = pd.read_parquet(study.store.root / "runs.parquet")
    assert {"mig", "mig[n_bins=5]"} <= set(index.columns)
    titles = [score.title for score in disentanglement_scores(study.runs)]
    assert {"MIG", "MIG (5 bins)"} <= set(titles)
    assert "| MIG (5 bins) ↑ |" in cells.markdown(present(study))
    assert "MIG (5 bins) (n bins = 5)" in methods(present(study))
    page = render_page(study)
    assert '"key":"mig[n_bins=5]"' in page
    assert "MIG (5 bins)" in page
