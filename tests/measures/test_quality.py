"""Distances of samples against closed forms and planted supports, and the extractor behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from tiny_study import TINY, run, tiny_plan
from torch import Tensor

import pyrovae
from pyrovae.core.errors import ConfigError
from pyrovae.datasets import Dataset, Split, load_dataset
from pyrovae.measures.quality import (
    QualitySettings,
    extractor,
    extractor_for,
    frechet,
    kernel_distance,
    precision_recall,
)
from pyrovae.measures.quality.measure import measure_quality
from pyrovae.measures.scores import score_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a process that remembers nothing."""
    monkeypatch.setattr(extractor, "_folder", lambda: tmp_path / "extractors")
    monkeypatch.setattr(extractor, "_KNOWN", {})
    monkeypatch.setitem(extractor._RECIPE, "steps", 120)
    return tmp_path / "extractors"


def _normal(n: int, seed: int, mean: Tensor, root: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return mean + torch.randn(n, len(mean), generator=generator, dtype=torch.double) @ root.T


def test_frechet_is_the_closed_form_of_two_normal_laws() -> None:
    generator = torch.Generator().manual_seed(0)
    roots = torch.randn(2, 4, 4, generator=generator, dtype=torch.double)
    means = torch.randn(2, 4, generator=generator, dtype=torch.double)
    s, t = (r @ r.T for r in roots.numpy())
    exact = float((means[0] - means[1]).square().sum()) + np.trace(s + t - 2 * sqrtm(s @ t).real)
    a, b = (_normal(200_000, k, means[k], roots[k]) for k in (0, 1))
    assert frechet(a, b) == pytest.approx(exact, rel=0.02)
    # Of the samples' own moments it is exact.
    s, t = np.cov(a.T.numpy()), np.cov(b.T.numpy())
    apart = float((a.mean(0) - b.mean(0)).square().sum())
    own = apart + np.trace(s + t - 2 * sqrtm(s @ t).real)
    assert frechet(a, b) == pytest.approx(own, rel=1e-8)


def test_frechet_of_a_set_with_itself_is_0_and_grows_with_noise() -> None:
    a = _normal(500, 0, torch.zeros(6).double(), torch.eye(6).double())
    assert frechet(a, a) == pytest.approx(0, abs=1e-10)
    noise = _normal(500, 1, torch.zeros(6).double(), torch.eye(6).double())
    found = [frechet(a, a + scale * noise) for scale in (0.0, 0.25, 0.5, 1.0)]
    assert found == sorted(found)
    # One dimension is known without: (1 - (1 + s²)^½)² each, but for what the moments err.
    assert found[-1] == pytest.approx(6 * (1 - 2**0.5) ** 2, rel=0.2)
    # Fewer data than features: covariances are singular.
    few = _normal(4, 2, torch.zeros(6).double(), torch.eye(6).double())
    assert frechet(few, few) == pytest.approx(0, abs=1e-10)


def test_kernel_distance_is_the_double_sum() -> None:
    a, b = torch.randn(7, 3).double(), torch.randn(5, 3).double() + 1

    def kernel(u: Tensor, v: Tensor) -> float:
        return (float(u @ v) / 3 + 1) ** 3

    def mean(x: Tensor, y: Tensor, same: bool) -> float:
        values = [
            kernel(u, v) for i, u in enumerate(x) for j, v in enumerate(y) if not (same and i == j)
        ]
        return sum(values) / len(values)

    exact = mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False)
    assert kernel_distance(a, b) == pytest.approx(exact, rel=1e-10)


def test_kernel_distance_is_unbiased_and_frechet_is_not() -> None:
    zero, unit = torch.zeros(4).double(), torch.eye(4).double()
    values, distances = [], []
    for seed in range(200):
        a, b = (_normal(30, 2 * seed + k, zero, unit) for k in (0, 1))
        values.append(kernel_distance(a, b))
        distances.append(frechet(a, b))
    error = np.std(values) / 200**0.5
    assert abs(np.mean(values)) < 3 * error
    assert np.mean(distances) > 10 * np.std(distances) / 200**0.5
    moved = kernel_distance(_normal(30, 0, zero, unit), _normal(30, 1, zero + 1, unit))
    assert moved > 5 * np.std(values)


def test_precision_and_recall_of_planted_supports() -> None:
    """Data at two places, samples at one of them and at a third."""
    generator = torch.Generator().manual_seed(0)

    def heap(n: int, at: float) -> Tensor:
        return at + torch.randn(n, 2, generator=generator)

    real = torch.cat([heap(300, 0), heap(300, 100)])
    made = torch.cat([heap(300, 0), heap(100, -100)])
    precision, recall = precision_recall(real, made)
    assert precision == pytest.approx(0.75, abs=0.03)
    assert recall == pytest.approx(0.5, abs=0.03)
    assert precision_recall(real, real) == (1.0, 1.0)
    assert precision_recall(real, heap(50, 1000)) == (0.0, 0.0)
    with pytest.raises(ConfigError, match="3 neighbours need more data"):
        precision_recall(real, real[:3])


def _sprites(seed: int = 0) -> Dataset:
    asked: dict[str, Any] = {"scales": 1, "orientations": 1, "positions": 8, "seed": seed}
    return load_dataset("sprites", size=16, n_train=120, n_test=60, **asked)


def test_a_classifier_tells_factors_and_is_the_same_for_all_runs(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _sprites()
    first = extractor_for(data)
    assert first.about["classes"] == {"shape": 3, "x": 8, "y": 8}
    x = data.test.floats()
    assert first(x).shape == (60, 64)
    assert first.about["accuracy"]["x"] > 0.5  # chance is 1/8
    (stored,) = cache.glob("*.safetensors")
    content = stored.read_bytes()
    # Another process reads it; without the file it comes out the same, whatever was drawn before.
    monkeypatch.setattr(extractor, "_KNOWN", {})
    with monkeypatch.context() as patched:
        patched.setattr(extractor, "_trained", lambda *_: pytest.fail("is in the cache"))
        assert torch.equal(extractor_for(data)(x), first(x))
    monkeypatch.setattr(extractor, "_KNOWN", {})
    stored.write_bytes(content[:100])  # damaged
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    torch.testing.assert_close(extractor_for(data)(x), first(x), rtol=1e-4, atol=1e-4)
    assert torch.equal(torch.random.get_rng_state(), before)
    extractor_for(_sprites(seed=1))
    assert len(list(cache.glob("*.safetensors"))) == 2


def test_labels_do_where_there_are_no_factors_and_pixels_where_there_is_nothing() -> None:
    digits = load_dataset("digits", n_train=200, n_test=50)
    assert extractor_for(digits).about["classes"] == {"digit": 10}
    none = Dataset("plain", Split(torch.rand(20, 3)), Split(torch.rand(10, 3)))
    with pytest.raises(ConfigError, match="data set 'plain' has none: extractor: pixels"):
        extractor_for(none)
    x = torch.rand(5, 3)
    assert torch.equal(extractor_for(none, "pixels")(x), x)
    with pytest.raises(ConfigError, match="'grammar' holds text"):
        extractor_for(load_dataset("grammar", n_train=20, n_test=10), "pixels")


def test_scores_tell_extractor_samples_and_sampler() -> None:
    """A model that draws from a normal law in the data's own space, where all is known."""
    generator = torch.Generator().manual_seed(0)
    values = 0.5 + 0.1 * torch.randn(900, 3, generator=generator)
    data = Dataset("plain", Split(values[:600]), Split(values[600:]))
    vae = pyrovae.build((3,), latent_dim=3, likelihood={"name": "gaussian", "sigma": 0.1})
    vae.decode_with_mean = lambda z, context=None: (None, 0.5 + 0.1 * z)  # type: ignore
    vae.encode = lambda x, context=None: torch.distributions.Independent(  # type: ignore
        torch.distributions.Normal((x - 0.5) / 0.1 + 2.0, 1e-3), 1
    )
    settings = QualitySettings(extractor="pixels", samples=1000)
    sampler = {"name": "mixture", "components": 1, "covariance": "full"}
    found, about = measure_quality(
        vae, data.test.values, data.train.values, data, settings, [sampler], seed=1
    )
    by = "extractor=pixels,samples=300"
    names = ("fid", "kid", "sample_precision", "sample_recall")
    ways = ("", ",sampler=mixture,components=1", ",of=training_data")
    assert set(found) == {f"{name}[{by}{way}]" for name in names for way in ways}
    assert about["extractor"] == "pixels"
    # The prior is the data's law; the sampler has its mean 0.2 from there in each dimension.
    assert found[f"fid[{by}]"] < 1e-3
    assert found[f"fid[{by},sampler=mixture,components=1]"] == pytest.approx(0.12, abs=0.03)
    assert found[f"sample_precision[{by}]"] > 0.85
    assert found[f"fid[{by},of=training_data]"] < 1e-3
    score = score_of(f"fid[{by},sampler=mixture,components=1]")
    assert (
        score.title == "FID (extractor = pixels, samples = 300, sampler = mixture, components = 1)"
    )
    assert (score.better, score.group) == ("low", "Sample quality")


def test_a_study_measures_quality_only_when_it_is_asked(tmp_path: Path) -> None:
    text = TINY.replace("seeds: 2", "seeds: 1").replace(
        "prior: [standard_normal, student_t]", "prior: [standard_normal]"
    )
    plan = tiny_plan(tmp_path, text=text)
    content = plan.runs[0].config.evaluation.model_dump()
    assert "quality" not in content
    asked = text.replace("guide_draws:", "samplers: [mixture]\n    quality: {}\n    guide_draws:")
    plan = tiny_plan(tmp_path, text=asked)
    outcome = run(plan, tmp_path / "results")
    assert (outcome.done, outcome.failed) == (1, {})
    stored = pyrovae.load_run(plan.runs[0].id, results=tmp_path / "results").scores
    keys = [key for key in stored.index if key.startswith("fid[")]
    assert len(keys) == 3
    assert all("extractor=classifier,samples=150" in key for key in keys)
    bad = asked.replace("{name: sprites, size: 16, n_train: 300, n_test: 200}", "linear_gaussian")
    bad = bad.replace("likelihood: bernoulli", "likelihood: gaussian")
    with pytest.raises(ConfigError, match="data set 'linear_gaussian' has none") as caught:
        tiny_plan(tmp_path, text=bad)
    assert caught.value.place == "base.evaluation.quality"
