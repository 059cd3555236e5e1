"""When a difference is asserted: the rule itself, and how often it is wrong."""

from __future__ import annotations

import json
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from pyrovae.analysis.judged import bar, judge

CELLS = ("mean_field", "full_rank")


def _pairs(jointly: float, **more: float) -> pd.DataFrame:
    row = {"low": 0.02, "high": 0.08, "above": jointly, "below": 0.0, "jointly": jointly}
    row |= {"rope": 0.0, "crossing": 0.0, "everywhere": 0.0}
    return pd.DataFrame([{"factor": "prior", "a": "x", "b": "y", **row, **more}])


def _within(*differences: float) -> pd.DataFrame:
    """Return a row for each posterior family; a difference of 0 is no sure one."""
    return pd.DataFrame(
        {
            "factor": "prior",
            "where": [json.dumps({"posterior": cell}) for cell in CELLS],
            "a": "x",
            "b": "y",
            "low": [d - 0.02 for d in differences],
            "high": [d + 0.02 for d in differences],
            "jointly": [0.999 if d else 0.3 for d in differences],
        }
    )


@pytest.mark.parametrize(
    ("pairs", "within", "finding"),
    [
        (_pairs(0.99), _within(0, 0), "differs"),
        (_pairs(0.97), _within(0, 0), "open"),
        (_pairs(0.99, low=-0.01), _within(0, 0), "open"),
        (_pairs(0.4), _within(0.1, 0), "within"),
        (_pairs(0.4), _within(0.1, -0.1), "turns"),
        # A sure average of opposite differences is not told; of one cell that differs the cell is.
        (_pairs(0.99, crossing=0.6), _within(0, 0), "may turn"),
        (_pairs(0.99, crossing=0.6), _within(0.1, 0), "within"),
        (_pairs(0.0, rope=0.96), _within(0, 0), "equal"),
        # Practically equal on average, and not in the cells.
        (_pairs(0.0, rope=0.99, crossing=0.99), _within(0.1, -0.1), "turns"),
        (_pairs(0.0, rope=0.99), _within(0.1, 0), "within"),
    ],
)
def test_what_is_found(pairs: pd.DataFrame, within: pd.DataFrame, finding: str) -> None:
    assert judge(pairs, within, 0.975).finding == finding


def test_of_several_pairs_those_are_told_that_hold_together() -> None:
    pairs = pd.concat([_pairs(0.97), _pairs(0.999).assign(b="z"), _pairs(0.99).assign(a="w")])
    found = judge(pairs, pd.DataFrame(), 0.98)
    assert found.finding == "differs"
    assert found.pairs[["a", "b"]].to_numpy().tolist() == [["x", "z"], ["w", "y"]]
    assert found.probability == 0.99


def test_the_chance_of_error_is_shared_out() -> None:
    looks = pd.DataFrame({"metric": ["mig", "mig", "dci"], "factor": ["prior"] * 3})
    assert bar(looks) == pytest.approx(1 - 0.05 / 2)
    assert bar(looks, looks) == pytest.approx(1 - 0.05 / 4)
    assert bar(pd.DataFrame()) == 0.95


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ModuleType:
    monkeypatch.syspath_prepend(str(request.config.rootpath))
    from benchmarks import verdicts

    return verdicts


def test_nothing_is_claimed_where_nothing_differs(verdicts: ModuleType) -> None:
    """Four studies of eight scores; docs/how-many-seeds.md has the rates of many more.

    Were each score and factor held to 95 % by itself, about half of the studies would have claims.
    """
    found = verdicts.nothing_differs(range(4))
    assert not found["together"].any()
    assert found["each at 95 %"].any()


def test_what_differs_is_found(verdicts: ModuleType) -> None:
    found = verdicts.something_differs(range(3), keys=("share", "real"), sizes=(4,))
    assert (found[["share", "real"]].to_numpy() == 1).all(), found


def test_the_normal_posterior_is_that_of_the_model_where_noise_is_normal(
    verdicts: ModuleType,
) -> None:
    """Large main effects and interactions are not shrunk: cells keep Student's t intervals."""
    from scipy import stats

    rng = np.random.default_rng(0)
    shift = np.array([0.0, 40.0, 16.0, 10.0, 32.0, -20.0])[:, None]
    made = verdicts.SCORES[5]
    values = made.draw(rng, shift)
    posterior = verdicts.normal_posterior(values, made.score, verdicts.design(), rng)
    cells = posterior.cells()
    pooled = np.sqrt(values.var(axis=1, ddof=1).mean() / values.shape[1])
    half = stats.t.ppf(0.975, values.size - len(values)) * pooled
    np.testing.assert_allclose(cells["mean"], values.mean(1), atol=0.25 * half)
    np.testing.assert_allclose((cells["high"] - cells["low"]) / 2, half, rtol=0.12)
