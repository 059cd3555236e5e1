"""What is known of linear VAEs: which units collapse, and what the others do.

Decoder W z + b, likelihood N(., s² I) with s fixed, KL weighted by beta, data of covariance with
eigenvalues l_k. At the optimum of a mean-field normal posterior each unit holds one principal
direction, or none: unit k is active iff ``l_k > beta s²``, and then

- |w_k|² = l_k - beta s²,
- Var(mu_k) = 1 - beta s² / l_k and E(sigma_k²) = beta s² / l_k: they add up to 1,
- KL_k = log(l_k / (beta s²)) / 2.

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
