"""Ways to train the same VAE: each makes ready and returns a call that does some steps.

A contender is imported only where it runs, since each needs libraries of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: Does one or more steps, and how many model-steps those are.
Contender = tuple[Callable[[], None], int]


@dataclass(frozen=True)
class Problem:
    """What is trained: images of random bits and a Bernoulli VAE.

    Attributes
    ----------
    shape
        Of an image.
    n
        Number of images.
    latent
        Dimension of the code.
    network
        In pyrovae's words; the others build the same layers by hand.
    burst
        Model-steps between two looks at the clock.
    batch
        Images a step.
    least
        Steps that an ensemble does in a burst at least, however many models it has.
    device
        Where it is trained: ``cpu`` or ``cuda``.
    """

    shape: tuple[int, int, int]
    n: int
    latent: int
    network: dict[str, Any]
    burst: int
    batch: int = 128
    least: int = 2
    device: str = "cpu"

    def images(self) -> Any:
        """Return the training set as uint8, ``(n, *shape)``."""
        import torch

        generator = torch.Generator().manual_seed(0)
        bits = torch.rand(self.n, *self.shape, generator=generator) > 0.8
        return (bits.to(torch.uint8) * 255).to(self.device)


PROBLEMS = {
    "mlp": Problem((1, 28, 28), 10_000, 20, {"name": "mlp", "hidden": [400]}, burst=24),
    "conv": Problem((1, 64, 64), 2_000, 10, {"name": "burgess_conv"}, burst=4),
}
