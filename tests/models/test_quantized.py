"""Quantised codes: nearest codewords and rounded numbers, their gradients, their collapse."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

import pyrovae
from pyrovae.core.errors import PyrovaeError
from pyrovae.core.measuring import in_mode
from pyrovae.core.params import OwnParams
from pyrovae.core.seeded import seeded
from pyrovae.distributions import analytic_kl
from pyrovae.distributions.codewords import Codewords, Nearest, words_of
from pyrovae.distributions.labels import Label
from pyrovae.measures.collapse import enumerate_posterior, estimate_bound
from pyrovae.models.posteriors.quantized import Codebook, FiniteScalar
from pyrovae.models.vae import VAE, build_vae
from pyrovae.objectives import OBJECTIVES
from pyrovae.training import LossProgram, Trainer, TrainingSettings
from pyrovae.training.loop import Member

FAMILIES: dict[str, dict[str, Any]] = {
    "gradient": {"name": "vector_quantized", "classes": 3, "width": 2},
    "ema": {"name": "vector_quantized", "classes": 3, "width": 2, "codebook": "ema"},
    "shared": {"name": "vector_quantized", "classes": 3, "width": 2, "shared": True},
    "rounded": {"name": "finite_scalar", "classes": 3},
}


def small(name: str, *, learned: bool = False, **more: Any) -> VAE:
    """Return a VAE of two units of three labels and five binary pixels, off its start."""
    vae = build_vae(
        (5,),
        2,
        network={"name": "mlp", "hidden": [6]},
        prior={"name": "categorical", "classes": 3, "learned": learned},
        posterior=FAMILIES[name] | more,
        likelihood={"name": "bernoulli"},
        seed=1,
    )
    with seeded(2), torch.no_grad():
        for parameter in vae.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return vae


def data(n: int = 30) -> Tensor:
    with seeded(3):
        return (torch.rand(n, 5) > 0.5).float()


def test_the_nearest_codeword_by_a_plain_loop() -> None:
    with seeded(0):
        vectors, words = torch.randn(7, 2, 3), torch.randn(2, 4, 3)
    law = Nearest(vectors, words)
    for i in range(7):
        for u in range(2):
            away = [math.dist(vectors[i, u].tolist(), words[u, k].tolist()) for k in range(4)]
            best = away.index(min(away))
            assert int(law.sample()[i, u]) == best
            assert law.shares[i, u].tolist() == [float(k == best) for k in range(4)]
            assert torch.equal(words_of(law.sample(), words)[i, u], words[u, best])
    assert torch.equal(law.entropy(), torch.zeros(7, 2))
    assert law.expand([5, 7, 2]).sample().shape == (5, 7, 2)


def test_laws_in_training_are_those_of_the_labels() -> None:
    with seeded(0):
        vectors, words = torch.randn(7, 2, 3), torch.randn(2, 4, 3)
        units = Label(logits=torch.randn(2, 4))
    q, p = Codewords(Nearest(vectors, words), words), Codewords(units, words)
    labels = Nearest(vectors, words).sample()
    torch.testing.assert_close(analytic_kl(q, p), -units.log_prob(labels).sum(-1))
    torch.testing.assert_close(p.log_prob(q.sample()), units.log_prob(labels).sum(-1))
    assert q.log_prob(q.sample()).eq(0).all()
    counts = torch.zeros(2, 4)
    with seeded(1):
        drawn = Nearest(p.rsample((4000,)).unflatten(-1, (2, 3)), words).shares
    counts = drawn.mean(0)
    torch.testing.assert_close(counts, units.shares, rtol=0, atol=0.04)


@pytest.mark.parametrize("levels", [2, 3, 5, 8])
def test_numbers_are_rounded_as_in_the_paper(levels: int) -> None:
    posterior = FiniteScalar(1, 1, classes=levels)
    e = torch.linspace(-6, 6, 4001)
    with torch.no_grad():
        posterior.vectors.weight.fill_(1.0)
        posterior.vectors.bias.zero_()
    z = posterior(e.unsqueeze(-1)).sample().squeeze(-1)
    # Mentzer et al. 2023, the quantiser of their appendix, number by number.
    reach, offset = (levels - 1) / 2 * 1.001, 0.0 if levels % 2 else 0.5
    shift = math.atanh(offset / reach)
    for value, label in zip(e.tolist(), z.tolist(), strict=True):
        bounded = math.tanh(value + shift) * reach - offset
        assert label == pytest.approx(bounded + levels // 2, abs=0.5 + 1e-5)
    assert set(z.tolist()) == set(range(levels))
    assert float(posterior(torch.zeros(1, 1)).sample()) == levels // 2
    read = posterior.read(torch.arange(float(levels)).unsqueeze(-1)).squeeze(-1)
    assert read.tolist() == [(k - levels // 2) / (levels // 2) for k in range(levels)]


def _loss(vae: VAE, x: Tensor) -> Tensor:
    with OwnParams(), in_mode(vae, training=True):
        loss, _ = OBJECTIVES.create("elbo")(vae, x, {}, len(x))
    return loss


@pytest.mark.parametrize("name", FAMILIES)
def test_the_loss_is_the_bound_and_gradients_go_straight_through(name: str) -> None:
    vae, x = small(name, commitment=0.4) if name != "rounded" else small(name), data()
    q: Any = vae.encode(x).base_dist  # type: ignore[attr-defined]
    labels, vectors = q.sample(), q.vectors
    expected = vae.decode(labels).log_prob(x).mean() - 2 * math.log(3)
    torch.testing.assert_close(enumerate_posterior(vae, x).elbo.mean(), expected.detach())
    words = words_of(labels, q.codewords).detach()
    loss = _loss(vae, x)
    torch.testing.assert_close(-loss, expected)
    # What the decoder reads, moved by finite differences, moves the vectors, to whom committing to
    # the codewords adds its own.
    slope, step = torch.zeros_like(words), 1e-2
    for u in range(words.shape[1]):
        for j in range(words.shape[2]):
            moved = []
            for sign in (1, -1):
                there = words.clone()
                there[:, u, j] += sign * step
                law = vae.likelihood(vae.decoder(there.flatten(-2)))
                moved.append(-law.log_prob(x).detach())
            slope[:, u, j] = (moved[0] - moved[1]) / (2 * step)
    beta = 0.0 if name == "rounded" else 0.4
    expected_slope = (slope + 2 * beta * (vectors - words).detach()) / len(x)
    parameters = list(vae.encoder.parameters()) + list(vae.posterior.vectors.parameters())
    through = torch.autograd.grad(vectors, parameters, expected_slope)
    found = torch.autograd.grad(loss, parameters, retain_graph=True)
    for one, other in zip(found, through, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-4)
    if name in ("gradient", "shared"):
        (of_words,) = torch.autograd.grad(loss, [vae.posterior.codebook.words])
        expected_words = torch.zeros_like(of_words)
        for i in range(len(x)):
            for u in range(2):
                row = 0 if name == "shared" else u
                apart = 2 * (words[i, u] - vectors[i, u].detach()) / len(x)
                expected_words[row, int(labels[i, u])] += apart
        torch.testing.assert_close(of_words, expected_words, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shared", [False, True])
def test_averages_follow_by_a_plain_loop_and_end_at_means(shared: bool) -> None:
    with seeded(0):
        start = torch.randn(1 if shared else 2, 3, 2)
        vectors = torch.randn(40, 2, 2)
    book = Codebook(start.clone(), 0.9)
    law = Nearest(vectors, book())
    counts, sums = torch.ones(start.shape[:-1]) * 0.9, start * 0.9
    for i in range(40):
        for u in range(2):
            place = (0 if shared else u), int(law.sample()[i, u])
            counts[place] += 0.1
            sums[place] += 0.1 * vectors[i, u]
    book.follow(vectors, law.shares)
    torch.testing.assert_close(book(), sums / counts.unsqueeze(-1))
    for _ in range(300):
        book.follow(vectors, Nearest(vectors, book()).shares)
    final, known = Nearest(vectors, book()).sample(), vectors
    for u in range(2):
        for k in range(3):
            chosen = final == k if shared else (final == k) & (torch.arange(2) == u)
            if chosen.any():
                word = book()[0 if shared else u, k]
                torch.testing.assert_close(word, known[chosen].mean(0), rtol=1e-3, atol=1e-3)
    book.eval()
    before = book().clone()
    book.follow(vectors + 5, law.shares)
    assert torch.equal(before, book())


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_bounds_are_measured_exactly(name: str, learned: bool) -> None:
    vae, x = small(name, learned=learned), data(6)
    found = enumerate_posterior(vae, x)
    with OwnParams():
        bound = estimate_bound(vae.datum_model, vae.datum_guide, x, samples=3, seed=0)
    torch.testing.assert_close(bound.elbo, found.elbo, rtol=1e-4, atol=1e-4)
    assert (found.kl > 0).all()
    labels = vae.encode(x).sample()
    torch.testing.assert_close(bound.rate, -vae.prior_law().log_prob(labels))


@pytest.mark.parametrize("name", FAMILIES)
def test_steps_are_traced_and_members_train_as_alone(name: str) -> None:
    images = (data(40) * 255).to(torch.uint8)
    settings = TrainingSettings(steps=6, batch_size=8, lr=1e-2, records=1)

    def program(seed: int) -> LossProgram:
        made = small(name)
        with seeded(seed), torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        return LossProgram(made, OBJECTIVES.create("elbo"))

    alone = program(0)
    Trainer(alone, images, settings, compiled=False).train(alone, seed=0)
    both = [program(0), program(1)]
    together = Trainer(both[0], images, settings, compiled=False, size=2)
    list(together.train_together([Member(p, i, settings) for i, p in enumerate(both)]))
    told = dict(both[0].named_parameters()) | dict(both[0].named_buffers())
    for key, value in (dict(alone.named_parameters()) | dict(alone.named_buffers())).items():
        torch.testing.assert_close(told[key], value, atol=1e-4, rtol=1e-3)
    if name == "ema":
        start = small(name).posterior.codebook.sums
        assert not torch.equal(start, alone.vae.posterior.codebook.sums)  # type: ignore[union-attr]


def test_a_collapsed_codebook_shows_in_its_usage() -> None:
    """An encoder that says nothing has one label in use; the rate is as large as ever."""
    vae, x = small("gradient"), data(200)
    with torch.no_grad():
        vae.posterior.vectors.weight.zero_()
    scores = pyrovae.collapse(vae, x, points=200).scores
    assert scores["code_perplexity"] == pytest.approx(1)
    assert scores["dead_labels"] == 4
    assert scores["used_units"] == scores["informative_units"] == 0
    assert scores["mutual_information"] == pytest.approx(0, abs=1e-4)
    assert scores["rate"] == pytest.approx(2 * math.log(3), rel=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_codes_that_tell_groups_apart_are_learned(name: str) -> None:
    """Nine kinds of data, two units of three labels: all labels used, and the code says which."""
    with seeded(0):
        kinds = torch.randint(0, 9, (600,))
        patterns = (torch.rand(9, 12) > 0.5).float()
        x = (patterns[kinds] + (torch.rand(600, 12) < 0.02)) % 2
    vae = pyrovae.build(
        (12,),
        latent_dim=2,
        network={"name": "mlp", "hidden": [32]},
        prior={"name": "categorical", "classes": 3},
        posterior=FAMILIES[name],
    )
    vae = pyrovae.fit(vae, x, steps=500, batch_size=50, lr=1e-2, progress=False)
    scores = pyrovae.collapse(vae, x, points=300).scores
    assert scores["used_units"] == 2
    assert scores["mutual_information"] > 1.3
    assert scores["code_perplexity"] > 2
    assert scores["elbo"] > -8


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(PyrovaeError, match="units of 10 labels, and the posterior of 3"):
        pyrovae.build((5,), latent_dim=2, prior="categorical", posterior=FAMILIES["gradient"])
    with pytest.raises(PyrovaeError, match="labels of categories"):
        pyrovae.build((5,), latent_dim=2, posterior=FAMILIES["rounded"])
    vae = small("gradient")
    for objective in ("iwae", "vimco", "wae_mmd"):
        with pytest.raises(PyrovaeError, match=objective):
            pyrovae.fit(vae, data(), steps=1, objective=objective)
