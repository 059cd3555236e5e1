"""The variance that generated data lack, and that of reconstructions."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pyrovae.core.given import Data, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.measures.collapse.interventions import CHUNK
from pyrovae.measures.scores import COLLAPSE, Score, declare
from pyrovae.models.contract import LatentModel

#: Codes drawn from the prior: the standard error of a variance is about its 1/45.
_GENERATED = 4096


def _declared(key: str, title: str, meaning: str) -> Score:
    return declare(Score(key, title, kind="positive", group=COLLAPSE, meaning=meaning))


DATA_VARIANCE = _declared(
    "data_variance", "Variance of data", "Mean over elements of the test data's variance."
)
RECONSTRUCTION_VARIANCE = _declared(
    "reconstruction_variance",
    "Variance of reconstructions",
    "Mean over elements of the variance of E[x|z], where z is drawn from q(z|x) of test data.",
)
SAMPLE_VARIANCE = _declared(
    "sample_variance",
    "Variance of samples",
    f"Mean over elements of the variance of E[x|z], where z is drawn {_GENERATED} times from the "
    "prior.",
)
RECONSTRUCTION_ERROR = _declared(
    "reconstruction_error",
    "Mean squared error",
    "Mean over test data and elements of (x - E[x|z])², where z is drawn from q(z|x).",
)
VARIANCE_LOSS = declare(
    Score(
        "variance_loss",
        "Variance loss of samples",
        group=COLLAPSE,
        meaning=(
            "Variance of data less that of samples. Reconstructions that are E[x|z] lose as much "
            "as their mean squared error (Asperti 2020)."
        ),
    )
)


@only_measures
def measure_variance_loss(vae: LatentModel, x: Data, *, seed: int = 0) -> dict[str, float]:
    r"""Return the variances of data, reconstructions and samples, and the mean squared error.

    If the decoder were the regression E[x|z] under q, the law of total variance would say

    .. math::
        \mathrm{Var}(x) - \mathrm{Var}(\hat x) = \mathrm{E}(x - \hat x)^2,

    element by element: what reconstructions vary less than data is their mean squared error. What
    samples lose beyond that is up to the difference of q(z) and p(z).

    Parameters
    ----------
    vae
        The trained model and guide.
    x
        Observations ``(n, *event_shape)``, n > 1, with their context where they have one.
    seed
        Of the draws; the global random state is left as it was.

    Returns
    -------
    dict
        By key of the scores above; empty where the likelihood's observations are codes without a
        mean. What is not finite is left out.

    References
    ----------
    Asperti 2020, Variance loss in variational autoencoders, arXiv:2002.09860
    """
    if getattr(getattr(vae, "likelihood", None), "shows", "mean") != "mean":
        return {}
    with torch.no_grad(), seeded(seed, x.device):
        data, made, error = _Variance(), _Variance(), 0.0
        for part in x.split(CHUNK):
            told, seen = given(part), observed(part)
            mean = vae.reconstruct(vae.encode(seen, **told).sample(), **told)
            data.add(seen)
            made.add(mean)
            error += float((seen - mean).double().square().sum())
        drawn = _Variance()
        for index in _chunks():
            # Under a context, that of the data in turn.
            told = given(x[index % len(x)])
            drawn.add(vae.reconstruct(vae.draw_prior(len(index), **told), **told))
    found = {
        DATA_VARIANCE.key: data.mean,
        RECONSTRUCTION_VARIANCE.key: made.mean,
        SAMPLE_VARIANCE.key: drawn.mean,
        RECONSTRUCTION_ERROR.key: error / observed(x).numel(),
        VARIANCE_LOSS.key: data.mean - drawn.mean,
    }
    return {key: value for key, value in found.items() if math.isfinite(value)}


def sample_variance(vae: LatentModel, draw: Callable[[int], Tensor]) -> float:
    """Return the mean over elements of the variance of E[x|z], z as ``draw`` gives them.

    Parameters
    ----------
    vae
        A model without a condition.
    draw
        A number n to codes ``(n, latent_dim)``.
    """
    drawn = _Variance()
    for index in _chunks():
        drawn.add(vae.reconstruct(draw(len(index))))
    return drawn.mean


def _chunks() -> tuple[Tensor, ...]:
    return torch.arange(_GENERATED).split(CHUNK)


class _Variance:
    """The variance of each element over data that come in parts, merged as Chan et al. (1979)."""

    def __init__(self) -> None:
        self._count = 0
        self._centre: Tensor | None = None
        self._squares: Tensor | None = None

    def add(self, x: Tensor) -> None:
        """Take in ``(n, *event_shape)``."""
        x = x.double()
        centre, count = x.mean(0), len(x)
        squares = (x - centre).square().sum(0)
        if self._centre is None or self._squares is None:
            self._count, self._centre, self._squares = count, centre, squares
            return
        total, apart = self._count + count, centre - self._centre
        self._squares = self._squares + squares + apart.square() * (self._count * count / total)
        self._centre = self._centre + apart * (count / total)
        self._count = total

    @property
    def mean(self) -> float:
        """The mean over elements, of all data that were taken in."""
        assert self._squares is not None
        return float((self._squares / self._count).mean())
