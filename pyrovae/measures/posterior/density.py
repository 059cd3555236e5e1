"""log p(x, z) of a VAE for many codes at once, with its gradient: what samplers move on.

The Pyro model is run once, under ``make_fx``, and the tensor operations are kept. Then nothing of
Pyro is left in the loop: one call serves all chains of all data points.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import torch
from pyro import poutine
from torch import Tensor, nn
from torch.func import functional_call, grad

from pyrovae.core.errors import PyrovaeError
from pyrovae.core.given import Data, Given, given
from pyrovae.core.measuring import buffers_written, measuring, only_measures
from pyrovae.core.params import OwnParams
from pyrovae.core.seeded import seeded
from pyrovae.distributions.sphere_coordinates import log_area, log_standard_normal, unit
from pyrovae.models.contract import LatentModel
from pyrovae.models.priors import Prior
from pyrovae.models.sites import observed_sites
from pyrovae.training.step import compile_step, trace


class Evaluated(NamedTuple):
    """The density at some coordinates.

    Attributes
    ----------
    log_prior
        log p(u), nats, shape ``(b,)``.
    log_likelihood
        log p(x|z), nats, shape ``(b,)``.
    prior_gradient, likelihood_gradient
        Of either by ``u``, shape ``(b, d)``.
    """

    log_prior: Tensor
    log_likelihood: Tensor
    prior_gradient: Tensor
    likelihood_gradient: Tensor

    def tempered(self, beta: Tensor | float = 1.0) -> Tensor:
        """Return log p(u) + beta log p(x|z), ``(b,)``."""
        return self.log_prior + beta * self.log_likelihood

    def gradient(self, beta: Tensor | float = 1.0) -> Tensor:
        """Return the gradient of :meth:`tempered`, ``(b, d)``."""
        return self.prior_gradient + beta * self.likelihood_gradient


class Density:
    """p(z) p(x|z) of a trained LatentModel, as a function of unconstrained coordinates ``u``.

    On a space ``"real"``, ``u`` is the code itself, of all layers where there are several. On the
    sphere the code is u/|u| (:mod:`pyrovae.distributions.sphere_coordinates`): draws of ``u`` give
    exact draws of the code, and p(x) is the same.

    It is the model of one datum (:meth:`pyrovae.models.contract.LatentModel.datum_model`): a
    hierarchical prior stands at its fitted scales.

    Parameters
    ----------
    vae
        The trained model; its guide is not used.
    x
        Observations ``(b, *event_shape)``, one for each chain: repeat a datum to give it several.
    compiled
        Whether the traced graph is compiled, which pays off from some thousand calls.

    Raises
    ------
    PyrovaeError
        If the prior has no density: then there is no posterior to refer to. Or if codes are labels.
    """

    def __init__(self, vae: LatentModel, x: Data, *, compiled: bool = False) -> None:
        if vae.classes is not None:
            raise PyrovaeError(NO_COORDINATES)
        if not has_density(vae):
            raise PyrovaeError("the prior has no density: a posterior to refer to is not defined")
        self._given = given(x)
        # By name: what is compiled knows no class of this package.
        self.x = {"x": x.x, "context": x.context} if isinstance(x, Given) else x
        self._sphere, self._n = vae.space == "sphere", len(x)
        self._program = _Joint(vae)
        self._tensors = (
            {name: p.detach() for name, p in self._program.named_parameters()},
            dict(self._program.named_buffers()),
        )
        start = self.draw_prior(torch.Generator().manual_seed(0))
        with measuring(vae):
            self._written = buffers_written(
                self._program,
                lambda buffers: functional_call(self._program, buffers, (self.x, start)),
            )
        with warnings.catch_warnings(), measuring(vae):
            # Pyro is told of parameters that are not for training.
            warnings.filterwarnings("ignore", message=".*was not registered in the param store")
            graph = trace(self._evaluate, *self._tensors, self.x, start)
        # The prior's gradient was traced through the whole model; the decoder is not needed there.
        graph.graph.eliminate_dead_code()
        graph.recompile()
        self._call = compile_step(graph) if compiled else graph

    def __call__(self, u: Tensor) -> Evaluated:
        """Evaluate at coordinates ``(b, d)``."""
        return Evaluated(*self._call(*self._tensors, self.x, u))

    def codes(self, u: Tensor) -> Tensor:
        """Return the codes of coordinates ``(*b, d)``."""
        return unit(u) if self._sphere else u

    def coordinates(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Return coordinates of codes ``(b, d)``; on a sphere their lengths are drawn."""
        if not self._sphere:
            return z
        return z * torch.linalg.vector_norm(
            torch.randn(z.shape, generator=generator), dim=-1, keepdim=True
        )

    def draw_prior(self, generator: torch.Generator) -> Tensor:
        """Return one draw from the prior for each chain, ``(b, d)``, as coordinates."""
        z = draw_codes(self._program.vae, self._n, generator, **self._given)
        return self.coordinates(z, generator)

    def _evaluate(
        self, params: dict[str, Tensor], buffers: dict[str, Tensor], x: Any, u: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        def part(at: Tensor, which: int) -> tuple[Tensor, Tensor]:
            # What a forward pass writes in spite of eval mode is written to copies.
            copies = {name: buffers[name].clone() for name in self._written}
            tensors = params | buffers | copies
            found = functional_call(self._program, tensors, (x, at))[which]
            # Chains do not meet: the gradient of the sum holds that of each.
            return found.sum(), found

        prior_gradient, log_prior = grad(part, has_aux=True)(u, 0)
        likelihood_gradient, log_likelihood = grad(part, has_aux=True)(u, 1)
        return log_prior, log_likelihood, prior_gradient, likelihood_gradient


#: Why the posterior of a code with labels is not sampled.
NO_COORDINATES = (
    "NUTS is for real codes, and this one has labels: where codes are few, every evaluation sums "
    "over all of them (summed_log_px and kl_to_posterior)"
)


def has_density(vae: LatentModel) -> bool:
    """Return whether the prior's ``log_prob`` is the density that its draws have."""
    prior = getattr(vae, "prior", None)
    return not isinstance(prior, Prior) or "density" in prior.properties


@only_measures
def draw_codes(
    vae: LatentModel, n: int, generator: torch.Generator, context: Tensor | None = None
) -> Tensor:
    """Return ``n`` codes from the fitted prior, ``(n, d)``; the global random state is kept.

    With contexts ``(n, k)``, one of p(z|c) for each.
    """
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.no_grad(), seeded(seed):
        return vae.draw_prior(n, **({} if context is None else {"context": context}))


def _called(x: Any) -> tuple[Tensor, ...]:
    return (x["x"], x["context"]) if isinstance(x, dict) else (x,)


class _Joint(nn.Module):
    """Reads log p(u) and log p(x|z) off the trace of the conditioned model."""

    def __init__(self, vae: LatentModel) -> None:
        super().__init__()
        self.vae = vae
        self._sphere = vae.space == "sphere"

    def forward(self, x: Any, u: Tensor) -> tuple[Tensor, Tensor]:
        z = unit(u) if self._sphere else u
        latents = self.vae.latents(z)
        conditioned = poutine.condition(self.vae.datum_model, data=latents)
        with OwnParams():
            trace = poutine.trace(conditioned).get_trace(*_called(x))
        first, *others = (
            trace.nodes[name]["fn"].log_prob(trace.nodes[name]["value"]) for name in latents
        )
        seen = [s for s in observed_sites(trace) if s["name"] not in latents]
        of_data = [site["fn"].log_prob(site["value"]) for site in seen]
        log_likelihood = sum(of_data[1:], of_data[0])
        log_prior = sum(others, first)
        if self._sphere:
            log_prior = log_prior + log_area(u.shape[-1]) + log_standard_normal(u)
        return log_prior, log_likelihood
