"""Models in memory: built from parts of every form, trained as a study trains them."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from tiny_study import run, tiny_plan
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import pyrovae
from pyrovae.api.observations import observations
from pyrovae.core.errors import ConfigError, DataError, IncompatibleError
from pyrovae.datasets.base import as_float
from pyrovae.models.networks import Mlp
from pyrovae.models.priors import Prior, StudentT
from pyrovae.models.vae import VAE
from pyrovae.objectives import Elbo
from pyrovae.study.store.folders import Store
from pyrovae.training import Diverged

SHAPE = (1, 4, 4)
MLP = {"name": "mlp", "hidden": [6]}


class Cauchy(Prior):
    """Independent Cauchy laws."""

    properties = Prior.properties | {"factorized"}

    def __init__(self, latent_dim: int, *, scale: float = 1.0) -> None:
        super().__init__(latent_dim)
        self.scale = scale

    def forward(self) -> dist.Distribution:
        return dist.Cauchy(torch.zeros(self.latent_dim), self.scale).to_event(1)


class Narrow:
    """A network whose decoder forgets the shape."""

    def encoder(self, event_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        return nn.Sequential(nn.Flatten(-3, -1), nn.Linear(16, 5)), 5

    def decoder(
        self, latent_dim: int, event_shape: tuple[int, ...], outputs_per_element: int
    ) -> nn.Module:
        return nn.Linear(latent_dim, 16)


def small(**parts: Any) -> VAE:
    return pyrovae.build(SHAPE, **{"latent_dim": 2, "network": MLP, **parts})


def bits(n: int = 64) -> np.ndarray:
    return np.random.default_rng(0).random((n, *SHAPE)) < 0.5


def equal(a: VAE, b: VAE) -> bool:
    mine, other = a.state_dict(), b.state_dict()
    return all(torch.equal(mine[name], other[name]) for name in mine.keys() | other.keys())


def test_a_part_is_a_name_a_mapping_a_class_or_an_instance() -> None:
    forms = ["student_t", {"name": "student_t"}, StudentT, {"name": StudentT}, StudentT(2)]
    models = [small(prior=form) for form in forms]
    assert all(type(vae.prior) is StudentT for vae in models)
    assert all(equal(models[0], vae) for vae in models[1:])
    assert small(prior={"name": Cauchy, "scale": 2.0}).prior.scale == 2.0
    assert small(network=Mlp(hidden=[6])).encoder[1].out_features == 6
    path = f"{Cauchy.__module__}:Cauchy"
    assert type(small(prior=path).prior) is Cauchy


def test_a_seed_decides_the_weights_and_nothing_else_changes() -> None:
    def states() -> tuple[Any, ...]:
        return torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate()  # noqa: NPY002

    before = states()
    one, same, other = small(seed=1), small(seed=1), small(seed=2)
    assert equal(one, same)
    assert not equal(one, other)
    pyrovae.fit(one, bits(), steps=4, records=1, progress=False)
    assert before == states()
    assert not pyro.get_param_store().keys()


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"prior": "studen_t"}, "prior: unknown prior 'studen_t'; did you mean 'student_t'?"),
        ({"prior": {"name": "student_t", "dff": 3}}, "prior.dff: .*did you mean 'df'"),
        ({"prior": {"df": 3}}, "prior: must have a 'name'"),
        ({"prior": 3}, "prior: must be a name, a mapping or a class, got int 3"),
        ({"prior": nn.Linear}, "prior: .* is no prior: it must be a subclass of .*Prior"),
        ({"network": nn.Linear}, "network: .*with the methods decoder and encoder"),
        ({"prior": Prior}, "prior: .* is no prior"),
        ({"prior": StudentT(3)}, "prior: is an instance with latent_dim 3, and the model's is 2"),
        ({"prior": "hyperspherical_uniform"}, "posterior: .*KL.* is infinite"),
        ({"prior": "nowhere:Prior"}, "prior: no module 'nowhere'"),
        ({"network": Narrow}, r"network's decoder: gives \(16,\) for one code, .* \(1, 1, 4, 4\)"),
        ({"latent_dim": 0}, "latent_dim: must be a whole number of at least 1, got 0"),
        ({"latent_dim": True}, "latent_dim: must be a whole number"),
        ({"seed": -1}, "seed: must be a whole number"),
    ],
)
def test_what_does_not_fit_is_told_in_a_line(parts: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as raised:
        small(**parts)
    assert "\n" not in str(raised.value)


def test_training_is_that_of_a_study(tmp_path: Path) -> None:
    plan = tiny_plan(tmp_path, "seeds=[3]", "grid={prior: [vampprior]}", "training.steps=30")
    run(plan, tmp_path / "results")
    (planned,) = plan.runs
    stored = Store(tmp_path / "results" / "tiny").run(planned.id)
    (dataset,) = plan.datasets.values()
    config = planned.config
    vae = pyrovae.build(
        dataset.event_shape,
        latent_dim=config.latent_dim,
        network=config.network,
        prior=config.prior,
        posterior=config.posterior,
        likelihood=config.likelihood,
        seed=3,
        data=dataset.train.values,
    )
    fitted = pyrovae.fit(
        vae,
        dataset,
        config.objective,
        steps=30,
        batch_size=config.training.batch_size,
        records=3,
        seed=3,
        progress=False,
    )
    assert fitted is vae
    for name, expected in stored.parameters().items():
        assert torch.equal(vae.state_dict()[name], expected), name
    history = stored.history()
    assert list(vae.history["step"]) == [0, 10, 20, 30]
    for name in ("loss", "rate", "active_units"):
        np.testing.assert_array_equal(vae.history[name], history[name])


class Images:
    """A map-style data set of pairs."""

    def __init__(self, x: np.ndarray) -> None:
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        return self.x[i, 0], 7  # without the channel


def test_observations_come_in_any_form() -> None:
    x = bits()
    forms: list[Any] = [
        x,
        x.astype(np.uint8) * 255,
        x.astype(np.float32),
        x.astype(np.float64),
        x.astype(int),
        torch.tensor(x),
        torch.tensor(x.astype(np.float32), requires_grad=True),
        TensorDataset(torch.tensor(x), torch.zeros(len(x))),
        Images(x),
    ]
    taken = [as_float(observations(form, SHAPE)) for form in forms]
    assert all(torch.equal(values, taken[2]) for values in taken)
    by_items, whole = (
        pyrovae.fit(small(), form, steps=3, records=1, progress=False) for form in (forms[-1], x)
    )
    assert equal(by_items, whole)


def _with(value: float, *index: int) -> np.ndarray:
    x = bits().astype(np.float64)
    x[index] = value
    return x


@pytest.mark.parametrize(
    ("x", "told"),
    [
        (_with(np.nan, 3, 0, 2, 1), r"x holds nan at \[3, 0, 2, 1\]: must be finite"),
        (_with(np.inf, 0, 0, 0, 0), r"x holds inf at \[0, 0, 0, 0\]"),
        (_with(1.5, 5, 0, 1, 1), r"'bernoulli' is for values in \[0, 1\] but x holds 1.5 at \[5"),
        (bits()[..., :3], r"x holds observations of shape \(1, 4, 3\), and the model is for"),
        (bits()[:0], "x has shape"),
        (bits()[:1], "at least 2"),
        (np.array([["a"]]), "must be real numbers"),
        (bits().astype(complex), "must be real numbers"),
        ("mnist", "x must be an array, a tensor or a map-style torch Dataset, got str"),
        (None, "got NoneType"),
        ([np.zeros((4, 4)), np.zeros((4, 3))], r"\(4, 4\) at \[0\] and \(4, 3\) at \[1\]"),
    ],
)
def test_observations_that_cannot_be_are_told_in_a_line(x: Any, told: str) -> None:
    with pytest.raises(DataError, match=told) as raised:
        pyrovae.fit(small(), x, steps=3, progress=False)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"objective": "elb"}, "objective: unknown objective 'elb'; did you mean 'elbo'"),
        ({"objective": {"name": "beta", "beta": -1.0}}, "objective.beta: "),
        ({"steps": 0}, "steps: "),
        ({"lr": "fast"}, "lr: "),
        ({"precision": "float8"}, "precision: "),
        ({"seed": 0.5}, "seed: "),
        ({"device": "tpu9"}, "device: "),
        ({"objective": "dip_i", "vae": {"posterior": "iaf"}}, "needs a posterior with"),
        (
            {"objective": "elbo", "vae": {"posterior": "relaxed_spike_slab"}, "steps": -1},
            "steps: ",
        ),
    ],
)
def test_settings_that_cannot_be_are_told_in_a_line(settings: dict[str, Any], told: str) -> None:
    vae = small(**settings.pop("vae", {}))
    with pytest.raises(ConfigError, match=told) as raised:
        pyrovae.fit(vae, bits(), **{"progress": False, **settings})
    assert "\n" not in str(raised.value)


def test_an_objective_is_a_class_or_an_instance_too() -> None:
    class Doubled(Elbo):
        def loss(self, terms: Any, hyper: Any) -> Tensor:
            return 2 * super().loss(terms, hyper)

    losses = [
        pyrovae.fit(small(), bits(), objective, steps=2, records=1, progress=False).history.loss[1]
        for objective in ("elbo", Elbo(), Doubled, Doubled())
    ]
    assert losses[1] == losses[0]
    assert losses[2] == losses[3]
    assert losses[2] > 1.5 * losses[0]


class Interrupting(Elbo):
    """Presses Ctrl-C in the middle of training."""

    def hyperparameters(self, step: int) -> dict[str, float]:
        if step == 60:
            signal.raise_signal(signal.SIGINT)
        return {}


def test_ctrl_c_returns_what_there_is() -> None:
    handler = signal.getsignal(signal.SIGINT)
    settings = {"batch_size": 8, "records": 20, "progress": False}
    vae = pyrovae.fit(small(), bits(), Interrupting, steps=400, **settings)
    assert signal.getsignal(signal.SIGINT) is handler
    assert vae.history["step"].tolist() == [0, 20, 40, 60, 80][: len(vae.history)]
    assert 3 <= len(vae.history) <= 5
    done = int(vae.history["step"].iloc[-1])
    shorter = pyrovae.fit(small(), bits(), steps=done, **{**settings, "records": done // 20})
    assert equal(vae, shorter)


def test_divergence_is_told_with_its_history() -> None:
    vae = small()
    with pytest.raises(Diverged, match="diverged at step"):
        pyrovae.fit(vae, bits(), steps=40, records=4, lr=1e30, progress=False)
    assert vae.history["step"].iloc[0] == 0


def test_progress_is_told_in_lines_or_not_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    pyrovae.fit(small(), bits(), steps=20, records=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("step 20/20: loss ")
    assert all(line.startswith("step ") for line in lines)
    pyrovae.fit(small(), bits(), steps=20, records=2, progress=False)
    assert capsys.readouterr() == ("", "")


def test_incompatible_parts_are_refused_as_the_plan_does() -> None:
    with pytest.raises(IncompatibleError, match="made of the posterior"):
        small(prior="vampprior", posterior="semi_amortized")


def test_importing_is_instant() -> None:
    code = "import pyrovae, sys; print('torch' in sys.modules, 'build' in dir(pyrovae))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"objective": {"name": "annealed", "steps": 50}}, "objective.rise: its schedule takes 50"),
        ({"objective": {"name": "lagging", "until": 30}}, "objective: it changes until step 30"),
        (
            {"lr": {"schedule": "cosine", "from": 1e-3, "to": 0, "steps": 40}},
            "lr: its schedule takes 40 steps, and training has 20",
        ),
        ({"objective": {"name": "annealed", "steps": 20}}, ""),
    ],
)
def test_a_schedule_that_outlasts_training_is_told(settings: dict[str, Any], told: str) -> None:
    vae, x = (
        pyrovae.build(4, latent_dim=2, network={"name": "mlp", "hidden": [8]}),
        torch.rand(16, 4),
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pyrovae.fit(vae, x, steps=20, records=1, progress=False, **settings)
    found = [str(w.message) for w in caught if "training has" in str(w.message)]
    assert len(found) == (1 if told else 0)
    assert not told or found[0].startswith(told)


def test_what_a_validation_split_would_never_decide_is_refused() -> None:
    vae, x = (
        pyrovae.build(4, latent_dim=2, network={"name": "mlp", "hidden": [8]}),
        torch.rand(16, 4),
    )
    objective = {"name": "annealed", "steps": 50}
    with pytest.raises(ConfigError, match="at step 50 of 20") as error:
        pyrovae.fit(vae, x, objective, steps=20, until="validation", validation=x, progress=False)
    assert error.value.place == "until"
