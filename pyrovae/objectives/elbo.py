"""The evidence lower bound, and its weighted form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor

from pyrovae.objectives.base import OBJECTIVES, Terms
from pyrovae.schedules import Schedule, at


@OBJECTIVES.register("elbo", source="Kingma & Welling 2014, eq. 3; arXiv:1312.6114")
class Elbo:
    """Evidence lower bound: E_q log p(x|z) - KL(q(z|x) || p(z))."""

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return nothing: the ELBO has no free weight."""
        return {}

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the negative ELBO, averaged over the batch."""
        return (terms.distortion + terms.rate).mean()


@OBJECTIVES.register("beta", source="Higgins et al. 2017, eq. 4; openreview Sy2fzU9gl")
class Beta:
    """ELBO with the rate weighted by beta.

    Parameters
    ----------
    beta
        Weight of the KL, or a schedule of it; 1 is the ELBO.
    """

    def __init__(self, *, beta: Annotated[float, Field(ge=0)] | Schedule = 4.0) -> None:
        self.beta = beta

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return beta at a step."""
        return {"beta": at(self.beta, step)}

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return distortion + beta × rate, averaged over the batch."""
        return (terms.distortion + hyper["beta"] * terms.rate).mean()
