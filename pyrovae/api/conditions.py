"""Conditions as Python has them: labels and covariates of data, and contexts made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyrovae.api.parts import settings
from pyrovae.core.errors import ConfigError, DataError
from pyrovae.datasets import Dataset
from pyrovae.datasets.context import Columns, known_of
from pyrovae.datasets.labels import named
from pyrovae.models.condition import Condition
from pyrovae.models.contract import LatentModel
from pyrovae.study.config.condition import ConditionSettings


def condition_of(given: Any) -> Condition | None:
    """Return what a model is to be given.

    Parameters
    ----------
    given
        ``None``; a number k of a context's numbers; a mapping with ``size`` k, or with ``labels``
        of the training data (``(n,)``, columns by name, a table, a data set) and ``on`` (names of
        the columns that are taken, all by default), and with ``encoder``, ``decoder``, ``prior``
        (whether each is given it: yes, yes, no); or a :class:`pyrovae.models.condition.Condition`.

    Raises
    ------
    ConfigError, DataError
        For what cannot be; its place begins with ``condition``.

    Examples
    --------
    >>> import numpy as np
    >>> condition_of({"labels": np.array(["cat", "dog", "cat"]), "prior": True}).size
    2
    """
    if given is None or isinstance(given, Condition):
        return given
    if isinstance(given, int) and not isinstance(given, bool):
        given = {"size": given}
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"must be a mapping with 'labels' or a number, got {type(given).__name__}", "condition"
        )
    asked = dict(given)
    size, labels = asked.pop("size", None), asked.pop("labels", None)
    if (size is None) == (labels is None):
        raise ConfigError("needs either 'labels' of the training data or 'size'", "condition")
    try:
        if size is not None:
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise ConfigError(f"must be a whole number of at least 1, got {size!r}", "size")
            if "on" in asked:
                raise ConfigError("goes with 'labels'", "on")
            which = settings(ConditionSettings, {"on": ["context"], **asked})
            return Condition(size, which.encoder, which.decoder, which.prior)
        known = _known(labels)
        which = settings(ConditionSettings, {"on": [*known], **asked})
        return which.of(Columns.learn(known, which.on, "labels"))
    except ConfigError as error:
        raise error.at("condition") from None


def _known(labels: Any) -> dict[str, np.ndarray]:
    if isinstance(labels, Dataset):
        return known_of(labels, labels.train)
    n = len(next(iter(labels.values()), ())) if isinstance(labels, Mapping) else len(labels)
    return named(labels, n, what="label")


def context_for(vae: LatentModel, context: Any, n: int, what: str = "x") -> Tensor | None:
    """Return the context of ``n`` data as a model takes it, ``(n, k)``, or ``None``.

    Parameters
    ----------
    vae
        The model.
    context
        Labels or covariates (one value for all, ``(n,)``, or columns by name) for a model that
        knows its columns; else numbers ``(n, k)``.
    n
        Of the data.
    what
        What these data are called in messages.

    Raises
    ------
    ConfigError
        If a conditional model has none, or another model has one.
    DataError
        For values that cannot be, with the place.
    """
    condition = vae.condition
    if condition is None:
        if context is None:
            return None
        raise ConfigError("is for conditional models, and this one is given none", "context")
    columns = condition.columns
    if context is None:
        told = f": {', '.join(columns.names)}" if columns else f" of {condition.size} numbers"
        raise ConfigError(f"is missing: {what} needs one{told}", "context")
    if columns is not None:
        return columns.context(context, n, what)
    values = torch.as_tensor(np.asarray(context, dtype=np.float32))
    if values.shape == (condition.size,):
        values = values.expand(n, -1)
    if values.shape != (n, condition.size):
        raise DataError(
            f"the context of {what} has shape {tuple(values.shape)}: must be ({n}, "
            f"{condition.size})"
        )
    odd = (~values.isfinite()).nonzero()
    if len(odd):
        raise DataError(
            f"the context of {what} holds {float(values[tuple(odd[0])])} at {odd[0].tolist()}: "
            "must be finite"
        )
    return values


def with_contexts(
    vae: LatentModel, dataset: Dataset, contexts: Mapping[str, Any], names: Mapping[str, str]
) -> Dataset:
    """Return data with the context that a model takes.

    Parameters
    ----------
    vae
        The model.
    dataset
        Whose splits, those without data apart, are given one.
    contexts
        Of each split, as :func:`context_for` takes them.
    names
        What splits are called in messages, where not by their name.

    Raises
    ------
    ConfigError, DataError
        As :func:`context_for`.
    """
    made = {
        which: replace(
            split,
            context=context_for(vae, contexts.get(which), len(split), names.get(which, which)),
        )
        for which, split in dataset.splits.items()
        if len(split) or contexts.get(which) is not None
    }
    if dataset.grey is not None and "train" in made:
        made["grey"] = replace(dataset.grey, context=made["train"].context)
    changed: dict[str, Any] = {**made}
    columns = vae.condition.columns if vae.condition else None
    return replace(dataset, **changed, columns=columns)
