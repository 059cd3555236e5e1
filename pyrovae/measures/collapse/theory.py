"""What is known of linear VAEs: which units collapse, and what the others do.

Decoder W z + b, likelihood N(., s² I) with s fixed, KL weighted by beta, data of covariance with
eigenvalues l_k. At the optimum of a mean-field normal posterior each unit holds one principal
direction, or none: unit k is active iff ``l_k > beta s²``, and then

- |w_k|² = l_k - beta s²,
- Var(mu_k) = 1 - beta s² / l_k and E(sigma_k²) = beta s² / l_k: they add up to 1,
- KL_k = log(l_k / (beta s²)) / 2.

Of two layers :func:`layered_variance` tells.

Sources: Lucas et al. 2019, sec. 4 (arXiv:1911.02469), for beta = 1; Sicks et al. 2021
(arXiv:2003.11830); Ichikawa & Hukushima 2024 (arXiv:2310.15440) for the threshold in beta.
"""

from __future__ import annotations

import torch
from torch import Tensor


def linear_var_mu(eigenvalues: Tensor, beta_sigma2: float | Tensor) -> Tensor:
    """Return Var(mu) of the unit on each principal direction, 0 for one that collapses.

    Parameters
    ----------
    eigenvalues
        Of the data's covariance, any shape.
    beta_sigma2
        beta × s².
    """
    return (1 - beta_sigma2 / eigenvalues).clamp(min=0)


def linear_kl(eigenvalues: Tensor, beta_sigma2: float) -> Tensor:
    """Return KL(q(z_k|x) || p(z_k)) in nats, averaged over the data; 0 if the unit collapses."""
    return 0.5 * (eigenvalues / beta_sigma2).log().clamp(min=0)


def linear_active_units(eigenvalues: Tensor, beta_sigma2: float, *, threshold: float = 0.0) -> int:
    """Return the number of units with Var(mu) above a threshold; at 0, of those not collapsed."""
    return int((linear_var_mu(eigenvalues, beta_sigma2) > threshold).sum())


def principal_variances(x: Tensor) -> Tensor:
    """Return the eigenvalues of the covariance of data ``(n, d)``, falling; ``float64``."""
    covariance = torch.cov(x.double().T, correction=0)
    return torch.linalg.eigvalsh(covariance).flip(0)


def layered_variance(eigenvalues: Tensor, *, sigma2: float, above2: float, guide2: float) -> Tensor:
    r"""Return E(z1_k²) of the lower layer of a linear model with two, at the optimum; any shape.

    x = W z1 + b + N(0, ``sigma2`` I), z1 = U z2 + N(0, ``above2`` I), z2 ~ N(0, I), and a guide
    from the bottom up, q(z1|x) = N(V x + c, ``guide2`` I), q(z2|z1) of any linear mean and free
    variances. All three variances are fixed, so that scales do not give way. On the principal
    direction with eigenvalue l each layer has one unit or none, and v = E(z1²) minimises

    .. math::

        \frac{l\, s_q^2}{2 \sigma^2 v} + \min_{\tau^2 \ge s_p^2}
        \Big(\frac{v}{2 \tau^2} + \tfrac12 \log \tau^2\Big), \quad v \ge s_q^2,

    with :math:`s_q^2` the guide's variance, :math:`s_p^2` that of p(z1|z2) and :math:`\tau^2` that
    of z1 under the prior. So

    - the upper unit is used, :math:`v > s_p^2`, iff :math:`v = l s_q^2 / \sigma^2` is above both
      :math:`s_p^2` and :math:`s_q^2`, or the guide's own variance is above :math:`s_p^2`;
    - the lower one is used, :math:`v > s_q^2`, iff :math:`l > \sigma^2 \max(1, s_q^2 / s_p^2)`.

    Fixing the variances is what makes the upper layer matter: with a free :math:`s_q` and
    :math:`s_p` any share of the variance of z1 may come from z2, and the bound is the same.

    Derived here for two layers by minimising over all weights in turn; the setting, and that
    a learnable variance of the guide lets the upper layer collapse, are those of Dang et al. 2024,
    sec. 4.2 (arXiv:2306.05023), whose theorem was not compared word for word.

    Parameters
    ----------
    eigenvalues
        Of the data's covariance.
    sigma2, above2, guide2
        Variances of p(x|z1), of p(z1|z2) and of q(z1|x).
    """
    free = eigenvalues * guide2 / sigma2
    # Below s_p² the prior of z1 is fixed: the slope is 1 / (2 s_p²), not 1 / (2 v).
    capped = (free * above2).sqrt()
    v = torch.where(free > above2, free, capped)
    return v.clamp(min=guide2)


def layered_kl(eigenvalues: Tensor, *, sigma2: float, above2: float, guide2: float) -> Tensor:
    """Return E KL(q(z2_k|z1) || p(z2_k)) of the upper layer there, in nats; 0 if it collapses.

    Parameters as for :func:`layered_variance`.
    """
    v = layered_variance(eigenvalues, sigma2=sigma2, above2=above2, guide2=guide2)
    return 0.5 * (v / above2).log().clamp(min=0)
