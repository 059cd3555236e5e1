"""What the decoder makes of each latent unit: collapse as the generator sees it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pyrovae.core.given import Data, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.measures.collapse.interventions import (
    CHUNK,
    decoded,
    explained,
    layers_of,
    numbers,
    replaced,
)
from pyrovae.models.contract import LatentModel

#: Share of the reconstructions' variance below which the decoder neglects a unit.
NEGLIGIBLE_SHARE = 1e-3


@dataclass(frozen=True)
class Sensitivity:
    """What happens to reconstructions when one unit is replaced by a draw from the prior.

    Attributes
    ----------
    share
        Half the mean squared change of E[x|z], as a share of the variance of the reconstructions,
        both summed over the elements of an observation; ``(latent_dim,)``. Where there is no mean
        (elements that come one after the other), of the prediction of each element given the
        datum's elements before it, of codes that of their probabilities. Reconstructions that
        hardly vary, as if every unit had collapsed, count as if they had 0.1 % of the data's
        variance: shares of next to nothing say nothing. Were codes distributed
        as the prior, this would be the unit's total Sobol index (Jansen 1999,
        doi:10.1016/S0010-4655(98)00154-4).
    share_se
        Its standard error over the data.
    cost
        Rise of the distortion, E[-log p(x|z)], in nats; ``(latent_dim,)``.
    cost_se
        Its standard error over the data.
    maps
        Root mean squared change of each element of E[x|z], ``(latent_dim, *event_shape)``.
    """

    share: Tensor
    share_se: Tensor
    cost: Tensor
    cost_se: Tensor
    maps: Tensor

    @property
    def used(self) -> Tensor:
        """Whether the decoder uses each unit: its share is not negligible."""
        return self.share > NEGLIGIBLE_SHARE


@only_measures
def measure_sensitivity(vae: LatentModel, x: Data, *, seed: int = 0) -> Sensitivity:
    """Replace each unit of the codes of some data by a draw from the prior, and decode.

    Works for every prior and posterior. Where there are layers, those below the unit's are
    generated anew from its layer, with and without the replacement, by the same noise; the cost is
    that of :func:`pyrovae.measures.collapse.interventions.explained`. On a sphere the other
    coordinates are scaled, so that the code stays on it.

    Parameters
    ----------
    vae
        The trained model and guide.
    x
        Observations ``(n, *event_shape)``, n > 1.
    seed
        Of the draws; the global random state is left as it was.
    """
    with torch.no_grad(), seeded(seed, x.device):
        z = vae.encode(observed(x), **given(x)).sample()
        other = vae.draw_prior(len(x), **given(x))
        before, log_before = decoded(vae, z, x)
        least = NEGLIGIBLE_SHARE * numbers(vae, z, x).var(0, correction=0).sum()
        variance = before.var(0, correction=0).sum().clamp(min=float(least))
        shares, costs, maps = [], [], []
        stacked = vae.blocks is None or vae.blocks.stacked
        for block, mine in layers_of(vae, range(z.shape[-1])):
            upper = stacked and block > 0
            if not stacked:
                log_before = explained(vae, z, x, block)
            if upper:
                noise = vae.noise_below(block, len(x))  # type: ignore[operator]
                before, _ = decoded(vae, vae.regenerated(z, block, noise), x)
                log_before = explained(vae, z, x, block)
            for some in torch.tensor(mine).split(max(1, CHUNK // len(x))):
                codes = torch.stack([replaced(z, u, other[:, u], vae.space) for u in some.tolist()])
                if upper:
                    after, _ = decoded(vae, vae.regenerated(codes, block, noise), x)
                    log_after = explained(vae, codes, x, block)
                else:
                    after, log_after = decoded(vae, codes, x)
                if not stacked:
                    log_after = explained(vae, codes, x, block)
                square = (after - before).square_()
                shares.append(square.flatten(2).sum(2) / (2 * variance.clamp(min=1e-12)))
                costs.append(log_before - log_after)
                if vae.shows == "draw":
                    square = square.sum(-1)
                maps.append(square.mean(1).sqrt())
    share, cost = torch.cat(shares).T, torch.cat(costs).T
    root = len(x) ** 0.5
    return Sensitivity(
        share=share.mean(0),
        share_se=share.std(0) / root,
        cost=cost.mean(0),
        cost_se=cost.std(0) / root,
        maps=torch.cat(maps),
    )


def first_layer(vae: LatentModel) -> nn.Linear | None:
    """Return the decoder's layer that reads the code, if that is one dense layer."""
    decoder = getattr(vae, "decoder", None)
    for module in decoder.modules() if isinstance(decoder, nn.Module) else ():
        if not getattr(module, "reads_code_once", True):
            return None
        if isinstance(module, nn.Linear):
            width = getattr(vae, "decoder_width", vae.latent_dim)
            return module if module.in_features == width else None
        if next(module.parameters(recurse=False), None) is not None:
            return None
    return None


def weight_norms(vae: LatentModel) -> Tensor:
    """Return the norm of the decoder's weights that leave each unit, ``(latent_dim,)``.

    NaN for a model without a decoder whose first layer is dense.
    """
    layer = first_layer(vae)
    if layer is None:
        return torch.full((vae.latent_dim,), float("nan"))
    # Weights of a context stand behind those of the code.
    widths = getattr(vae, "widths", (1,) * vae.latent_dim)
    norms = torch.linalg.vector_norm(layer.weight.detach()[:, : sum(widths)], dim=0)
    if max(widths) > 1:  # several numbers are read of a label
        norms = torch.stack([torch.linalg.vector_norm(part) for part in norms.split(widths)])
    # Of layers that it does not read there are none.
    missing = norms.new_full((vae.latent_dim - len(norms),), float("nan"))
    return torch.cat([norms, missing]) if len(missing) else norms
