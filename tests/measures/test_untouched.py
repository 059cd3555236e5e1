"""Whatever only measures leaves the model and the process as they were."""

from __future__ import annotations

import locale
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import sympy  # noqa: F401 - torch imports it late, and it sets a filter of warnings
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pyrovae.core.measuring import measuring
from pyrovae.datasets import Dataset, Split
from pyrovae.measures.collapse import (
    estimate_bound,
    measure_information,
    measure_sensitivity,
    measure_units,
    posterior_means,
)
from pyrovae.measures.collapse.measure import (
    CollapseSettings,
    measure_along_training,
    measure_collapse,
)
from pyrovae.measures.evaluate import EvaluationSettings, GuideDraws, evaluate
from pyrovae.measures.posterior.annealing import Annealing, log_px, simulated_bracket
from pyrovae.measures.posterior.calibration import calibrate
from pyrovae.measures.posterior.density import Density
from pyrovae.measures.posterior.diagnose import diagnose
from pyrovae.measures.posterior.gaps import best_in_family
from pyrovae.measures.posterior.guide import guide_draws
from pyrovae.measures.posterior.reference import sample_posterior
from pyrovae.measures.posterior.settings import DiagnosticsSettings
from pyrovae.measures.posterior.weights import draw_guide
from pyrovae.measures.traversal import levels, traverse
from pyrovae.models.own import UserModel
from pyrovae.models.vae import VAE, build_vae
from pyrovae.objectives import Elbo
from pyrovae.shrink.pruning.compare import compare
from pyrovae.training import LossProgram
from pyrovae.training.rehearsal import rehearse

SHAPE, LATENT = (1, 4, 4), 2


class _Counts(nn.Module):
    """Writes buffers and attributes, and draws as one should not, in either mode."""

    calls: Tensor
    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self.n = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen = self.seen + 1
        self.n += 1
        random.random()
        np.random.rand()  # noqa: NPY002 - what users write
        return x


def _network(inputs: int, outputs: int, *, counts: bool) -> nn.Sequential:
    layers = [nn.Linear(inputs, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, outputs)]
    return nn.Sequential(*layers, *([_Counts()] if counts else []))


def _programs(counts: bool) -> tuple[Any, Any, nn.Module, nn.Module]:
    encoder = _network(16, 2 * LATENT, counts=counts)
    decoder = _network(LATENT, 16, counts=counts)

    def model(x: Tensor) -> None:
        pyro.module("decoder", decoder)
        spread = pyro.param("spread", torch.ones(LATENT), constraint=dist.constraints.positive)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(LATENT), spread).to_event(1))
            logits = decoder(z).reshape(-1, *SHAPE)
            pyro.sample("x", dist.Bernoulli(logits=logits).to_event(3), obs=x)

    def guide(x: Tensor) -> None:
        pyro.module("encoder", encoder)
        loc, raw = encoder(x.flatten(1)).chunk(2, -1)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(loc, softplus(raw) + 0.1).to_event(1))

    return model, guide, encoder, decoder


def _used(*modules: nn.Module) -> None:
    """Leave modules as training does: in mixed modes, with statistics and gradients."""
    for module in modules:
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d):
                part.running_mean.fill_(3.0)
        for p in module.parameters():
            p.grad = torch.full_like(p, 7.0)
        module.train()
        next(m for m in module.modules() if isinstance(m, nn.Dropout)).eval()
        next(module.parameters()).requires_grad_(False)


def _user_model(*, counts: bool = True) -> UserModel:
    model, guide, *_ = _programs(counts)
    made = UserModel((model, guide), SHAPE, LATENT)
    _used(*made.parts.values())
    return made


def _vae() -> VAE:
    parts = {"network": "mlp", "prior": "standard_normal", "posterior": "mean_field_normal"}
    named = {key: {"name": name} for key, name in parts.items()}
    vae = build_vae(SHAPE, LATENT, likelihood={"name": "bernoulli"}, **named)
    features = vae.encoder(torch.zeros(1, *SHAPE)).shape[-1]
    vae.encoder = nn.Sequential(vae.encoder, nn.BatchNorm1d(features), nn.Dropout(0.5))
    return vae.train()


def _data(n: int = 12) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    images = (torch.rand(2 * n, *SHAPE, generator=generator) > 0.5).to(torch.uint8) * 255
    factors = np.arange(2 * n).reshape(-1, 1) % 3
    return Dataset(
        "made", Split(images[:n], factors[:n]), Split(images[n:], factors[n:]), ("f",), (3,)
    )


def _settings() -> EvaluationSettings:
    return EvaluationSettings(
        points=12,
        samples=2,
        metrics=[],
        collapse=CollapseSettings(information_points=12, sensitivity_points=6),
        guide_draws=GuideDraws(points=2, draws=3),
        images=2,
    )


_FEW = Annealing(temperatures=4, chains=2)
_SHORT = DiagnosticsSettings(
    points=2,
    chains=2,
    warmup=20,
    draws=100,
    guide_samples=100,
    annealed_chains=2,
    temperatures=4,
    simulated=2,
    search_steps=4,
    simulations=100,
    calibration_draws=3,
    local_classifiers=2,
    replicates=2,
)
X = _data().test.floats()
MEASURES: dict[str, Callable[[Any], Any]] = {
    "units": lambda vae: measure_units(vae, X),
    "means": lambda vae: posterior_means(vae, X),
    "information": lambda vae: measure_information(vae, X),
    "sensitivity": lambda vae: measure_sensitivity(vae, X),
    "collapse": lambda vae: measure_collapse(vae, X, CollapseSettings(), 2, 0),
    "along": lambda vae: measure_along_training(vae, X, X, 0),
    "bound": lambda vae: estimate_bound(vae.model, vae.guide, X, samples=2),
    "evaluate": lambda vae: evaluate(vae, _data(), _settings(), 0),
    "levels": lambda vae: levels(vae, X, steps=3, over="posterior"),
    "traverse": lambda vae: traverse(
        vae, torch.zeros(1, LATENT), torch.zeros(3, LATENT), torch.arange(2)
    ),
    "guide_draws": lambda vae: guide_draws(vae, X[:2], np.arange(2), chains=2, draws=3),
    "nuts": lambda vae: sample_posterior(vae, X[:2], chains=2, warmup=20, draws=10),
    "density": lambda vae: Density(vae, X[:2])(torch.zeros(2, LATENT)),
    "annealing": lambda vae: log_px(vae, X[:2], _FEW, torch.Generator().manual_seed(0)),
    "bracket": lambda vae: simulated_bracket(vae, 2, _FEW, torch.Generator().manual_seed(0)),
    "calibrate": lambda vae: calibrate(vae, simulations=4, draws=3),
    "best_in_family": lambda vae: best_in_family(vae, X[:2], steps=4, samples=4, seed=0),
    "weights": lambda vae: draw_guide(vae, X, samples=3, seed=0),
    "diagnose": lambda vae: diagnose(vae, _data(), _SHORT, 0),
    "rewrap": lambda vae: UserModel((vae.model, vae.guide), SHAPE, LATENT),
}


def _process() -> dict[str, Any]:
    """Return the global state that a measure could change."""
    store = pyro.get_param_store()
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": repr(np.random.get_state()),  # noqa: NPY002
        "python": random.getstate(),
        "store": {k: (id(v), v.detach().tolist()) for k, v in store.named_parameters()},
        "settings": pyro.settings.get(),
        "dtype": torch.get_default_dtype(),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "threads": torch.get_num_threads(),
        "warnings": list(warnings.filters),
        "rc": dict(mpl.rcParams),
        "locale": locale.setlocale(locale.LC_ALL),
        "errors": np.geterr(),
    }


def _model(module: nn.Module) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        gradient = None if tensor.grad is None else tensor.grad.tolist()
        found[name] = (id(tensor), tensor.requires_grad, gradient, tensor.detach().tolist())
    for name, part in module.named_modules():
        found[f"{name}.training"] = part.training
        if isinstance(part, _Counts):
            found[f"{name}.n"] = part.n
    return found


def _assert_untouched(act: Callable[[], Any], *modules: nn.Module) -> None:
    pyro.param("another", torch.ones(2))
    process, models = _process(), [_model(m) for m in modules]
    act()
    for key, value in _process().items():
        assert value == process[key], key
    for module, before in zip(modules, models, strict=True):
        after = _model(module)
        assert after.keys() == before.keys()
        for key, value in after.items():
            assert value == before[key], key


@pytest.mark.parametrize("measure", MEASURES)
def test_a_users_model_is_left_alone(measure: str) -> None:
    vae = _user_model()
    _assert_untouched(lambda: MEASURES[measure](vae), vae)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_built_in_model_is_left_alone(measure: str) -> None:
    vae = _vae()
    for p in vae.parameters():
        p.grad = torch.ones_like(p)
    _assert_untouched(lambda: MEASURES[measure](vae), vae)


def test_being_wrapped_and_rehearsed_leaves_a_users_modules_alone() -> None:
    model, guide, encoder, decoder = _programs(counts=True)
    _used(encoder, decoder)
    _assert_untouched(lambda: UserModel((model, guide), SHAPE, LATENT), encoder, decoder)
    assert float(encoder[1].running_mean[0]) == 3.0


def test_a_rehearsal_of_training_leaves_a_model_alone() -> None:
    vae = _user_model(counts=False)
    program = LossProgram(vae, Elbo())
    _assert_untouched(lambda: rehearse(program, X[:4]), program)
    assert program.written


def test_plain_programs_are_left_alone() -> None:
    model, guide, encoder, decoder = _programs(counts=True)
    _used(encoder, decoder)
    _assert_untouched(lambda: estimate_bound(model, guide, X, samples=2), encoder, decoder)


def test_comparing_leaves_both_models_alone() -> None:
    vae, other = _vae(), _vae()
    every = torch.eye(LATENT)
    _assert_untouched(lambda: compare(vae, other, every, X, samples=2), vae, other)


def test_dropout_is_off_and_statistics_stand_while_measuring() -> None:
    vae = _user_model(counts=False)
    assert torch.equal(posterior_means(vae, X), posterior_means(vae, X))
    # One datum has the code that it has among others: batch statistics would differ.
    torch.testing.assert_close(posterior_means(vae, X)[:1], posterior_means(vae, X[:1]))
    vae.train()
    assert not torch.equal(vae.encode(X).mean, vae.encode(X).mean)


def test_modes_come_back_after_an_error_and_nested() -> None:
    vae = _user_model()
    before = _model(vae)

    def fail() -> None:
        with measuring(vae):
            assert not any(m.training for m in vae.modules())
            with measuring(vae):
                vae.encode(X)
            assert not any(m.training for m in vae.modules())
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail()
    assert _model(vae) == before


def test_numbers_do_not_depend_on_the_mode_that_a_model_was_left_in() -> None:
    vae = _user_model(counts=False)
    vae.eval()
    expected = measure_units(vae, X).kl
    vae.train()
    assert torch.equal(measure_units(vae, X).kl, expected)


def test_opening_and_reporting_a_study_leaves_the_process_alone(tmp_path: Path) -> None:
    from tiny_study import run, tiny_plan

    import pyrovae
    from pyrovae.report.run.unit_views import write_traversals
    from pyrovae.report.study.write import write_report
    from pyrovae.study.store.folders import Store

    plan = tiny_plan(tmp_path, "seeds=[0]", "training.steps=4", "grid.prior=[standard_normal]")
    run(plan, tmp_path / "results")

    def look() -> None:
        tiny_plan(tmp_path)
        study = pyrovae.load_study(tmp_path / "results/tiny")
        study.figure("rate_distortion")
        write_report(study)
        folder = Store(tmp_path / "results/tiny").run(plan.runs[0].id)
        write_traversals(folder, points=1, units=2, steps=3)

    _assert_untouched(look)
