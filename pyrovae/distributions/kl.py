"""Closed forms of KL(q || p) that ``torch.distributions`` does not have.

They are registered with :func:`torch.distributions.kl.register_kl`, so that Pyro's own
``TraceMeanField_ELBO`` profits too. Those of laws that only this package has stand next to the law.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import (
    Distribution,
    Gamma,
    Independent,
    Laplace,
    LogNormal,
    LowRankMultivariateNormal,
    MultivariateNormal,
    Normal,
    StudentT,
    kl_divergence,
    register_kl,
)

from pyrovae.distributions.logistic import Logistic
from pyrovae.distributions.marginals import marginals


def analytic_kl(q: Distribution, p: Distribution) -> Tensor | None:
    """Return KL(q || p) in nats where it has a closed form, else ``None``.

    Parameters
    ----------
    q, p
        Distributions of equal event shape and broadcastable batch shape ``b``.

    Returns
    -------
    Tensor or None
        Shape ``b``.
    """
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        return None


@register_kl(StudentT, Normal)
@register_kl(Logistic, Normal)
def _kl_from_moments(q: Distribution, p: Normal) -> Tensor:
    """KL from a normal: the cross-entropy needs no more of ``q`` than its mean and variance.

    Infinite for a Student t with df <= 2, which has no variance.
    """
    square = q.variance + (q.mean - p.loc) ** 2
    cross_entropy = 0.5 * math.log(2 * math.pi) + p.scale.log() + square / (2 * p.scale**2)
    return cross_entropy - q.entropy()


@register_kl(Logistic, Laplace)
def _kl_logistic_laplace(q: Logistic, p: Laplace) -> Tensor:
    """KL of a logistic from a Laplace law.

    E|z - m| is the integral of F below m and of 1 - F above it; for the logistic both are softplus
    functions: E|z - m| = s (softplus(d/s) + softplus(-d/s)), d = loc - m.
    """
    t = (q.loc - p.loc) / q.scale
    mean_abs = q.scale * (torch.nn.functional.softplus(t) + torch.nn.functional.softplus(-t))
    return torch.log(2 * p.scale) + mean_abs / p.scale - q.entropy()


@register_kl(LogNormal, Gamma)
def _kl_log_normal_gamma(q: LogNormal, p: Gamma) -> Tensor:
    """KL of a log-normal from a Gamma law: E log x = m and E x = exp(m + s²/2)."""
    m, s = q.loc, q.scale
    mean_log_p = (
        p.concentration * p.rate.log()
        - torch.lgamma(p.concentration)
        + (p.concentration - 1) * m
        - p.rate * torch.exp(m + s**2 / 2)
    )
    entropy = m + s.log() + 0.5 * math.log(2 * math.pi * math.e)
    return -entropy - mean_log_p


@register_kl(MultivariateNormal, Independent)
@register_kl(LowRankMultivariateNormal, Independent)
def _kl_dependent_normal_factorized(
    q: MultivariateNormal | LowRankMultivariateNormal, p: Independent
) -> Tensor:
    """KL of a dependent ``q`` from a factorised ``p``: only the entropy of ``q`` is joint.

    KL(q || prod p_u) = -H(q) + sum_u CE(q_u, p_u), and CE(q_u, p_u) = KL(q_u || p_u) + H(q_u).
    """
    q_u = marginals(q)
    cross_entropy = kl_divergence(q_u, marginals(p)) + q_u.entropy()
    return cross_entropy.sum(-1) - q.entropy()
