"""A prior made of the encoder itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import pyro.distributions as dist
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.distributions.mixture import Mixture
from pyrovae.models.priors.base import PRIORS, Prior


@PRIORS.register("vampprior")
class VampPrior(Prior):
    r"""Mixture of the posteriors of K learned pseudo-inputs: (1/K) sum_k q(z|u_k).

    .. math:: p(z) = \frac{1}{K} \sum_{k=1}^K q(z \mid u_k)

    The pseudo-inputs are free; the original keeps those for images in [0, 1] by a hard tanh.

    Parameters
    ----------
    latent_dim
        Dimension of the code.
    pseudo_inputs
        Number K; each step encodes them all. At most the number of training data.
    start
        ``data``: K training data, picked at random. ``mean``: the mean of the training data, each
        pseudo-input with noise of its own. Without data at hand both start around 1/2.
    spread
        Standard deviation of the noise in ``mean``, in the data's units.

    References
    ----------
    Tomczak & Welling 2018, eq. 9; arXiv:1705.07120

    Examples
    --------
    >>> import pyro.distributions as dist
    >>> from pyrovae.models.priors import VampPrior
    >>> prior = VampPrior(3, pseudo_inputs=4)
    >>> prior.bind(lambda x: dist.Normal(x[:, :3], 1.0).to_event(1), (8,))
    >>> prior.inputs.shape, prior().event_shape, prior().sample((5,)).shape
    (torch.Size([4, 8]), torch.Size([3]), torch.Size([5, 3]))
    """

    space = None
    needs_encoder = True
    starts_from_data = True
    inputs: Tensor | None

    def __init__(
        self,
        latent_dim: int,
        *,
        pseudo_inputs: Annotated[int, Field(gt=0)] = 100,
        start: Literal["data", "mean"] = "data",
        spread: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.01,
    ) -> None:
        super().__init__(latent_dim)
        self.pseudo_inputs, self.start, self.spread = pseudo_inputs, start, spread
        self.register_parameter("inputs", None)
        self._encode: Callable[[Tensor], Distribution] | None = None

    @classmethod
    def data_conflict(cls, parameters: Mapping[str, Any], n: int) -> str | None:
        """Refuse more pseudo-inputs than training data."""
        k = parameters["pseudo_inputs"]
        if k <= n:
            return None
        return f"prior 'vampprior': {k} pseudo-inputs are more than the {n} training data"

    def bind(
        self,
        encode: Callable[[Tensor], Distribution],
        event_shape: tuple[int, ...],
        data: Tensor | None = None,
    ) -> None:
        """Take the encoder and set the pseudo-inputs; a second call starts them anew."""
        self._encode = encode
        with torch.no_grad():
            if data is None:
                inputs = 0.5 + self.spread * torch.randn(self.pseudo_inputs, *event_shape)
            else:
                reason = self.data_conflict({"pseudo_inputs": self.pseudo_inputs}, len(data))
                if reason:
                    raise ConfigError(reason, "pseudo_inputs")
                if self.start == "data":
                    inputs = data[torch.randperm(len(data))[: self.pseudo_inputs]].clone()
                else:
                    noise = torch.randn(self.pseudo_inputs, *event_shape)
                    inputs = data.mean(0) + self.spread * noise
        self.inputs = nn.Parameter(inputs)

    def forward(self) -> Distribution:
        """Return the mixture.

        Raises
        ------
        RuntimeError
            If :meth:`bind` was not called.
        """
        if self._encode is None or self.inputs is None:
            raise RuntimeError("prior 'vampprior' is not bound to an encoder: call bind first")
        weights = self.inputs.new_zeros(self.pseudo_inputs)
        return _EvenMixture(dist.Categorical(logits=weights), self._encode(self.inputs))


class _EvenMixture(Mixture):
    """A mixture with equal weights: its choices need no derivative."""

    has_rsample = True

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws ``(*sample_shape, *b, d)``."""
        shape = self._extended_shape(sample_shape)
        parts = self.component_distribution.expand((*self.batch_shape, self._num_component))
        drawn = parts.rsample(torch.Size(sample_shape))
        u = drawn.new_empty(shape[:-1]).uniform_()
        chosen = (u * self._num_component).long().clamp(max=self._num_component - 1)
        index = chosen[..., None, None].expand(*shape[:-1], 1, shape[-1])
        return drawn.gather(-2, index).squeeze(-2)

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Return draws without a gradient."""
        with torch.no_grad():
            return self.rsample(sample_shape)
