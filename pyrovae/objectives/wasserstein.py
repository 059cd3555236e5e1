"""Wasserstein auto-encoders: reconstruct, and let the codes of all data together be the prior's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import softplus

from pyrovae.core.schedules import LearningRate, NotNegative, at
from pyrovae.models.sites import Terms
from pyrovae.objectives.adversarial import Adversarial, Hidden, told_apart
from pyrovae.objectives.base import OBJECTIVES, Objective
from pyrovae.objectives.info import squared_mmd

#: Scales of the kernel, times the mean squared distance of two of the prior's draws, as in the
#: authors' code.
_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def multiquadratic_mmd(z: Tensor, reference: Tensor) -> Tensor:
    r"""Return an unbiased estimate of the squared discrepancy under inverse multiquadratics.

    The kernel is :math:`\sum_s C_s / (C_s + |a - b|^2)`, whose tails are heavy: codes far from the
    prior keep a gradient. C_s is a multiple s of the mean squared distance of two draws from the
    prior, 2 d for N(0, I). Tolstikhin et al. 2018, sec. 4, algorithm 2.

    Parameters
    ----------
    z, reference
        Draws, ``(n, d)`` and ``(m, d)``.
    """
    return len(_SCALES) * squared_mmd(z, reference, _multiquadratic)


def _multiquadratic(squares: Tensor, width: Tensor) -> Tensor:
    """Return the mean of the kernels of all scales, 1 at distance 0."""
    scaled = [scale * width for scale in _SCALES]
    return sum((c / (c + squares) for c in scaled), torch.zeros_like(squares)) / len(_SCALES)


@OBJECTIVES.register("wae_mmd")
class WaeMmd(Objective):
    r"""Distortion + weight × MMD(q(z), p(z)), with inverse multiquadratic kernels.

    .. math:: \mathcal{L} = D + \lambda\, \mathrm{MMD}_k(q(z), p(z))

    Nothing asks a single q(z|x) to be like the prior: no unit has to fall idle.

    Parameters
    ----------
    weight
        Of the discrepancy, lambda, or a schedule of it. The original has 10 on MNIST and 100 on
        CelebA, beside a squared error.

    References
    ----------
    Tolstikhin et al. 2018, algorithm 2; arXiv:1711.01558

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import WaeMmd
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = WaeMmd(weight=10.0)
    >>> loss, terms = objective(vae, x, {"weight": torch.tensor(0.0)}, data_size=16)
    >>> torch.allclose(loss, terms.distortion.mean())  # an autoencoder, without its weight
    True
    """

    needs = Objective.needs | {"prior.reparameterizable", "training.batch", "code.flat"}

    def __init__(self, *, weight: NotNegative = 10.0) -> None:
        super().__init__()
        self.weight = weight

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return the weight at a step."""
        return {"weight": at(self.weight, step)}

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the distortion and the weighted discrepancy."""
        discrepancy = multiquadratic_mmd(terms.z, terms.p.rsample())
        return terms.distortion.mean() + hyper["weight"] * discrepancy + terms.shared


@OBJECTIVES.register("wae_gan")
class WaeGan(Adversarial):
    r"""Distortion + weight × what a discriminator of codes from the prior's draws says.

    .. math:: \mathcal{L} = D - \lambda\, \mathbb{E}_{q(z)} \log \sigma(T(z))

    The discriminator T learns to tell draws from the prior (1) from codes (0), and the guide to
    mislead it. The form is the one that keeps its gradient where T is sure, as the original's.

    Parameters
    ----------
    weight
        Lambda, or a schedule of it.
    hidden
        Widths of the discriminator's hidden layers; the original has four of 512.
    discriminator_lr
        Learning rate of the discriminator's Adam, whose betas are 0.5 and 0.9, or a schedule of it.

    References
    ----------
    Tolstikhin et al. 2018, algorithm 1; arXiv:1711.01558

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import WaeGan
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = WaeGan(weight=10.0, hidden=[32])
    >>> objective.prepare(vae)
    >>> loss, terms = objective(vae, x, {"weight": torch.tensor(10.0)}, data_size=16)
    >>> fooled = objective.discriminator(terms.z).sigmoid().log().mean()
    >>> torch.allclose(loss, terms.distortion.mean() - 10 * fooled)
    True
    """

    needs = Objective.needs | {
        "posterior.real",
        "prior.reparameterizable",
        "training.batch",
        "code.flat",
    }

    def __init__(
        self,
        *,
        weight: NotNegative = 10.0,
        hidden: Hidden = [512] * 4,
        discriminator_lr: LearningRate = 5e-4,
    ) -> None:
        super().__init__(hidden=hidden, discriminator_lr=discriminator_lr)
        self.weight = weight

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return the weight at a step."""
        return {"weight": at(self.weight, step)}

    def model_loss(self, terms: Terms, said: Tensor, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the distortion and the weighted log-probability of being found out."""
        return terms.distortion.mean() + hyper["weight"] * softplus(-said).mean()

    def discriminator_loss(self, z: Tensor, p: Distribution) -> Tensor:
        """Return the cross-entropy of telling the prior's draws from codes; log 2 at chance."""
        prior = self.discriminator(p.rsample().detach())
        return told_apart(prior, self.discriminator(z))
