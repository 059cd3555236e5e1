"""Removing hidden units that no longer influence anything, so that the whole network shrinks."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from pyrovae.core.errors import PyrovaeError
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.models.vae import VAE
from pyrovae.study.config.run import RunConfig
from pyrovae.study.plan.planning import vae_of

#: A hidden unit stays if it gives more than this share of the variance of what the next layer gets.
NEGLIGIBLE = 1e-6
_CHUNK = 1000


@only_measures
def prune_hidden(
    vae: VAE, config: RunConfig, x: Tensor, *, seed: int = 0
) -> tuple[VAE, RunConfig, dict[str, int]]:
    """Return a model without the hidden units that say nothing, and its configuration.

    A unit says nothing if its activation hardly varies over the data (a ReLU that is never on, or
    always at one value), or if nobody listens. Its mean is absorbed into the biases of its readers.
    Layers are taken from the output inwards, so that who listened to removed units only goes too.

    Parameters
    ----------
    vae, config
        The trained model and what it was built from.
    x
        Observations ``(n, *event_shape)``; the decoder sees codes drawn for them.
    seed
        Of those codes.

    Returns
    -------
    vae, config
        The smaller model.
    removed
        Number of hidden units that went, by part.

    Raises
    ------
    PyrovaeError
        For a network other than ``mlp``, or one with normalisation or skip connections.
    """
    assert config.network is not None  # a user's own model has no network, and no surgery
    if config.network["name"] != "mlp":
        raise PyrovaeError(
            f"--deep removes units of network 'mlp', not of '{config.network['name']}'"
        )
    if config.network.get("norm"):
        raise PyrovaeError("--deep cannot remove units of layers that are normalised together")
    if config.network.get("skip"):
        raise PyrovaeError(
            "--deep cannot remove units of a decoder whose every layer reads the code"
        )
    with torch.no_grad(), seeded(seed, x.device):
        z = torch.cat([vae.encode(part).sample() for part in x.split(_CHUNK)])
        heads = tuple(m for m in vae.posterior.modules() if isinstance(m, nn.Linear))
        encoder, encoder_widths = _shrunk(vae.encoder, x, heads)
        decoder, decoder_widths = _shrunk(vae.decoder, z, ())
    network = {
        **config.network,
        "hidden": encoder_widths,
        "decoder_hidden": decoder_widths,
    }
    names = {id(module): name for name, module in vae.named_modules()}
    changed = {
        f"{names[id(layer)]}.{kind}": tensor
        for layer, weight, bias in (*encoder, *decoder)
        for kind, tensor in (("weight", weight), ("bias", bias))
    }
    smaller = config.model_copy(update={"network": network})
    pruned = vae_of(smaller, vae.likelihood.event_shape)
    pruned.load_state_dict({**vae.state_dict(), **changed})
    removed = {
        "encoder": sum(_widths(vae.encoder)) - sum(encoder_widths),
        "decoder": sum(_widths(vae.decoder, last_is_hidden=False)) - sum(decoder_widths),
    }
    return pruned, smaller, removed


_Layer = tuple[nn.Linear, Tensor, Tensor]


def _shrunk(
    network: nn.Module, inputs: Tensor, heads: tuple[nn.Linear, ...]
) -> tuple[list[_Layer], list[int]]:
    """Return each layer's new weight and bias, and the hidden widths, in the order of the layers.

    ``heads`` read the last hidden layer; without them the last dense layer is the output.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.Linear)]
    chain: list[tuple[nn.Linear, ...]] = [(layer,) for layer in layers]
    if heads:
        chain.append(heads)
    new = {layer: [layer.weight.detach(), layer.bias.detach()] for g in chain for layer in g}
    widths: list[int] = []
    for position in range(len(chain) - 2, -1, -1):
        (layer,), readers = chain[position], chain[position + 1]
        mean, variance = _activation_moments(network, layer, inputs)
        listening = torch.stack([new[r][0].square().sum(0) for r in readers]).sum(0)
        influence = variance * listening
        keep = influence > NEGLIGIBLE * influence.sum()
        keep[influence.argmax()] = True  # a layer of no units would break the chain
        for reader in readers:
            weight, bias = new[reader]
            new[reader] = [weight[:, keep], bias + weight[:, ~keep] @ mean[~keep]]
        new[layer] = [new[layer][0][keep], new[layer][1][keep]]
        widths.insert(0, int(keep.sum()))
    return [(layer, weight, bias) for layer, (weight, bias) in new.items()], widths


def _activation_moments(
    network: nn.Module, layer: nn.Linear, inputs: Tensor
) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the activations that follow a dense layer."""
    modules = list(network.modules())
    activation = modules[modules.index(layer) + 1]
    values = torch.cat([gave for _, gave in passing(network, activation, inputs)])
    return values.mean(0), values.var(0, correction=0)


def passing(
    network: nn.Module, module: nn.Module, inputs: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield what a module takes and gives while its network runs over inputs, chunk by chunk."""
    seen: list[tuple[Tensor, Tensor]] = []

    def note(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append((given[0], output))

    handle = module.register_forward_hook(note)
    try:
        for part in inputs.split(_CHUNK):
            network(part)
            yield seen.pop()
    finally:
        handle.remove()


def _widths(network: nn.Module, *, last_is_hidden: bool = True) -> list[int]:
    widths = [m.out_features for m in network.modules() if isinstance(m, nn.Linear)]
    return widths if last_is_hidden else widths[:-1]
