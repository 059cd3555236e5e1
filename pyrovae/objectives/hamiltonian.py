"""Variational inference by Hamiltonian dynamics: codes follow the model's own gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import softplus

from pyrovae.core.errors import ConfigError
from pyrovae.core.given import Data, given, observed
from pyrovae.models.contract import LatentModel
from pyrovae.models.sites import Terms, is_weighted, terms, trace_pair
from pyrovae.objectives.base import OBJECTIVES, Objective


@OBJECTIVES.register("hamiltonian")
class Hamiltonian(Objective):
    r"""The bound of codes that leapfrog steps have moved from q(z|x) towards the true posterior.

    .. math::

        \mathcal{L} = -\log p(x, z_K) + \frac{|\rho_K|^2}{2} + \log q(z_0 \mid x)
        - \frac{|\gamma|^2}{2}, \quad \gamma \sim \mathcal{N}(0, I), \; \rho_0 = \gamma /
        \sqrt{\beta_0}

    z_k and the momentum rho_k follow leapfrog steps of the energy -log p(x, z); after each the
    momentum is cooled, :math:`\rho_k \leftarrow \rho_k \sqrt{\beta_{k-1} / \beta_k}`, where
    :math:`1/\sqrt{\beta_k}` goes from :math:`1/\sqrt{\beta_0}` to 1 with the square of k. The steps
    preserve volume and cooling's Jacobian cancels, so that exp(-L) has mean p(x).

    It is a bound of codes and momenta together: the density of z_K alone is not known. So this is
    an objective, and no posterior family; measures are those of q(z_0|x), which it starts from.
    Distortion and rate along training are those of z_K.

    Parameters
    ----------
    steps
        Leapfrog steps K; each takes one gradient of the decoder more.
    step_size
        Of each unit at the start; they are learned, and stay below ``largest``.
    largest
        Greatest step size: beyond twice the least width of the posterior the dynamics diverge.
    temperature
        beta_0 at the start, at most 1; learned, too. 1 leaves momenta as they are.

    References
    ----------
    Caterini, Doucet & Sejdinovic 2018, sec. 3, algorithm 1; arXiv:1805.11328

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Hamiltonian
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = Hamiltonian(steps=2)
    >>> objective.prepare(vae)
    >>> loss, terms = objective(vae, x, {}, data_size=16)
    >>> torch.allclose(loss, (terms.distortion + terms.rate).mean())
    True
    """

    needs = Objective.needs | {"posterior.real", "prior.density", "code.flat"}
    against_batch_norm = (
        "follows derivatives of the decoder, in which batch normalisation cannot keep its "
        "statistics"
    )

    def __init__(
        self,
        *,
        steps: Annotated[int, Field(gt=0)] = 3,
        step_size: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.05,
        largest: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.5,
        temperature: Annotated[float, Field(gt=0, le=1)] = 1.0,
    ) -> None:
        super().__init__()
        if step_size >= largest:
            raise ConfigError(f"must be below largest, which is {largest:g}", "step_size")
        self.steps, self.largest = steps, largest
        self._start = math.log(step_size / (largest - step_size))
        # 1 / sqrt(beta_0) - 1 is positive: softplus of a number, at 0 a very low one.
        above = 1 / math.sqrt(temperature) - 1
        self.raw_heat = nn.Parameter(torch.tensor(math.log(math.expm1(max(above, 1e-4)))))
        self.raw_size = nn.Parameter(torch.zeros(0))

    def prepare(self, vae: LatentModel) -> None:
        """Give each unit a step size."""
        like = next(vae.parameters())
        size = torch.full((vae.latent_dim,), self._start, dtype=like.dtype, device=like.device)
        self.raw_size = nn.Parameter(size)

    @property
    def step_size(self) -> Tensor:
        """The step size of each unit, ``(latent_dim,)``."""
        return self.largest * torch.sigmoid(self.raw_size)

    def forward(
        self, vae: LatentModel, x: Data, hyper: Mapping[str, Tensor], data_size: int
    ) -> tuple[Tensor, Terms]:
        """Return the negative bound, and terms whose distortion and rate are those of z_K."""
        found = terms(*trace_pair(vae.model, vae.guide, x), data_size=data_size)
        if any(is_weighted(site) for pair in found.local for site in pair) or any(
            map(is_weighted, found.observed)
        ):
            raise ConfigError(
                "objective 'hamiltonian': its dynamics are not those of a model whose sites are "
                "scaled or masked"
            )
        seen, told = observed(x), given(x)

        def log_joint(z: Tensor) -> Tensor:
            # A copy: what counts operations watches a module's input, which must not be a leaf.
            z = z.clone()
            return found.p.log_prob(z) + vae.decode(z, **told).log_prob(seen)

        noise = torch.randn_like(found.z)
        z, momentum = self.flow(lambda codes: log_joint(codes).sum(), found.z, noise)
        distortion = -vae.decode(z, **told).log_prob(seen)
        log_q = found.q.log_prob(found.z)
        kinetic = (momentum.square() - noise.square()).sum(-1) / 2
        rate = log_q + kinetic - found.p.log_prob(z)
        loss = (distortion + rate).mean() + found.shared
        return loss, replace(found, distortion=distortion, rate=rate, rates=(rate,))

    def flow(
        self, log_joint: Callable[[Tensor], Tensor], z: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return codes and momenta after all steps, ``(n, d)`` each.

        Parameters
        ----------
        log_joint
            Codes ``(n, d)`` to the sum of their log p(x, z).
        z, noise
            Codes, and the standard normal noise that momenta start from.
        """
        push: Callable[[Tensor], Tensor] = torch.func.grad(log_joint)
        heat = 1 + softplus(self.raw_heat)  # 1 / sqrt(beta_0)
        size = self.step_size
        momentum = heat * noise
        for k in range(1, self.steps + 1):
            momentum = momentum + size / 2 * push(z)
            z = z + size * momentum
            momentum = momentum + size / 2 * push(z)
            # 1 / sqrt(beta_k) falls to 1: sqrt(beta_{k-1} / beta_k) is the ratio of two.
            momentum = momentum * self._heat(heat, k) / self._heat(heat, k - 1)
        return z, momentum

    def _heat(self, heat: Tensor, k: int) -> Tensor:
        return (1 - heat) * (k / self.steps) ** 2 + heat
