from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pyrovae.core.errors import ConfigError
from pyrovae.datasets import load_dataset


def test_default_uses_each_image_once_scaled_to_bytes() -> None:
    data = load_dataset("digits")
    assert data.event_shape == (1, 8, 8)
    assert data.train.factors is None
    both = np.concatenate([data.train.values.numpy(), data.test.values.numpy()])[:, 0]
    counts = load_digits().images
    ours, theirs = (sorted(x.reshape(-1, 64).tolist()) for x in (both, counts))
    assert np.abs(np.array(ours) / 255 - np.array(theirs) / 16).max() <= 0.5 / 255 + 1e-12
    assert both.max() == 255


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match="only 1797"):
        load_dataset("digits", n_train=1438)


def test_digits_are_labels_and_no_factors() -> None:
    data = load_dataset("digits")
    found = load_digits()
    digit_of = {
        np.rint(image * (255 / 16)).astype(np.uint8).tobytes(): digit
        for image, digit in zip(found.images, found.target, strict=True)
    }
    for split in data.splits.values():
        assert split.factors is None
        images = split.values[:].numpy()
        assert split.labels["digit"].tolist() == [digit_of[image.tobytes()] for image in images]
