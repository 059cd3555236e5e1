"""The comparison as ArviZ's own functions take it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import arviz as az
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch

from pyrovae.analysis.container import contain
from pyrovae.analysis.design import make_design
from pyrovae.analysis.likelihoods import LIKELIHOODS
from pyrovae.analysis.model import by_cell, make_rows
from pyrovae.analysis.sampling import Sampling
from pyrovae.measures.arviz import load, save
from pyrovae.measures.scores import Kind

CELLS = pd.DataFrame({"prior": ["a", "a", "b", "b"], "posterior": ["m", "f", "m", "f"]})
DESIGN = make_design(CELLS, ["prior", "posterior"])
CHAINS, DRAWS, SEEDS, TOTAL = 2, 40, 3, 10


def _contained(kind: Kind) -> tuple[Any, pd.DataFrame]:
    """Return a container of made-up draws, and the runs that it is about."""
    rng, law = np.random.default_rng(0), LIKELIHOODS[kind]
    cell = np.repeat(np.arange(4), SEEDS)
    value = {
        "count": rng.integers(2, 6, 12).astype(float),
        "proportion": rng.beta(3, 5, 12),
        "positive": np.exp(rng.normal(size=12)),
        "real": rng.normal(-90, 2, 12),
    }[kind]
    runs = CELLS.iloc[cell].assign(run=[f"run{i}" for i in range(12)], score=value)
    runs = runs.assign(seed=np.tile(np.arange(SEEDS), 4)).reset_index(drop=True)
    rows = make_rows(
        runs["score"], pd.Series(cell), pd.Series(np.full(4, float(TOTAL))), law, DESIGN
    )
    shape = (CHAINS, DRAWS)
    torch.manual_seed(0)

    def drawn(*last: int) -> torch.Tensor:
        return 0.3 * torch.randn(*shape, *last, dtype=torch.float64)

    draws = {
        "intercept": drawn(),
        "effects": drawn(len(DESIGN.term_of_column)),
        "log_noise": drawn() - 1,
        "noise_spread": drawn().abs(),
        "noise_by_cell": drawn(4),
        "df": drawn().abs() + 5,
    }
    draws["location"], draws["noise"] = by_cell(DESIGN, rows, draws)
    draws["mean"] = law.mean(draws["location"], draws["noise"], rows.total)
    sampling = Sampling(chains=CHAINS, draws=DRAWS)
    return contain(draws, DESIGN, rows, law, runs, "score", sampling), runs


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_every_law_has_names_predictions_and_likelihoods(kind: Kind, tmp_path: Path):
    data, runs = _contained(kind)
    save(data, tmp_path / "score.nc")
    data = load(tmp_path / "score.nc")
    assert data.posterior["mean"].dims == ("chain", "draw", "cell")
    assert data.posterior["cell"].values.tolist() == ["a, m", "a, f", "b, m", "b, f"]
    effect = data.posterior["effect_prior"]
    assert effect["prior"].values.tolist() == ["a", "b"]
    means = data.posterior["mean"].values
    # Of a balanced design an effect is the mean of a level less the mean of all.
    np.testing.assert_allclose(
        effect.values[..., 0], means[..., :2].mean(-1) - means.mean(-1), atol=1e-9
    )
    observed = data.observed_data["y"]
    np.testing.assert_allclose(observed.values, runs["score"])
    assert observed["run"].values.tolist() == runs["run"].tolist()
    assert observed["seed"].values.tolist() == runs["seed"].tolist()
    assert (
        observed["run_cell"].values.tolist() == (runs["prior"] + ", " + runs["posterior"]).tolist()
    )
    predicted = data.posterior_predictive["y"]
    assert predicted.dims == ("chain", "draw", "run")
    within = {
        "count": (predicted >= 0) & (predicted <= TOTAL) & (predicted == predicted.round()),
        "proportion": (predicted >= 0) & (predicted <= 1),
        "positive": predicted > 0,
        "real": np.isfinite(predicted),
    }[kind]
    assert bool(within.all())
    assert np.isfinite(data.log_likelihood["y"]).all()
    assert data.constant_data["runs"].values.tolist() == [SEEDS] * 4


def test_predictions_scatter_about_the_draws_means():
    """Of a Student t law: the mean of predictions is that of the locations."""
    data, _ = _contained("real")
    of_first = data.posterior_predictive["y"].values[..., :SEEDS]
    first = of_first - data.posterior["mean"].values[..., :1]
    assert abs(first.mean()) < 5 * first.std() / first.size**0.5


def test_arviz_takes_it_as_it_is():
    data, _ = _contained("real")
    with mpl.rc_context():
        mpl.use("agg")
        az.plot_forest(data, var_names=["mean", "effect_prior"])
        az.plot_rank(data, var_names=["mean"])
        (az.plot_ppc if az.__version__ < "1" else az.plot_ppc_dist)(data)
        az.plot_khat(az.loo(data, pointwise=True))
        mpl.pyplot.close("all")
