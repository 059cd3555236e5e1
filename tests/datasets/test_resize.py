from __future__ import annotations

import numpy as np
import pytest

from pyrovae.datasets.resize import area_average

RANDOM = np.random.default_rng(0).integers(0, 256, (3, 2, 12, 12), np.uint8)


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_integer_factors_are_block_means(factor: int) -> None:
    size = 12 // factor
    blocks = RANDOM.reshape(3, 2, size, factor, size, factor).astype(float)
    # At most half a grey level of rounding, either way at ties.
    assert np.abs(area_average(RANDOM, size) - blocks.mean(axis=(3, 5))).max() <= 0.5 + 1e-4


@pytest.mark.parametrize(("side", "size"), [(96, 64), (128, 48), (7, 3)])
def test_fractional_factors_agree_with_a_common_refinement(side: int, size: int) -> None:
    # Repeating each pixel `size` times makes the factor an integer: `side`.
    image = np.random.default_rng(1).integers(0, 256, (1, 1, side, side), np.uint8)
    fine = image.repeat(size, axis=2).repeat(size, axis=3).astype(float)
    exact = fine.reshape(1, 1, size, side, size, side).mean(axis=(3, 5))
    assert np.abs(area_average(image, size) - exact).max() <= 0.5 + 1e-3


def test_result_is_bytes_and_white_stays_white() -> None:
    shrunk = area_average(np.full((1, 1, 96, 96), 255, np.uint8), 41)
    assert shrunk.dtype == np.uint8
    assert shrunk.shape == (1, 1, 41, 41)
    assert (shrunk == 255).all()
