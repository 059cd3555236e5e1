"""The evidence lower bound, and its weighted forms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from pyrovae.core.schedules import NotNegative, Positive, at, schedule
from pyrovae.models.sites import Terms
from pyrovae.objectives.base import OBJECTIVES, Objective


@OBJECTIVES.register("elbo", source="Kingma & Welling 2014, eq. 3; arXiv:1312.6114")
class Elbo(Objective):
    """Evidence lower bound: E_q log p(x|z) - KL(q(z|x) || p(z))."""

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the negative ELBO, averaged over the batch."""
        return (terms.distortion + terms.rate).mean() + terms.shared


@OBJECTIVES.register("beta", source="Higgins et al. 2017, eq. 4; openreview Sy2fzU9gl")
class Beta(Objective):
    """ELBO with the rate weighted by beta.

    Parameters
    ----------
    beta
        Weight of the KL, or a schedule of it; 1 is the ELBO.
    """

    def __init__(self, *, beta: NotNegative = 4.0) -> None:
        super().__init__()
        self.beta = beta

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return beta at a step."""
        return {"beta": at(self.beta, step)}

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return distortion + beta × rate, averaged over the batch."""
        return (terms.distortion + hyper["beta"] * terms.rate).mean() + terms.shared


@OBJECTIVES.register(
    "annealed",
    source="Bowman et al. 2016, sec. 3.1, arXiv:1511.06349 (linear); "
    "Fu et al. 2019, eq. 6-7, arXiv:1903.10145 (cyclical)",
)
class Annealed(Beta):
    """KL warm-up: the weight of the rate rises from 0 to its final value, once or in cycles.

    Parameters
    ----------
    shape
        ``linear`` or ``cosine``: rises over ``steps`` steps, then stays. ``cyclical``: rises in the
        first half of every ``steps`` steps and starts again.
    steps
        Length of the rise, or of a cycle.
    to
        Final weight, or a schedule of it, which the rise multiplies.
    """

    def __init__(
        self,
        *,
        shape: Literal["linear", "cosine", "cyclical"] = "linear",
        steps: Annotated[int, Field(gt=0)] = 1000,
        to: Positive = 1.0,
    ) -> None:
        super().__init__(beta=to)
        self.rise = schedule({"schedule": shape, "from": 0.0, "to": 1.0, "steps": steps})

    @classmethod
    def constant_from(cls, parameters: Mapping[str, Any]) -> float:
        """Return the step from which on the weight no longer changes."""
        shape, steps = parameters.get("shape", "linear"), parameters.get("steps", 0)
        rise = math.inf if shape == "cyclical" else steps
        return max(super().constant_from(parameters), rise)

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return the weight at a step."""
        return {"beta": self.rise.at(step) * at(self.beta, step)}


@OBJECTIVES.register(
    "autoencoder", source="Asperti 2019, sec. 5 (as the baseline); arXiv:1812.07238"
)
class Autoencoder(Objective):
    """Distortion alone, no KL: what the VAE would be without its regulariser."""

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the distortion, averaged over the batch."""
        return terms.distortion.mean() + terms.shared
