"""Verdicts on made runs whose truth is known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from report.made import make_study

from pyrovae.claims import CLAIMS, judge
from pyrovae.claims.pairs import DEFAULT, Pair
from pyrovae.commands.main import main
from pyrovae.study.config import shipped
from pyrovae.study.config.read import load_study_file
from pyrovae.study.store.settling import MARK
from pyrovae.training.settled import Settled


def test_the_posterior_of_a_share_without_a_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame(
        {"run": list("abcdefgh"), "level": 1.0, "active_units": 3, "active_units_theory": 3}
    )
    monkeypatch.setattr(judge, "beside_theory", lambda study: table)
    # Eight of eight: P(share > 0.9) = 1 - 0.9^9 under a uniform prior.
    assert judge.theory(SimpleNamespace(name="made", runs=table)).probability == pytest.approx(
        1 - 0.9**9, abs=2e-3
    )


NETWORKS = [{"name": "mlp", "hidden": [8]}, {"name": "conv", "channels": [4], "dense": 8}]


def test_report_of_made_runs(tmp_path: Path) -> None:
    make_study(tmp_path / "claims-networks", seeds=3, units=16, network=NETWORKS)
    called = CliRunner().invoke(main, ["claims", "report", "--results", str(tmp_path)])
    assert called.exit_code == 0, called.output
    assert "study claims-latent-dim has not been run" in called.output
    page = (tmp_path / "claims/claims.md").read_text()
    assert "## Dense networks are sparser than convolutional ones" in page
    assert (tmp_path / "claims/figures/claim-networks.png").exists()
    row = pd.read_csv(tmp_path / "claims/claims.csv").set_index("claim").loc["networks"]
    assert 0.05 < row["probability"] < 0.95
    assert row["prior_probability"] == pytest.approx(0.5, abs=0.01)
    assert (row["gate"], row["runs"], row["study"]) == ("settled", 6, "claims-networks")
    sentence = next(line for line in page.splitlines() if "P = " in line)
    for told in (
        "P = 0.",
        "under the prior alone",
        "95 % interval",
        "claimed below 0",
        "6 runs of",
    ):
        assert told in sentence
    macros = (tmp_path / "claims/claims.tex").read_text()
    assert rf"\newcommand{{\claimNetworksP}}{{{row['probability']:.3f}}}" in macros
    assert r"\newcommand{\claimNetworks}{Dense networks" in macros


def _report(results: Path, *words: str) -> Any:
    return CliRunner().invoke(main, ["claims", "report", *words, "--results", str(results)])


def test_another_pair_leaves_the_first_verdicts_as_they_were(tmp_path: Path) -> None:
    make_study(tmp_path / "claims-networks", seeds=2, units=16, network=NETWORKS)
    assert _report(tmp_path, "networks").exit_code == 0
    before = {p.name: p.read_bytes() for p in (tmp_path / "claims").glob("claims.*")}
    laplace = {"network": NETWORKS, "prior": ["laplace"], "posterior": ["laplace"]}
    make_study(tmp_path / "claims-networks-laplace-laplace", seeds=2, units=16, **laplace)
    told = _report(tmp_path, "networks", "--priors", "laplace", "--posteriors", "laplace")
    assert told.exit_code == 0, told.output
    assert {p.name: p.read_bytes() for p in (tmp_path / "claims").glob("claims.*")} == before
    assert (tmp_path / "claims/laplace-laplace/figures/claim-networks.png").exists()
    grid = pd.read_csv(tmp_path / "claims/grid.csv").set_index(["prior", "posterior", "claim"])
    studies = grid["study"].xs("networks", level="claim").tolist()
    assert studies == ["claims-networks", "claims-networks-laplace-laplace"]
    for kind in ("md", "tex", "png", "pdf"):
        assert (tmp_path / f"claims/grid.{kind}").exists()
    table = (tmp_path / "claims/grid.md").read_text()
    assert "| Laplace | Laplace |" in table
    assert "4 runs of claims-networks-laplace-laplace, settled" in table
    # What the other pair lacks does not hold back the first one's page, nor the other way round.
    again = _report(tmp_path, "networks")
    assert again.exit_code == 0, again.output
    assert {p.name: p.read_bytes() for p in (tmp_path / "claims").glob("claims.*")} == before
    alone = _report(tmp_path, "sparsity")
    assert alone.exit_code == 0, alone.output
    assert "laplace" in alone.output
    # The macros of several pairs can be read into one paper.
    macros = (tmp_path / "claims/laplace-laplace/claims.tex").read_text()
    assert r"\claimNetworksLaplaceLaplaceP" in macros


def test_any_study_is_judged_that_has_what_a_claim_needs(tmp_path: Path) -> None:
    grid = {"network": NETWORKS, "prior": ["standard_normal", "laplace"]}
    make_study(tmp_path / "mine", seeds=2, units=16, **grid)
    told = _report(tmp_path, "networks", "--study", "mine")
    assert told.exit_code == 0, told.output
    table = pd.read_csv(tmp_path / "mine/claims/grid.csv")
    assert table["prior"].tolist() == ["standard_normal", "laplace"]
    assert (table["runs"] == 4).all()
    assert (tmp_path / "mine/claims/laplace-mean-field-normal/claims.md").exists()
    assert not (tmp_path / "claims").exists()
    missing = _report(tmp_path, "sparsity", "--study", "mine")
    assert missing.exit_code == 2
    (line,) = missing.output.strip().splitlines()
    assert "sparsity: no verdict: needs three values of latent_dim (it has 1)" in line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--priors", "laplac"], "--priors: no 'laplac'; did you mean 'laplace'?"),
        (["--posteriors", "laplace,laplace"], "--posteriors: 'laplace' is given twice"),
        (["--priors", ""], "study claims-latent-dim has not been run"),
        (["--study", "absent"], "no study 'absent' has been run"),
        (["--study", "x", "--quick"], "--study excludes"),
        (["theory", "--priors", "laplace"], "theory: not about priors and posteriors"),
    ],
)
def test_bad_pairs_and_studies(tmp_path: Path, words: list[str], told: str) -> None:
    called = _report(tmp_path, *words)
    assert called.exit_code == 2
    (line,) = called.output.strip().splitlines()
    assert told in line


def test_the_studies_of_a_pair_are_the_claims_own_under_another_name() -> None:
    pair = Pair("student_t", "full_rank_normal")
    for test in {claim.pair for claim in CLAIMS.values() if claim.pair}:
        file = shipped.folder() / "claims" / test.file
        own = load_study_file(file, profile="quick")
        other = load_study_file(file, profile="quick", overrides=pair.overrides(test))
        assert other.name == pair.study(test, "quick") == f"{test.study}-{pair.name}-quick"
        assert DEFAULT.study(test, "quick") == own.name
        for mine, theirs in zip(own.runs, other.runs, strict=True):
            assert theirs.config.prior["name"] == "student_t"  # type: ignore[index]
            assert theirs.config.posterior["name"] == "full_rank_normal"  # type: ignore[index]
            same = {"prior": mine.config.prior, "posterior": mine.config.posterior}
            assert theirs.config.model_copy(update=same) == mine.config


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
    study = load_study_file(shipped.folder() / "claims" / claim.test.file, profile=profile)
    assert study.name == claim.test.study + ("-quick" if profile else "")
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
