"""How a metric varies over seeds, given its cell.

Each likelihood has a link: effects add up on its scale, where the posterior of a bounded metric
stays inside its bounds. ``noise`` is the scale of the seeds' variation, one for each cell.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import pyro.distributions as dist
import torch
from numpy.typing import NDArray
from torch import Tensor

from pyrovae.analysis.rounded_normal import RoundedNormal
from pyrovae.measures.scores import Kind

Values = NDArray[np.float64]


class Likelihood(ABC):
    """The law of a metric's values in a cell."""

    #: Scale on which effects add up.
    link_name: ClassVar[str]
    #: Mean and standard deviation of log noise, a priori. Wide: a factor of 7 either way.
    log_noise: ClassVar[tuple[float, float]]
    #: Whether it has a degree of freedom for outlying seeds.
    heavy_tailed: ClassVar[bool] = False
    #: Whether the noise of cells can be told apart.
    noise_differs: ClassVar[bool] = True

    @abstractmethod
    def prepare(self, values: Values) -> Values:
        """Return the values as the law takes them."""

    def restored(self, values: Tensor) -> Tensor:
        """Return values that the law draws in the metric's own unit."""
        return values

    @abstractmethod
    def link(self, values: Values, total: Values) -> Values:
        """Return finite values on the scale of the effects, to place and size the priors."""

    @abstractmethod
    def noise(self, values: Values, means: Values, unit: float) -> float:
        """Return a rough estimate of the noise: where sampling begins.

        Parameters
        ----------
        values
            Prepared.
        means
            Of each value's cell.
        unit
            See :meth:`law`.
        """

    @abstractmethod
    def law(
        self, location: Tensor, noise: Tensor, unit: Tensor, total: Tensor, df: Tensor | None
    ) -> dist.TorchDistribution:
        """Return the distribution of values.

        Parameters
        ----------
        location
            On the scale of the link.
        noise
            See the class.
        unit
            Standard deviation of all values on the scale of the link.
        total
            Largest count.
        df
            Degrees of freedom of a heavy-tailed law.
        """

    @abstractmethod
    def mean(self, location: Tensor, noise: Tensor, total: Tensor) -> Tensor:
        """Return what a cell's value is on average, in the metric's own unit."""


class Real(Likelihood):
    """Student t around the cell's location: bounds in nats, whose seeds may fall out of line."""

    link_name = "identity"
    log_noise = (-2.0, 2.0)
    heavy_tailed = True

    def prepare(self, values: Values) -> Values:
        """Return them as they are."""
        return values

    def link(self, values: Values, total: Values) -> Values:
        """Return them as they are."""
        return values

    def noise(self, values: Values, means: Values, unit: float) -> float:
        """Return the root mean square in ``unit``."""
        return _rms(values - means) / unit

    def law(
        self, location: Tensor, noise: Tensor, unit: Tensor, total: Tensor, df: Tensor | None
    ) -> dist.TorchDistribution:
        """Return Student's t; ``noise`` counts in ``unit``."""
        return dist.StudentT(df, location, noise * unit)

    def mean(self, location: Tensor, noise: Tensor, total: Tensor) -> Tensor:
        """Return the location."""
        return location


class Positive(Real):
    """Student t for the logarithm: quantities that differ by ratios. The mean is the geometric."""

    link_name = "log"

    def prepare(self, values: Values) -> Values:
        """Return logarithms."""
        return np.log(values)

    def restored(self, values: Tensor) -> Tensor:
        """Return what they are logarithms of."""
        return values.exp()

    def link(self, values: Values, total: Values) -> Values:
        """Return logarithms."""
        return np.log(values)

    def mean(self, location: Tensor, noise: Tensor, total: Tensor) -> Tensor:
        """Return the median, which for this law is the geometric mean."""
        return location.exp()


class Proportion(Likelihood):
    """Beta law of a score in [0, 1] (Ferrari and Cribari-Neto 2004), precision 1 / noise².

    The law has no mass at 0 and 1. Scores there are moved inside by half the distance of the
    nearest other score, at most by half a percent: order is kept, and no other score changes.
    """

    link_name = "logit"
    log_noise = (-2.0, 1.5)
    _INSIDE = 0.005

    def prepare(self, values: Values) -> Values:
        """Move scores off the bounds."""
        inside = values[(values > 0) & (values < 1)]
        low = min(self._INSIDE, inside.min(initial=1.0) / 2)
        high = min(self._INSIDE, (1 - inside).min(initial=1.0) / 2)
        return np.where(values <= 0, low, np.where(values >= 1, 1 - high, values))

    def link(self, values: Values, total: Values) -> Values:
        """Return log odds."""
        inside = self.prepare(values)
        return np.log(inside) - np.log1p(-inside)

    def noise(self, values: Values, means: Values, unit: float) -> float:
        """Return it by moments: variance = mean (1 - mean) noise²."""
        return _rms((values - means) / np.sqrt(means * (1 - means)))

    def law(
        self, location: Tensor, noise: Tensor, unit: Tensor, total: Tensor, df: Tensor | None
    ) -> dist.TorchDistribution:
        """Return the beta law."""
        precision = noise**-2
        low, high = torch.sigmoid(location), torch.sigmoid(-location)
        return dist.Beta(low * precision, high * precision)

    def mean(self, location: Tensor, noise: Tensor, total: Tensor) -> Tensor:
        """Return the law's mean."""
        return torch.sigmoid(location)


class Count(Likelihood):
    """:class:`RoundedNormal` counts; effects add up in the log odds of a unit's being counted.

    An ordered probit model with cut points halfway between the counts. A beta-binomial law has at
    least a binomial's variance, n p (1 - p): for 5 of 32 a standard deviation of 2.05, where seeds
    often agree within one. It would make intervals too wide by as much.
    """

    link_name = "logit"
    log_noise = (-0.5, 1.0)
    # Where all seeds of a cell agree, rounding hides how little they vary.
    noise_differs = False

    def prepare(self, values: Values) -> Values:
        """Return them as they are."""
        return values

    def link(self, values: Values, total: Values) -> Values:
        """Return log odds, with half a count added on both sides."""
        return np.log(values + 0.5) - np.log(total - values + 0.5)

    def noise(self, values: Values, means: Values, unit: float) -> float:
        """Return the root mean square, at least what rounding hides."""
        return max(_rms(values - means), 0.3)

    def law(
        self, location: Tensor, noise: Tensor, unit: Tensor, total: Tensor, df: Tensor | None
    ) -> dist.TorchDistribution:
        """Return the rounded normal law; ``noise`` counts in units."""
        return RoundedNormal(total * torch.sigmoid(location), noise, total, validate_args=False)

    def mean(self, location: Tensor, noise: Tensor, total: Tensor) -> Tensor:
        """Return the law's mean."""
        return RoundedNormal(total * torch.sigmoid(location), noise, total).mean


def _rms(values: Values) -> float:
    return max(float(np.sqrt(np.mean(values**2))), 1e-6)


LIKELIHOODS: dict[Kind, Likelihood] = {
    "count": Count(),
    "proportion": Proportion(),
    "positive": Positive(),
    "real": Real(),
}
