"""Objectives that steer the rate, the noise's scale, or which steps train what."""

from __future__ import annotations

from typing import Any

import pyro.distributions as dist
import pytest
import torch
from families import small_images, small_vae

from objectives.test_decomposition import codes, made
from pyrovae.models.vae import VAE, build_vae
from pyrovae.objectives import OBJECTIVES, Annealed, Balanced, Capacity, Delta, FreeBits, Lagging
from pyrovae.training import LossProgram, Member, Trainer, TrainingSettings


def scalars(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}


def test_capacity_is_the_distance_of_the_mean_rate() -> None:
    loc, scale = codes(6)
    found = made(dist.Normal(loc, scale).to_event(1), distortion=torch.full((6,), 2.0).double())
    rate = (0.5 * (loc**2 + scale**2 - 1) - scale.log()).sum(1).mean()
    for capacity in (0.0, 10.0):
        loss = Capacity().loss(found, scalars(capacity=capacity, gamma=7.0))
        torch.testing.assert_close(loss, 2 + 7 * (rate - capacity).abs())


def test_free_bits_compares_the_mean_rate_of_each_unit() -> None:
    loc, scale = codes(6)
    loc[:, 1] *= 0.1
    scale[:, 1] = 0.95
    found = made(dist.Normal(loc, scale).to_event(1))
    rates = (0.5 * (loc**2 + scale**2 - 1) - scale.log()).mean(0)
    floor = float(rates.mean())
    assert rates[1] < floor < rates[0]
    by_unit = FreeBits().loss(found, scalars(floor=floor))
    torch.testing.assert_close(by_unit, rates[0] + floor)
    together = FreeBits(per="all").loss(found, scalars(floor=floor))
    torch.testing.assert_close(together, rates.sum())
    together = FreeBits(per="all").loss(found, scalars(floor=100.0))
    assert together.item() == 100


def test_delta_asks_for_its_weight_below_the_floor_only() -> None:
    found = made(dist.Normal(*codes(6)).to_event(1))
    rate = found.rate.mean()
    above = Delta().loss(found, scalars(delta=float(rate) - 0.1, weight=5.0))
    torch.testing.assert_close(above, rate)
    below = Delta().loss(found, scalars(delta=float(rate) + 0.1, weight=5.0))
    torch.testing.assert_close(below, rate + 0.5)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 1]),
        ({"shape": "cosine"}, [0, 0.14645, 0.5, 0.85355, 1, 1, 1, 1, 1]),
        ({"shape": "cyclical"}, [0, 0.5, 1, 1, 0, 0.5, 1, 1, 0]),
        (
            {"to": {"schedule": "linear", "from": 2.0, "to": 4.0, "steps": 8}},
            [0, 0.25 * 2.25, 0.5 * 2.5, 0.75 * 2.75, 3, 3.25, 3.5, 3.75, 4],
        ),
    ],
)
def test_annealing_by_hand(parameters: dict[str, Any], expected: list[float]) -> None:
    objective = Annealed(steps=4, **parameters)
    found = [objective.hyperparameters(step)["beta"] for step in range(9)]
    assert found == pytest.approx(expected, abs=1e-5)


def trained_rate(objective: str, steps: int = 400, **parameters: Any) -> tuple[float, float, VAE]:
    """Train on noise that no code explains well; return the last tenth's rate and distortion."""
    vae = small_vae(latent_dim=3)
    program = LossProgram(vae, OBJECTIVES.create(objective, **parameters))
    settings = TrainingSettings(steps=steps, batch_size=20, lr=1e-2, records=10)
    history = Trainer(program, small_images(), settings, compiled=False).train(program, seed=0)
    return history[-1].rate, history[-1].distortion, vae


def test_the_rate_reaches_the_capacity() -> None:
    course = {"schedule": "linear", "from": 0.0, "to": 2.5, "steps": 200}
    rate, _, _ = trained_rate("capacity", capacity=course, gamma=100.0)
    assert rate == pytest.approx(2.5, abs=0.1)


def test_no_unit_falls_below_free_bits() -> None:
    plain, _, _ = trained_rate("beta", beta=20.0)
    assert plain < 0.1  # the rate is not worth its price here
    rate, _, vae = trained_rate("free_bits", floor=0.5)
    q = vae.encode(small_images().float() / 255)
    units = torch.distributions.kl_divergence(q.base_dist, dist.Normal(0.0, 1.0)).mean(0)
    # Minibatches scatter around the floor that their mean is held to.
    assert (units > 0.5 - 0.1).all()
    assert rate > 1.5 - 0.1


def test_delta_commits_a_rate() -> None:
    rate, _, _ = trained_rate("delta", delta=6.0, weight=30.0)
    assert rate > 6.0 - 0.3


def test_lagging_trains_the_model_at_the_end_of_each_inner_loop() -> None:
    vae = small_vae()
    objective = Lagging(inner=2, until=6)
    assert [objective.groups(step)["model"].on for step in range(9)] == [
        False, False, True, False, False, True, True, True, True,
    ]  # fmt: skip
    counts = [objective.groups(step)["model"].count for step in range(9)]
    assert [counts[step] for step in (2, 5, 6, 7, 8)] == [1, 2, 3, 4, 5]
    program = LossProgram(vae, objective)
    before = {name: p.detach().clone() for name, p in vae.named_parameters()}
    settings = TrainingSettings(steps=2, batch_size=8, records=1, lr=1e-2)
    Trainer(program, small_images(), settings, compiled=False).train(program, seed=0)
    for name, p in vae.named_parameters():
        assert torch.equal(p, before[name]) != vae.is_guide_parameter(name), name
    settings = TrainingSettings(steps=3, batch_size=8, records=1, lr=1e-2)
    Trainer(program, small_images(), settings, compiled=False).train(program, seed=0)
    assert not any(torch.equal(p, before[name]) for name, p in vae.named_parameters())


class Seen:
    """What is measured of a run whose mutual information was written down before."""

    def __init__(self, information: float) -> None:
        self.columns = {"mutual_information": information}


def test_inner_loops_end_when_the_mutual_information_falls() -> None:
    objective = Lagging(inner=2, until=100, stop="information")
    plain = Lagging(inner=2, until=7)

    def on(which: Lagging) -> list[tuple[bool, int]]:
        updates = [which.groups(step)["model"] for step in range(12)]
        return [(update.on, update.count) for update in updates]

    objective.heed([(0, 0.1), (3, 0.5), (5, 0.5)])
    assert sum(update for update, _ in on(objective)) == 4
    objective.heed([(0, 0.1), (3, 0.5), (5, 0.5), (7, 0.4), (9, 0.9), (11, 0.3)])
    assert on(objective) == on(plain)  # and they do not begin again
    objective.heed([])
    assert sum(update for update, _ in on(objective)) == 4
    before = OBJECTIVES.resolve("lagging", {})
    assert before == {"inner": 10, "until": 1000}  # runs keep their identity
    both = OBJECTIVES["lagging"].requirements({"stop": "information"})
    assert both - OBJECTIVES["lagging"].requirements({}) == {"posterior.marginals"}


def test_a_run_heeds_its_records_and_goes_on_after_an_interruption_as_without() -> None:
    settings = TrainingSettings(steps=12, batch_size=8, records=6, lr=1e-2)
    values = iter([0.1, 0.5, 0.6, 0.4, 0.9, 0.9, 0.9])  # at 0, 2, 4, 6 … steps
    data = small_images()

    def program(**given: Any) -> LossProgram:
        return LossProgram(small_vae(), Lagging(inner=3, **given))

    heeding, kept = program(until=100, stop="information"), []
    member = Member(
        heeding,
        0,
        settings,
        measure=lambda _: Seen(next(values)),
        keep=lambda snapshot, records: kept.append(snapshot),
    )
    trainer = Trainer(heeding, data, settings, compiled=False)
    list(trainer.train_together([member], keep_seconds=0))
    told = program(until=6)
    Trainer(told, data, settings, compiled=False).train(told, 0)
    for name, value in told.named_parameters():
        assert torch.equal(heeding.get_parameter(name), value), name
    start = next(snapshot for snapshot in kept if snapshot.step == 8)
    assert start.heeded.tolist() == [[0, 0.1], [2, 0.5], [4, 0.6], [6, 0.4], [8, 0.9]]
    again = program(until=100, stop="information")
    resumed = Member(again, 0, settings, measure=lambda _: Seen(0.0), start=start)
    list(trainer.train_together([resumed]))
    for name, value in told.named_parameters():
        assert torch.equal(again.get_parameter(name), value), name


def gaussian_vae(sigma: float = 0.5) -> VAE:
    return build_vae(
        (1, 8, 8),
        2,
        network={"name": "mlp", "hidden": [8]},
        prior={"name": "standard_normal"},
        posterior={"name": "mean_field_normal"},
        likelihood={"name": "gaussian", "sigma": sigma},
    )


def test_balanced_is_the_likelihood_at_its_best_sigma() -> None:
    vae, x = gaussian_vae(), small_images(10).float() / 255
    torch.manual_seed(0)
    loss, found = Balanced()(vae, x, {}, 10)
    loc = found.observed[0]["fn"].base_dist.loc
    best = (x - loc).square().mean().sqrt().item()
    values = {}
    for sigma in (best * 0.99, best, best * 1.01):
        law = torch.distributions.Normal(loc, sigma)
        values[sigma] = -law.log_prob(x).flatten(1).sum(1).mean() + found.rate.mean()
    torch.testing.assert_close(loss, values[best])
    assert min(values, key=values.__getitem__) == best
    # log_sigma follows beside it: its gradient is that of the plain likelihood, D (1 - mse/sigma²).
    (gradient,) = torch.autograd.grad(loss, vae.likelihood.log_sigma)
    assert gradient.item() == pytest.approx(64 * (1 - best**2 / 0.5**2), rel=1e-4)


@pytest.mark.parametrize("objective", ["balanced", "learned_sigma"])
def test_sigma_becomes_the_root_mean_squared_error(objective: str) -> None:
    # White noise of standard deviation 0.2: no code explains it.
    x = 0.3 + 0.2 * torch.randn(400, 1, 8, 8)
    vae = gaussian_vae()
    program = LossProgram(vae, OBJECTIVES.create(objective))
    settings = TrainingSettings(steps=400, batch_size=100, lr=1e-2, records=1)
    Trainer(program, x, settings, compiled=False).train(program, seed=0)
    assert vae.likelihood.log_sigma.exp().item() == pytest.approx(0.2, abs=0.012)


def test_every_objective_has_a_truth_here() -> None:
    """A new objective is to be tested beside these."""
    known = {
        "ada_gvae", "annealed", "autoencoder", "balanced", "beta", "beta_tc", "capacity", "ciwae",
        "delta", "dip_i", "dip_ii", "dreg", "elbo", "factor", "free_bits", "geco", "group_vae",
        "hamiltonian", "info", "iwae", "joint_capacity", "lagging", "latent_reconstruction",
        "learned_sigma", "miwae", "piwae", "rae", "semi_supervised", "vimco", "wae_gan", "wae_mmd",
    }  # fmt: skip
    assert {name for name in OBJECTIVES if "." not in name} == known
