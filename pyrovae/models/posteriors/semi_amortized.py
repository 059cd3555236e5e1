"""A normal posterior that starts from the encoder and is then improved for each datum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import pyro.distributions as dist
import torch
from pydantic import Field
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.errors import PyrovaeError
from pyrovae.core.schedules import Positive
from pyrovae.models.posteriors.base import FACTORIZED, POSTERIORS, Posterior, head, positive


@POSTERIORS.register("semi_amortized")
class SemiAmortized(Posterior):
    r"""Diagonal normal: k gradient steps on each datum's bound, from the encoder's output.

    .. math::

        q(z \mid x) = \mathcal{N}(z \mid \lambda_k),
        \quad \lambda_{j+1} = \lambda_j + \epsilon \nabla_\lambda \mathrm{ELBO}(\lambda_j; x),
        \quad \lambda_0 = \mathrm{encoder}(x)

    Encoder and decoder are trained through the steps, with exact second derivatives. The steps draw
    noise, so two calls for one datum differ a little.

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Dimension of the code.
    steps
        Number of ascent steps; each runs the decoder forwards and backwards.
    step_size
        Of the ascent, in location and raw scale, or a schedule of it.
    clip
        Longest step, as norm of a datum's gradient before ``step_size``, or a schedule of it.

    References
    ----------
    Kim et al. 2018, algorithm 1; arXiv:1802.02550

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import SemiAmortized
    >>> log_joint = lambda z: -((z - 1) ** 2).sum(-1)  # of a model whose codes should be near 1
    >>> q = SemiAmortized(16, 3, steps=50)(torch.randn(5, 16), log_joint)
    >>> q.batch_shape, q.event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> q.mean.sub(1).abs().max() < 0.3
    tensor(False)
    """

    properties = FACTORIZED - {"amortized"} | {"normal"}
    needs_model = True
    step_size: Tensor
    clip: Tensor

    def __init__(
        self,
        features: int,
        latent_dim: int,
        *,
        steps: Annotated[int, Field(gt=0)] = 5,
        step_size: Positive = 0.1,
        clip: Positive = 5.0,
    ) -> None:
        super().__init__(features, latent_dim)
        self.steps = steps
        self.set_number("step_size", step_size)
        self.set_number("clip", clip)
        self.loc = head(features, latent_dim)
        self.scale = head(features, latent_dim)

    def forward(
        self, features: Tensor, log_joint: Callable[[Tensor], Tensor] | None = None
    ) -> Distribution:
        """Return q(z|x) after the steps.

        Parameters
        ----------
        features
            ``(*b, features)``.
        log_joint
            Codes ``(*b, latent_dim)`` to log p(x, z) of the same data, ``b``.

        Raises
        ------
        TypeError
            Without ``log_joint``.
        PyrovaeError
            Under ``torch.jit.trace``, as in Pyro's JIT ELBOs.
        """
        if log_joint is None:
            raise TypeError("posterior 'semi_amortized' needs log_joint: it is fitted to the model")
        if torch.jit.is_tracing():
            # Not even autograd would do: tensors saved for a backward pass become constants there.
            raise PyrovaeError(
                "posterior 'semi_amortized' takes gradient steps, which torch.jit cannot trace: "
                "use an ELBO that is not a Jit one, such as Trace_ELBO"
            )

        def bound(parameters: Tensor, noise: Tensor) -> Tensor:
            q = _law(parameters)
            z = q.mean + q.variance.sqrt() * noise
            # Data do not meet: the gradient of the sum holds that of each.
            return (log_joint(z) + q.entropy()).sum()

        parameters = torch.cat([self.loc(features), self.scale(features)], -1)
        for _ in range(self.steps):
            noise = torch.randn_like(parameters[..., : self.latent_dim])
            gradient = torch.func.grad(bound)(parameters, noise)
            norm = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)
            parameters = parameters + self.step_size * gradient * (self.clip / norm).clamp(max=1)
        return _law(parameters)


def _law(parameters: Tensor) -> Distribution:
    loc, raw = parameters.chunk(2, -1)
    return dist.Normal(loc, positive(raw)).to_event(1)
