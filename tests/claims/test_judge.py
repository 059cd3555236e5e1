"""Verdicts on made runs whose truth is known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from report.made import make_study

from pyrovae.analysis.sampling import Sampling
from pyrovae.claims import CLAIMS, judge, verdict
from pyrovae.claims.models import offsets
from pyrovae.claims.verdict import Undecidable, fit
from pyrovae.commands.main import main
from pyrovae.study.config import shipped
from pyrovae.study.config.read import load_study_file
from pyrovae.study.store.settling import MARK
from pyrovae.training.settled import Settled


def _study(runs: pd.DataFrame) -> Any:
    return SimpleNamespace(name="made", runs=runs)


def _sizes(active: dict[int, float], seeds: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {
                "latent_dim": d,
                "objective": "elbo",
                "active_units": float(np.clip(round(n + rng.normal(0, 0.7)), 0, d)),
            }
            for d, n in active.items()
            for _ in range(seeds)
        ]
    )


@pytest.mark.slow
def test_counts_that_saturate() -> None:
    saturating = judge.sparsity(_study(_sizes({4: 4, 8: 8, 16: 12, 32: 12.5})))
    assert saturating.converged
    assert saturating.probability > 0.95
    low, high = saturating.interval
    assert low < np.log(12.5 / 12) / np.log(2) < high


@pytest.mark.slow
def test_counts_that_grow() -> None:
    growing = judge.sparsity(_study(_sizes({4: 4, 8: 8, 16: 15, 32: 29})))
    assert growing.converged
    assert growing.probability < 0.05
    assert growing.word == "not supported"


@pytest.mark.slow
def test_gaps_that_grow_apart() -> None:
    rng = np.random.default_rng(1)
    runs = pd.DataFrame(
        [
            {
                "latent_dim": 2**k,
                "objective": objective,
                "distortion_gap": 1.0 + slope * k + rng.normal(0, 0.3),
            }
            for k in range(1, 6)
            for objective, slope in (("elbo", 0.2), ("autoencoder", 2.0))
            for _ in range(2)
        ]
    )
    verdict = judge.self_regularisation(_study(runs))
    assert verdict.converged
    assert verdict.probability > 0.99
    low, high = verdict.interval
    assert low < 0.2 - 2.0 < high
    with pytest.raises(Undecidable, match="needs runs with objectives 'elbo' and 'autoencoder'"):
        judge.self_regularisation(_study(runs[runs["objective"] == "elbo"]))


def test_no_association_is_not_called_one() -> None:
    rng = np.random.default_rng(2)
    runs = pd.DataFrame(
        {
            "latent_dim": 10,
            "used_units": 10.0 - rng.integers(0, 8, 24),
            "mig": rng.normal(0.1, 0.02, 24),
            "dci": rng.normal(0.2, 0.02, 24),
        }
    )
    verdict = judge.disentanglement(_study(runs))
    assert 0.02 < verdict.probability < 0.98
    assert verdict.interval[0] < 0 < verdict.interval[1]


def test_the_posterior_of_a_share_without_a_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame(
        {"run": list("abcdefgh"), "level": 1.0, "active_units": 3, "active_units_theory": 3}
    )
    monkeypatch.setattr(judge, "beside_theory", lambda study: table)
    # Eight of eight: P(share > 0.9) = 1 - 0.9^9 under a uniform prior.
    assert judge.theory(_study(table)).probability == pytest.approx(1 - 0.9**9, abs=2e-3)


def test_report_of_made_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Too few draws for a verdict: the report says so, and gives no probability.
    monkeypatch.setattr(verdict, "SAMPLING", Sampling(draws=80, warmup=80))
    networks = [{"name": "mlp", "hidden": [8]}, {"name": "conv", "channels": [4], "dense": 8}]
    make_study(tmp_path / "claims-networks", seeds=3, units=16, network=networks)
    called = CliRunner().invoke(main, ["claims", "report", "--results", str(tmp_path)])
    assert called.exit_code == 0, called.output
    assert "study claims-latent-dim has not been run" in called.output
    page = (tmp_path / "claims/claims.md").read_text()
    assert "## Dense networks are sparser than convolutional ones" in page
    assert (tmp_path / "claims/figures/claim-networks.png").exists()
    table = pd.read_csv(tmp_path / "claims/claims.csv").set_index("claim")
    assert np.isnan(table.loc["networks", "probability"])
    assert "the effective number of draws" in table.loc["networks", "verdict"]


@pytest.mark.slow
def test_networks_that_are_alike() -> None:
    runs = pd.DataFrame(
        {
            "network": ["mlp(hidden=[8])"] * 3 + ["conv(dense=8)"] * 3,
            "latent_dim": 16,
            "active_units": [9.0, 11.0, 10.0, 10.0, 11.0, 9.0],
        }
    )
    found = judge.networks(_study(runs))
    assert found.converged
    assert found.probability == pytest.approx(0.5, abs=0.1)


def test_bad_names_and_nothing_to_report(tmp_path: Path) -> None:
    call = CliRunner().invoke
    wrong = call(main, ["claims", "report", "sparsty", "--results", str(tmp_path)])
    assert wrong.exit_code == 2
    assert "no claim 'sparsty'; did you mean 'sparsity'?" in wrong.output
    empty = call(main, ["claims", "report", "sparsity", "--results", str(tmp_path)])
    assert empty.exit_code == 2
    assert "has not been run" in empty.output


@pytest.mark.parametrize("name", CLAIMS)
@pytest.mark.parametrize("profile", ["", "quick"])
def test_each_claim_has_a_study_of_its_name(name: str, profile: str) -> None:
    claim = CLAIMS[name]
    study = load_study_file(shipped.folder() / "claims" / claim.file, profile=profile)
    assert study.name == claim.study + ("-quick" if profile else "")
    assert claim.criterion.endswith(".")


def _moving(results: Path) -> None:
    """Write the runs of a claim whose posterior needs no chain: one of them has not settled."""
    moving = {0: Settled(False, ("unit 2 is waking",))}
    make_study(results / "claims-disentanglement", seeds=3, latent_dim=[8, 16], unsettled=moving)


def test_claims_are_not_judged_on_runs_that_still_move(tmp_path: Path) -> None:
    _moving(tmp_path)
    arguments = ["claims", "report", "disentanglement", "--results", str(tmp_path)]
    told = CliRunner().invoke(main, arguments)
    assert told.exit_code == 1, told.output
    (line,) = told.output.strip().splitlines()
    assert "1 of 6 runs has not settled" in line
    assert "unit 2 is waking" in line
    assert not (tmp_path / "claims").exists()


def test_a_verdict_on_runs_that_still_move_is_marked(tmp_path: Path) -> None:
    _moving(tmp_path)
    arguments = ["claims", "report", "disentanglement", "--results", str(tmp_path), "--unsettled"]
    told = CliRunner().invoke(main, arguments)
    assert told.exit_code == 0, told.output
    table = pd.read_csv(tmp_path / "claims" / "claims.csv")
    assert table["verdict"].str.endswith(MARK).all()
    assert table["unsettled"].tolist() == [1]
    page = (tmp_path / "claims" / "claims.md").read_text()
    assert f"{MARK} 1 of 6 runs has not settled" in page
    caption = (tmp_path / "claims" / "figures" / "claim-disentanglement.txt").read_text()
    assert f"{MARK} 1 of 6 runs has not settled" in caption


def test_a_claim_asks_of_those_runs_only_that_it_is_about(tmp_path: Path) -> None:
    objectives = ["elbo", "autoencoder"]
    moving = {1: Settled(False, ("unit 2 is waking",))}
    study = make_study(tmp_path / "s", seeds=1, units=4, objective=objectives, unsettled=moving)
    assert CLAIMS["sparsity"].about(study).settling.unsettled == {}
    assert len(CLAIMS["self_regularisation"].about(study).settling.unsettled) == 1


def test_counts_of_an_older_version_decide_no_claim_about_used_units() -> None:
    runs = pd.DataFrame({"latent_dim": [4, 8], "objective": "elbo", "active_units": [4.0, 5.0]})
    with pytest.raises(Undecidable, match="without training"):
        judge.sparsity(_study(runs))


def test_a_level_without_any_unit_decides_nothing() -> None:
    # Of runs that were cut short every unit may be idle: the median of no deviation is no number.
    values = torch.tensor([0.1, 0.2, 0.15], dtype=torch.float64)
    posed = offsets(torch.zeros(3, dtype=torch.long), values, levels=2, scale=0.1)
    with pytest.raises(Undecidable, match="leave nothing to estimate"):
        fit(posed)
