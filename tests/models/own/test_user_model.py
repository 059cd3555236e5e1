"""A user's own programs behave as built-in models do, and say what is wrong where they cannot."""

from __future__ import annotations

from pathlib import Path

import pyro
import pytest
import torch
from click.testing import CliRunner
from families import small_images, small_vae
from pyro import poutine
from torch.distributions import Bernoulli, Categorical, Independent, MultivariateNormal, Normal

from pyrovae.commands.main import main
from pyrovae.core.errors import ConfigError
from pyrovae.datasets import load_dataset
from pyrovae.datasets.base import as_float
from pyrovae.datasets.linear_gaussian import exact_log_prob
from pyrovae.distributions.rebatched import Rebatched, without_batch
from pyrovae.measures.collapse import estimate_bound, measure_units
from pyrovae.models.by_path import build, resolve
from pyrovae.models.own import UserModel
from pyrovae.objectives import OBJECTIVES, Elbo
from pyrovae.study.store.results import load_study
from pyrovae.training import LossProgram, Trainer, TrainingSettings

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _own_models_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


def _built(name: str, event_shape: tuple[int, ...], latent_dim: int) -> UserModel:
    return build(resolve(f"handmade:{name}", {}), event_shape, latent_dim, seed=0)


def test_sites_and_laws_have_their_shapes() -> None:
    vae = _built("build", (1, 8, 8), 3)
    x = as_float(small_images(5))
    assert {"z", "x"} < set(poutine.trace(vae.model).get_trace(x).nodes)
    assert (vae.encode(x).batch_shape, vae.encode(x).event_shape) == ((5,), (3,))
    assert (vae.prior_law().batch_shape, vae.prior_law().event_shape) == ((), (3,))
    z = torch.randn(4, 5, 3)
    law = vae.decode(z)
    assert (law.batch_shape, law.event_shape) == ((4, 5), (1, 8, 8))
    assert law.log_prob(x).shape == (4, 5)
    torch.testing.assert_close(law.log_prob(x)[2], vae.decode(z[2]).log_prob(x))
    assert vae.model(n=7) is None  # what the user's model returns


def test_parameters_are_found_and_told_apart() -> None:
    vae = _built("build", (1, 8, 8), 3)
    names = dict(vae.named_parameters())
    assert len(names) == 9  # two networks of two layers, and the pyro.param
    guides = {name for name in names if vae.is_guide_parameter(name)}
    assert len(guides) == 4
    assert sum(names[name].numel() for name in guides) == 64 * 16 + 16 + 16 * 6 + 6
    assert not any("spread" in name for name in guides)
    # The global store is left alone: models do not share parameters through it.
    assert list(pyro.get_param_store()) == []


def test_weights_depend_on_the_seed_alone() -> None:
    state = torch.get_rng_state()
    first, again = (_built("build", (1, 8, 8), 3) for _ in range(2))
    assert torch.equal(state, torch.get_rng_state())
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_probabilistic_pca_reaches_the_exact_likelihood(compiled: bool) -> None:
    # The family of the guide holds the true posterior: at the optimum the bound is tight.
    data = load_dataset("linear_gaussian", rank=2, dim=5, n_train=20_000, n_test=1000)
    vae = _built("build_pca", (5,), 2)
    steps = 1500
    lr = {"schedule": "cosine", "from": 2e-2, "to": 0.0, "steps": steps}
    settings = TrainingSettings(steps=steps, batch_size=256, lr=lr, records=2)
    program = LossProgram(vae, Elbo())
    Trainer(program, data.train.values, settings, compiled=compiled).train(program, seed=0)
    x = data.test.floats()
    exact = float(exact_log_prob(data.exact, x).mean())
    bound = float(estimate_bound(vae.model, vae.guide, x, samples=16).elbo.mean())
    # Within 1 %: estimation from 20,000 points, and the last steps of Adam.
    assert bound == pytest.approx(exact, abs=0.01 * abs(exact))
    units = measure_units(vae, x)
    assert int(units.active.sum()) == 2


def test_same_numbers_as_the_built_in_model() -> None:
    # A built-in VAE handed in as if it were the user's.
    vae = small_vae()
    x = as_float(small_images(30))
    own = UserModel((vae.model, vae.guide), (1, 8, 8), 3)
    torch.testing.assert_close(own.encode(x).mean, vae.encode(x).mean)
    z = torch.randn(30, 3)
    torch.testing.assert_close(own.decode(z).log_prob(x), vae.decode(z).log_prob(x))
    a, b = measure_units(own, x), measure_units(vae, x)
    torch.testing.assert_close(a.kl, b.kl)
    torch.testing.assert_close(a.var_mu, b.var_mu)
    assert {n.split(".", 2)[2] for n, _ in own.named_parameters()} <= {
        n for n, _ in vae.named_parameters()
    }


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("two_codes", "has 4 units .*latent_dim is 2: got latent a, b and observed x"),
        ("no_code", "shared by both: none, observed: x"),
        ("scalar_code", r"latent site 'z' needs event shape \(2,\), got \(\)"),
        ("nothing", "must give"),
    ],
)
def test_what_is_wrong_is_said(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _built(name, (5,), 2)


def test_laws_lose_the_batch_that_a_plate_gave_them() -> None:
    normal = Independent(Normal(torch.zeros(1, 3), torch.ones(1, 3)), 1)
    assert isinstance(without_batch(normal), Independent)
    assert without_batch(normal).batch_shape == ()
    full = MultivariateNormal(torch.zeros(1, 2), scale_tril=torch.eye(2).expand(1, 2, 2))
    z = torch.randn(4, 2)
    torch.testing.assert_close(without_batch(full).log_prob(z), full.log_prob(z))
    mixture = torch.distributions.MixtureSameFamily(
        Categorical(logits=torch.zeros(1, 4)),
        Independent(Normal(torch.arange(8.0).reshape(1, 4, 2), torch.ones(1, 4, 2)), 1),
    )
    single = without_batch(mixture)
    assert (single.batch_shape, single.event_shape) == ((), (2,))
    torch.testing.assert_close(single.log_prob(z), mixture.log_prob(z))
    assert single.sample((7,)).shape == (7, 2)


def test_a_flat_law_is_seen_with_its_batch() -> None:
    flat = Independent(Bernoulli(logits=torch.randn(6, 4)), 1)
    law = Rebatched(flat, (2, 3))
    x = torch.rand(5, 2, 3, 4).round()
    expected = flat.log_prob(x.reshape(5, 6, 4)).reshape(5, 2, 3)
    torch.testing.assert_close(law.log_prob(x), expected)
    assert law.sample((7,)).shape == (7, 2, 3, 4)
    torch.testing.assert_close(law.mean.reshape(6, 4), flat.mean)


QUICKLY = ("--warmup", "50", "--draws", "100", "--temperatures", "10")
STUDY = """
name: own
base:
  dataset: {name: sprites, size: 16, n_train: 200, n_test: 100}
  model: {name: "handmade:build", hidden: 8}
  objective: elbo
  latent_dim: 3
  training: {steps: 30, batch_size: 16, records: 2}
  evaluation: {points: 100, samples: 4, metrics: [mig], guide_draws: {points: 2, draws: 5}}
seeds: 2
"""


def _study(folder: Path, *options: str, text: str = STUDY, command: str = "run") -> object:
    (folder / "own.yaml").write_text(text)
    (folder / "handmade.py").write_bytes((HERE / "handmade.py").read_bytes())
    chosen = ["--no-compile", "--executor", "inline"] if command == "run" else []
    results = ["--results", str(folder / "results")]
    return CliRunner().invoke(
        main, ["study", command, str(folder / "own.yaml"), *results, *chosen, *options]
    )


def test_a_study_of_a_users_own_model(tmp_path: Path) -> None:
    done = _study(tmp_path)
    assert done.exit_code == 0, done.output
    runs = load_study(tmp_path / "results/own").runs
    assert len(runs) == 2
    assert set(runs["network"]) == {"handmade:build(hidden=8)"}
    for score in ("elbo", "log_px", "active_units", "mutual_information", "mig"):
        assert runs[score].notna().all()
    run = runs["run"].iloc[0]
    shown = CliRunner().invoke(
        main, ["collapse", run, "--results", str(tmp_path / "results"), "--out", str(tmp_path)]
    )
    assert shown.exit_code == 0, shown.output
    diagnosed = CliRunner().invoke(
        main,
        ["diagnose", run, "--results", str(tmp_path / "results"), "--points", "2", *QUICKLY],
    )
    assert diagnosed.exit_code == 0, diagnosed.output
    refused = CliRunner().invoke(main, ["prune", run, "--results", str(tmp_path / "results")])
    assert refused.exit_code == 2
    assert "a user's own" in refused.output


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("model=handmade", "--set model: must be 'package.module:function'"),
        ("model=nowhere.at_all:build", "no module 'nowhere.at_all' in the study's folder"),
        ("model=handmade:biuld", "module 'handmade' has no 'biuld'"),
        ("model=handmade:not_a_function", "cannot be called"),
        ("model.hiden=3", "has no parameter 'hiden'; did you mean 'hidden'?"),
        ("model.hidden=many", "--set model.hidden: model 'handmade:build': Input should be"),
        ("model=handmade:no_code", "shared by both: none"),
        ("prior=laplace", "--set prior: the prior is decided by 'model'"),
    ],
)
def test_mistakes_are_told_before_training(tmp_path: Path, option: str, message: str) -> None:
    told = _study(tmp_path, "--set", option, command="plan")
    assert told.exit_code == 2, told.output
    assert message in told.output
    assert len(told.output.strip().splitlines()) == 1


def test_an_objective_that_the_model_cannot_serve(tmp_path: Path) -> None:
    model = ("--set", "model=handmade:one_sample")
    told = _study(tmp_path, *model, "--set", "objective=iwae", command="plan")
    assert told.exit_code == 2
    assert "--set model: its first step fails: RuntimeError: shape '[" in told.output
    assert _study(tmp_path, *model, command="plan").exit_code == 0


def test_an_edited_model_is_another_run() -> None:
    config = resolve("handmade:build", {"hidden": 4})
    assert len(config["source"]) == 16
    with pytest.raises(ConfigError, match="has changed since"):
        resolve("handmade:build", {**config, "source": "0" * 16} | {"hidden": 4})


@pytest.mark.parametrize("name", ["lagging", "iwae", "dreg", "info"])
def test_objectives_that_ask_for_more_than_a_loss(name: str) -> None:
    vae = _built("build", (1, 8, 8), 3)
    program = LossProgram(vae, OBJECTIVES.create(name))
    settings = TrainingSettings(steps=40, batch_size=32, lr=1e-2, records=2)
    history = Trainer(program, small_images(100), settings, compiled=False).train(program, seed=0)
    assert history[-1].loss < history[1].loss
