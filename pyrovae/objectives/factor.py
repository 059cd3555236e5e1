"""Total correlation by a discriminator that is trained beside the model."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.schedules import LearningRate, NotNegative, at
from pyrovae.models.sites import Terms
from pyrovae.objectives.adversarial import Adversarial, Hidden, told_apart
from pyrovae.objectives.base import OBJECTIVES, Objective


@OBJECTIVES.register("factor")
class Factor(Adversarial):
    r"""ELBO - gamma × total correlation, whose density ratio a discriminator learns.

    .. math::

        \mathcal{L} = D + R + \gamma\, \mathrm{KL}\left(q(z) \,\|\, \textstyle\prod_u q(z_u)\right)

    The discriminator tells codes from codes whose units are shuffled within the minibatch, each on
    its own. It is trained in the same step on its own loss, with an Adam of its own. As in
    disentanglement_lib both come from one minibatch, where the paper takes a second one.

    Parameters
    ----------
    gamma
        Weight of the total correlation, or a schedule of it.
    hidden
        Widths of the discriminator's hidden layers; the original has six of 1000.
    discriminator_lr
        Learning rate of the discriminator's Adam, whose betas are 0.5 and 0.9, or a schedule of it.

    References
    ----------
    Kim & Mnih 2018, eq. 2 and algorithm 2; arXiv:1802.05983

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Factor
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = Factor(gamma=10.0, hidden=[32])
    >>> objective.prepare(vae)
    >>> loss, terms = objective(vae, x, {"gamma": torch.tensor(10.0)}, data_size=16)
    >>> bound = (terms.distortion + terms.rate).mean()
    >>> torch.allclose(loss, bound + 10 * objective.log_ratio(terms.z).mean())
    True
    """

    needs = Objective.needs | {"posterior.real", "training.batch", "code.flat"}

    def __init__(
        self,
        *,
        gamma: NotNegative = 10.0,
        hidden: Hidden = [1000] * 6,
        discriminator_lr: LearningRate = 1e-4,
    ) -> None:
        super().__init__(hidden=hidden, discriminator_lr=discriminator_lr)
        self.gamma = gamma

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return gamma at a step."""
        return {"gamma": at(self.gamma, step)}

    def model_loss(self, terms: Terms, said: Tensor, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the ELBO's loss and the weighted total correlation."""
        return (terms.distortion + terms.rate).mean() + hyper["gamma"] * said.mean()

    def discriminator_loss(self, z: Tensor, p: Distribution | None = None) -> Tensor:
        """Return the cross-entropy of telling codes from shuffled ones; log 2 at chance."""
        order = torch.rand_like(z).argsort(0)
        true = self.discriminator(z)
        shuffled = self.discriminator(z.gather(0, order))
        return told_apart(true, shuffled)

    def log_ratio(self, z: Tensor) -> Tensor:
        """Return the estimate of log q(z) - sum_u log q(z_u), shape ``(n,)``."""
        return self.discriminator(z).squeeze(-1)
