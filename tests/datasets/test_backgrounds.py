"""Sprites in colours and on backgrounds, all of it nuisance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from pyrovae.core.errors import ConfigError
from pyrovae.datasets import DATASETS, load_dataset

SMALL: dict[str, Any] = {"size": 16, "n_train": 200, "n_test": 50}


def _images(**asked: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return images in [0, 1], and where their sprites are."""
    plain = load_dataset("sprites", **SMALL).train.values.numpy()
    images = load_dataset("sprites", **SMALL, **asked).train.values.numpy() / 255
    return images, plain[:, 0] > 0


def test_each_sprite_has_a_colour_of_its_own() -> None:
    images, inside = _images(colour=True)
    assert images.shape == (200, 3, 16, 16)
    colours = np.stack([image[:, mask][:, 0] for image, mask in zip(images, inside, strict=True)])
    for image, mask, colour in zip(images, inside, colours, strict=True):
        assert (image[:, mask] == colour[:, None]).all()
        assert (image[:, ~mask] == 0).all()
    for channel in colours.T:
        assert stats.kstest(channel, stats.uniform(0.5, 0.5).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(colours.T)[np.triu_indices(3, 1)]).max() < 0.25


@pytest.mark.parametrize("colour", [False, True])
def test_noise_is_uniform_outside_the_sprite(colour: bool) -> None:
    images, inside = _images(background="noise", colour=colour)
    assert images.shape[1] == (3 if colour else 1)
    noise = np.concatenate([i[:, ~m].ravel() for i, m in zip(images, inside, strict=True)])
    steps = (noise * 255).round()
    assert stats.chisquare(np.bincount(steps.astype(int), minlength=256)[1:255]).pvalue > 1e-3
    if not colour:
        assert all((image[:, mask] == 1).all() for image, mask in zip(images, inside, strict=True))


def test_on_a_picture_the_sprite_is_its_negative() -> None:
    images, inside = _images(background="picture")
    assert images.shape[1] == 3
    # Where the sprite is inverted back, neighbours differ as little as elsewhere.
    back = np.where(inside[:, None], 1 - images, images)
    across, edge = np.abs(np.diff(images, axis=-1)), np.diff(inside, axis=-1)[:, None]
    mended = np.abs(np.diff(back, axis=-1))
    edge = np.broadcast_to(edge, across.shape)
    assert mended[edge].mean() < 1.1 * mended[~edge].mean()
    assert across[edge].mean() > 1.5 * across[~edge].mean()
    # Patches and tints differ from image to image.
    means = images.mean((2, 3))
    assert means.std(0).min() > 0.05


def test_an_image_is_a_function_of_its_point() -> None:
    for asked in ({"colour": True}, {"background": "noise"}, {"background": "picture"}):
        more = load_dataset("sprites", **SMALL, **asked)
        fewer = load_dataset("sprites", **{**SMALL, "n_train": 50}, **asked)
        assert (fewer.train.values == more.train.values[:50]).all()
        assert (fewer.test.values == more.test.values).all()
        other = load_dataset("sprites", **{**SMALL, "seed": 1}, **asked)
        assert other.fingerprint != more.fingerprint


def test_defaults_are_no_part_of_the_identity() -> None:
    asked = {"colour": False, "background": "black"}
    assert DATASETS.resolve("sprites", asked) == DATASETS.resolve("sprites", {})
    plain = load_dataset("sprites", size=16, n_train=60, n_test=20, **asked)
    assert plain.fingerprint.startswith("3ac3b3dd24c5df3b")  # seen with version 0.1.0


def test_a_negative_has_no_colour() -> None:
    with pytest.raises(ConfigError, match="inverts") as caught:
        load_dataset("sprites", **SMALL, colour=True, background="picture")
    assert caught.value.place == "colour"
