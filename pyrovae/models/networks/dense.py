"""Dense layers with what may stand around them, for any number of batch dimensions."""

from __future__ import annotations

from torch import nn

from pyrovae.models.networks.base import Dropout, Norm
from pyrovae.models.networks.image import OverBatch


def dense(
    inputs: int, outputs: int, activation: nn.Module, norm: Norm, dropout: Dropout
) -> list[nn.Module]:
    """Return a hidden layer ``(*b, inputs) -> (*b, outputs)``: linear, norm, activation, dropout.

    A linear layer before a batch normalisation has no bias, which the normalisation would take away
    again: its gradient would be rounding, and training would follow that.
    """
    layers: list[nn.Module] = [nn.Linear(inputs, outputs, bias=norm != "batch")]
    if norm == "layer":
        layers.append(nn.LayerNorm(outputs))
    elif norm == "batch":
        layers.append(OverBatch(nn.BatchNorm1d(outputs), event_dims=1))
    layers.append(activation)
    return [*layers, *dropped(dropout)]


def dropped(dropout: Dropout) -> list[nn.Module]:
    """Return a dropout layer, or none: a network without has the layers that it always had."""
    return [nn.Dropout(dropout)] if dropout else []
