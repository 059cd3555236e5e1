"""The arithmetic of the networks' layers; densities, sums and the optimiser stay in float32.

``float32`` is the default everywhere, also where torch's own default is another (convolutions on a
GPU). ``tf32`` rounds the factors of a GPU's matrix products and convolutions to 10 bits. ``bf16``
rounds inputs, weights and results of the layers to 7 bits, on any device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

Precision = Literal["float32", "tf32", "bf16"]

_LAYERS = {
    nn.functional.linear,
    *(nn.functional.conv1d, nn.functional.conv2d, nn.functional.conv3d),
    *(nn.functional.conv_transpose1d, nn.functional.conv_transpose2d),
    nn.functional.conv_transpose3d,
}


class _InBfloat16(TorchFunctionMode):
    """Lets layers compute in bfloat16 and give float32; their gradients go the same way back."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in _LAYERS:
            return func(*args, **kwargs)
        args, kwargs = tree_map(_rounded, (args, kwargs))
        return func(*args, **kwargs).float()


def _rounded(value: Any) -> Any:
    is_single = isinstance(value, Tensor) and value.dtype == torch.float32
    return value.bfloat16() if is_single else value


def layers_in(precision: Precision, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose networks' layers compute in a precision."""
    if precision != "bf16":
        return function

    def rounding(*args: Any) -> Any:
        with _InBfloat16():
            return function(*args)

    return rounding


@contextmanager
def computing_in(precision: Precision) -> Iterator[None]:
    """Set what else a precision takes, which is global: to compile, capture and run in."""
    matmul = torch.get_float32_matmul_precision()
    convolutions = torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = convolutions
