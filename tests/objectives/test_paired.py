"""Bounds of pairs that share factors: averages in closed form, planted posteriors, a study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyro
import pytest
import torch
from scipy import stats
from tiny_study import TINY, run, tiny_plan
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from pyrovae.api.checks.training import trains_alike, vae_with
from pyrovae.core.errors import ConfigError
from pyrovae.core.given import Given
from pyrovae.datasets import Dataset, Split, load_dataset
from pyrovae.datasets.pairs import pairs_of
from pyrovae.models.by_path import build, resolve
from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.vae import VAE
from pyrovae.objectives import OBJECTIVES, AdaGvae, Beta, GroupVae
from pyrovae.objectives.paired import averaged, deemed_shared
from pyrovae.study.config.condition import ConditionSettings
from pyrovae.study.plan.compatibility import condition_conflict, objective_conflict
from pyrovae.training import LossProgram, Trainer, TrainingSettings

from families import small_images, small_vae  # isort: skip

BETA = {"beta": torch.tensor(3.0)}


def _random(n: int = 50, d: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(2, n, d, generator=generator, dtype=torch.double)
    scale = torch.rand(2, n, d, generator=generator, dtype=torch.double) + 0.1
    return mean, scale


def test_moments_are_those_that_both_have_on_average() -> None:
    mean, scale = _random()
    m, s = averaged(mean, scale, torch.ones_like(mean[0], dtype=torch.bool), "moments")
    assert torch.equal(m[0], m[1])
    torch.testing.assert_close(m[0], (mean[0] + mean[1]) / 2)
    torch.testing.assert_close(s[0] ** 2, (scale[0] ** 2 + scale[1] ** 2) / 2)


def test_precisions_are_of_the_geometric_mean_of_both_densities() -> None:
    mean, scale = _random(3, 2)
    m, s = averaged(mean, scale, torch.ones_like(mean[0], dtype=torch.bool), "precisions")
    z = torch.linspace(-12, 12, 40_001, dtype=torch.double)
    for i in range(3):
        for u in range(2):
            logs = [Normal(mean[k, i, u], scale[k, i, u]).log_prob(z) for k in (0, 1)]
            density = ((logs[0] + logs[1]) / 2).exp()
            density = density / torch.trapezoid(density, z)
            first = torch.trapezoid(z * density, z)
            assert float(m[1, i, u]) == pytest.approx(float(first), abs=1e-8)
            second = torch.trapezoid((z - first) ** 2 * density, z)
            assert float(s[0, i, u]) == pytest.approx(float(second.sqrt()), abs=1e-8)


def test_units_that_are_not_shared_stay() -> None:
    mean, scale = _random()
    shared = torch.arange(4) < 2
    for average in ("moments", "precisions"):
        m, s = averaged(mean, scale, shared.expand(50, 4), average)  # type: ignore[arg-type]
        assert torch.equal(m[..., 2:], mean[..., 2:])
        assert torch.equal(s[..., 2:], scale[..., 2:])
        assert not (m[..., :2] == mean[..., :2]).any()


def test_units_below_half_way_are_deemed_shared() -> None:
    mean, scale = _random()
    found = deemed_shared(mean, scale)
    divergence = kl_divergence(Normal(mean[0], scale[0]), Normal(mean[1], scale[1])).numpy()
    for row, shared in zip(divergence, found.numpy(), strict=True):
        # The original puts them into two bins of equal width; the upper one is not shared.
        edges = np.histogram_bin_edges(row, bins=2)
        assert np.array_equal(shared, np.digitize(row, edges[1:2]) == 0)
    assert 0 < float(found.double().mean()) < 1


class Planted(torch.nn.Module):
    """An encoder whose posterior is known: means are the first elements of x, scales the next."""

    def forward(self, features: Tensor) -> Independent:
        x = features.flatten(1)
        return Independent(Normal(x[:, :3], x[:, 3:6]), 1)


def _planted() -> tuple[VAE, Given]:
    vae = small_vae(likelihood="gaussian")
    vae.encode = lambda x, context=None: Planted()(x)  # type: ignore[method-assign]
    x = torch.full((2, 2, 1, 8, 8), 0.5)
    flat = x.flatten(2)
    first = [[0.1, 0.2, 0.3], [0.1, 0.9, 0.3]]
    flat[..., :3] = torch.tensor([first, [[0.0, 0.4, 0.1], [0.8, 0.4, 0.2]]])
    return vae, Given(x, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))


@pytest.mark.parametrize("average", ["moments", "precisions"])
@pytest.mark.parametrize("name", ["ada_gvae", "group_vae"])
def test_planted_posteriors_have_the_rate_of_their_averages(name: str, average: str) -> None:
    """Of the first pair unit 1 differs, of the second unit 0 does; unit 2 always is shared."""
    vae, pairs = _planted()
    objective = OBJECTIVES.create(name, beta=3.0, average=average)
    pyro.set_rng_seed(0)
    loss, found = objective(vae, pairs, BETA, 2)
    mean = found.q.mean.unflatten(0, (2, 2))
    expected = pairs.x.flatten(2)[..., :3].transpose(0, 1).clone()
    own = torch.tensor([[False, True, False], [True, False, False]])
    middle = expected.mean(0)
    expected = torch.where(own, expected, middle)
    torch.testing.assert_close(mean, expected)  # all scales are equal: both averages agree
    torch.testing.assert_close(found.q.stddev, torch.full((4, 3), 0.5))
    rate = (0.25 + expected**2 - 1) / 2 - np.log(0.5)
    torch.testing.assert_close(found.rate, rate.sum(-1).flatten())
    x = pairs.x.transpose(0, 1).flatten(0, 1)
    distortion = -vae.decode(found.z).log_prob(x)
    torch.testing.assert_close(found.distortion, distortion)
    torch.testing.assert_close(loss, (distortion + 3 * found.rate).mean())


@pytest.mark.parametrize("name", ["ada_gvae", "group_vae"])
def test_equal_data_and_data_without_a_partner_have_the_plain_bound(name: str) -> None:
    vae, x = small_vae(), small_images(6).float() / 255
    objective, plain = OBJECTIVES.create(name, beta=3.0), Beta(beta=3.0)
    pyro.set_rng_seed(0)
    expected, _ = plain(vae, x, BETA, 6)
    pyro.set_rng_seed(0)
    single, _ = objective(vae, x, BETA, 6)
    assert torch.equal(single, expected)
    pyro.set_rng_seed(0)
    twice, found = objective(vae, Given(torch.stack([x, x], 1), torch.ones(6, 2)), BETA, 6)
    torch.testing.assert_close(found.rate[:6], plain(vae, x, BETA, 6)[1].rate)
    assert twice.isfinite()
    twice.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in vae.parameters())


def _grid() -> Dataset:
    """All of a grid of 3 × 4 × 5 points, whose values tell which they are."""
    factors = np.stack(np.unravel_index(np.arange(60), (3, 4, 5)), 1).astype(np.int64)
    split = Split(torch.arange(60.0)[:, None], factors)
    return Dataset("grid", split, split, ("a", "b", "c"), (3, 4, 5))


def test_pairs_of_a_whole_grid_follow_the_law_of_the_paper() -> None:
    one = pairs_of(_grid(), changing=1, partners=200)
    assert len(one) == 60 * 200
    assert (one.shared.sum(1) == 2).all()
    # Each factor is the one that changes as often, and each of its other values comes as often.
    assert stats.chisquare((~one.shared).sum(0)).pvalue > 1e-3
    assert _grid().train.factors is not None
    c = _grid().train.factors[one.second][~one.shared[:, 2], 2]  # type: ignore[index]
    assert stats.chisquare(np.bincount(c, minlength=5)).pvalue > 1e-3
    any_ = pairs_of(_grid(), changing=None, partners=200)
    # One or two are drawn alike; of two, both change but for the others of one that stays.
    rest = {(0, 1): 11, (0, 2): 14, (1, 2): 19}
    both = {(0, 1): 6, (0, 2): 8, (1, 2): 12}
    share = sum(both[s] / rest[s] for s in rest) / 3 / 2
    found = (any_.shared.sum(1) == 1).mean()
    assert found == pytest.approx(share, abs=4 * (share * (1 - share) / len(any_)) ** 0.5)


def test_pairs_are_made_of_training_data_alone() -> None:
    data = load_dataset("sprites", size=16, n_train=3000, n_test=20, scales=3, orientations=4)
    pairs = pairs_of(data)
    values = pairs.observations(data)
    assert tuple(values.x.shape) == (len(pairs), 2, 1, 16, 16)
    assert torch.equal(values.x[:, 1], data.train.values[pairs.second])
    assert (pairs.shared.sum(1) == 4).all()
    assert (pairs.first != pairs.second).all()
    again = pairs_of(data)
    assert np.array_equal(again.second, pairs.second)
    # Those of which no other datum shares all factors but one are left out.
    rows = data.train.factors
    assert rows is not None
    missing = sorted(set(range(3000)) - set(pairs.first.tolist()))
    for i in missing[:20]:
        assert ((rows == rows[i]).sum(1) == 4).sum() == 0


def test_large_pairs_are_put_together_when_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = _grid()
    pairs = pairs_of(data)
    whole = pairs.observations(data)
    monkeypatch.setattr("pyrovae.datasets.pairs._IN_MEMORY", 1)
    lazy = pairs.observations(data)
    index = torch.tensor([3, 1, 1, 40])
    assert not isinstance(lazy.x, Tensor)
    assert torch.equal(lazy.x[index], whole.x[index])


def test_what_has_no_pairs_is_refused() -> None:
    values = torch.zeros(10, 1)
    none = Dataset("plain", Split(values), Split(values))
    assert "has no factors" in str(AdaGvae.data_conflict({}, none, 3))
    assert "of the 3 of data set 'grid' 3 may change" in str(
        AdaGvae.data_conflict({"changing": 3}, _grid(), 3)
    )
    assert "2 units for the 3 factors" in str(GroupVae.data_conflict({}, _grid(), 2))
    assert GroupVae.data_conflict({"changing": None}, _grid(), 3) is None
    two = Split(values[:2], np.array([[0, 0], [1, 1]]))
    alone = Dataset("two", two, two, ("a", "b"), (2, 2))
    with pytest.raises(ConfigError, match="no two training data of 'two' share"):
        pairs_of(alone)


def test_posteriors_without_independent_normal_units_are_refused_by_name() -> None:
    given = {"name": "ada_gvae", **OBJECTIVES.resolve("ada_gvae", {})}
    taken = {
        name
        for name in POSTERIORS
        if not objective_conflict(given, posterior={"name": name, **POSTERIORS.resolve(name, {})})
    }
    assert taken == {"mean_field_normal", "fixed_scale_normal", "semi_amortized"}
    reason = objective_conflict(given, posterior={"name": "laplace"})
    assert reason is not None
    assert "independent normal units, and posterior 'laplace' does not qualify" in reason


_DATA = "dataset: {name: sprites, size: 16, n_train: 300, n_test: 200}"
_OBJECTIVES = """objective:
    - {name: ada_gvae, average: precisions, changing: null}
    - {name: group_vae, partners: 2}"""
STUDY = (
    TINY.replace("n_test: 200", "n_test: 50, scales: 3, orientations: 1, positions: 8")
    .replace("objective: elbo", "prior: standard_normal")
    .replace("prior: [standard_normal, student_t]", _OBJECTIVES)
    .replace("seeds: 2", "seeds: 1")
)


def test_a_study_of_pairs_trains(tmp_path: Path) -> None:
    plan = tiny_plan(tmp_path, text=STUDY)
    outcome = run(plan, tmp_path / "results")
    assert (outcome.done, outcome.failed) == (2, {})


def test_a_study_without_factors_is_refused_when_it_is_planned(tmp_path: Path) -> None:
    text = TINY.replace(_DATA, "dataset: digits").replace("objective: elbo", "objective: ada_gvae")
    with pytest.raises(ConfigError, match="data set 'digits' has no factors") as caught:
        tiny_plan(tmp_path, text=text)
    assert caught.value.place == "base.objective"


def test_a_users_own_model_takes_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "models" / "own"))
    vae = build(resolve("handmade:build", {"hidden": 8}), (1, 8, 8), 3, seed=0)
    x = small_images(12).float().unflatten(0, (6, 2)) / 255
    factors = torch.tensor([1.0, 0.0]).repeat(6, 1)
    loss, found = GroupVae()(vae, Given(x, factors), BETA, 6)
    first, second = found.q.mean.chunk(2)
    assert (first == second).all(0).tolist() == [True, False, True]
    torch.testing.assert_close(first[:, 1], vae.encode(x[:, 0]).mean[:, 1])
    assert loss.isfinite()
    other, objective = small_vae(posterior="laplace"), AdaGvae()
    with pytest.raises(ConfigError, match="averages independent normal laws"):
        objective(other, Given(x, factors), BETA, 6)


def test_a_condition_is_refused_by_name() -> None:
    found = condition_conflict(
        ConditionSettings(on=["shape"]),
        prior="standard_normal",
        posterior="mean_field_normal",
        objective={"name": "ada_gvae", **OBJECTIVES.resolve("ada_gvae", {})},
    )
    assert found == (
        "objective",
        "objective 'ada_gvae' averages codes of pairs, and a pair has two conditions",
    )


@pytest.mark.parametrize("name", ["ada_gvae", "group_vae"])
def test_pairs_of_several_models_at_once_and_from_a_file_are_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors = np.stack(np.unravel_index(np.arange(12), (3, 4)), 1).astype(np.int64)
    images = (torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(0)) > 0.5) * 255
    split = Split(images.to(torch.uint8), factors)
    whole = Dataset("grid", split, split, ("a", "b"), (3, 4))
    pairs = pairs_of(whole, partners=2)
    data = pairs.observations(whole)
    trains_alike(vae_with, lambda: OBJECTIVES.create(name, partners=2), data=data)  # type: ignore[arg-type]
    monkeypatch.setattr("pyrovae.datasets.pairs._IN_MEMORY", 1)
    lazy = pairs.observations(whole)
    settings = TrainingSettings(steps=4, batch_size=8, records=1)
    ends = []
    for values in (data, lazy):
        program = LossProgram(vae_with(0), OBJECTIVES.create(name, partners=2))
        Trainer(program, values, settings, compiled=False).train(program, seed=0)
        ends.append([p.detach().clone() for p in program.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
