"""What every law must do: integrate to 1, draw from its density, have the right derivatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy import integrate, stats
from torch import Tensor
from torch.distributions import Distribution

#: Chance that a test of a correct sampler fails, for each one: seeds are fixed, so this is the
#: chance with which a seed had to be picked again, not a rate of flaky runs.
FALSE_ALARM = 1e-6


def integral(
    log_density: Callable[[Tensor], Tensor], low: float, high: float, points: int = 20_001
) -> Tensor:
    """Return the integral of a density over [low, high], by Simpson's rule.

    ``log_density`` takes numbers ``(n,)`` to ``(n, *b)``; the result has shape ``b``.
    """
    grid = torch.linspace(low, high, points, dtype=torch.float64)
    with torch.no_grad():
        density = log_density(grid).exp()
    return torch.as_tensor(integrate.simpson(density.numpy(), x=grid.numpy(), axis=0))


def assert_draws_follow(draws: Tensor, cdf: Callable[[np.ndarray], np.ndarray]) -> None:
    """Kolmogorov-Smirnov: ``draws`` (n,) have the given distribution function."""
    assert draws.isfinite().all()
    result = stats.kstest(draws.double().numpy(), cdf)
    assert result.pvalue > FALSE_ALARM, result


def assert_mean(values: Tensor, expected: Tensor | float, errors: float = 4.0) -> None:
    """The mean over the first dimension of independent ``values`` is ``expected``.

    Within ``errors`` standard errors, each element for itself.
    """
    values = values.double()
    error = values.std(0) / len(values) ** 0.5
    off = (values.mean(0) - torch.as_tensor(expected).double()).abs()
    assert (off <= errors * error + 1e-9).all(), (off / error).max()


def assert_kl(q: Distribution, p: Distribution, closed: Tensor, draws: int = 20_000) -> None:
    """The closed form agrees with Monte Carlo within 4 standard errors."""
    z = q.sample((draws,))
    assert_mean(q.log_prob(z) - p.log_prob(z), closed)


def pathwise_gradient_error(
    law: Callable[[Tensor], Distribution], parameter: Tensor, f: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the mean pathwise gradient of E f(z) less the true one, and its standard error.

    ``law`` takes a parameter of shape ``(n,)`` to ``n`` independent laws of scalars, all alike:
    n draws give n gradients. The truth is the quadrature of f times the derivative of the density.
    """
    parameter = parameter.clone().requires_grad_()
    (gradients,) = torch.autograd.grad(f(law(parameter).rsample()).sum(), parameter)
    one = parameter[:1].detach().requires_grad_()
    grid = torch.linspace(-60, 60, 200_001, dtype=torch.float64)
    density = law(one).log_prob(grid.unsqueeze(-1)).exp().squeeze(-1)
    truth = torch.autograd.grad(torch.trapezoid(f(grid) * density, grid), one)[0]
    return gradients.mean() - truth, gradients.std() / len(gradients) ** 0.5
