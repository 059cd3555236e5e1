"""Deterministic autoencoders whose decoder is kept smooth by a penalty, not by noise."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import torch
from pyro import poutine
from torch import Tensor

from pyrovae.core.given import Data, arguments, given
from pyrovae.core.schedules import NotNegative, at
from pyrovae.models.contract import LatentModel
from pyrovae.models.sites import Terms, terms
from pyrovae.objectives.base import OBJECTIVES, Objective
from pyrovae.objectives.importance import traced_at


@OBJECTIVES.register("rae")
class Rae(Objective):
    r"""Distortion at the mean of q(z|x), the codes' squared norm, and a penalty on the decoder.

    .. math::

        \mathcal{L} = D(\mu(x)) + \frac{\beta}{2} |\mu(x)|^2 + \lambda\, \Omega, \quad
        \Omega = |\theta|^2 \;\text{ or }\; |\partial\, \mathbb{E}[x \mid z] / \partial z|_F^2

    Nothing is drawn: the noise of q(z|x) is what the penalty takes the place of. It goes with the
    posterior ``fixed_scale_normal``, since nothing would train a scale. The prior is not in the
    loss: generate with a law of the codes (``pyrovae sample RUN --sampler mixture``).

    The squared norm of the Jacobian is estimated without bias by one random direction u of what is
    decoded for each datum, |J^T u|² with u ~ N(0, I).

    Parameters
    ----------
    penalty
        ``gradient``: of the decoder's mean by the code, at the codes. ``l2``: the squared norm of
        all parameters of the model but the guide's. ``none``: the original's plain autoencoder.
    weight
        lambda, or a schedule of it.
    beta
        Weight of the codes' squared norm, or a schedule of it.

    References
    ----------
    Ghosh et al. 2020, eqs. 5, 6, 8 and 9; arXiv:1903.12436

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Rae
    >>> vae = pyrovae.build((4,), latent_dim=2, posterior="fixed_scale_normal")
    >>> x, objective = torch.rand(16, 4), Rae(penalty="none", beta=0.5)
    >>> loss, terms = objective(vae, x, {"beta": torch.tensor(0.5)}, data_size=16)
    >>> mean = vae.encode(x).mean
    >>> distortion = -vae.decode(mean).log_prob(x).mean()
    >>> torch.allclose(loss, distortion + 0.25 * mean.square().sum(-1).mean())
    True
    """

    needs = Objective.needs | {"posterior.fixed_scale", "code.flat"}
    hint = "posterior 'fixed_scale_normal' does"

    def __init__(
        self,
        *,
        penalty: Literal["gradient", "l2", "none"] = "gradient",
        weight: NotNegative = 1e-3,
        beta: NotNegative = 1e-2,
    ) -> None:
        super().__init__()
        self.penalty, self.weight, self.beta = penalty, weight, beta
        if penalty == "gradient":
            self.against_batch_norm = (
                "has derivatives of the decoder in its loss, in which batch normalisation cannot "
                "keep its statistics"
            )

    @classmethod
    def requirements(cls, parameters: Mapping[str, Any]) -> frozenset[str]:
        """Return that the gradient penalty needs a mean with derivatives."""
        smooth = {"likelihood.mean"} if parameters.get("penalty") == "gradient" else set()
        return cls.needs | smooth

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return both weights at a step."""
        return {"weight": at(self.weight, step), "beta": at(self.beta, step)}

    def forward(
        self, vae: LatentModel, x: Data, hyper: Mapping[str, Tensor], data_size: int
    ) -> tuple[Tensor, Terms]:
        """Return the loss, and the terms at the means of q(z|x)."""
        guide = poutine.trace(vae.guide).get_trace(*arguments(x)).copy()
        for name in vae.latents(torch.zeros(vae.latent_dim)):
            site = guide.nodes[name]
            guide.nodes[name] = {**site, "value": site["fn"].mean}
        found = terms(traced_at(guide, vae.model, x), guide, data_size=data_size)
        norm = found.z.square().sum(-1).mean()
        loss = found.distortion.mean() + hyper["beta"] / 2 * norm + found.shared
        if self.penalty == "gradient":
            loss = loss + hyper["weight"] * squared_jacobian(vae, found.z, x).mean()
        elif self.penalty == "l2":
            own = [p for n, p in vae.named_parameters() if not vae.is_guide_parameter(n)]
            loss = loss + hyper["weight"] * torch.stack([p.square().sum() for p in own]).sum()
        return loss, found


def squared_jacobian(vae: LatentModel, z: Tensor, x: Data) -> Tensor:
    r"""Return an unbiased estimate of :math:`|\partial\, \mathbb{E}[x \mid z] / \partial z|_F^2`.

    By one standard normal direction u of what is decoded for each datum: E |J^T u|² = tr(J J^T).

    Parameters
    ----------
    vae
        Whose p(x|z) has a mean with derivatives.
    z
        Codes ``(n, latent_dim)``.
    x
        Data ``(n, *event_shape)``, whose context the decoder is given.

    Returns
    -------
    Tensor
        Shape ``(n,)``.
    """
    decoded: Any = torch.func.vjp(partial(_mean, vae, given(x)), z)
    mean, pull = decoded
    along: Tensor = pull(torch.randn_like(mean))[0]
    return along.square().sum(-1)


def _mean(vae: LatentModel, context: Mapping[str, Any], z: Tensor) -> Tensor:
    # A copy: what counts operations watches a module's input, which must not be a leaf.
    return vae.decode(z.clone(), **context).mean
