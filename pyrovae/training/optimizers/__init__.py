"""Optimisers: how a step moves parameters, given their gradients."""

from __future__ import annotations

from pyrovae.training.optimizers.adam import Adam, AdamW
from pyrovae.training.optimizers.adam_norm_grad import AdamNormGrad
from pyrovae.training.optimizers.adamax import Adamax
from pyrovae.training.optimizers.base import OPTIMIZERS, Moments, Optimizer, Tensors
from pyrovae.training.optimizers.sgd import Sgd

__all__ = [
    "OPTIMIZERS",
    "Adam",
    "AdamNormGrad",
    "AdamW",
    "Adamax",
    "Moments",
    "Optimizer",
    "Sgd",
    "Tensors",
]
