"""Collapse of the upper of two linear layers: the formula, a search, and trained models."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import pyrovae
from pyrovae.measures.collapse import estimate_bound, measure_units
from pyrovae.measures.collapse.theory import layered_kl, layered_variance
from pyrovae.measures.collapse.use import measure_use
from pyrovae.models.layered import LayeredVAE
from pyrovae.models.posteriors.base import raw_scale
from pyrovae.objectives import OBJECTIVES
from pyrovae.training import LossProgram

#: Variances of p(x|z1), p(z1|z2), q(z1|x): the guide's alone is below, above, below the prior's.
CASES = [(0.5, 0.6, 0.3), (0.5, 0.4, 0.9), (0.3, 1.5, 0.2)]


def negative_bound(
    weights: Tensor, values: Tensor, sigma2: float, above2: float, guide2: float
) -> Tensor:
    """Minus the ELBO on one principal direction, as it stands: no weight is solved for."""
    w1, w2, u1, u2, log_s2 = weights.unbind(-1)
    v = w1**2 * values + guide2
    s2 = log_s2.exp()
    error_x = values - 2 * u1 * w1 * values + u1**2 * v
    error_z = (1 - u2 * w2) ** 2 * v + u2**2 * s2
    rate = 0.5 * (math.log(above2 / guide2) + error_z / above2 - 1)
    rate = rate + 0.5 * (w2**2 * v + s2 - 1 - log_s2)
    return 0.5 * (error_x / sigma2 + math.log(2 * math.pi * sigma2)) + rate


@pytest.mark.parametrize("case", CASES)
def test_the_formula_is_what_a_search_finds(case: tuple[float, float, float]) -> None:
    sigma2, above2, guide2 = case
    values = torch.tensor([0.1, 0.4, 0.7, 1.0, 1.5, 3.0, 8.0], dtype=torch.float64)
    torch.manual_seed(0)
    weights = torch.randn(8, len(values), 5, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([weights], max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        search.zero_grad()
        loss = negative_bound(weights, values, *case).sum()
        loss.backward()
        return loss

    for _ in range(3):
        search.step(closure)
    with torch.no_grad():
        best = negative_bound(weights, values, *case).argmin(0)
        found = weights[best, torch.arange(len(values))]
    w1, w2, _, _, log_s2 = found.unbind(-1)
    v = w1**2 * values + guide2
    told = {"sigma2": sigma2, "above2": above2, "guide2": guide2}
    torch.testing.assert_close(v, layered_variance(values, **told), atol=2e-3, rtol=2e-3)
    kl = 0.5 * (w2**2 * v + log_s2.exp() - 1 - log_s2)
    torch.testing.assert_close(kl, layered_kl(values, **told), atol=2e-3, rtol=2e-3)


def trained(x: Tensor, case: tuple[float, float, float], steps: int) -> LayeredVAE:
    """A linear model of two layers with three variances fixed, fitted by Adam."""
    sigma2, above2, guide2 = case
    d = x.shape[1]
    vae = pyrovae.build(
        d,
        layers={"sizes": [d, d], "hidden": []},
        network={"name": "mlp", "hidden": []},
        likelihood={"name": "gaussian", "sigma": sigma2**0.5, "learned": False},
    )
    assert isinstance(vae, LayeredVAE)
    for layer, variance in ((vae.below[0].scale, above2), (vae.posteriors[0].scale, guide2)):
        assert isinstance(layer, nn.Linear)
        with torch.no_grad():
            layer.weight.zero_()
            layer.bias.copy_(raw_scale(torch.tensor(variance**0.5)).expand(d))
        layer.requires_grad_(False)
    program = LossProgram(vae, OBJECTIVES.create("elbo"))
    adam = torch.optim.Adam([p for p in vae.parameters() if p.requires_grad], lr=0.02)
    falls = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    torch.manual_seed(0)
    for _ in range(steps):
        adam.zero_grad()
        program(x[torch.randint(len(x), (256,))], {})[0].backward()
        adam.step()
        falls.step()
    return vae


@pytest.mark.slow
@pytest.mark.parametrize("case", [CASES[0], (0.3, 3.0, 0.2)], ids=["alive", "dead"])
def test_trained_models_collapse_where_theory_says(case: tuple[float, float, float]) -> None:
    scales = torch.tensor([4.0, 1.8, 0.9, 0.2])
    torch.manual_seed(1)
    turn = torch.linalg.qr(torch.randn(4, 4)).Q
    x = torch.randn(2000, 4)
    x = torch.linalg.qr(x - x.mean(0)).Q * 2000**0.5  # whose covariance is the identity
    x = x * scales.sqrt() @ turn.T
    vae = trained(x, case, 700)
    sigma2, above2, guide2 = case
    told = {"sigma2": sigma2, "above2": above2, "guide2": guide2}
    bound = estimate_bound(vae.datum_model, vae.datum_guide, x, samples=8)
    expected = layered_kl(scales, **told)
    assert float(bound.rates["z2"].mean()) == pytest.approx(float(expected.sum()), abs=0.06)
    units = measure_units(vae, x)
    use = measure_use(vae, x, units, start=500, most=2000)
    # Directions of z2 are free to turn: two may be spread over more units, none are over none.
    alive, used = int((expected > 0).sum()), int(use.units.used[4:].sum())
    assert used >= alive == 2 if case == CASES[0] else used == alive == 0
