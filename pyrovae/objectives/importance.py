"""Importance-weighted bounds, and a gradient of theirs whose noise falls with K."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import pyro
from pydantic import Field
from pyro import poutine
from pyro.poutine import Trace
from torch import Tensor, nn
from torch.func import functional_call

from pyrovae.core.errors import ConfigError
from pyrovae.core.given import Data, arguments
from pyrovae.models.contract import LatentModel
from pyrovae.models.sites import SAMPLES, Terms, is_weighted, terms, trace_pair
from pyrovae.objectives.base import OBJECTIVES, Objective

T = TypeVar("T")


@OBJECTIVES.register("iwae")
class Iwae(Objective):
    r"""log (1/K) sum_k p(x, z_k) / q(z_k|x): a bound that rises with K to log p(x).

    .. math::

        \mathcal{L} = -\mathbb{E} \log \frac{1}{K} \sum_{k=1}^K \frac{p(x, z_k)}{q(z_k \mid x)}

    Parameters
    ----------
    particles
        Number K of codes for each datum; 1 is the ELBO with a sampled rate.

    References
    ----------
    Burda, Grosse & Salakhutdinov 2016, eq. 8; arXiv:1509.00519

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Iwae
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = Iwae(particles=8)
    >>> loss, terms = objective(vae, x, {}, data_size=16)
    >>> terms.log_weight.shape
    torch.Size([8, 16])
    >>> torch.allclose(loss, -terms.log_weight.exp().mean(0).log().mean(), rtol=1e-4)
    True
    """

    def __init__(self, *, particles: Annotated[int, Field(gt=0)] = 8) -> None:
        super().__init__()
        self.samples = particles

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the negative bound, averaged over the batch."""
        return terms.shared - importance_bound(terms, self.samples)


@OBJECTIVES.register("dreg")
class Dreg(Iwae):
    r"""The bound of ``iwae`` with the doubly reparameterised gradient for q(z|x).

    .. math::

        \nabla_\phi \mathcal{L} = -\mathbb{E} \sum_{k=1}^K \tilde w_k^2\,
        \frac{\partial \log w_k}{\partial z_k} \frac{\partial z_k}{\partial \phi},
        \quad w_k = \frac{p(x, z_k)}{q(z_k \mid x)}, \quad \tilde w_k = \frac{w_k}{\sum_j w_j}

    With normalised weights w_k, parameters of p get sum_k w_k grad log p(x, z_k), those of q get
    sum_k w_k² (d log weight_k / d z_k) (d z_k / d phi). The decoder runs twice: weights come first.
    That holds where log q(z|x) counts once: a scaled or masked latent site is refused.

    Parameters
    ----------
    particles
        Number K of codes for each datum.

    References
    ----------
    Tucker et al. 2019; arXiv:1810.04152

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Dreg
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = Dreg(particles=8)
    >>> loss, terms = objective(vae, x, {}, data_size=16)
    >>> torch.allclose(loss, -terms.log_weight.exp().mean(0).log().mean(), rtol=1e-4)
    True
    """

    needs = Objective.needs | {"posterior.amortized", "code.flat"}

    def __init__(self, *, particles: Annotated[int, Field(gt=1)] = 8) -> None:
        super().__init__(particles=particles)

    def forward(
        self, vae: LatentModel, x: Data, hyper: Mapping[str, Tensor], data_size: int
    ) -> tuple[Tensor, Terms]:
        """Return a loss with the bound's value and the gradient above, and the terms."""
        model_trace, guide_trace = trace_pair(vae.model, vae.guide, x, samples=self.samples)
        found = terms(model_trace, guide_trace, data_size=data_size)
        if any(is_weighted(q) for q, _ in found.local):
            raise ConfigError(
                "objective 'dreg': its gradient is not that of a bound whose latent site is scaled "
                "or masked; 'iwae' takes such a model"
            )
        bound = self.loss(found, hyper)
        weights = found.log_weight.detach().softmax(0)
        replayed = guide_trace.copy()
        for q, _ in found.local:
            z = q["value"]
            # The value of z, with w_k times its gradient.
            scaled = z.detach() + weights.unsqueeze(-1) * (z - z.detach())
            replayed.nodes[q["name"]] = {**q, "value": scaled}
        with pyro.plate(SAMPLES, self.samples, dim=-2):
            guide = with_fixed(
                vae, lambda fixed: traced_at(replayed, fixed.guide, x), of_guide=True
            )
            model = traced_at(guide, vae.model, x)
        again = terms(model, guide, data_size=data_size)
        surrogate = again.shared - (weights * again.log_weight).sum(0).mean()
        return surrogate + (bound - surrogate).detach(), found


def traced_at(trace: Trace, program: Callable[..., Any], x: Data) -> Trace:
    """Return the trace of a program on data, with the values that another trace drew."""
    return poutine.trace(poutine.replay(program, trace=trace)).get_trace(*arguments(x))


def importance_bound(terms: Terms, particles: int, *, bounds: int = 1) -> Tensor:
    """Return the mean over a batch of the mean of some bounds, each of as many particles; 0-d.

    Burda et al. 2016, eq. 8; with several bounds Rainforth et al. 2018, eq. 10.

    Parameters
    ----------
    terms
        Of ``particles`` codes for each datum.
    particles
        Of all bounds together.
    bounds
        Their number.
    """
    # Of a single code there is no dimension of samples.
    log_weight = terms.log_weight.reshape(bounds, particles // bounds, -1)
    return log_weight.logsumexp(1).mean() - math.log(particles // bounds)


def with_fixed(vae: LatentModel, run: Callable[[LatentModel], T], *, of_guide: bool) -> T:
    """Return what ``run`` makes of a model in which one half's parameters have no gradient.

    Parameters
    ----------
    vae
        The model, which is left as it is.
    run
        Called with the model whose parameters are replaced.
    of_guide
        Whether those of q(z|x) are fixed, or all others.
    """
    fixed = {
        f"vae.{name}": p.detach()
        for name, p in vae.named_parameters()
        if vae.is_guide_parameter(name) == of_guide
    }
    return functional_call(_Half(vae), fixed, (run,))


class _Half(nn.Module):
    """A model as a part of a module: what ``functional_call`` can replace parameters of."""

    def __init__(self, vae: LatentModel) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, run: Callable[[LatentModel], Any]) -> Any:
        return run(self.vae)
