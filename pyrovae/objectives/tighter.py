"""Between the ELBO and the importance-weighted bound: what tighter bounds do to each half.

With more particles the gradient for q(z|x) drowns in its own noise, that for p does not. Rainforth
et al. 2018 mix the two bounds in three ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import pyro
from pydantic import Field
from pyro import poutine
from torch import Tensor

from pyrovae.core.schedules import Number, Within, at
from pyrovae.models.contract import LatentModel
from pyrovae.models.sites import SAMPLES, Terms, terms, trace_pair
from pyrovae.objectives.base import OBJECTIVES, Objective
from pyrovae.objectives.importance import importance_bound, with_fixed


@OBJECTIVES.register("miwae")
class Miwae(Objective):
    r"""Mean over M importance-weighted bounds of K particles each.

    .. math::

        \mathcal{L} = -\frac{1}{M} \sum_{m=1}^M \log \frac{1}{K} \sum_{k=1}^K
        \frac{p(x, z_{mk})}{q(z_{mk} \mid x)}

    Parameters
    ----------
    particles
        Number K of codes in each bound.
    bounds
        Number M of bounds for each datum: K = 1 is the ELBO with M draws, M = 1 is ``iwae``.

    References
    ----------
    Rainforth et al. 2018, eq. 10; arXiv:1802.04537

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Miwae
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = Miwae(particles=4, bounds=2)
    >>> loss, terms = objective(vae, x, {}, data_size=16)
    >>> bounds = terms.log_weight.reshape(2, 4, 16).exp().mean(1).log()
    >>> torch.allclose(loss, -bounds.mean(), rtol=1e-4)
    True
    """

    def __init__(
        self,
        *,
        particles: Annotated[int, Field(gt=0)] = 8,
        bounds: Annotated[int, Field(gt=0)] = 8,
    ) -> None:
        super().__init__()
        self.bounds, self.samples = bounds, particles * bounds

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the negative mean bound, averaged over the batch."""
        return terms.shared - importance_bound(terms, self.samples, bounds=self.bounds)


@OBJECTIVES.register("ciwae")
class Ciwae(Objective):
    r"""beta × ELBO + (1 - beta) × the importance-weighted bound, of the same K particles.

    .. math::

        \mathcal{L} = -\frac{\beta}{K} \sum_{k=1}^K \log w_k
        - (1 - \beta) \log \frac{1}{K} \sum_{k=1}^K w_k,
        \quad w_k = \frac{p(x, z_k)}{q(z_k \mid x)}

    Parameters
    ----------
    particles
        Number K of codes for each datum.
    beta
        Share of the ELBO, between 0 (``iwae``) and 1, or a schedule of it.

    References
    ----------
    Rainforth et al. 2018, eq. 11; arXiv:1802.04537

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Ciwae
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = Ciwae(particles=8, beta=0.5)
    >>> loss, terms = objective(vae, x, {"beta": torch.tensor(1.0)}, data_size=16)
    >>> torch.allclose(loss, -terms.log_weight.mean(), rtol=1e-4)  # the ELBO, by draws
    True
    """

    def __init__(
        self,
        *,
        particles: Annotated[int, Field(gt=1)] = 8,
        beta: Annotated[Number, Within(ge=0, le=1)] = 0.5,
    ) -> None:
        super().__init__()
        self.samples, self.beta = particles, beta

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return beta at a step."""
        return {"beta": at(self.beta, step)}

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the negative weighted sum of both bounds, averaged over the batch."""
        tight = importance_bound(terms, self.samples)
        return terms.shared - hyper["beta"] * terms.log_weight.mean() - (1 - hyper["beta"]) * tight


@OBJECTIVES.register("piwae")
class Piwae(Objective):
    r"""p(x, z) climbs the bound of all M K particles, q(z|x) the mean of M bounds of K each.

    .. math::

        \nabla_\theta: \log \frac{1}{MK} \sum_{m, k} w_{mk}, \qquad
        \nabla_\phi: \frac{1}{M} \sum_m \log \frac{1}{K} \sum_k w_{mk}

    The loss that is recorded is the former. The decoder runs twice, once for each gradient.

    Parameters
    ----------
    particles
        Number K of codes in each bound of the guide's.
    bounds
        Number M of them.

    References
    ----------
    Rainforth et al. 2018, eqs. 12 and 13; arXiv:1802.04537

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Piwae
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = Piwae(particles=2, bounds=4)
    >>> loss, terms = objective(vae, x, {}, data_size=16)
    >>> torch.allclose(loss, -terms.log_weight.exp().mean(0).log().mean(), rtol=1e-4)
    True
    """

    needs = Objective.needs | {"posterior.amortized"}

    def __init__(
        self,
        *,
        particles: Annotated[int, Field(gt=0)] = 8,
        bounds: Annotated[int, Field(gt=1)] = 8,
    ) -> None:
        super().__init__()
        self.bounds, self.samples = bounds, particles * bounds

    def forward(
        self, vae: LatentModel, x: Tensor, hyper: Mapping[str, Tensor], data_size: int
    ) -> tuple[Tensor, Terms]:
        """Return a loss with the value of p's bound and each half's gradient, and the terms."""
        model_trace, guide_trace = with_fixed(
            vae,
            lambda half: trace_pair(half.model, half.guide, x, samples=self.samples),
            of_guide=False,
        )
        of_guide = terms(model_trace, guide_trace, data_size=data_size)
        drawn = guide_trace.copy()
        for q, _ in of_guide.local:
            drawn.nodes[q["name"]] = {**q, "value": q["value"].detach()}
        with pyro.plate(SAMPLES, self.samples, dim=-2):
            again = with_fixed(
                vae,
                lambda half: [
                    poutine.trace(poutine.replay(program, trace=drawn)).get_trace(x)
                    for program in (half.model, half.guide)
                ],
                of_guide=True,
            )
        of_model = terms(*again, data_size=data_size)
        guide = of_guide.shared - importance_bound(of_guide, self.samples, bounds=self.bounds)
        model = of_model.shared - importance_bound(of_model, self.samples)
        return model + (guide - guide.detach()), of_guide
