"""Objectives that steer the rate: towards a capacity, or away from zero."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from pyrovae.core.errors import ConfigError
from pyrovae.core.schedules import NotNegative, Number, Within, at, schedule
from pyrovae.distributions import analytic_kl, marginals
from pyrovae.models.contract import LatentModel
from pyrovae.models.sites import Site, Terms, is_weighted, weighted
from pyrovae.objectives.base import EXPECTATIONS, OBJECTIVES, Objective

#: The default course of the capacity.
_TO_25_NATS = schedule({"schedule": "linear", "from": 0, "to": 25, "steps": 2000})
#: That of each of two.
_TO_5_NATS = schedule({"schedule": "linear", "from": 0, "to": 5, "steps": 2000})


@OBJECTIVES.register("capacity")
class Capacity(Objective):
    r"""Distortion + gamma |rate - C|: the rate follows a capacity C that grows.

    .. math:: \mathcal{L} = D + \gamma\, |R - C_t|

    Parameters
    ----------
    capacity
        C in nats, or a schedule of it. The original goes from 0 to 25 in 100,000 steps.
    gamma
        Weight, or a schedule of it: how closely the rate follows.

    References
    ----------
    Burgess et al. 2018, eq. 8; arXiv:1804.03599

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Capacity
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = Capacity(capacity=5.0, gamma=10.0)
    >>> hyper = {name: torch.tensor(v) for name, v in objective.hyperparameters(0).items()}
    >>> loss, terms = objective(vae, x, hyper, data_size=16)
    >>> miss = (terms.rate.mean() - 5).abs()
    >>> torch.allclose(loss, terms.distortion.mean() + 10 * miss)
    True
    """

    needs = EXPECTATIONS

    def __init__(
        self,
        *,
        capacity: NotNegative = _TO_25_NATS,
        gamma: NotNegative = 1000.0,
    ) -> None:
        super().__init__()
        self.capacity, self.gamma = capacity, gamma

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return capacity and gamma at a step."""
        return {"capacity": at(self.capacity, step), "gamma": at(self.gamma, step)}

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the distortion and the weighted miss of the batch's mean rate."""
        miss = (terms.rate.mean() - hyper["capacity"]).abs()
        return terms.distortion.mean() + hyper["gamma"] * miss + terms.shared


@OBJECTIVES.register("joint_capacity")
class JointCapacity(Objective):
    r"""Capacities of their own for the real units of a code, and for its labels.

    .. math:: \mathcal{L} = D + \gamma\, |R_z - C_t| + \gamma\, |R_c - C'_t|

    Without a capacity of their own, labels would be left unused: the real units are easier to
    learn. No label can take more than log K nats, and their capacity ends at the sum of these.

    Parameters
    ----------
    capacity
        C of the real units, in nats, or a schedule of it.
    labels
        C' of the labels, in nats, or a schedule of it.
    gamma
        Weight, or a schedule of it.

    References
    ----------
    Dupont 2018, eq. 7; arXiv:1804.00104

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import JointCapacity
    >>> from pyrovae.objectives.rate import unit_rates
    >>> vae = pyrovae.build((4,), latent_dim=3, prior="mixed", posterior="mixed")
    >>> objective, x = JointCapacity(capacity=5.0, labels=1.0, gamma=10.0), torch.rand(16, 4)
    >>> objective.prepare(vae)
    >>> hyper = {name: torch.tensor(v) for name, v in objective.hyperparameters(0).items()}
    >>> loss, terms = objective(vae, x, hyper, data_size=16)
    >>> real, labels = (part.mean() for part in unit_rates(terms).split([2, 1], -1))
    >>> miss = (2 * real - 5).abs() + (labels - 1).abs()
    >>> torch.allclose(loss, terms.distortion.mean() + 10 * miss)
    True
    """

    needs = EXPECTATIONS | {"posterior.mixed"}

    def __init__(
        self,
        *,
        capacity: NotNegative = _TO_5_NATS,
        labels: NotNegative = _TO_5_NATS,
        gamma: NotNegative = 30.0,
    ) -> None:
        super().__init__()
        self.capacity, self.labels, self.gamma = capacity, labels, gamma
        self._classes: tuple[int, ...] = ()

    def prepare(self, vae: LatentModel) -> None:
        """Take which units are labels.

        Raises
        ------
        ConfigError
            If none are, or all.
        """
        if vae.classes is None or not 0 < sum(k > 0 for k in vae.classes) < len(vae.classes):
            raise ConfigError("needs a code of real units and labels: prior and posterior 'mixed'")
        self._classes = vae.classes

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return both capacities and gamma at a step."""
        most = sum(math.log(k) for k in self._classes if k) if self._classes else math.inf
        return {
            "capacity": at(self.capacity, step),
            "labels": min(at(self.labels, step), most),
            "gamma": at(self.gamma, step),
        }

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the distortion and the weighted misses of the batch's mean rates."""
        if not self._classes:
            raise ConfigError("does not know which units are labels: call prepare(vae) first")
        rates = unit_rates(terms).flatten(0, -2).mean(0)
        # Real units come first.
        real = sum(k == 0 for k in self._classes)
        miss = (rates[:real].sum() - hyper["capacity"]).abs()
        miss = miss + (rates[real:].sum() - hyper["labels"]).abs()
        return terms.distortion.mean() + hyper["gamma"] * miss + terms.shared


@OBJECTIVES.register("free_bits")
class FreeBits(Objective):
    r"""ELBO in which a rate below a floor is not rewarded for falling further.

    .. math:: \mathcal{L} = D + \sum_u \max(\lambda, \bar R_u)

    Parameters
    ----------
    floor
        In nats, or a schedule of it.
    per
        What the floor holds for: the rate of each ``unit``, of each ``layer`` of a layered model
        (there is one of a flat code), or of ``all`` units together. It is always the mean over the
        minibatch that is compared.

    References
    ----------
    Kingma et al. 2016, eq. 15; arXiv:1606.04934

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import FreeBits
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = FreeBits(floor=0.5, per="all")
    >>> loss, terms = objective(vae, x, {"floor": torch.tensor(0.5)}, data_size=16)
    >>> torch.allclose(loss, terms.distortion.mean() + terms.rate.mean().clamp(min=0.5))
    True
    """

    needs = EXPECTATIONS
    hint = "'per: all' takes any"

    def __init__(
        self, *, floor: NotNegative = 0.25, per: Literal["unit", "layer", "all"] = "unit"
    ) -> None:
        super().__init__()
        self.floor, self.per = floor, per

    @classmethod
    def requirements(cls, parameters: Mapping[str, Any]) -> frozenset[str]:
        """Return that a rate for each unit needs independent units."""
        if parameters["per"] != "unit":
            return cls.needs
        return cls.needs | {"posterior.factorized", "prior.factorized"}

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return the floor at a step."""
        return {"floor": at(self.floor, step)}

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return distortion + the sum of max(floor, mean rate)."""
        if self.per == "unit":
            rates = unit_rates(terms).flatten(0, -2).mean(0)
        elif self.per == "layer" and len(terms.rates) > 1:
            rates = torch.stack([rate.mean() for rate in terms.rates])
        else:
            rates = terms.rate.mean().unsqueeze(0)
        return terms.distortion.mean() + torch.maximum(rates, hyper["floor"]).sum() + terms.shared


def unit_rates(terms: Terms) -> Tensor:
    """Return the rate of each unit, ``(*s, n, latent_dim)``, of factorised laws: its parts.

    In closed form where there is one, else at the sample. Units of several layers stand in the
    guide's order.
    """
    parts = [
        _unit_rates(q, p, exact) for (q, p), exact in zip(terms.local, terms.closed, strict=True)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, -1)


def _unit_rates(site: Site, model_site: Site, exact: bool) -> Tensor:
    q, p, z = marginals(site["fn"]), marginals(model_site["fn"]), site["value"]
    closed = analytic_kl(q, p) if exact else None
    rates = q.log_prob(z) - p.log_prob(z) if closed is None else closed
    if not is_weighted(site):
        return rates
    # Weights are for data, not for units: with the units in front they broadcast.
    return weighted(rates.movedim(-1, 0), site).movedim(0, -1)


@OBJECTIVES.register("delta")
class Delta(Objective):
    r"""ELBO with a penalty on a mean rate below delta: a committed rate, for any family.

    .. math:: \mathcal{L} = D + R + w \max(0, \delta - \bar R)

    Parameters
    ----------
    delta
        Least mean rate, in nats, or a schedule of it.
    weight
        Of the shortfall, or a schedule of it; above 1, or the ELBO's own wish for a low rate wins.

    References
    ----------
    Razavi et al. 2019, arXiv:1901.03416 (committed rate, there by a constraint on q); Alemi et al.
    2018, sec. 4, arXiv:1711.00464 (as a penalty)

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.objectives import Delta
    >>> vae, x = pyrovae.build((4,), latent_dim=2), torch.rand(16, 4)
    >>> objective = Delta(delta=3.0, weight=5.0)
    >>> hyper = {name: torch.tensor(v) for name, v in objective.hyperparameters(0).items()}
    >>> loss, terms = objective(vae, x, hyper, data_size=16)
    >>> rate = terms.rate.mean()
    >>> torch.allclose(loss, terms.distortion.mean() + rate + 5 * (3 - rate).clamp(min=0))
    True
    """

    needs = EXPECTATIONS

    def __init__(
        self,
        *,
        delta: NotNegative = 3.0,
        weight: Annotated[Number, Within(gt=1)] = 5.0,
    ) -> None:
        super().__init__()
        self.delta, self.weight = delta, weight

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return delta and the weight at a step."""
        return {"delta": at(self.delta, step), "weight": at(self.weight, step)}

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return distortion + rate + weight × the shortfall of the batch's mean rate."""
        rate = terms.rate.mean()
        shortfall = torch.relu(hyper["delta"] - rate)
        return terms.distortion.mean() + rate + hyper["weight"] * shortfall + terms.shared
