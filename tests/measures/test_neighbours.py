"""The nearest training observations, against all distances at once."""

from __future__ import annotations

import torch

from pyrovae.datasets import Split
from pyrovae.measures import neighbours
from pyrovae.measures.neighbours import nearest_observations


def test_the_nearest_of_all_blocks_is_found(monkeypatch):
    monkeypatch.setattr(neighbours, "_BLOCK", 7)
    torch.manual_seed(0)
    train = (255 * torch.rand(50, 1, 3, 3)).to(torch.uint8)
    drawn = torch.rand(6, 1, 3, 3)
    distances = (drawn[:, None] - train[None] / 255).flatten(2).norm(dim=2)
    expected = (train / 255)[distances.argmin(1)]
    assert torch.equal(nearest_observations(drawn, Split(train)), expected)


def test_no_more_are_looked_at_than_told(monkeypatch):
    monkeypatch.setattr(neighbours, "LOOKED_AT", 10)
    train = torch.arange(20.0).reshape(20, 1)
    found = nearest_observations(torch.tensor([[15.0], [3.2]]), Split(train))
    assert found.tolist() == [[9.0], [3.0]]
