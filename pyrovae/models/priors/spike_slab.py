"""A sparse prior: most dimensions of a code are near zero."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.core.registry import LATER
from pyrovae.core.schedules import Number, Positive, Within, values
from pyrovae.distributions.normal_mixture import NormalMixture
from pyrovae.models.priors.base import PRIORS
from pyrovae.models.priors.factorized import Factorized


@PRIORS.register("spike_slab")
class SpikeSlab(Factorized):
    r"""Each dimension is N(0, slab²) with a given probability, else a narrow N(0, spike²).

    .. math::

        p(z) = \prod_u \left[\pi\, \mathcal{N}(z_u \mid 0, \mathrm{slab}^2) + (1 - \pi)\,
        \mathcal{N}(z_u \mid 0, \mathrm{spike}^2)\right]

    The point mass of the original has a width here, so that p(z) is a density and any posterior
    family may be used with it.

    Parameters
    ----------
    latent_dim
        Dimension of the code.
    probability
        Of the slab, or a schedule of it: the expected share of dimensions in use.
    spike, slab
        Standard deviations, or schedules of them; the spike's must be the smaller. The law's own is
        sqrt(probability slab² + (1 - probability) spike²), 0.55 by default.
    standardized
        Whether both are scaled so that the law's own is 1.

    References
    ----------
    Tonolini, Jensen & Murray-Smith 2020, Variational sparse coding, PMLR 115 (relaxed)

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.priors import SpikeSlab
    >>> p = SpikeSlab(3, probability=0.3)()
    >>> p.event_shape, p.log_prob(torch.zeros(5, 3)).shape
    (torch.Size([3]), torch.Size([5]))
    >>> p.variance  # 0.3 slab² + 0.7 spike²
    tensor([0.3018, 0.3018, 0.3018])
    """

    probability: Tensor
    spike: Tensor
    slab: Tensor

    def __init__(
        self,
        latent_dim: int,
        *,
        probability: Annotated[Number, Within(gt=0, lt=1)] = 0.3,
        spike: Positive = 0.05,
        slab: Positive = 1.0,
        standardized: Annotated[bool, LATER] = False,
    ) -> None:
        super().__init__(latent_dim)
        self.standardized = standardized
        widest, narrowest = max(values(spike)), min(values(slab))
        if widest >= narrowest:
            raise ConfigError(
                "prior 'spike_slab': the spike must be narrower than the slab, got "
                f"{widest:g} and {narrowest:g}",
                "spike",
            )
        self.set_number("probability", probability)
        self.set_number("spike", spike)
        self.set_number("slab", slab)

    def forward(self) -> Distribution:
        """Return the product of ``latent_dim`` mixtures."""
        shape = (self.latent_dim, 2)
        logits = torch.stack([torch.log1p(-self.probability), self.probability.log()])
        scale = torch.stack([self.spike, self.slab])
        if self.standardized:
            scale = scale / (logits.exp() @ scale.square()).sqrt()
        loc = torch.zeros_like(scale)
        return NormalMixture(*(t.expand(shape) for t in (logits, loc, scale))).to_event(1)
