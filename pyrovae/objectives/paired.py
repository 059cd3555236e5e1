"""Evidence lower bounds of pairs that share factors: posteriors of shared units are averaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import pyro.distributions as dist
import torch
from pydantic import Field
from pyro.poutine.messenger import Messenger
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.core.given import Data, Given
from pyrovae.core.schedules import NotNegative, at
from pyrovae.datasets.base import Dataset
from pyrovae.datasets.pairs import pairs_of, refusal
from pyrovae.models.contract import LatentModel
from pyrovae.models.sites import Terms
from pyrovae.objectives.base import OBJECTIVES, Objective

#: Of two normal laws: the mean of their means and of their variances, or the normal law of their
#: mean natural parameters, which is the normalised geometric mean of both densities.
Average = Literal["moments", "precisions"]


def averaged(
    mean: Tensor, scale: Tensor, shared: Tensor, average: Average
) -> tuple[Tensor, Tensor]:
    r"""Return means and scales of normal laws of pairs, of which shared units have one law.

    .. math::

        \text{moments:} \quad \tilde\mu = \frac{\mu_1 + \mu_2}{2}, \quad
        \tilde\sigma^2 = \frac{\sigma_1^2 + \sigma_2^2}{2} \qquad \text{precisions:} \quad
        \tilde\sigma^{-2} = \frac{\sigma_1^{-2} + \sigma_2^{-2}}{2}, \quad
        \tilde\mu = \frac{\tilde\sigma^2}{2} \left(\frac{\mu_1}{\sigma_1^2} +
        \frac{\mu_2}{\sigma_2^2}\right)

    Parameters
    ----------
    mean, scale
        Of both halves, ``(2, n, latent_dim)``.
    shared
        Which units are, ``(n, latent_dim)``, ``bool``.
    average
        How.

    References
    ----------
    Hosoya 2019, arXiv:1809.02383 (moments); Bouchacourt et al. 2018, arXiv:1705.08841 (the product
    of both densities), as Locatello et al. 2020, sec. 4, and their code average
    """
    variance = scale.square()
    if average == "moments":
        common, spread = mean.mean(0), variance.mean(0)
    else:
        spread = 1 / (1 / variance).mean(0)
        common = spread * (mean / variance).mean(0)
    return torch.where(shared, common, mean), torch.where(shared, spread.sqrt(), scale)


def deemed_shared(mean: Tensor, scale: Tensor) -> Tensor:
    r"""Return which units of pairs are deemed shared: those whose two laws differ least.

    .. math::

        \mathrm{KL}_u < \frac{\max_v \mathrm{KL}_v + \min_v \mathrm{KL}_v}{2}, \quad
        \mathrm{KL}_u = \mathrm{KL}(q(z_u \mid x_1) \,\|\, q(z_u \mid x_2))

    Parameters
    ----------
    mean, scale
        ``(2, n, latent_dim)``.

    Returns
    -------
    Tensor
        ``(n, latent_dim)``, ``bool``.

    References
    ----------
    Locatello et al. 2020, sec. 4, arXiv:2002.02886
    """
    variance = scale.square()
    log_ratio = (scale[1] / scale[0]).log()
    square = (variance[0] + (mean[0] - mean[1]).square()) / variance[1]
    divergence = log_ratio + (square - 1) / 2
    threshold = (divergence.amax(-1, keepdim=True) + divergence.amin(-1, keepdim=True)) / 2
    return divergence < threshold


class _Averaging(Messenger):
    """Gives the guide's code another law, before it is drawn."""

    def __init__(self, name: str, change: Callable[[Distribution], Distribution]) -> None:
        super().__init__()
        self._name, self._change = name, change

    def _pyro_sample(self, msg: Any) -> None:
        # In the model, which is run on the guide's code, the value is there already.
        if msg["name"] == self._name and msg["value"] is None:
            msg["fn"] = self._change(msg["fn"])


class Paired(Objective):
    """Base of the bounds of pairs; each says which units of a pair are :meth:`shared`.

    A minibatch is of pairs, so that the networks see twice as many data. Data without a partner,
    as those of a validation split, count by the plain bound.
    """

    needs: ClassVar[frozenset[str]] = Objective.needs | {"posterior.normal", "code.flat"}
    observations = 2
    against_condition = "averages codes of pairs, and a pair has two conditions"

    def __init__(
        self,
        *,
        beta: NotNegative = 1.0,
        average: Average = "moments",
        changing: Annotated[int, Field(gt=0)] | None = 1,
        partners: Annotated[int, Field(gt=0)] = 1,
    ) -> None:
        super().__init__()
        self.beta, self.average = beta, average
        self.changing, self.partners = changing, partners

    @classmethod
    def data_conflict(
        cls, parameters: Mapping[str, Any], dataset: Dataset, latent_dim: int
    ) -> str | None:
        """Return why there are no pairs, or ``None`` if there may be some."""
        return refusal(dataset, parameters.get("changing", 1))

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return beta at a step."""
        return {"beta": at(self.beta, step)}

    def trained_on(self, dataset: Dataset) -> Any:
        """Return pairs of the training data.

        Raises
        ------
        ConfigError
            If there are none, or the data have a condition.
        """
        if dataset.train.context is not None:
            raise ConfigError(self.against_condition)
        found = pairs_of(dataset, changing=self.changing, partners=self.partners)
        return found.observations(dataset)

    def shared(self, mean: Tensor, scale: Tensor, factors: Tensor) -> Tensor:
        """Return which units of each pair are shared, ``(n, latent_dim)``, ``bool``.

        Parameters
        ----------
        mean, scale
            Of both posteriors, ``(2, n, latent_dim)``.
        factors
            Which factors are shared, ``(n, n_factors)``, ``bool``.
        """
        raise NotImplementedError

    def forward(
        self, vae: LatentModel, x: Data, hyper: Mapping[str, Tensor], data_size: int
    ) -> tuple[Tensor, Terms]:
        """Return the loss, and the terms of the first data of all pairs, then of the second."""
        if not isinstance(x, Given):
            return super().forward(vae, x, hyper, data_size)
        name, *others = vae.latents(torch.zeros(vae.latent_dim))
        if others:
            told = ", ".join([name, *others])
            raise ConfigError(f"averages one code, and this model has several: {told}")
        both = x.x.transpose(0, 1).flatten(0, 1)

        def change(q: Distribution) -> Distribution:
            base = getattr(q, "base_dist", None)
            if not isinstance(base, torch.distributions.Normal):
                raise ConfigError(f"averages independent normal laws, and q(z|x) is {q}")
            mean, scale = (part.unflatten(0, (2, -1)) for part in (q.mean, q.stddev))
            units = self.shared(mean, scale, x.context > 0)
            mean, scale = averaged(mean, scale, units, self.average)
            return dist.Normal(mean.flatten(0, 1), scale.flatten(0, 1)).to_event(1)

        with _Averaging(name, change):
            size = max(data_size // self.partners, 1)
            found = vae.training_terms(both, samples=1, data_size=size)
        return self.loss(found, hyper), found

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return distortion + beta × rate, averaged over the batch."""
        return (terms.distortion + hyper["beta"] * terms.rate).mean() + terms.shared


@OBJECTIVES.register("ada_gvae")
class AdaGvae(Paired):
    r"""ELBO of pairs that share unknown factors: units that differ least have one posterior.

    .. math::

        \mathcal{L} = \tfrac{1}{2} \sum_{i=1}^{2} D_i + \beta R_i, \quad z_{i,u} \sim
        \begin{cases} \tilde q(z_u \mid x_1, x_2) & \mathrm{KL}_u < \tfrac{1}{2} (\max_v
        \mathrm{KL}_v + \min_v \mathrm{KL}_v) \\ q(z_u \mid x_i) & \text{else} \end{cases}

    KL_u is KL(q(z_u|x1) || q(z_u|x2)). With ``average: moments`` it is Ada-GVAE, with
    ``precisions`` Ada-ML-VAE. Nothing is told of the pairs but that they share something. Pairs are
    made of the training data and their known factors; no other datum is seen, and what is measured
    is measured on single data.

    Parameters
    ----------
    beta
        Weight of the rates, or a schedule of it.
    average
        The law of a shared unit: ``moments`` has the mean of both means and variances,
        ``precisions`` the normalised geometric mean of both densities.
    changing
        How many factors may change within a pair; none draws their number for each pair.
    partners
        Pairs that each training datum is the first of.

    References
    ----------
    Locatello et al. 2020, sec. 4, arXiv:2002.02886

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.core.given import Given
    >>> from pyrovae.objectives import AdaGvae
    >>> vae, objective = pyrovae.build((4,), latent_dim=3), AdaGvae(beta=2.0)
    >>> pairs = Given(torch.rand(16, 2, 4), torch.ones(16, 5))
    >>> loss, terms = objective(vae, pairs, {"beta": torch.tensor(2.0)}, data_size=16)
    >>> first, second = terms.q.mean.chunk(2)
    >>> bool((first == second).any(1).all())  # of each pair, a unit at least is shared
    True
    """

    def shared(self, mean: Tensor, scale: Tensor, factors: Tensor) -> Tensor:
        """Return which units differ less than half way from the least to the most."""
        return deemed_shared(mean, scale)


@OBJECTIVES.register("group_vae")
class GroupVae(Paired):
    r"""ELBO of pairs of which it is known which factors they share: these units have one posterior.

    .. math::

        \mathcal{L} = \tfrac{1}{2} \sum_{i=1}^{2} D_i + \beta R_i, \quad z_{i,u} \sim
        \begin{cases} q(z_u \mid x_i) & \text{factor } u \text{ differs within the pair} \\
        \tilde q(z_u \mid x_1, x_2) & \text{else} \end{cases}

    Unit u is that of factor u, in the data set's order; units beyond the factors are always shared.
    With ``average: moments`` it is the group VAE, with ``precisions`` ML-VAE.

    Parameters
    ----------
    beta
        Weight of the rates, or a schedule of it.
    average
        The law of a shared unit: ``moments`` has the mean of both means and variances,
        ``precisions`` the normalised geometric mean of both densities.
    changing
        How many factors may change within a pair; none draws their number for each pair.
    partners
        Pairs that each training datum is the first of.

    References
    ----------
    Hosoya 2019, arXiv:1809.02383; Bouchacourt, Tomioka & Nowozin 2018, arXiv:1705.08841; with
    labels of the factors as in Locatello et al. 2020, sec. 5, arXiv:2002.02886

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.core.given import Given
    >>> from pyrovae.objectives import GroupVae
    >>> vae, objective = pyrovae.build((4,), latent_dim=3), GroupVae()
    >>> pairs = Given(torch.rand(16, 2, 4), torch.tensor([1.0, 0.0]).repeat(16, 1))
    >>> loss, terms = objective(vae, pairs, {"beta": torch.tensor(1.0)}, data_size=16)
    >>> first, second = terms.q.mean.chunk(2)
    >>> (first == second).all(0)
    tensor([ True, False,  True])
    """

    _latent_dim: int | None = None

    @classmethod
    def data_conflict(
        cls, parameters: Mapping[str, Any], dataset: Dataset, latent_dim: int
    ) -> str | None:
        """Return besides that a factor has no unit."""
        reason = super().data_conflict(parameters, dataset, latent_dim)
        if reason or len(dataset.factor_names) <= latent_dim:
            return reason
        return (
            f"has a unit for each factor, and there are {latent_dim} units for the "
            f"{len(dataset.factor_names)} factors of '{dataset.name}'"
        )

    def prepare(self, vae: LatentModel) -> None:
        """Take the number of units."""
        self._latent_dim = vae.latent_dim

    def trained_on(self, dataset: Dataset) -> Any:
        """Return pairs of the training data.

        Raises
        ------
        ConfigError
            If there are none, or fewer units than factors.
        """
        if self._latent_dim is not None:
            reason = self.data_conflict({"changing": self.changing}, dataset, self._latent_dim)
            if reason:
                raise ConfigError(reason)
        return super().trained_on(dataset)

    def shared(self, mean: Tensor, scale: Tensor, factors: Tensor) -> Tensor:
        """Return the units of the factors that are shared, and those of no factor."""
        beyond = mean.shape[-1] - factors.shape[1]
        return torch.nn.functional.pad(factors, (0, beyond), value=True)
