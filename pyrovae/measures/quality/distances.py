"""Distances of two samples of features: Fréchet's, a kernel's, and how their supports overlap.

Each is a few lines of linear algebra on features, so that no library of metrics is needed: the part
that such libraries add is a network trained on ImageNet, which is not what small grey images want.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pyrovae.core.errors import ConfigError

#: Rows that are compared with all others at a time.
_BLOCK = 1000


def frechet(a: Tensor, b: Tensor) -> float:
    r"""Return the squared Fréchet distance of the normal laws with the moments of two samples.

    .. math:: |m_a - m_b|^2 + \operatorname{tr}\left(S_a + S_b - 2 (S_a S_b)^{1/2}\right)

    Parameters
    ----------
    a, b
        ``(n, f)`` and ``(m, f)``, two rows or more.

    References
    ----------
    Heusel et al. 2017, eq. 6, arXiv:1706.08500; Dowson & Landau 1982

    Examples
    --------
    >>> x = torch.randn(1000, 3, dtype=torch.double)
    >>> round(frechet(x, x + 2), 6)  # the same covariance, 2 apart in each of three directions
    12.0
    """
    a, b = _taken(a, b)
    apart = (a.mean(0) - b.mean(0)).square().sum()
    s, t = a.T.cov().reshape(a.shape[1], -1), b.T.cov().reshape(a.shape[1], -1)
    values, vectors = torch.linalg.eigh(s)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ t @ root).clamp(min=0).sqrt().sum()
    # Of a sample with itself rounding leaves 1e-15 of the variance, of either sign.
    return max(float(apart + s.trace() + t.trace() - 2 * cross), 0.0)


def kernel_distance(a: Tensor, b: Tensor) -> float:
    r"""Return the unbiased estimate of the squared maximum mean discrepancy of a cubic kernel.

    .. math::

        \frac{\sum_{i \ne j} k(a_i, a_j)}{n (n - 1)} + \frac{\sum_{i \ne j} k(b_i, b_j)}{m (m - 1)}
        - \frac{2 \sum_{i, j} k(a_i, b_j)}{n m}, \quad k(u, v) = \left(\frac{u^\top v}{f} +
        1\right)^3

    Its mean is 0 where both laws are one, at any number of data: it may be below 0.

    Parameters
    ----------
    a, b
        ``(n, f)`` and ``(m, f)``, two rows or more.

    References
    ----------
    Bińkowski et al. 2018, sec. 4, arXiv:1801.01401

    Examples
    --------
    >>> a, b = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [1.0]])
    >>> kernel_distance(a, b)  # 1 + 8 - (1 + 1 + 27 + 27) / 2
    -19.0
    """
    a, b = _taken(a, b)

    def total(u: Tensor, v: Tensor) -> float:
        return sum(float((part @ v.T / v.shape[1] + 1).pow(3).sum()) for part in u.split(_BLOCK))

    def within(u: Tensor) -> float:
        own = (u.square().sum(1) / u.shape[1] + 1).pow(3).sum()
        return (total(u, u) - float(own)) / (len(u) * (len(u) - 1))

    return within(a) + within(b) - 2 * total(a, b) / (len(a) * len(b))


def precision_recall(real: Tensor, generated: Tensor, neighbours: int = 3) -> tuple[float, float]:
    r"""Return which share of samples are where data are, and which share of data where samples are.

    Where a set is, is within the balls about its members that reach to each one's k-th nearest of
    the others.

    Parameters
    ----------
    real, generated
        ``(n, f)`` and ``(m, f)``, more than k rows.
    neighbours
        k.

    Returns
    -------
    precision, recall
        In [0, 1].

    References
    ----------
    Kynkäänniemi et al. 2019, sec. 2, arXiv:1904.06991

    Examples
    --------
    >>> line = torch.arange(10.0)[:, None]
    >>> precision_recall(line, line[:5] + 0.1, neighbours=1)  # 5 lies 0.9 from the last, 6 does not
    (1.0, 0.6)
    """
    real, generated = _taken(real, generated)
    if min(len(real), len(generated)) <= neighbours:
        raise ConfigError(f"{neighbours} neighbours need more data than that", "neighbours")
    return _within(generated, real, neighbours), _within(real, generated, neighbours)


def _within(points: Tensor, members: Tensor, neighbours: int) -> float:
    """Return the share of points that are within the reach of a member."""
    # The nearest of all is the member itself.
    reach = torch.cat(
        [d.kthvalue(neighbours + 1, dim=1).values for d in _distances(members, members)]
    )
    inside = [(d <= reach).any(1) for d in _distances(points, members)]
    return float(torch.cat(inside).double().mean())


def _distances(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    for part in a.split(_BLOCK):
        yield torch.cdist(part, b, compute_mode="donot_use_mm_for_euclid_dist")


def _taken(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    if min(len(a), len(b)) < 2:
        raise ConfigError(f"two data or more are compared, not {len(a)} and {len(b)}", "samples")
    return a.double(), b.double()
