"""The evidence lower bound, and its weighted forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from pyrovae.core.schedules import NotNegative, Positive, at, schedule
from pyrovae.models.sites import Terms
from pyrovae.objectives.base import EXPECTATIONS, OBJECTIVES, Objective


@OBJECTIVES.register("elbo")
class Elbo(Objective):
    r"""Evidence lower bound: E_q log p(x|z) - KL(q(z|x) || p(z)).

    .. math::

        \mathcal{L} = D + R, \quad D = -\mathbb{E}_q \log p(x \mid z),
        \quad R = \mathrm{KL}(q(z \mid x) \,\|\, p(z))

    References
    ----------
    Kingma & Welling 2014, eq. 3; arXiv:1312.6114

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Elbo
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = Elbo()
    >>> loss, terms = objective(vae, x, {}, data_size=16)
    >>> torch.allclose(loss, (terms.distortion + terms.rate).mean())
    True
    """

    needs = EXPECTATIONS

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the negative ELBO, averaged over the batch."""
        return (terms.distortion + terms.rate).mean() + terms.shared


@OBJECTIVES.register("beta")
class Beta(Objective):
    r"""ELBO with the rate weighted by beta.

    .. math:: \mathcal{L} = D + \beta R

    Parameters
    ----------
    beta
        Weight of the KL, or a schedule of it; 1 is the ELBO.

    References
    ----------
    Higgins et al. 2017, eq. 4; openreview Sy2fzU9gl

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Beta
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = Beta(beta=4.0)
    >>> loss, terms = objective(vae, x, {"beta": torch.tensor(4.0)}, data_size=16)
    >>> torch.allclose(loss, (terms.distortion + 4 * terms.rate).mean())
    True
    """

    needs = EXPECTATIONS

    def __init__(self, *, beta: NotNegative = 4.0) -> None:
        super().__init__()
        self.beta = beta

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return beta at a step."""
        return {"beta": at(self.beta, step)}

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return distortion + beta × rate, averaged over the batch."""
        return (terms.distortion + hyper["beta"] * terms.rate).mean() + terms.shared


@OBJECTIVES.register("annealed")
class Annealed(Beta):
    r"""KL warm-up: the weight of the rate rises from 0 to its final value, once or in cycles.

    .. math:: \mathcal{L} = D + \beta_t R

    Parameters
    ----------
    shape
        ``linear`` or ``cosine``: rises over ``steps`` steps, then stays. ``cyclical``: rises in the
        first half of every ``steps`` steps and starts again.
    steps
        Length of the rise, or of a cycle.
    to
        Final weight, or a schedule of it, which the rise multiplies.

    References
    ----------
    Bowman et al. 2016, sec. 3.1, arXiv:1511.06349 (linear); Fu et al. 2019, eq. 6-7,
    arXiv:1903.10145 (cyclical)

    Examples
    --------
    >>> from pyrovae.objectives import Annealed
    >>> rise = Annealed(shape="linear", steps=100)
    >>> [rise.hyperparameters(step)["beta"] for step in (0, 50, 100, 200)]
    [0.0, 0.5, 1.0, 1.0]
    >>> cycles = Annealed(shape="cyclical", steps=100)
    >>> [cycles.hyperparameters(step)["beta"] for step in (0, 25, 75, 100)]
    [0.0, 0.5, 1.0, 0.0]
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
    def schedules(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the weight's rise besides."""
        others = super().schedules(parameters)
        if "steps" not in parameters:  # an instance's: its rise is a schedule
            return others
        shape, steps = parameters.get("shape", "linear"), parameters["steps"]
        return others | {"steps": {"schedule": shape, "from": 0.0, "to": 1.0, "steps": steps}}

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return the weight at a step."""
        return {"beta": self.rise.at(step) * at(self.beta, step)}


@OBJECTIVES.register("autoencoder")
class Autoencoder(Objective):
    r"""Distortion alone, no KL: what the VAE would be without its regulariser.

    .. math:: \mathcal{L} = D

    References
    ----------
    Asperti 2019, sec. 5 (as the baseline); arXiv:1812.07238

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Autoencoder
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = Autoencoder()
    >>> loss, terms = objective(vae, x, {}, data_size=16)
    >>> torch.allclose(loss, terms.distortion.mean())
    True
    """

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the distortion, averaged over the batch."""
        return terms.distortion.mean() + terms.shared
