"""What a pass through a network costs, counted without numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from pyrovae.core.measuring import in_mode
from pyrovae.models.likelihoods import Autoregressive, Likelihood


def forward_flops(network: nn.Module, shape: tuple[int, ...]) -> float:
    """Return the floating-point operations of a network's dense and convolutional layers.

    As :class:`torch.utils.flop_counter.FlopCounterMode` counts them, but of these layers nothing
    more than shapes is computed. That class, and any layer on the meta device, have torch import
    its compiler, which takes longer than all else in planning a study.

    Parameters
    ----------
    network
        Its parameters may be on the meta device.
    shape
        Of its input, for one datum.
    """
    # One datum has no batch to be normalised by.
    with torch.no_grad(), in_mode(network, training=False), _Counting() as counting:
        network(torch.zeros(1, *shape))
    return counting.total


def conditional_flops(likelihood: Likelihood) -> float:
    """Return those of a likelihood whose law has a network inside, for one datum; else 0.

    Of its dense and convolutional layers: products inside attention are not counted.
    """
    if not isinstance(likelihood, Autoregressive):
        return 0.0
    given, x = (torch.zeros(1, *s) for s in (likelihood.output_shape, likelihood.event_shape))
    if any(p.is_meta for p in likelihood.parameters()):
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            likelihood.conditional(given.to("meta"), x.to("meta"))
        return float(counter.get_total_flops())
    with torch.no_grad(), in_mode(likelihood, training=False), _Counting() as counting:
        likelihood.conditional(given, x)
    return counting.total


class _Counting(TorchFunctionMode):
    """Answer dense and convolutional layers with the shapes of their outputs, and count."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0.0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in _LAYERS:
            shape, flops = _LAYERS[func](*args, **(kwargs or {}))
            self.total += flops
            return torch.zeros(()).expand(shape)
        return func(*args, **(kwargs or {}))


_Counted = tuple[tuple[int, ...], float]


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> _Counted:
    return (*x.shape[:-1], len(weight)), 2.0 * x.numel() * len(weight)


def _conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = (1, 1),
    padding: Any = (0, 0),
    dilation: Any = (1, 1),
    groups: int = 1,
) -> _Counted:
    sides = [
        (side + 2 * p - d * (k - 1) - 1) // s + 1
        for side, k, s, p, d in zip(
            x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True
        )
    ]
    shape = (len(x), len(weight), *sides)
    return shape, 2.0 * math.prod(shape) * weight[0].numel()


def _conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> _Counted:
    sides = [
        (side - 1) * s - 2 * p + d * (k - 1) + more + 1
        for side, k, s, p, more, d in zip(
            x.shape[2:], weight.shape[2:], stride, padding, output_padding, dilation, strict=True
        )
    ]
    return (len(x), weight.shape[1] * groups, *sides), 2.0 * x.numel() * weight[0].numel()


def _conv1d(
    x: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> _Counted:
    sides = stride[0], padding[0], dilation[0]
    length = (x.shape[2] + 2 * sides[1] - sides[2] * (weight.shape[2] - 1) - 1) // sides[0] + 1
    shape = (len(x), len(weight), length)
    return shape, 2.0 * math.prod(shape) * weight[0].numel()


def _embedding(tokens: Tensor, weight: Tensor, *_: Any, **__: Any) -> _Counted:
    return (*tokens.shape, weight.shape[1]), 0.0


def _norm(x: Tensor, *_: Any, **__: Any) -> _Counted:
    # Beside products of matrices it is next to nothing, and torch's counter leaves it out.
    return tuple(x.shape), 0.0


_LAYERS: dict[Any, Callable[..., _Counted]] = {
    **dict.fromkeys((F.layer_norm, F.batch_norm, F.group_norm), _norm),
    F.linear: _linear,
    F.embedding: _embedding,
    F.conv1d: _conv1d,
    F.conv2d: _conv2d,
    F.conv_transpose2d: _conv_transpose2d,
}
