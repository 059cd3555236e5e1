"""A network: how an encoder and a decoder are built for given shapes."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol, runtime_checkable

from pydantic import Field
from torch import nn

from pyrovae.core.registry import LATER, Registry

#: Activation functions by their YAML name.
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
}


#: Normalisation of hidden layers: over the units of a layer, or each unit over a minibatch.
Norm = Annotated[Literal["layer", "batch"] | None, LATER]
#: Share of hidden units that are dropped at each training step.
Dropout = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False), LATER]


@runtime_checkable
class Network(Protocol):
    """What a registry entry offers."""

    def encoder(self, event_shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """Return a module ``(*b, *event_shape) -> (*b, features)`` and ``features``."""

    def decoder(
        self, latent_dim: int, event_shape: tuple[int, ...], outputs_per_element: int
    ) -> nn.Module:
        """Return a module ``(*b, latent_dim) -> (*b, outputs_per_element, *event_shape)``.

        ``event_shape`` is that of what is decoded: of an observation, unless its elements need
        different numbers of outputs (:attr:`pyrovae.models.likelihoods.Likelihood.output_shape`).
        """


#: Networks by name: classes ``(*, …)`` with ``encoder`` and ``decoder``.
NETWORKS: Registry = Registry(
    "network",
    Network,
    groups={
        "Dense": ("mlp", "gated_mlp", "identifiable_mlp"),
        "Convolutional": ("conv", "residual_conv", "burgess_conv"),
        "Sequences": ("tokens",),
    },
)
