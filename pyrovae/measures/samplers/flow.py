"""A normalizing flow, fitted by maximum likelihood."""

from __future__ import annotations

from typing import Annotated, Literal

import pyro.distributions as dist
import torch
from pydantic import Field
from torch import Tensor
from torch.distributions import AffineTransform, Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.distributions.autoregressive import autoregressive
from pyrovae.distributions.flow import Flow
from pyrovae.measures.samplers.base import SAMPLERS, Sampler

#: Codes that a step of the fit sees.
_BATCH = 256
_Count = Annotated[int, Field(gt=0)]


@SAMPLERS.register("flow")
class FlowSampler(Sampler):
    r"""Masked autoregressive flow over N(0, I), fitted to the codes by maximum likelihood.

    .. math::

        \log r(z) = \log \mathcal{N}(f(u) \mid 0, I) + \log \left|\det \frac{\partial f}{\partial
        u}\right| - \sum_i \log s_i, \quad u = (z - m) / s

    m and s are the codes' means and standard deviations.

    Parameters
    ----------
    kind
        What happens to one dimension, given those before it: ``affine`` or ``spline``.
    transforms
        Number of autoregressive maps.
    hidden
        Widths of each masked network's hidden layers.
    steps
        Of Adam, on 256 codes each; its learning rate falls to 0 by a cosine.
    lr
        Learning rate of the first.

    References
    ----------
    Papamakarios, Pavlakou & Murray 2017, arXiv:1705.07057; Durkan et al. 2019, arXiv:1906.04032

    Examples
    --------
    >>> import torch
    >>> from pyrovae.measures.samplers import FlowSampler
    >>> law = FlowSampler(steps=5, hidden=[8]).fit(torch.randn(300, 2), seed=0)
    >>> law.sample((3,)).shape, law.log_prob(torch.zeros(3, 2)).shape
    (torch.Size([3, 2]), torch.Size([3]))
    """

    def __init__(
        self,
        *,
        kind: Literal["affine", "spline"] = "spline",
        transforms: _Count = 3,
        hidden: Annotated[list[_Count], Field(min_length=1)] = [64],  # noqa: B006 - never changed
        steps: _Count = 1000,
        lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 5e-3,
    ) -> None:
        self.kind, self.transforms, self.hidden = kind, transforms, list(hidden)
        self.steps, self.lr = steps, lr

    def fit(self, codes: Tensor, seed: int) -> Distribution:
        """Return the flow after the last step."""
        if len(codes) < 2:
            raise ConfigError(f"a flow is fitted to 2 codes or more, not {len(codes)}")
        mean, scale = codes.mean(0), codes.std(0).clamp(min=1e-6)
        d = codes.shape[1]
        flow = autoregressive(
            self.kind, d, context=0, transforms=self.transforms, hidden=self.hidden
        ).to(codes.dtype)
        base = dist.Normal(torch.zeros_like(mean), torch.ones_like(mean)).to_event(1)
        scaled = (codes - mean) / scale
        adam = torch.optim.Adam(flow.parameters(), lr=self.lr)
        course = torch.optim.lr_scheduler.CosineAnnealingLR(adam, self.steps)
        with torch.enable_grad():
            for _ in range(self.steps):
                some = scaled[torch.randint(len(codes), (min(_BATCH, len(codes)),))]
                adam.zero_grad()
                (-Flow(base, flow(None).inv).log_prob(some).mean()).backward()
                adam.step()
                course.step()
        flow.requires_grad_(False)
        unit: Distribution = Flow(base, flow(None).inv)
        return dist.TransformedDistribution(unit, [AffineTransform(mean, scale, event_dim=1)])
