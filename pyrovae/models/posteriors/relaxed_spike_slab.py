"""A posterior whose dimensions may each be switched off for a datum."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import logsigmoid

from pyrovae.core.schedules import Number, Positive, Within
from pyrovae.distributions.normal_mixture import NormalMixture
from pyrovae.models.posteriors.base import FACTORIZED, POSTERIORS, Posterior, head, positive


@POSTERIORS.register("relaxed_spike_slab")
class RelaxedSpikeSlab(Posterior):
    r"""Each dimension near 0 or normal, by a gate from the encoder; goes with ``spike_slab``.

    .. math::

        q(z_u \mid x) = (1 - r) \left[g\, \mathcal{N}(m, s^2) + (1 - g)\,
        \mathcal{N}(0, \mathrm{spike}^2)\right] + r\, \mathcal{N}(m/2, b^2)

    Gate g, location m and scale s are from the encoder. The last part bridges the gap,
    b² = m²/12 + (s² + spike²)/2: it is what a gate's gradient comes from.

    The original passes the gate through a steep sigmoid, which too leaves some draws between spike
    and slab, and takes the KL of the law without it. Here density, draws and gradients belong to
    one law, so the bound is a bound.

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension of the code.
    spike
        Standard deviation of the spike, or a schedule of it; that of the prior, or the two never
        agree.
    relaxation
        Share r of the bridge, or a schedule of it. The smaller, the closer to spike and slab and
        the noisier the gradient of the gates.

    References
    ----------
    Tonolini, Jensen & Murray-Smith 2020, Variational sparse coding, PMLR 115

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import RelaxedSpikeSlab
    >>> posterior, features = RelaxedSpikeSlab(16, 3), torch.randn(5, 16)
    >>> posterior(features).batch_shape, posterior(features).event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> posterior.gates(features).shape
    torch.Size([5, 3])
    """

    spike: Tensor
    relaxation: Tensor

    properties = FACTORIZED

    def __init__(
        self,
        features: int,
        latent_dim: int,
        *,
        spike: Positive = 0.05,
        relaxation: Annotated[Number, Within(gt=0, lt=1)] = 0.1,
    ) -> None:
        super().__init__(features, latent_dim)
        self.set_number("spike", spike)
        self.set_number("relaxation", relaxation)
        self.loc = head(features, latent_dim)
        self.scale = head(features, latent_dim)
        self.gate = head(features, latent_dim)

    def gates(self, features: Tensor) -> Tensor:
        """Return g, the probability of the slab, ``(*b, latent_dim)``."""
        return torch.sigmoid(self.gate(features))

    def forward(self, features: Tensor) -> Distribution:
        """Return the product of ``latent_dim`` mixtures of spike, slab and bridge."""
        gate, loc = self.gate(features), self.loc(features)
        scale = positive(self.scale(features))
        spike, relaxation = self.spike.expand_as(loc), self.relaxation.expand_as(loc)
        return Bridged(gate, loc, scale, spike, relaxation).to_event(1)


class Bridged(NormalMixture):
    """Spike, slab and the bridge between them, for single numbers.

    Parameters
    ----------
    gate
        Logit of g.
    loc, scale
        m and s.
    spike, relaxation
        Standard deviation of the spike, and r. All have the batch shape.
    """

    def __init__(
        self, gate: Tensor, loc: Tensor, scale: Tensor, spike: Tensor, relaxation: Tensor
    ) -> None:
        self.spike, self.relaxation = spike, relaxation
        bridge = torch.sqrt(loc**2 / 12 + (scale**2 + spike**2) / 2)
        kept, bridged = torch.log1p(-relaxation), relaxation.log()
        logits = [kept + logsigmoid(-gate), kept + logsigmoid(gate), bridged]
        super().__init__(
            torch.stack(logits, -1),
            torch.stack([torch.zeros_like(loc), loc, loc / 2], -1),
            torch.stack([spike, scale, bridge], -1),
        )
