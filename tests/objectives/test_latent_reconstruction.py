"""The miss of a code that is decoded and encoded again, by matrices."""

from __future__ import annotations

import pyro
import pytest
import torch

from objectives.gaussian import LinearGaussian, data
from objectives.test_rate import scalars
from pyrovae.objectives import OBJECTIVES, LatentReconstruction


@pytest.mark.parametrize("codes", ["posterior", "prior"])
def test_the_miss_of_linear_maps(codes: str) -> None:
    """Back comes A (W z + b) + c: under the prior its expected square is known."""
    vae, x = LinearGaussian(), data(20_000)
    pyro.set_rng_seed(0)
    loss, found = LatentReconstruction(codes=codes)(vae, x, scalars(weight=2.0), 1)  # type: ignore[arg-type]
    miss = (loss - (found.distortion + found.rate).mean()) / 2
    through = torch.eye(2).double() - vae.gain @ vae.loading
    offset = vae.gain @ vae.mean + vae.offset
    if codes == "prior":
        mean, second = torch.zeros(2).double(), torch.eye(2).double()
    else:
        mean = found.z.mean(0)
        second = found.z.T @ found.z / len(found.z)
    exact = (through @ second @ through.T).trace() - 2 * offset @ through @ mean + offset @ offset
    assert float(miss) == pytest.approx(float(exact) / 2, rel=0.03)
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in vae.parameters())


def test_what_it_goes_with() -> None:
    asked = OBJECTIVES["latent_reconstruction"].requirements({"codes": "prior"})
    assert "prior.reparameterizable" in asked
    assert "prior.reparameterizable" not in OBJECTIVES["latent_reconstruction"].requirements({})
