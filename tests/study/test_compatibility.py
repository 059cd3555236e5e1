"""What is declared compatible trains; what is not is refused, with its reason and place."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from families import STEP_BY_STEP, small_images, small_vae

import pyrovae
from pyrovae.commands.main import main
from pyrovae.core.errors import ConfigError, DataError
from pyrovae.datasets import Dataset, Split
from pyrovae.distributions import analytic_kl
from pyrovae.measures.disentanglement import METRICS
from pyrovae.measures.samplers import SAMPLERS
from pyrovae.models.likelihoods import LIKELIHOODS
from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.priors import PRIORS
from pyrovae.models.vae import VAE
from pyrovae.objectives import OBJECTIVES
from pyrovae.study.config.read import load_study_file
from pyrovae.study.config.resolve import REGISTRIES
from pyrovae.study.plan.compatibility import (
    NEEDS,
    Mark,
    data_conflict,
    latent_conflict,
    latent_matrix,
    objective_conflict,
    objective_matrix,
    refusals,
    unknown_need,
)
from pyrovae.study.plan.planning import make_plan
from pyrovae.training import LossProgram, Trainer, TrainingSettings
from pyrovae.training.optimizers import OPTIMIZERS

PAIRS = list(itertools.product(PRIORS, POSTERIORS))
FIT = [pair for pair in PAIRS if latent_conflict(*pair) is None]
REFUSED = [pair for pair in PAIRS if latent_conflict(*pair) is not None]


def _few() -> Iterator[tuple[str, str]]:
    """Yield compatible pairs until each prior and each posterior has come once."""
    priors, posteriors = set(PRIORS), set(POSTERIORS)
    for either in (False, True):
        for p, q in FIT:
            new = (p in priors) + (q in posteriors)
            if new == 2 or (either and new):
                priors.discard(p)
                posteriors.discard(q)
                yield p, q


FEW = list(_few())
#: Each prior and posterior once, once more each with the plainest partner that it fits, and more.
DEFAULT = sorted(
    {
        *FEW,
        *((p, q) for p, q in FIT if p == "standard_normal" or q == "mean_field_normal"),
        *((p, q) for p, q in FIT if q == "von_mises_fisher" or p == "vampprior"),
    }
)
#: Trained by default: each prior and posterior once, the plainest pair, and the VampPrior, which is
#: made of posteriors, with three kinds of them.
TRAINED = [
    *FEW,
    ("standard_normal", "mean_field_normal"),
    *(("vampprior", q) for q in ("mean_field_normal", "iaf", "von_mises_fisher")),
]
#: Compiled by default: a flow and a mixture, and global sites. Others take up to minutes each.
COMPILED = [("ard", "mean_field_normal")]
#: Whose step would take minutes to compile: it runs as it is, and a warning says so.
TOO_LARGE = [("flow", "semi_amortized")]
#: Parameters with which an objective shows in 30 steps what it does.
QUICK: dict[str, dict[str, object]] = {
    "factor": {"hidden": [8]},
    "annealed": {"steps": 12},
    "capacity": {"capacity": 2.0, "gamma": 5.0},
    "beta": {"beta": 2.0},
    "info": {"weight": 10.0},
    "lagging": {"inner": 2, "until": 12},
    "iwae": {"particles": 3},
    "dreg": {"particles": 3},
    "ciwae": {"particles": 3},
    "miwae": {"particles": 2, "bounds": 2},
    "piwae": {"particles": 2, "bounds": 2},
    "vimco": {"particles": 3},
    "wae_gan": {"hidden": [8]},
    "latent_reconstruction": {"weight": 0.1},
    "geco": {"target": 2.0, "constrain": "rate"},
}


def _train(vae: VAE, objective: str = "elbo", *, compiled: bool = False) -> None:
    """Train 30 steps of 16 data; the loss falls, gradients of all trained numbers are finite."""
    program = LossProgram(vae, OBJECTIVES.create(objective, **QUICK.get(objective, {})))
    settings = TrainingSettings(steps=30, batch_size=16, lr=2e-2, records=3)
    trainer = Trainer(program, small_images(), settings, compiled=compiled)
    history = trainer.train(program, seed=0)
    # Means of ten steps. Where the objective's weights rise, the loss need not fall: distortion.
    rising = objective == "annealed"
    first, last = (r.distortion if rising else r.loss for r in (history[1], history[-1]))
    assert last < first
    x = small_images().float() / 255
    loss, _ = program(x, program.hyper(30))
    gradients = torch.autograd.grad(loss, list(program.parameters()), allow_unused=True)
    assert all(g.isfinite().all() for g in gradients if g is not None)
    assert any(g.abs().sum() > 0 for g in gradients if g is not None)


@pytest.mark.parametrize(
    ("prior", "posterior"),
    [pytest.param(*p, marks=[] if p in TRAINED else pytest.mark.slow) for p in FIT],
)
def test_pairs_train(prior: str, posterior: str) -> None:
    _train(small_vae(prior, posterior, latent_dim=2))


@pytest.mark.parametrize(
    ("prior", "posterior"),
    [pytest.param(*p, marks=[] if p in COMPILED else pytest.mark.slow) for p in FIT],
)
def test_pairs_train_compiled(prior: str, posterior: str) -> None:
    large = (prior, posterior) in TOO_LARGE
    told = pytest.warns(RuntimeWarning, match="operations") if large else nullcontext()
    with told:
        _train(small_vae(prior, posterior, latent_dim=2), compiled=True)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("objective", list(OBJECTIVES))
def test_objectives_train(objective: str, compiled: bool) -> None:
    if objective == "semi_supervised":
        pytest.skip("is for a user's own model: tests/models/own/test_several.py")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*not registered in the param store.*")
        family: str | dict[str, Any] = "mean_field_normal"
        family = {"rae": "fixed_scale_normal", "joint_capacity": "mixed"}.get(objective, family)
        prior = "mixed" if family == "mixed" else "standard_normal"
        if objective == "vimco":
            prior, family = "bernoulli", {"name": "bernoulli", "gradient": "score"}
        vae = small_vae(prior, family, "gaussian", latent_dim=2)
        _train(vae, objective, compiled=compiled)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("likelihood", [x for x in LIKELIHOODS if x not in STEP_BY_STEP])
def test_likelihoods_train(likelihood: str, compiled: bool) -> None:
    _train(small_vae(likelihood=likelihood, latent_dim=2), compiled=compiled)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "posterior"), list(itertools.product(OBJECTIVES, POSTERIORS))
)
def test_objectives_train_with_the_posteriors_they_accept(objective: str, posterior: str) -> None:
    parts = {
        "posterior": {"name": posterior},
        "likelihood": {"name": "gaussian", **LIKELIHOODS.resolve("gaussian", {})},
    }
    given = {"name": objective, **OBJECTIVES.resolve(objective, {})}
    if objective_conflict(given, **parts):
        pytest.skip("refused")
    usual = ("standard_normal", "hyperspherical_uniform", "categorical", "bernoulli", "mixed")
    prior = next(p for p in (*usual, *PRIORS) if (p, posterior) in FIT)
    _train(small_vae(prior, posterior, "gaussian", latent_dim=2), objective)


@pytest.fixture(scope="module")
def matrix() -> dict[str, dict[str, Mark]]:
    return latent_matrix()


# --- the matrix ----------------------------------------------------------------------------------


def test_the_matrix_says_how_the_rate_is_computed() -> None:
    state = torch.get_rng_state()
    matrix = latent_matrix()
    assert torch.equal(state, torch.get_rng_state())
    assert {(p, q) for q in matrix for p, mark in matrix[q].items() if mark == "refused"} == set(
        REFUSED
    )
    # By hand: what is known in closed form, and what cannot be.
    assert matrix["mean_field_normal"]["standard_normal"] == "closed"
    assert matrix["von_mises_fisher"]["hyperspherical_uniform"] == "closed"
    assert matrix["mean_field_normal"]["gaussian_mixture"] == "sampled"
    assert matrix["iaf"]["standard_normal"] == "sampled"
    assert matrix["student_t"]["student_t"] == "sampled"


@pytest.mark.parametrize(("prior", "posterior"), DEFAULT)
def test_the_mark_of_a_pair_is_what_a_model_does(
    matrix: dict[str, dict[str, Mark]], prior: str, posterior: str
) -> None:
    vae = small_vae(prior, posterior, latent_dim=2)
    q = vae.encode(small_images(4).float() / 255)
    closed = analytic_kl(q, vae.prior_law().expand((4,))) is not None
    assert matrix[posterior][prior] == ("closed" if closed else "sampled")


def test_every_refused_pair_has_a_reason() -> None:
    told = {(p, q) for ps, qs, _ in refusals() for p, q in itertools.product(ps, qs)}
    assert told == set(REFUSED)
    assert REFUSED
    for prior, posterior in REFUSED:
        reason = latent_conflict(prior, posterior)
        assert reason is not None
        assert f"'{prior}'" in reason
        assert f"'{posterior}'" in reason


def test_facts_are_those_of_the_laws() -> None:
    x = small_images(3).float() / 255
    for name in POSTERIORS:
        family = POSTERIORS[name]
        prior = next(p for p, q in FIT if q == name)
        q = small_vae(prior, name, latent_dim=2).encode(x)
        assert q.has_rsample == ("reparameterizable" in family.properties)
        assert ("factorized" in family.properties) == isinstance(
            q, torch.distributions.Independent
        ), name
        normal = isinstance(getattr(q, "base_dist", None), torch.distributions.Normal)
        assert ("normal" in family.properties) == (
            normal and isinstance(q, torch.distributions.Independent)
        ), name
        if "moments" in family.properties:
            assert q.mean.shape == q.variance.shape == (3, 2)


def test_needs_are_known_in_words() -> None:
    for name in OBJECTIVES:
        given = OBJECTIVES.resolve(name, {})
        assert OBJECTIVES[name].requirements(given) <= set(NEEDS)


# --- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("env", "most"), [({}, 140), ({"COLUMNS": "80"}, 80)])
def test_list_compat_prints_every_name(
    env: dict[str, str], most: int, matrix: dict[str, dict[str, Mark]]
) -> None:
    result = CliRunner(env=env).invoke(main, ["list", "compat"])
    assert result.exit_code == 0, result.output
    assert "…" not in result.output
    lines = result.output.splitlines()
    assert max(map(len, lines)) <= most
    for name in (*PRIORS, *POSTERIORS, *OBJECTIVES, *LIKELIHOODS):
        assert name in result.output
    row = next(line for line in lines if line.split()[:1] == ["full_rank_normal"])
    marks = row.split()[1:]
    words = {"closed": "C", "sampled": "M", "refused": "-"}
    assert marks == [words[m] for m in matrix["full_rank_normal"].values()]


def test_every_entry_is_listed_under_a_heading() -> None:
    """A new entry is to be named beside the others of its kind, where the registry is made."""
    for registry in (*REGISTRIES.values(), OPTIMIZERS, METRICS, SAMPLERS):
        groups = registry.grouped()
        named = [name for names in registry._groups.values() for name in names]
        own = [name for name in registry if registry[name].__module__.startswith("pyrovae.")]
        assert sorted(named) == sorted(own) or registry is SAMPLERS  # two
        assert sorted(name for names in groups.values() for name in names) == list(registry)


def test_brief_lists_have_one_line_each_below_their_heading() -> None:
    printed = CliRunner().invoke(main, ["list", "posteriors", "--brief"]).output
    lines = [line.strip() for line in printed.splitlines()]
    assert len(lines) == len(list(POSTERIORS)) + len(POSTERIORS.grouped())
    flows = lines.index("Flows")
    below = [line.split()[0] for line in lines[flows + 1 : flows + 7]]
    assert below == ["planar", "radial", "sylvester", "iaf", "maf", "nsf"]
    result = CliRunner().invoke(main, ["list", "objectives"])
    assert result.output.index("Tighter bounds") < result.output.index("│ miwae ")


@pytest.mark.parametrize(
    "kind", [*(f"{k}s" for k in REGISTRIES), "optimizers", "metrics", "samplers", "schedules"]
)
def test_list_tells_name_parameters_meaning_and_source(kind: str) -> None:
    result = CliRunner().invoke(main, ["list", kind])
    assert result.exit_code == 0, result.output
    assert max(map(len, result.output.splitlines())) <= 140
    registry = (REGISTRIES | {"optimizer": OPTIMIZERS, "sampler": SAMPLERS}).get(
        kind.removesuffix("s")
    )
    for name in registry or ():
        assert f"│ {name} " in result.output
        assert registry.summary(name).endswith(".")  # one whole sentence
        assert registry.source(name)
        for parameter in registry.parameters(name).model_fields:
            assert parameter in result.output
    if kind == "datasets":
        assert "licence" in result.output
        assert "CC BY" in result.output
    if kind == "objectives":
        assert "Cov_x(E[z|x])" in result.output  # brackets are no markup


# --- refused at planning ------------------------------------------------------------------------

STUDY = """
name: bad
base:
  dataset: {name: digits, n_train: 200, n_test: 100}
  network: {name: mlp, hidden: [8]}
  prior: standard_normal
  posterior: mean_field_normal
  likelihood: bernoulli
  objective: elbo
  latent_dim: 2
  training: {steps: 5}
"""

BAD = [
    ("prior: {name: laplace, scale: 0}", "prior.scale", "greater than 0"),
    ("prior: {name: laplace, scale: .inf}", "prior.scale", "finite"),
    ("prior: {name: generalized_normal, p: -1}", "prior.p", "greater than 0"),
    ("prior: {name: student_t, df: 0}", "prior.df", "greater than 0"),
    ("prior: {name: gaussian_mixture, components: 0}", "prior.components", "greater than 0"),
    ("prior: {name: vampprior, pseudo_inputs: 201}", "prior", "201 pseudo-inputs are more than"),
    ("prior: {name: spike_slab, spike: 2.0}", "prior.spike", "narrower than the slab"),
    ("prior: {name: spike_slab, probability: 1}", "prior.probability", "less than 1"),
    ("prior: {name: ard, rate: 0}", "prior.rate", "greater than 0"),
    ("prior: {name: flow, transforms: 0}", "prior.transforms", "greater than 0"),
    ("prior: hyperspherical_uniform", "posterior", "KL(q || p) is infinite"),
    ("posterior: von_mises_fisher", "posterior", "KL(q || p) is infinite"),
    ("posterior: {name: low_rank_normal, rank: 0}", "posterior.rank", "greater than 0"),
    ("posterior: {name: semi_amortized, steps: 0}", "posterior.steps", "greater than 0"),
    ("likelihood: {name: gaussian, sigma: 0}", "likelihood.sigma", "greater than 0"),
    ("likelihood: {name: laplace, scale: -1}", "likelihood.scale", "greater than 0"),
    ("likelihood: {name: discretized_logistic, levels: 1}", "likelihood.levels", "greater than 1"),
    (
        "likelihood: {name: gaussian, sigma_form: decoder, learned: false}",
        "likelihood.learned",
        "learned by its nature",
    ),
    ("likelihood: {name: categorical, levels: 1}", "likelihood.levels", "greater than 1"),
    ("likelihood: {name: student_t, df: 1}", "likelihood.df", "greater than 1"),
    (
        "likelihood: {name: discretized_logistic, log_scale_bounds: [0, -4.5]}",
        "likelihood.log_scale_bounds",
        "must be below",
    ),
    (
        "likelihood: {name: student_t, scale_form: decoder, learned: false}",
        "likelihood.learned",
        "learned by its nature",
    ),
    (
        "likelihood: {name: mixed, columns: [{family: gaussian, count: 3}]}",
        "likelihood.columns",
        "3 columns for observations of 64",
    ),
    ("objective: {name: iwae, particles: 0}", "objective.particles", "greater than 0"),
    ("objective: {name: beta, beta: -1}", "objective.beta", "greater than or equal to 0"),
    ("objective: {name: delta, weight: 1}", "objective.weight", "greater than 1"),
    ("objective: learned_sigma", "objective", "scale is learned"),
    ("objective: balanced", "objective", "likelihood 'bernoulli' does not qualify"),
    (
        "latent_dim: 2\n  evaluation: {samplers: [kde]}",
        "evaluation.samplers[0].name",
        "unknown sampler 'kde'",
    ),
    (
        "latent_dim: 2\n  evaluation: {samplers: [{name: mixture, components: 0}]}",
        "evaluation.samplers[0].components",
        "greater than 0",
    ),
    ("objective: rae", "objective", "fixed_scale_normal"),
    ("objective: {name: geco, average: 1}", "objective.average", "less than 1"),
]


def _plan(tmp_path: Path, *changes: str) -> None:
    text = STUDY
    for change in changes:
        key = change.split(":")[0]
        lines = [
            f"  {change}" if line.startswith(f"  {key}:") else line for line in text.split("\n")
        ]
        text = "\n".join(lines)
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    make_plan(load_study_file(file))


@pytest.mark.parametrize(("change", "place", "reason"), BAD)
def test_bad_parameters_are_refused_at_planning(
    tmp_path: Path, change: str, place: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as error:
        _plan(tmp_path, change)
    assert error.value.place == f"base.{place}"
    assert reason in error.value.message
    assert "\n" not in str(error.value)


#: A value, and a likelihood that it cannot be of, with what is told.
UNFIT = [
    (1.5, {"name": "bernoulli"}, "is for values in [0, 1] but"),
    (-0.5, {"name": "categorical"}, "is for values in [0, 1] but"),
    (5.0, {"name": "categorical", "levels": 5, "of": "codes"}, "whole numbers from 0 to 4 but"),
    (0.5, {"name": "categorical", "levels": 5, "of": "codes"}, "whole numbers from 0 to 4 but"),
    (-1.0, {"name": "poisson"}, "whole numbers from 0 but"),
    (2.5, {"name": "negative_binomial"}, "whole numbers from 0 but"),
    (
        2.5,
        {
            "name": "mixed",
            "columns": [{"family": "poisson"}, {"family": "gaussian"}, {"family": "poisson"}],
        },
        "whole numbers from 0 in column 2, which is poisson, but",
    ),
]


@pytest.mark.parametrize(("value", "likelihood", "told"), UNFIT)
def test_data_that_a_likelihood_cannot_explain_are_refused(
    value: float, likelihood: dict[str, Any], told: str
) -> None:
    x = torch.zeros(5000, 3)
    assert data_conflict(likelihood, Dataset("mine", Split(x), Split(x))) is None
    wrong = x.clone()
    wrong[4500, 2] = value
    for which, splits in (("train", (wrong, x)), ("test", (x, wrong))):
        reason = data_conflict(likelihood, Dataset("mine", *map(Split, splits)))
        assert reason is not None
        assert told in reason
        assert reason.endswith(f"data set 'mine' holds {value:g} at {which}[4500, 2]")
    vae = pyrovae.build(
        (3,), latent_dim=2, likelihood=likelihood, network={"name": "mlp", "hidden": []}
    )
    with pytest.raises(DataError, match=re.escape(f"x holds {value:g} at [4500, 2]")):
        pyrovae.fit(vae, wrong, steps=1)


def test_a_sphere_needs_two_dimensions(tmp_path: Path) -> None:
    changes = ["prior: hyperspherical_uniform", "posterior: von_mises_fisher", "latent_dim: 1"]
    with pytest.raises(ConfigError, match="latent_dim >= 2") as error:
        _plan(tmp_path, *changes)
    assert error.value.place == "base.latent_dim"


@pytest.mark.parametrize("objective", ["factor", "beta_tc", "dip_i", "dip_ii", "info"])
def test_data_are_compared_within_a_minibatch(tmp_path: Path, objective: str) -> None:
    changes = [f"objective: {objective}", "training: {steps: 5, batch_size: 1}"]
    with pytest.raises(ConfigError, match="it needs 2 or more") as error:
        _plan(tmp_path, *changes)
    assert error.value.place == "base.training.batch_size"


def test_refused_objectives_name_the_part(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="posterior 'iaf' does not qualify; 'per: all' takes any"):
        _plan(tmp_path, "posterior: iaf", "objective: free_bits")
    _plan(tmp_path, "posterior: iaf", "objective: {name: free_bits, per: all}")


def test_every_refused_objective_says_why() -> None:
    refused = 0
    for name, row in objective_matrix().items():
        given = {"name": name, **OBJECTIVES.resolve(name, {})}
        for part, names in row.refused.items():
            for entry in names:
                chosen = {"name": entry, **REGISTRIES[part].resolve(entry, {})}
                reason = objective_conflict(given, **{part: chosen})
                assert reason is not None
                assert f"{part} '{entry}' does not qualify" in reason
                refused += 1
    assert refused > 20


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (
            "objective: {name: beta, beta: {schedule: linear, from: 0, to: 1}}",
            "objective.beta.steps",
        ),
        (
            "objective: {name: beta, beta: {schedule: linear, from: 0, to: 1, steps: 0}}",
            "objective.beta.steps",
        ),
        ("training: {steps: 5, lr: 0}", "training.lr"),
        ("training: {steps: 5, lr: {schedule: cosine, from: 1, to: 0}}", "training.lr.steps"),
        ("network: {name: mlp, hidden: [8, 0]}", "network.hidden.1"),
    ],
)
def test_a_place_is_one_that_the_user_wrote(tmp_path: Path, change: str, place: str) -> None:
    with pytest.raises(ConfigError) as error:
        _plan(tmp_path, change)
    assert error.value.place == f"base.{place}"


def test_a_need_that_no_part_declares_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    elbo = {"name": "elbo"}
    assert not [n for n in OBJECTIVES if unknown_need({"name": n, **OBJECTIVES.resolve(n, {})})]
    for word, near in (
        ("posterior.momets", "posterior.moments"),
        ("postrior.moments", "posterior.moments"),
        ("training.batches", "training.batch"),
    ):
        monkeypatch.setattr(OBJECTIVES["elbo"], "needs", frozenset({word}))
        assert unknown_need(elbo) == (
            f"objective 'elbo' needs '{word}', which no part declares; did you mean '{near}'?"
        )
    # A third party's prior may declare a fact of its own.
    monkeypatch.setattr(OBJECTIVES["elbo"], "needs", frozenset({"prior.tame"}))
    assert unknown_need(elbo)
    laplace = PRIORS["laplace"]
    monkeypatch.setattr(laplace, "properties", laplace.properties | {"tame"})
    assert unknown_need(elbo) is None


def test_a_plan_refuses_it_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OBJECTIVES["elbo"], "needs", frozenset({"training.btch"}))
    with pytest.raises(ConfigError, match=r"bad\.yaml: base\.objective: .*'training\.btch'"):
        _plan(tmp_path)
