"""Divergences from draws: the neighbours against brute force, the estimate against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pyrovae.measures.collapse.nearest import _across, _within, nearest_kl


@settings(max_examples=60, deadline=None)
@given(
    z=st.lists(st.floats(-5, 5, width=32), min_size=6, max_size=30),
    reference=st.lists(st.floats(-5, 5, width=32), min_size=6, max_size=30),
    k=st.integers(1, 5),
)
def test_distances_are_those_of_brute_force(z: list[float], reference: list[float], k: int) -> None:
    a, b = torch.tensor(z).sort().values, torch.tensor(reference).sort().values
    within = (a[:, None] - a).abs().sort(1).values[:, k]
    across = (a[:, None] - b).abs().sort(1).values[:, k - 1]
    torch.testing.assert_close(_within(a, k), within)
    torch.testing.assert_close(_across(a, b, k), across)


@pytest.mark.parametrize(
    ("mean", "scale", "within"), [(0.0, 1.0, 0.02), (1.0, 0.3, 0.1), (0.3, 0.8, 0.03)]
)
def test_kl_of_normal_laws(mean: float, scale: float, within: float) -> None:
    z = mean + scale * torch.randn(500, 64)
    exact = -math.log(scale) + 0.5 * (scale**2 + mean**2 - 1)
    assert float(nearest_kl(z, torch.randn(4096)).mean()) == pytest.approx(exact, abs=within)
