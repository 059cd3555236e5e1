"""Pruned models against the models they came from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from pyrovae.commands.main import main
from pyrovae.core.errors import PyrovaeError
from pyrovae.distributions import marginals
from pyrovae.measures.evaluate import evaluate
from pyrovae.models.vae import VAE
from pyrovae.shrink.pruning import absorb_noise, compare, prune_hidden, prune_units, unit_directions
from pyrovae.shrink.pruning.describe import describe
from pyrovae.shrink.pruning.finetune import _held, fine_tune
from pyrovae.shrink.pruning.prune_run import NothingToPrune, prune_run
from pyrovae.study.config.read import load_study_file
from pyrovae.study.config.run import RunConfig
from pyrovae.study.plan.planning import Plan, make_plan, vae_of
from pyrovae.study.store.folders import RunFolder, Store
from pyrovae.study.store.history import history_table
from pyrovae.training.settled import NOT_RECORDED

STUDY = """
name: small
base:
  dataset: {name: digits}
  network: {name: mlp, hidden: [16, 12]}
  prior: standard_normal
  posterior: mean_field_normal
  likelihood: bernoulli
  objective: elbo
  latent_dim: 5
  training: {steps: 20, batch_size: 32, records: 1}
  evaluation:
    points: 100
    samples: 4
    metrics: []
    guide_draws: {points: 2, chains: 2, draws: 4}
    collapse: {information_points: 50, sensitivity_points: 8}
"""
KEEP = torch.tensor([0, 2, 4])
DEAD = [1, 3]


def _plan(folder: Path, *overrides: str) -> Plan:
    file = folder / "small.yaml"
    file.write_text(STUDY)
    return make_plan(load_study_file(file, overrides=overrides))


def _model(config: RunConfig, event_shape: tuple[int, ...]) -> VAE:
    """Return a model of random weights whose units 1 and 3 are dead: at the prior's moments."""
    vae = vae_of(config, event_shape)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, p in vae.named_parameters():
            if name.startswith("posterior."):
                p.copy_(0.4 * torch.randn(p.shape, generator=generator))
            elif name.startswith("encoder."):
                p.mul_(3)  # untrained features hardly vary
        _kill(vae, "loc", vae.latent_dim)
        _kill(vae, "scale", vae.latent_dim)
        if hasattr(vae.posterior, "correlation"):
            d = vae.latent_dim
            for tensor in (vae.posterior.correlation.weight, vae.posterior.correlation.bias):
                square = tensor.view(d, d, *tensor.shape[1:])
                square[DEAD] = 0
                square[:, DEAD] = 0
    return vae


def _kill(vae: VAE, head: str, d: int) -> None:
    layer = getattr(vae.posterior, head)
    if not isinstance(layer, torch.nn.Module):  # a scale that no head gives
        return
    for tensor in (layer.weight, layer.bias):
        tensor.view(-1, d, *tensor.shape[1:])[:, DEAD] = 0


FAMILIES = [
    ("standard_normal", "mean_field_normal"),
    ("laplace", "laplace"),
    ("student_t", "full_rank_normal"),
    ("standard_normal", "low_rank_normal"),
    ("standard_normal", "fixed_scale_normal"),
    ("standard_normal", "{name: mean_field_normal, gamma: 0.5}"),
    ("gaussian_mixture", "student_t"),
    ("ard", "gaussian_mixture"),
    ("horseshoe", "logistic"),
    ("spike_slab", "relaxed_spike_slab"),
    ("vampprior", "mean_field_normal"),
]


@pytest.mark.parametrize(("prior", "posterior"), FAMILIES)
def test_what_is_left_is_the_marginal_of_what_was(
    tmp_path: Path, prior: str, posterior: str
) -> None:
    plan = _plan(tmp_path, f"prior={prior}", f"posterior={posterior}")
    (dataset,) = plan.datasets.values()
    config = plan.runs[0].config
    vae = _model(config, dataset.event_shape)
    means = torch.tensor([0.0, 0.3, 0.0, -1.2, 0.0])
    pruned, smaller = prune_units(vae, config, KEEP, means)
    assert (smaller.latent_dim, pruned.latent_dim) == (3, 3)
    x = dataset.test.floats(slice(20))
    z = torch.randn(20, 5)
    with torch.no_grad():
        was, now = marginals(vae.encode(x)), marginals(pruned.encode(x))
        torch.testing.assert_close(now.log_prob(z[:, KEEP]), was.log_prob(z)[:, KEEP])
        was, now = marginals(vae.prior_law()), marginals(pruned.prior_law())
        torch.testing.assert_close(now.log_prob(z[:, KEEP]), was.log_prob(z)[:, KEEP])
        full = torch.empty(20, 5)
        full[:, KEEP], full[:, DEAD] = z[:, KEEP], means[DEAD]
        torch.testing.assert_close(pruned.reconstruct(z[:, KEEP]), vae.reconstruct(full))


@pytest.mark.parametrize(
    ("prior", "posterior", "reason"),
    [
        ("standard_normal", "iaf", "posterior InverseAutoregressive is not known to be closed"),
        ("hyperspherical_uniform", "power_spherical", "posterior PowerSpherical"),
        ("flow", "mean_field_normal", "prior Flow"),
    ],
)
def test_other_families_are_refused(
    tmp_path: Path, prior: str, posterior: str, reason: str
) -> None:
    plan = _plan(tmp_path, f"prior={prior}", f"posterior={posterior}")
    (dataset,) = plan.datasets.values()
    config = plan.runs[0].config
    with pytest.raises(PyrovaeError, match=f"cannot prune: {reason}"):
        prune_units(vae_of(config, dataset.event_shape), config, KEEP, torch.zeros(5))


@pytest.mark.parametrize("posterior", ["mean_field_normal", "laplace", "full_rank_normal"])
def test_elbo_rises_by_the_rate_of_units_that_the_decoder_ignores(
    tmp_path: Path, posterior: str
) -> None:
    plan = _plan(tmp_path, f"posterior={posterior}")
    (dataset,) = plan.datasets.values()
    config = plan.runs[0].config
    vae = _model(config, dataset.event_shape)
    with torch.no_grad():
        vae.decoder[0].weight[:, DEAD] = 0
        vae.posterior.loc.bias[DEAD] = 0.5  # away from the prior: a rate for nothing
    pruned, _ = prune_units(vae, config, KEEP, torch.zeros(5))
    x = dataset.test.floats(slice(100))
    found = compare(vae, pruned, unit_directions(KEEP, 5), x, samples=20)
    # KL from N(0, 1) of N(0.5, 1) is 1/8; of Laplace(0.5, 1) it is
    # (2 + 1/4)/2 + log(2 pi)/2 - 1 - log 2.
    rate = 0.125 if posterior != "laplace" else 0.3507914
    assert found.distortion_change == pytest.approx(0, abs=1e-4)
    assert found.rate_change == pytest.approx(-2 * rate, abs=2e-4)
    assert found.change == pytest.approx(2 * rate, abs=3e-4)
    assert found.change_se < 0.01 * found.before_se
    # The rate that is saved is the same for each datum, the ELBO is not.
    assert found.change_data_se < 0.01 * found.data_se
    assert found.reconstruction_change < 1e-6


def test_monte_carlo_error_is_the_spread_over_seeds(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    (dataset,) = plan.datasets.values()
    config = plan.runs[0].config
    vae = _model(config, dataset.event_shape)
    pruned, _ = prune_units(vae, config, KEEP, torch.zeros(5))
    x = dataset.test.floats(slice(50))
    found = [
        compare(vae, pruned, unit_directions(KEEP, 5), x, samples=8, seed=s) for s in range(40)
    ]
    for value, error in (("before", "before_se"), ("change", "change_se")):
        spread = torch.tensor([getattr(f, value) for f in found]).std()
        claimed = torch.tensor([getattr(f, error) for f in found]).mean()
        # 40 seeds: a standard deviation is known to 11 %.
        assert float(claimed) == pytest.approx(float(spread), rel=0.45)


def test_hidden_units_without_influence_go_and_nothing_changes(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    (dataset,) = plan.datasets.values()
    config = plan.runs[0].config
    vae = _model(config, dataset.event_shape)
    first, second = vae.encoder[1], vae.encoder[3]
    with torch.no_grad():
        first.bias[[2, 5]] = -100.0  # never on
        first.weight[7], first.bias[7] = 0.0, 1.5  # constant: to be absorbed
        second.weight[:, 9] = 0.0  # nobody listens
        vae.posterior.loc.weight[:, 4] = vae.posterior.scale.weight[:, 4] = 0.0
        vae.decoder[2].bias[[0, 1, 3]] = -100.0
    x = dataset.train.floats(slice(400))
    pruned, smaller, removed = prune_hidden(vae, config, x)
    assert smaller.network["hidden"][0] <= 12
    assert smaller.network["hidden"][1] <= 11
    assert smaller.network["decoder_hidden"][1] <= 13
    assert removed["encoder"] >= 5
    assert removed["decoder"] >= 3
    z = torch.randn(10, 5)
    with torch.no_grad():
        # Units of less than a millionth of a layer's variance went as well.
        close = {"rtol": 0, "atol": 0.02}
        torch.testing.assert_close(pruned.encode(x[:50]).mean, vae.encode(x[:50]).mean, **close)
        torch.testing.assert_close(pruned.reconstruct(z), vae.reconstruct(z), **close)


@pytest.mark.parametrize("network", ["{name: gated_mlp, hidden: [8]}", "{name: mlp, norm: layer}"])
def test_units_go_from_gated_and_normalised_networks_too(tmp_path: Path, network: str) -> None:
    plan = _plan(tmp_path, f"network={network}", "network.dropout=0.2")
    (dataset,) = plan.datasets.values()
    config = plan.runs[0].config
    vae = _model(config, dataset.event_shape).eval()
    means = torch.tensor([0.0, 0.3, 0.0, -1.2, 0.0])
    pruned, _ = prune_units(vae, config, KEEP, means)
    z = torch.randn(20, 5)
    z[:, DEAD] = means[DEAD]
    with torch.no_grad():
        was, now = vae.decode(z).mean, pruned.eval().decode(z[:, KEEP]).mean
    torch.testing.assert_close(now, was)
    with pytest.raises(PyrovaeError, match="--deep"):
        prune_hidden(vae, config, dataset.test.floats(slice(50)))


def test_a_batch_normalised_decoder_is_not_taken_apart(tmp_path: Path) -> None:
    plan = _plan(tmp_path, "network.norm=batch")
    config = plan.runs[0].config
    vae = _model(config, next(iter(plan.datasets.values())).event_shape)
    with pytest.raises(PyrovaeError, match="first layer has no bias"):
        prune_units(vae, config, KEEP, torch.zeros(5))


def test_deep_pruning_of_convolutions_is_refused(tmp_path: Path) -> None:
    plan = _plan(tmp_path, "network={name: conv, channels: [4], dense: 8}")
    (dataset,) = plan.datasets.values()
    config = plan.runs[0].config
    vae = vae_of(config, dataset.event_shape)
    with pytest.raises(PyrovaeError, match="--deep removes units of network 'mlp', not of 'conv'"):
        prune_hidden(vae, config, dataset.train.floats(slice(10)))


def _stored(tmp_path: Path, *overrides: str) -> RunFolder:
    """Return a stored run of the model above, which was never trained."""
    plan = _plan(tmp_path, *overrides)
    (dataset,) = plan.datasets.values()
    run = plan.runs[0]
    vae = _model(run.config, dataset.event_shape)
    store = Store(tmp_path / "results" / "small")
    evaluation = evaluate(vae, dataset, run.config.evaluation, 0)
    store.write_run(run, vae.state_dict(), history_table([]), evaluation, {}, NOT_RECORDED)
    store.write_plan(plan)
    return store.run(run.id)


@pytest.mark.parametrize("network", ["mlp", "{name: conv, channels: [4], dense: 8}"])
def test_a_run_is_pruned_into_a_run(tmp_path: Path, network: str) -> None:
    folder = _stored(tmp_path, f"network={network}")
    # Its decoder is of random weights: what it uses is no unit that says something.
    pruned = prune_run(
        folder, criterion="variance", samples=4, points=50, finetune=10, compiled=False
    )
    assert pruned.removed == DEAD
    assert pruned.kept == KEEP.tolist()
    assert pruned.parameters[1] < pruned.parameters[0]
    assert pruned.flops[1] < pruned.flops[0]
    found = pruned.finetuning
    assert found is not None
    # A model that was never trained gains: from 0.1 of the run's rate.
    assert found.kept
    assert found.gain > 2 * found.gain_se > 0
    assert found.rate == pytest.approx(1e-4)
    assert pruned.finetuned == found.elbo
    said = f"fine-tuning: {found.change:+.2f} ± {found.change_se:.2f} nats, ELBO {found.elbo:.4f}"
    assert said in describe(pruned)
    assert pruned.folder.config().latent_dim == 3
    assert len(pruned.folder.units()) == 3
    # What is stored is the fine-tuned model, and says where it comes from.
    lineage = json.loads((pruned.folder.path / "environment.json").read_text())["lineage"]
    assert lineage["parent"] == folder.id
    assert lineage["kept_units"] == KEEP.tolist()
    assert lineage["finetuning"]["change"] == found.change
    assert len(pruned.folder.history()) == 2
    vae_of(pruned.folder.config(), (1, 8, 8)).load_state_dict(pruned.folder.parameters())


def test_fine_tuning_that_does_harm_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _stored(tmp_path)
    plain = prune_run(folder, criterion="variance", samples=4, points=50)
    # A rate at which Adam's first steps destroy any model.
    monkeypatch.setattr("pyrovae.shrink.pruning.finetune.RATE", 2000.0)
    pruned = prune_run(
        folder, criterion="variance", samples=4, points=50, finetune=3, compiled=False
    )
    found = pruned.finetuning
    assert found is not None
    assert not found.kept
    assert found.change < -1
    # Draws are others, for so few data.
    assert found.elbo == pytest.approx(plain.comparison.after, abs=0.3)
    assert "kept as it was: fine-tuning lost" in describe(pruned)
    was, now = plain.folder.parameters(), pruned.folder.parameters()
    assert all(torch.equal(was[name], now[name]) for name in was)
    assert len(pruned.folder.history()) == 1


def test_fine_tuning_goes_on_from_the_end_of_every_schedule(tmp_path: Path) -> None:
    plan = _plan(
        tmp_path,
        "objective={name: beta, beta: {schedule: linear, from: 0, to: 4, steps: 10}}",
        "prior={name: laplace, scale: {schedule: linear, from: 2, to: 1, steps: 10}}",
        "training.lr={schedule: cosine, from: 1.0e-2, to: 0, steps: 20}",
    )
    (dataset,) = plan.datasets.values()
    config = plan.runs[0].config
    assert _held(config.objective, 19)["beta"] == 4
    vae = _model(config, dataset.event_shape)
    vae.prior.scale.fill_(1.0)  # as training leaves it
    tuned, found, records = fine_tune(vae, config, dataset, 4, points=50, samples=2, compiled=False)
    assert found.rate == pytest.approx(1e-3)
    assert records[0].step == 0
    assert float(tuned.prior.scale) == 1
    assert tuned.state_dict().keys() == vae.state_dict().keys()


def test_commands(tmp_path: Path) -> None:
    folder = _stored(tmp_path)
    results = str(tmp_path / "results")
    called = CliRunner().invoke(main, ["collapse", folder.id, "--results", results])
    assert called.exit_code == 0, called.output
    assert "other criteria: 3 by Var(mu)" in called.output
    for name in ("kl-profile", "variance-law", "sensitivity"):
        assert (tmp_path / "results/small/collapse" / folder.id / f"{name}.png").exists()
    arguments = ["prune", folder.id, "--results", results, "--deep", "--samples", "2"]
    arguments += ["--criterion", "variance"]
    called = CliRunner().invoke(main, [*arguments, "--points", "20"])
    assert called.exit_code == 0, called.output
    assert "2 of 5 latent units removed: 1, 3" in called.output
    smaller = called.output.splitlines()[-1].split()[1].rstrip(":")
    again = CliRunner().invoke(main, ["prune", smaller, "--results", results, *arguments[-2:]])
    assert again.exit_code == 2
    assert "all 3 units are active by variance: nothing to prune" in again.output
    assert "the rate of what was removed, which is saved" in called.output


def test_a_run_that_lacks_a_file_is_refused(tmp_path: Path) -> None:
    folder = _stored(tmp_path)
    (folder.path / "model.safetensors").unlink()
    called = CliRunner().invoke(main, ["prune", folder.id, "--results", str(tmp_path / "results")])
    assert called.exit_code == 2
    assert "model.safetensors is missing; run its study again" in called.output


def test_what_noise_does_and_what_was_said_of_x_are_told_apart(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    (dataset,) = plan.datasets.values()
    config = plan.runs[0].config
    x = dataset.test.floats(slice(100))
    # Units 1 and 3 say nothing, and the decoder hears their noise.
    vae = _model(config, dataset.event_shape)
    pruned, _ = prune_units(vae, config, KEEP, torch.zeros(5))
    found = compare(vae, pruned, unit_directions(KEEP, 5), x, samples=20)
    assert found.information_change == pytest.approx(0, abs=1e-4)
    assert found.noise_change == pytest.approx(found.distortion_change, abs=1e-4)
    assert abs(found.noise_change) > 3 * found.noise_change_se > 0
    # Without noise all that is lost is what they say.
    with torch.no_grad():
        vae.posterior.loc.weight[DEAD] = 1.0
        vae.posterior.scale.bias[DEAD] = -12.0
    pruned, _ = prune_units(vae, config, KEEP, torch.zeros(5))
    found = compare(vae, pruned, unit_directions(KEEP, 5), x, samples=20)
    assert found.noise_change == pytest.approx(0, abs=1e-3)
    assert found.information_change == pytest.approx(found.distortion_change, abs=1e-3)
    assert abs(found.information_change) > 3 * found.information_change_se > 0


def test_the_mean_effect_of_noise_is_absorbed(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    (dataset,) = plan.datasets.values()
    config = plan.runs[0].config
    vae = _model(config, dataset.event_shape)
    with torch.no_grad():
        vae.decoder[0].weight[:, DEAD] *= 8  # loud
    x = dataset.train.floats(slice(1000))
    directions = unit_directions(KEEP, 5)
    pruned, _ = prune_units(vae, config, KEEP, torch.zeros(5))
    z = vae.encode(x).sample()
    first, second = vae.decoder[:2], vae.decoder[2]

    def off() -> float:
        with torch.no_grad():
            heard = second(first(z)).mean(0)
            kept = pruned.decoder[2](pruned.decoder[:2](z[:, KEEP])).mean(0)
        return float((heard - kept).abs().max())

    alone = off()
    shift = absorb_noise(vae, pruned, directions, x)
    assert shift is not None
    assert alone > 0.1
    assert off() < 0.1 * alone


def _sharing_two_directions(folder: RunFolder, tmp_path: Path, *overrides: str) -> None:
    """Give a stored full-rank run means that vary along two directions, none of them a unit."""
    vae = vae_of(folder.config(), (1, 8, 8))
    vae.load_state_dict(folder.parameters())
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        directions = torch.randn(5, 2, generator=generator)
        features = vae.posterior.loc.weight.shape[1]
        vae.posterior.loc.weight.copy_(directions @ torch.randn(2, features, generator=generator))
        vae.posterior.scale.weight.zero_()
        vae.posterior.scale.bias.zero_()
        vae.posterior.correlation.weight.zero_()
        vae.posterior.correlation.bias.zero_()
    plan = _plan(tmp_path, *overrides)
    (dataset,) = plan.datasets.values()
    evaluation = evaluate(vae, dataset, plan.runs[0].config.evaluation, 0)
    store = Store(tmp_path / "results" / "small")
    store.write_run(plan.runs[0], vae.state_dict(), history_table([]), evaluation, {}, NOT_RECORDED)


def test_a_full_rank_code_is_turned_before_it_is_pruned(tmp_path: Path) -> None:
    posterior = "posterior=full_rank_normal"
    folder = _stored(tmp_path, posterior)
    _sharing_two_directions(folder, tmp_path, posterior)
    assert folder.units()["train_active"].all()
    pruned = prune_run(folder, criterion="variance", samples=4, points=50)
    assert (pruned.kept, pruned.removed, pruned.turned) == ([0, 1], [2, 3, 4], True)
    assert "3 of 5 directions of the code removed" in describe(pruned)
    lineage = json.loads((pruned.folder.path / "environment.json").read_text())["lineage"]
    kept = torch.tensor(lineage["directions"])
    torch.testing.assert_close(kept @ kept.T, torch.eye(2))
    with pytest.raises(NothingToPrune, match="all 2 directions are active"):
        prune_run(pruned.folder, criterion="variance", samples=2, points=20)
    with pytest.raises(NothingToPrune, match="under a standard_normal prior, its code can be"):
        prune_run(folder, criterion="kl", samples=2, points=20)
