"""Layered models without some units, and without a dead layer."""

from __future__ import annotations

import pyro
import pytest
import torch
from layers import SIZE, linear
from pyro import poutine

import pyrovae
from pyrovae.core.errors import PyrovaeError
from pyrovae.distributions.joint import Blocks
from pyrovae.shrink.pruning.layers import RestrictedLayers, reachable
from pyrovae.shrink.pruning.surgery import NothingLeft


@pytest.mark.parametrize("guide", ["bottom_up", "ladder"])
def test_a_model_without_its_idle_units_is_the_same_model(guide: str) -> None:
    exact = linear(guide)
    x = exact.data(200)
    report = pyrovae.prune(exact.vae, x, train=exact.data(300, seed=5), samples=20)
    found = report.model
    assert isinstance(found, RestrictedLayers)
    assert found.blocks.sizes == (2, 2)
    # The guide was exact, and still is: every weight is p(x).
    q = found.encode(x)
    z = q.sample()
    weight = found.prior_law().log_prob(z) + found.decode(z).log_prob(x) - q.log_prob(z)
    torch.testing.assert_close(weight, exact.log_px(x), atol=2e-3, rtol=0)
    assert abs(report.found.comparison.change) < 0.2


@pytest.mark.parametrize("guide", ["bottom_up", "ladder"])
def test_a_dead_layer_goes_as_a_whole(guide: str) -> None:
    exact = linear(guide)
    vae = exact.vae
    with torch.no_grad():
        vae.below[0].loc.weight.zero_()
        vae.below[0].loc.bias.copy_(torch.tensor([0.3, -0.2, 0.0]))
    keep = reachable(vae.blocks, torch.arange(SIZE), skip=False)
    found = RestrictedLayers(vae, keep, torch.full((2 * SIZE,), 0.5))
    assert found.blocks.names == ("z1",)
    law = found.prior_law()
    known = law.laws(torch.zeros(SIZE))[0].base_dist
    torch.testing.assert_close(known.loc, torch.tensor([0.3, -0.2, 0.0]))
    torch.testing.assert_close(known.scale, exact.spread)
    trace = poutine.trace(found.guide).get_trace(exact.data(4))
    assert [n for n in trace.nodes if n.startswith("z")] == ["z1"]
    pyro.clear_param_store()
    assert poutine.trace(found.model).get_trace(None, 3).nodes["x"]["value"].shape == (3, 5)


def test_what_is_above_a_dead_layer_goes_too() -> None:
    blocks = Blocks.of([2, 2, 2])
    kept = torch.tensor([0, 4, 5])
    assert reachable(blocks, kept, skip=False).tolist() == [0]
    with pytest.raises(PyrovaeError, match="decoder reads layers above"):
        reachable(blocks, kept, skip=True)
    with pytest.raises(NothingLeft, match="no unit of z1"):
        reachable(blocks, torch.tensor([2, 4]), skip=False)
