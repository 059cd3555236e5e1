"""The ELBO of a model whose codes come back from what they are decoded to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor

from pyrovae.core.given import Data, given
from pyrovae.core.schedules import NotNegative, at
from pyrovae.models.contract import LatentModel
from pyrovae.models.sites import Terms
from pyrovae.objectives.base import OBJECTIVES, Objective


@OBJECTIVES.register("latent_reconstruction")
class LatentReconstruction(Objective):
    r"""ELBO + weight × the squared miss of a code, decoded and encoded again.

    .. math::

        \mathcal{L} = D + R + \frac{\lambda}{d}\, \mathbb{E} \left| z - \mu\big(\mathbb{E}[x \mid
        z]\big) \right|^2

    mu(x) is the mean of q(z|x). Where the miss is 0 the decoder is one-to-one, whatever its
    architecture: a code that it ignored could not come back.

    Parameters
    ----------
    weight
        lambda, or a schedule of it.
    codes
        Which come back: those of the ``posterior`` q(z|x) of the minibatch, or as many draws from
        the ``prior``.

    References
    ----------
    Song, Kim & Lee 2025, arXiv:2508.12530 (the idea; weight and metric are this package's)

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import LatentReconstruction
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = LatentReconstruction(weight=3.0)
    >>> loss, terms = objective(vae, x, {"weight": torch.tensor(3.0)}, data_size=16)
    >>> back = vae.encode(vae.decode(terms.z).mean).mean
    >>> miss = (terms.z - back).square().mean(-1)
    >>> torch.allclose(loss, (terms.distortion + terms.rate + 3 * miss).mean())
    True
    """

    needs = Objective.needs | {
        "posterior.moments",
        "posterior.real",
        "likelihood.mean",
        "code.flat",
    }
    encodes_others = True
    against_batch_norm = (
        "encodes reconstructions too, whose statistics batch normalisation would mix with those of "
        "data"
    )

    def __init__(
        self,
        *,
        weight: NotNegative = 1.0,
        codes: Literal["posterior", "prior"] = "posterior",
    ) -> None:
        super().__init__()
        self.weight, self.codes = weight, codes

    @classmethod
    def requirements(cls, parameters: Mapping[str, Any]) -> frozenset[str]:
        """Return that codes of the prior need one that draws from noise."""
        drawn = {"prior.reparameterizable"} if parameters.get("codes") == "prior" else set()
        return cls.needs | drawn

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return the weight at a step."""
        return {"weight": at(self.weight, step)}

    def forward(
        self, vae: LatentModel, x: Data, hyper: Mapping[str, Tensor], data_size: int
    ) -> tuple[Tensor, Terms]:
        """Return the negative ELBO and the weighted miss, and the terms of the former."""
        bound, found = super().forward(vae, x, hyper, data_size)
        z, told = found.z if self.codes == "posterior" else found.p.rsample().detach(), given(x)
        back = vae.encode(vae.decode(z, **told).mean, **told).mean
        return bound + hyper["weight"] * (z - back).square().mean(), found

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the negative ELBO, averaged over the batch."""
        return (terms.distortion + terms.rate).mean() + terms.shared
