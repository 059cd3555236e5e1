"""Mixtures at their extremes, and of parameters that broadcast.

Densities, draws and implicit derivatives of the registered mixtures are tested in ``latent``.
"""

from __future__ import annotations

import torch

from pyrovae.distributions.normal_mixture import DiagonalNormalMixture, NormalMixture

LOGITS = torch.tensor([0.3, -0.5, 1.0], dtype=torch.float64)
LOC = torch.tensor([-1.0, 0.4, 1.5], dtype=torch.float64)
SCALE = torch.tensor([0.5, 0.3, 0.8], dtype=torch.float64)
# Dimensions that depend on each other through the component.
LOC_2 = torch.stack([LOC, LOC.flip(0) * 0.7], -1)
SCALE_2 = torch.stack([SCALE, SCALE.roll(1)], -1)


def test_draws_far_in_the_tails_have_finite_derivatives() -> None:
    loc = torch.tensor([[-40.0, 40.0]], requires_grad=True)
    logits = torch.tensor([[0.0, 30.0]], requires_grad=True)
    z = NormalMixture(logits, loc, torch.full((1, 2), 1e-3)).rsample((1000,))
    for gradient in torch.autograd.grad(z.sum(), (loc, logits)):
        assert gradient.isfinite().all()


def test_parameters_broadcast() -> None:
    weights = torch.stack([LOGITS, LOGITS.flip(0)])
    wide = DiagonalNormalMixture(weights, LOC_2, SCALE_2)
    z = wide.rsample((3,))
    assert z.shape == (3, 2, 2)
    each = [
        DiagonalNormalMixture(w, LOC_2, SCALE_2).log_prob(z[:, i]) for i, w in enumerate(weights)
    ]
    torch.testing.assert_close(wide.log_prob(z), torch.stack(each, -1))
