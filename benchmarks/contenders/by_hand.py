"""The loop that one writes by hand for this one model, and its layers."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Any

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.contenders import Contender, Problem


def layers(problem: Problem) -> tuple[nn.Module, int, nn.Module]:
    """Return encoder, width of its output, and decoder to logits of the image's shape."""
    if problem.network["name"] == "mlp":
        hidden, pixels = problem.network["hidden"], prod(problem.shape)
        encoder = nn.Sequential(nn.Flatten(), *_dense([pixels, *hidden]))
        decoder = nn.Sequential(
            *_dense([problem.latent, *reversed(hidden)]),
            nn.Linear(hidden[0], pixels),
            nn.Unflatten(1, problem.shape),
        )
        return encoder, hidden[-1], decoder
    down: list[nn.Module] = []
    for inputs in (1, 32, 32, 32):
        down += [nn.Conv2d(inputs, 32, 4, stride=2, padding=1), nn.ReLU()]
    down += [nn.Flatten(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()]
    up: list[nn.Module] = []
    for inputs, outputs in ((problem.latent, 256), (256, 256), (256, 512)):
        up += [nn.Linear(inputs, outputs), nn.ReLU()]
    up.append(nn.Unflatten(1, (32, 4, 4)))
    for _ in range(3):
        up += [nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1), nn.ReLU()]
    up.append(nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1))
    return nn.Sequential(*down), 256, nn.Sequential(*up)


def _dense(widths: list[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return layers


class Vae(nn.Module):
    """Returns the negative ELBO, nats per image."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.encoder, width, self.decoder = layers(problem)
        self.loc, self.scale = (nn.Linear(width, problem.latent) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.encoder(x)
        loc, logvar = self.loc(h), self.scale(h)
        z = loc + torch.randn_like(loc) * (0.5 * logvar).exp()
        bce = binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = -0.5 * (1 + logvar - loc**2 - logvar.exp()).sum()
        return (bce + kl) / len(x)


def contender(problem: Problem, *, compiled: bool) -> Contender:
    """Return a step of eager or compiled PyTorch."""
    vae, images = Vae(problem).to(problem.device), problem.images()
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-3, fused=True)
    loss_of: Any = torch.compile(vae) if compiled else vae

    def call() -> None:
        optimizer.zero_grad()
        index = torch.randint(problem.n, (problem.batch,), device=problem.device)
        loss_of(images[index].float() / 255).backward()
        optimizer.step()

    return call, 1
