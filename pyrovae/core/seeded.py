"""Draws that a seed decides, among others that it does not touch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed the global generators that draw on a device; afterwards they are as they were.

    Parameters
    ----------
    seed
        Of the CPU's generator, and of the device's own if that is a GPU.
    device
        Where tensors are filled with draws.
    """
    device = torch.device(device)
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        # torch.manual_seed would seed every GPU, also those that others draw on.
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield
