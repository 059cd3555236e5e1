"""The evidence lower bound where the labels of some data are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from pyrovae.core.errors import ConfigError
from pyrovae.core.given import Data, Given, observed
from pyrovae.core.schedules import NotNegative, at
from pyrovae.datasets.base import Dataset
from pyrovae.models.contract import LatentModel
from pyrovae.models.own import UserModel
from pyrovae.models.sites import Terms
from pyrovae.objectives.base import EXPECTATIONS, OBJECTIVES, Objective


@OBJECTIVES.register("semi_supervised")
class SemiSupervised(Objective):
    r"""ELBO of data whose label y is known for some: M2, with the sum over y for the others.

    .. math::

        \mathcal{L} = \begin{cases} D_y + R_y - \log p(y) - \alpha \log q(y \mid x)
        & y \text{ is known} \\ \sum_y q(y \mid x)\, \left[D_y + R_y + \log q(y \mid x) -
        \log p(y)\right] & \text{else} \end{cases}

    D_y and R_y are distortion and rate of the other codes given y. It is for a user's own model
    that marks a label for enumeration, as Pyro's ``ss_vae_M2`` is by ``config_enumerate``.
    Whatever is measured afterwards is measured without labels.

    Parameters
    ----------
    labels
        Name of a label of the data set, whose values, in rising order, are the site's.
    known
        How many training data keep theirs: the first of each value, equally many of each.
    alpha
        Weight of the classification of data whose label is known, or a schedule of it.

    References
    ----------
    Kingma et al. 2014, eqs. 6 to 9; arXiv:1406.5298

    Examples
    --------
    >>> from pyrovae.objectives import SemiSupervised
    >>> objective = SemiSupervised(labels="digit", known=100)
    >>> objective.hyperparameters(0)
    {'alpha': 10.0}
    """

    needs: ClassVar[frozenset[str]] = EXPECTATIONS | {"posterior.summed"}
    hint = "a user's own model has one (config_enumerate in its guide)"

    def __init__(
        self,
        *,
        labels: str = "label",
        known: Annotated[int, Field(gt=0)] = 100,
        alpha: NotNegative = 10.0,
    ) -> None:
        super().__init__()
        self.labels, self.known, self.alpha = labels, known, alpha
        self._classes = 0

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return alpha at a step."""
        return {"alpha": at(self.alpha, step)}

    def prepare(self, vae: LatentModel) -> None:
        """Take how many values the label has.

        Raises
        ------
        ConfigError
            If the model sums over no label.
        """
        site = vae.summed if isinstance(vae, UserModel) else None
        if site is None:
            raise ConfigError(
                "needs a label that training sums over: a user's own model that marks one "
                "(config_enumerate in its guide)"
            )
        self._classes = site.classes

    def trained_on(self, dataset: Dataset) -> Any:
        """Return the training data with the labels that are known: rows of 0 where none is.

        Raises
        ------
        ConfigError
            If the data have no such label, or one of other values than the model's.
        """
        column = dataset.train.labels.get(self.labels)
        if column is None:
            told = ", ".join(dataset.train.labels) or "none"
            raise ConfigError(f"no label of data set '{dataset.name}' (labels: {told})", "labels")
        values, place = np.unique(column, return_inverse=True)
        if len(values) != self._classes:
            raise ConfigError(
                f"'{self.labels}' has {len(values)} values, and the model's label {self._classes}",
                "labels",
            )
        each, rest = divmod(self.known, len(values))
        context = torch.zeros(len(column), len(values))
        for k in range(len(values)):
            rows = np.flatnonzero(place == k)[: each + (k < rest)]
            context[rows, k] = 1.0
        whole = dataset.trained_on
        return Given(observed(whole), context)

    def forward(
        self, vae: LatentModel, x: Data, hyper: Mapping[str, Tensor], data_size: int
    ) -> tuple[Tensor, Terms]:
        """Return the loss; data without a context have no label that is known."""
        assert isinstance(vae, UserModel)
        found, log_label = vae.terms_given_labels(x, data_size=data_size)
        bound = (found.distortion + found.rate).mean() + found.shared
        return bound - hyper["alpha"] * log_label.mean(), found
