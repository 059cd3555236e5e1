"""Probabilistic principal component analysis with known parameters: every quantity has an answer.

``x = W z + m + s e`` with ``z`` and ``e`` standard normal, so that ``x`` is normal with mean ``m``
and covariance ``W Wᵀ + s² I``, and ``z`` given ``x`` is normal too. A linear VAE with a Gaussian
likelihood can be exact here, which makes this the test bench of estimators of log p(x), of
posteriors and of collapse (Lucas et al. 2019, https://arxiv.org/abs/1911.02469).

Source of the model and of the formulas: Tipping, Bishop (1999), sec. 3,
https://doi.org/10.1111/1467-9868.00196.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal

from pyrovae.core import memory
from pyrovae.core.errors import ConfigError
from pyrovae.datasets.base import Dataset, Split
from pyrovae.datasets.common import DATASETS
from pyrovae.datasets.splits import Count, Seed

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@DATASETS.register("linear_gaussian")
def linear_gaussian(
    *,
    rank: Annotated[int, Field(gt=0)] = 5,
    dim: Annotated[int, Field(gt=0)] = 20,
    scales: list[_Positive] | None = None,
    noise_scale: _Positive = 0.3,
    n_train: Count = 5000,
    n_test: Count = 1000,
    seed: Seed = 0,
) -> Dataset:
    r"""Simulated vectors from probabilistic PCA, whose log density and posterior are known exactly.

    .. math::

        x = W z + m + s\, e, \quad z \sim \mathcal{N}(0, I), \; e \sim \mathcal{N}(0, I)
        \quad\Rightarrow \quad x \sim \mathcal{N}(m, W W^\top + s^2 I)

    Parameters
    ----------
    rank
        Number of latent dimensions that made the data.
    dim
        Length of an observed vector.
    scales
        Lengths of the loading's columns, which are orthogonal: the variance along principal
        direction k is ``scales[k]² + noise_scale²``. By default they fall geometrically from 2
        to 0.5.
    noise_scale
        Standard deviation of the isotropic noise.
    n_train, n_test
        Numbers of independent draws.
    seed
        Which parameters and draws. The parameters do not depend on the numbers of draws.

    Returns
    -------
    Dataset
        ``exact`` holds ``loading`` (dim, rank), ``mean`` (dim,), ``noise_scale`` (); ``float64``.

    Raises
    ------
    ConfigError
        If ``rank`` exceeds ``dim``, or ``scales`` does not have ``rank`` entries.

    References
    ----------
    Tipping, Bishop (JRSS B 1999)

    Examples
    --------
    >>> from pyrovae.datasets import load_dataset
    >>> data = load_dataset("linear_gaussian", rank=2, dim=10)
    >>> data.train.values.shape, data.exact["loading"].shape
    (torch.Size([5000, 10]), torch.Size([10, 2]))
    """
    if rank > dim:
        raise ConfigError(f"rank {rank} exceeds the observed dimension {dim}", "rank")
    lengths = np.geomspace(2.0, 0.5, rank) if scales is None else np.array(scales)
    if len(lengths) != rank:
        raise ConfigError(f"{len(lengths)} scales were given for rank {rank}", "scales")

    # Parameters with their decomposition; draws of the code, of the noise and their sum.
    floats = 4 * dim * rank + (n_train + n_test) * (rank + 3 * dim)
    place = max((("n_train", n_train), ("n_test", n_test), ("dim", dim)), key=lambda pair: pair[1])
    memory.require(8 * floats, "making these data", place[0])

    of_parameters, of_train, of_test = map(
        np.random.default_rng, np.random.SeedSequence(seed).spawn(3)
    )
    directions, _ = np.linalg.qr(of_parameters.standard_normal((dim, rank)))
    loading, mean = directions * lengths, of_parameters.standard_normal(dim)

    def draw(rng: np.random.Generator, n: int) -> Split:
        signal = rng.standard_normal((n, rank)) @ loading.T + mean
        values = signal + noise_scale * rng.standard_normal((n, dim))
        return Split(torch.from_numpy(values.astype(np.float32)))

    return Dataset(
        "linear_gaussian",
        train=draw(of_train, n_train),
        test=draw(of_test, n_test),
        exact={
            "loading": torch.from_numpy(loading),
            "mean": torch.from_numpy(mean),
            "noise_scale": torch.tensor(noise_scale, dtype=torch.float64),
        },
    )


def exact_log_prob(exact: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Return log p(x), in nats.

    Parameters
    ----------
    exact
        ``Dataset.exact`` of :func:`linear_gaussian`.
    x
        Shape ``(n, dim)``.

    Returns
    -------
    Tensor
        ``float64`` of shape ``(n,)``.
    """
    loading, mean = exact["loading"], exact["mean"]
    noise_variance = (exact["noise_scale"] ** 2).expand(len(mean))
    return LowRankMultivariateNormal(mean, loading, noise_variance).log_prob(x.double())


def exact_posterior(exact: Mapping[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and covariance of p(z|x) under the standard normal prior.

    Parameters
    ----------
    exact
        ``Dataset.exact`` of :func:`linear_gaussian`.
    x
        Shape ``(n, dim)``.

    Returns
    -------
    mean, covariance
        ``float64`` of shapes ``(n, rank)`` and ``(rank, rank)``; the covariance is the same for
        every ``x``.
    """
    loading, noise_scale = exact["loading"], exact["noise_scale"]
    identity = torch.eye(loading.shape[1], dtype=torch.float64)
    precision = identity + loading.T @ loading / noise_scale**2
    covariance = torch.linalg.inv(precision)
    return (x.double() - exact["mean"]) @ loading @ covariance / noise_scale**2, covariance
