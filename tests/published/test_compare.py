"""Verdicts on made runs whose truth is known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from report.made import make_study
from scipy import stats

from published.test_tables import BASE
from pyrovae.commands.main import main
from pyrovae.published import Compared, PublishedTable, compare
from pyrovae.published.compare import (
    NOT_REPRODUCED,
    REPRODUCED,
    UNDECIDED,
    half_width,
    ordered,
)
from pyrovae.study.config.read import read_study

PRIORS = ("standard_normal", "laplace", "student_t")


def made(values: dict[str, list[float]]) -> Any:
    """A study with these values of the bound."""
    raw = {"name": "s", "base": BASE, "grid": {"prior": list(values)}, "seeds": 99}
    configs = [run.config for run in read_study(raw).runs]
    runs, known = [], {}
    for prior, found in values.items():
        own = [c for c in configs if c.prior and c.prior["name"] == prior]
        for config, value in zip(own, found, strict=False):
            run = f"{prior}-{config.seed}"
            runs.append({"run": run, "elbo": value, "prior": prior})
            known[run] = config
    return SimpleNamespace(
        name="s",
        runs=pd.DataFrame(runs),
        configs=known,
        settling=SimpleNamespace(unsettled=[]),
        varying=lambda: ["prior"],
        label=lambda run, part: SimpleNamespace(phrase=lambda: run.rsplit("-", 1)[0]),
    )


def table(values: dict[str, float], *, sd: float = 0.0, **settings: Any) -> PublishedTable:
    rows = [
        {"where": {"prior": prior}, "value": value, "sd": sd, "read": "paper"}
        for prior, value in values.items()
    ]
    settings = settings or {"widest": 1.0}
    return PublishedTable.model_validate(
        {"source": "A 2018", "quantity": "elbo", "rows": rows, **settings}
    )


@pytest.mark.parametrize(
    ("published", "sd", "ours", "verdict"),
    [
        (4.63, 0.03, [4.60, 4.61, 4.62], REPRODUCED),
        (4.63, 0.0, [4.60, 4.61, 4.62], REPRODUCED),  # the interval reaches 4.6348
        (4.64, 0.0, [4.60, 4.61, 4.62], NOT_REPRODUCED),
        (4.64, 0.03, [4.60, 4.61, 4.62], REPRODUCED),
        (4.63, 0.03, [4.0, 4.6, 5.2], UNDECIDED),
        (4.63, 0.03, [4.63], UNDECIDED),
        (4.63, 0.03, [], UNDECIDED),
        (4.63, 0.03, [4.6, float("nan")], UNDECIDED),
        (9.0, 0.03, [4.0, 4.6, 5.2], NOT_REPRODUCED),
    ],
)
def test_a_value(published: float, sd: float, ours: list[float], verdict: str) -> None:
    study = made({"standard_normal": ours, "laplace": [0.0, 0.0]})
    (found,), order = compare(table({"standard_normal": published}, sd=sd), study)
    assert found.verdict == verdict, found.reason
    assert order is None
    assert (found.reason == "") == (verdict == REPRODUCED)


def test_the_interval_is_students() -> None:
    values = np.array([1.0, 2.0, 4.0])
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert half_width(values) == pytest.approx((high - low) / 2)


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        ((1.0, 2.0, 3.0), REPRODUCED),
        ((1.0, 3.0, 2.0), NOT_REPRODUCED),
        ((1.0, 2.0, 2.001), UNDECIDED),
    ],
)
def test_an_order(ours: tuple[float, ...], verdict: str) -> None:
    noise = np.array([-0.02, 0.0, 0.02])
    study = made({p: list(at + noise) for p, at in zip(PRIORS, ours, strict=True)})
    published = dict(zip(PRIORS, (10.0, 20.0, 30.0), strict=True))
    _, order = compare(table(published, by="order"), study)
    assert order is not None
    assert order.verdict == verdict, order.reason
    assert len(order.pairs) == 3


def test_counts_that_agree_in_every_seed_decide_no_order() -> None:
    study = made({p: [n, n, n] for p, n in zip(PRIORS, (1.0, 2.0, 3.0), strict=True)})
    _, order = compare(table(dict(zip(PRIORS, (1.0, 2.0, 3.0), strict=True)), by="order"), study)
    assert order is not None
    assert order.verdict == UNDECIDED


def test_where_nothing_differs_few_orders_are_claimed() -> None:
    """Of 400 made studies whose cells are alike, at most 5 % are said to contradict a paper."""
    rng = np.random.default_rng(0)
    published = table(dict(zip(PRIORS, (1.0, 2.0, 3.0), strict=True)), by="order")
    said = []
    for _ in range(400):
        cells = [Compared("", row, rng.normal(size=3), 0, "") for row in published.rows]
        said.append(ordered(published, cells).verdict != UNDECIDED)
    assert np.mean(said) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)


def test_the_report(tmp_path: Path) -> None:
    study = make_study(
        tmp_path / "made", seeds=3, prior=[{"name": p} for p in PRIORS], posterior=[{"name": "iaf"}]
    )
    raw = f"""
name: made
base: {{{", ".join(f"{k}: {v}" for k, v in {**BASE, "posterior": "iaf"}.items())}}}
grid: {{prior: [{", ".join(PRIORS)}]}}
seeds: 3
published:
  - source: A & B 2018 (arXiv:1705.07120)
    quantity: elbo
    widest: 1000
    rows:
      - {{where: {{prior: standard_normal}}, value: 1.0e6, read: memory}}
      - {{where: {{prior: laplace}}, value: {study.runs["elbo"].mean()}, sd: 1000, read: paper}}
    differs: [Of x | y and <b>.]
"""
    file = tmp_path / "made.yaml"
    file.write_text(raw)
    called = CliRunner().invoke(
        main, ["published", "report", str(file), "--results", str(tmp_path)]
    )
    assert called.exit_code == 0, called.output
    found = pd.read_csv(tmp_path / "made/published/published.csv")
    assert list(found["verdict"]) == [NOT_REPRODUCED, REPRODUCED]
    ours = study.runs[study.runs["prior"].str.startswith("laplace")]["elbo"]
    assert found.loc[1, "ours"] == pytest.approx(ours.mean())
    page = (tmp_path / "made/published/published.md").read_text()
    assert "from memory, not checked" in page
    assert "<b>" not in page
    assert (tmp_path / "made/published/figures/published-1.pdf").exists()


def test_of_what_has_not_been_run(tmp_path: Path) -> None:
    for names, told in (((), "has been run here"), (("mnist_burd",), "did you mean 'mnist_burda'")):
        called = CliRunner().invoke(
            main, ["published", "report", *names, "--results", str(tmp_path)]
        )
        assert called.exit_code == 2
        assert told in called.output
