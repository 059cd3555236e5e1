"""Models are measured, and trained, where they are: elsewhere the numbers are the same."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyro
import pytest
import torch
from elsewhere import elsewhere
from families import small_images, small_program, small_vae
from tiny_study import tiny_plan
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from training.test_ensemble import COVERING

from pyrovae.core.noise import draw_one
from pyrovae.core.seeded import seeded
from pyrovae.datasets import Dataset, Split, load_dataset
from pyrovae.datasets.base import as_float
from pyrovae.distributions.element_by_element import ElementByElement
from pyrovae.measures.arviz import groups
from pyrovae.measures.collapse.measure import along_points, measure_along_training
from pyrovae.measures.evaluate import Evaluation, EvaluationSettings, evaluate
from pyrovae.models import by_path as user_models
from pyrovae.models.contract import LatentModel
from pyrovae.models.vae import build_vae
from pyrovae.study.execute.execution import Execution
from pyrovae.study.execute.runner import RunOptions, run_plan
from pyrovae.study.plan.batches import batches
from pyrovae.study.plan.planning import Plan
from pyrovae.study.store.folders import Store
from pyrovae.study.store.results import load_study
from pyrovae.training.ensemble import stacked, step_of
from pyrovae.training.step import State

SETTINGS = EvaluationSettings.model_validate(
    {
        "samples": 2,
        "metrics": [],
        "collapse": {"information_points": 8, "sensitivity_points": 4},
        "guide_draws": {"points": 3, "chains": 2, "draws": 3},
        "images": 3,
    }
)
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")


def _dataset() -> Dataset:
    images = small_images(20)
    return Dataset("small", train=Split(images[:10]), test=Split(images[10:]))


def _assert_same(ours: Evaluation, theirs: Evaluation) -> None:
    assert ours.scores == pytest.approx(theirs.scores, rel=0, abs=0, nan_ok=True)
    pd.testing.assert_frame_equal(ours.units, theirs.units, check_exact=True)
    assert (ours.codes == theirs.codes).all()
    for name, image in ours.images.items():
        assert theirs.images[name].device == torch.device("cpu")
        assert torch.equal(image, theirs.images[name]), name
    for group in groups(ours.posterior):
        assert ours.posterior[group].equals(theirs.posterior[group]), group


def _laws(vae: LatentModel, x: Tensor) -> list[Tensor]:
    """Return draws, densities and moments of all laws of a model."""
    with torch.no_grad(), seeded(0, x.device):
        q, p = vae.encode(x), vae.prior_law()
        z = torch.cat([q.sample(), p.sample((3,))])
        law, mean = vae.decode_with_mean(z)
        drawn = law.sample()
        # A law that goes element by element has no moments.
        moments = [] if isinstance(law, ElementByElement) else [law.variance]
        return [z, mean, drawn, *moments, law.log_prob(drawn), p.log_prob(z), q.log_prob(z[:1])]


@pytest.mark.parametrize("names", COVERING, ids="-".join)
def test_laws_of_a_model_are_where_it_is(names: tuple[str, str, str]) -> None:
    vae, x = small_vae(*names), as_float(small_images(5))
    here = _laws(vae, x)
    with elsewhere() as there:
        for ours, theirs in zip(here, _laws(vae.to(there), x.to(there)), strict=True):
            assert theirs.device == there
            assert torch.equal(ours, theirs.cpu())


@pytest.mark.parametrize("names", COVERING, ids="-".join)
def test_a_model_is_measured_where_it_is(names: tuple[str, str, str]) -> None:
    vae, dataset = small_vae(*names), _dataset()
    here = evaluate(vae, dataset, SETTINGS, 0)
    with elsewhere() as there:
        _assert_same(here, evaluate(vae.to(there), dataset, SETTINGS, 0, there))


@pytest.mark.parametrize("names", COVERING[::7], ids="-".join)
def test_so_is_a_model_in_training(names: tuple[str, str, str]) -> None:
    vae, dataset = small_vae(*names), _dataset()
    here = measure_along_training(vae, *along_points(dataset), 0)
    with elsewhere() as there:
        found = measure_along_training(vae.to(there), *along_points(dataset, there), 0)
    assert found.units.kl.device == torch.device("cpu")
    history = [pd.Series(along.columns) for along in (here, found)]
    pd.testing.assert_series_equal(*history, check_exact=True)


def test_measuring_leaves_no_parameters_in_pyros_store() -> None:
    evaluate(small_vae(), _dataset(), SETTINGS, 0)
    assert not list(pyro.get_param_store().keys())


@pytest.mark.parametrize("name", ["handmade:build_pca", "built in"])
def test_so_is_a_model_of_simulated_vectors(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the exact log p(x) is known, and with programs that make tensors of plain numbers."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "models" / "own"))
    dataset = load_dataset("linear_gaussian", n_train=10, n_test=10)
    vae: LatentModel = build_vae(
        dataset.event_shape,
        3,
        network={"name": "mlp", "hidden": [8]},
        prior={"name": "laplace"},
        posterior={"name": "mean_field_normal"},
        likelihood={"name": "gaussian"},
    )
    if name != "built in":
        own = user_models.resolve(name, {})
        vae = user_models.build(own, dataset.event_shape, 3, seed=0)
    here = evaluate(vae, dataset, SETTINGS, 0)
    assert "exact_log_px" in here.scores
    with elsewhere() as there:
        _assert_same(here, evaluate(vae.to(there), dataset, SETTINGS, 0, there))


#: Torch itself crashes on second derivatives, under ``torch.func``, of any but plain tensors.
STEPPED = [names for names in COVERING if names[1] != "semi_amortized"]


@pytest.mark.parametrize("names", STEPPED, ids="-".join)
def test_a_training_step_of_two_stays_where_its_data_are(
    names: tuple[str, str, str],
) -> None:
    programs = [small_program(*names, seed=seed) for seed in range(2)]
    data = small_images(20)
    with pyro.validation_enabled(False):
        draws = programs[0].record(as_float(data[:8]))

    def stepped(device: torch.device | str) -> Any:
        members = []
        for seed, program in enumerate(programs):
            generator, state = torch.Generator().manual_seed(seed), State.of(program)
            noise = [draw_one(draw, generator) for draw in draws]
            scalars = (torch.tensor(1.0), torch.tensor(1e-3))
            rest = (torch.arange(8), noise, program.hyper(0))
            members.append((*state, *scalars, *rest))
        *state_and_scalars, index, noise, hyper = tree_map(
            lambda tensor: tensor.to(device), stacked(members)
        )
        program = copy.deepcopy(programs[0]).to(device)
        step = step_of(program, len(programs))
        with pyro.validation_enabled(False), torch.device(device):
            return step(*state_and_scalars, data.to(device), index, noise, hyper)

    here = stepped("cpu")
    with elsewhere() as there:
        for ours, theirs in zip(tree_leaves(here), tree_leaves(stepped(there)), strict=True):
            assert theirs.device == there
            assert torch.equal(ours, theirs.cpu())


def test_a_run_that_was_measured_elsewhere_is_stored_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diagnosed = []

    def diagnose(folder: Any, vae: LatentModel, *_: Any) -> dict[str, float]:
        diagnosed.extend(p.device.type for p in vae.parameters())
        return {}

    monkeypatch.setattr("pyrovae.study.execute.execution.diagnose_into", diagnose)
    few = ("seeds=1", "grid.prior=[student_t]", "training.steps=2", "training.records=1")
    again = tiny_plan(tmp_path, *few, "evaluation.points=60", "evaluation.diagnostics={points: 2}")
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    _execute(tiny_plan(tmp_path, *few), here, "cpu")
    shutil.copytree(here.root, there.root)
    _execute(again, here, "cpu")
    with elsewhere() as device:
        _execute(again, there, str(device))
    assert set(diagnosed) == {"cpu"}
    ours, theirs = here.run(again.runs[0].id), there.run(again.runs[0].id)
    assert ours.metrics() == theirs.metrics()
    assert ours.metrics()["evaluation"]["points"] == 60
    for name in ("images.safetensors", "model.safetensors", "codes.npy", "units.parquet"):
        assert (ours.path / name).read_bytes() == (theirs.path / name).read_bytes(), name


def _execute(plan: Plan, store: Store, device: str) -> None:
    execution, events = Execution(store, compiled=False, device=device), []
    for task in batches(plan.runs, 1):
        execution.execute(task, plan.datasets[task.runs[0].fingerprint], events.append)
    assert events[-1].kind == "done", events[-1].reason


@pytest.fixture
def there() -> Iterator[torch.device]:
    with elsewhere() as device:
        yield device


@pytest.mark.parametrize(
    "act",
    [
        lambda t: t + torch.ones(3),
        lambda t: torch.ones(3).add_(t),
        lambda t: torch.zeros(()).add_(t.sum()),
        lambda t: torch.stack([t.sum(), torch.tensor(1.0)]),
        lambda t: torch.ones(3)[t.long()],
        lambda t: torch.searchsorted(torch.ones(3), t),
        lambda t: t.index_select(0, torch.arange(2)),
        lambda t: t.normal_(generator=torch.Generator()),
        lambda t: torch.rand(3, device=t.device, generator=torch.Generator()),
        lambda t: t.numpy(),
    ],
)
def test_what_a_gpu_refuses_is_refused_elsewhere(act: Any, there: torch.device) -> None:
    with pytest.raises((RuntimeError, TypeError)):
        act(torch.tensor([0.0, 1.0, 2.0], device=there))


def test_what_a_gpu_takes_is_taken_elsewhere(there: torch.device) -> None:
    t = torch.tensor([0.0, 1.0, 2.0], device=there)
    assert (t + torch.tensor(1.0)).tolist() == [1, 2, 3]
    assert t[torch.tensor([2])].tolist() == [2]
    assert torch.zeros(3).copy_(t).tolist() == t.cpu().tolist() == t.to("cpu").tolist()
    assert t.new_tensor([5]).device == torch.zeros(1, device=there).device == there
    t[torch.tensor([0])] = torch.tensor(7.0)
    assert float(t.max()) == 7


@GPU
@pytest.mark.parametrize("names", COVERING, ids="-".join)
def test_on_a_gpu_models_measure_alike(names: tuple[str, str, str]) -> None:
    """Draws are others there: scores agree within their errors, what needs no draw is the same."""
    vae, dataset = small_vae(*names), _dataset()
    settings = SETTINGS.model_copy(update={"samples": 64})
    ours = evaluate(vae, dataset, settings, 0)
    before = torch.cuda.get_rng_state()
    theirs = evaluate(vae.cuda(), dataset, settings, 0, "cuda")
    assert torch.equal(torch.cuda.get_rng_state(), before)
    assert set(ours.scores) == set(theirs.scores)
    assert theirs.units["weight_norm"].to_numpy() == pytest.approx(
        ours.units["weight_norm"].to_numpy(), rel=1e-4
    )
    for name in ("elbo", "rate", "distortion"):
        # elbo_se is over the data, which are the same: the draws' error is a small part of it.
        error = ours.scores["elbo_se"] + 0.02 * abs(ours.scores["elbo"])
        assert theirs.scores[name] == pytest.approx(ours.scores[name], abs=error), name


@GPU
def test_a_study_on_a_gpu_ends_where_it_ends_on_the_cpu(tmp_path: Path) -> None:
    plan, found = tiny_plan(tmp_path), {}
    for device in ("cpu", "cuda"):
        results = tmp_path / device
        outcome = run_plan(plan, results, RunOptions(workers=1, compiled=False, device=device))
        assert (outcome.done, outcome.failed) == (4, {})
        found[device] = load_study(results / "tiny").runs.set_index("run").sort_index()
    ours, theirs = found["cpu"], found["cuda"]
    assert list(ours.columns) == list(theirs.columns)
    # The same start, the same steps, other noise.
    for name in ("elbo", "distortion", "log_px", "train_elbo"):
        assert theirs[name].to_numpy() == pytest.approx(ours[name].to_numpy(), rel=0.05), name
