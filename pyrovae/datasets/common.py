"""The registry of data sets, and what each of them can be asked for besides its own parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, Field, TypeAdapter, create_model

from pyrovae.core.errors import ConfigError
from pyrovae.core.registry import LATER, Registry
from pyrovae.datasets.base import Dataset, Split
from pyrovae.datasets.binary import drawn
from pyrovae.datasets.labels import indices
from pyrovae.datasets.shifts import Correlation, HeldOut, shifted
from pyrovae.datasets.splits import Count, split_indices

#: Of the observations that are for validation: the same for every run.
_SEED = 0


class _Option(NamedTuple):
    """A parameter that every data set takes, and what it does to the data."""

    annotation: Any
    default: Any
    description: str
    act: Callable[[Dataset, Any], Dataset]


def _scored(dataset: Dataset, wanted: bool) -> Dataset:
    """Take labels for ground-truth factors, behind those that there are."""
    if not wanted:
        return dataset
    splits = dataset.splits
    names = [name for name in dataset.train.labels if name not in dataset.factor_names]
    if not names:
        raise ConfigError(
            f"'{dataset.name}' has no labels that are not factors", "labels_as_factors"
        )
    together = [np.concatenate([s.labels[name] for s in splits.values()]) for name in names]
    codes, sizes = indices(together)
    ends = np.cumsum([len(split) for split in splits.values()])
    changed: dict[str, Any] = {
        which: replace(split, factors=_beside(split.factors, codes[end - len(split) : end]))
        for (which, split), end in zip(splits.items(), ends, strict=True)
    }
    return replace(
        dataset,
        **changed,
        factor_names=(*dataset.factor_names, *names),
        factor_sizes=(*dataset.factor_sizes, *sizes),
    )


def _beside(factors: np.ndarray | None, more: np.ndarray) -> np.ndarray:
    return more if factors is None else np.concatenate([factors, more], axis=1)


def _binary(dataset: Dataset, how: str | None) -> Dataset:
    if how is None:
        return dataset
    outside = dataset.outside_unit()
    if outside:
        which, index, value = outside
        raise ConfigError(
            f"'{dataset.name}' holds {value:g} at {index} of '{which}': intensities must be in "
            "[0, 1] to be drawn from",
            "binarize",
        )
    changed: dict[str, Any] = {
        which: replace(split, values=drawn(split.values, stream))
        for stream, (which, split) in enumerate(dataset.splits.items())
    }
    return replace(dataset, **changed, grey=dataset.train if how == "dynamic" else None)


def _validated(dataset: Dataset, n: int | None) -> Dataset:
    """Move ``n`` random training observations into a validation split.

    With more of them, those that fewer had taken are among them; neither part's order changes.
    """
    if n is None:
        return dataset
    if dataset.validation is not None:
        raise ConfigError(f"'{dataset.name}' has a validation split of its own", "validation")
    total = len(dataset.train)
    if n >= total:
        raise ConfigError(
            f"{n} validation observations were asked for, but there are only {total} to take them "
            "and train on the rest",
            "validation",
        )
    left, taken = map(np.sort, split_indices(total, total - n, n, _SEED))
    return replace(
        dataset,
        train=dataset.train.take(left),
        validation=dataset.train.take(taken),
        grey=None if dataset.grey is None else dataset.grey.take(left),
    )


def _shifted(dataset: Dataset, asked: Any) -> Dataset:
    """Return the data set as it is: :func:`made` has it made with more training data."""
    return dataset


def _flat(dataset: Dataset, wanted: bool) -> Dataset:
    def flat(split: Split) -> Split:
        return replace(split, values=split.values.flatten(1))

    return dataset.each(flat) if wanted else dataset


#: In the order in which they are done: what is drawn does not depend on what is for validation.
_OPTIONS = {
    "labels_as_factors": _Option(
        bool, False, "whether metrics take labels for ground-truth factors", _scored
    ),
    "correlate": _Option(
        list[Correlation], [], "pairs of factors that go together in the training data", _shifted
    ),
    "hold_out": _Option(
        list[HeldOut], [], "combinations of factors that no training data have", _shifted
    ),
    "binarize": _Option(
        Literal["static", "dynamic"] | None,
        None,
        "images of 0 and 1, drawn by intensity: once, or anew in each minibatch of training",
        _binary,
    ),
    "validation": _Option(
        Count | None, None, "training observations that are for validation instead", _validated
    ),
    "flatten": _Option(bool, False, "whether each observation is made a vector", _flat),
}


class _Datasets(Registry):
    """Names to data sets, each of which also takes the options that all have."""

    def parameters(self, name: str) -> type[BaseModel]:
        return with_common(super().parameters(name))


@cache
def with_common(own: type[BaseModel]) -> type[BaseModel]:
    """Add the parameters that every data set takes to its own, which win where names are equal."""
    fields: dict[str, Any] = {
        name: (
            Annotated[option.annotation, LATER],
            Field(default=option.default, description=option.description),
        )
        for name, option in _OPTIONS.items()
        if name not in own.model_fields
    }
    return create_model(own.__name__, __base__=own, **fields)


def made(function: Callable[..., Dataset], own: type[BaseModel], values: dict[str, Any]) -> Dataset:
    """Call a data set's function, and do what every data set can be asked for to what it returns.

    Parameters
    ----------
    function, own
        The function, and its own parameters.
    values
        Resolved parameters, which may have those of :func:`with_common` besides.

    Raises
    ------
    ConfigError
        If ``validation`` asks for all training observations or more, or the data have such a split;
        if too few are left of what ``correlate`` and ``hold_out`` ask for.
    """
    asked = [name for name in _OPTIONS if name in values and name not in own.model_fields]
    given = {name: value for name, value in values.items() if name not in asked}
    scored = "labels_as_factors" in asked and values["labels_as_factors"]
    shifts = {
        name: adapter.validate_python(values[name]) if name in asked else []
        for name, adapter in _SHIFTS.items()
    }

    def load(n_train: int | None) -> Dataset:
        more = {} if n_train is None else {"n_train": n_train}
        return _scored(function(**{**given, **more}), scored)

    if any(shifts.values()):
        dataset = shifted(load, **shifts, n_train=given.get("n_train"))
    else:
        dataset = load(None)
    for name in asked:
        if name != "labels_as_factors":  # which the law of factors may be about
            dataset = _OPTIONS[name].act(dataset, values[name])
    return dataset


#: What :func:`pyrovae.datasets.shifts.shifted` does, before anything that is drawn.
_SHIFTS: dict[str, TypeAdapter[Any]] = {
    "correlate": TypeAdapter(list[Correlation]),
    "hold_out": TypeAdapter(list[HeldOut]),
}


#: Data sets by name: functions ``(*, …) -> Dataset`` whose keyword-only parameters the YAML sets.
DATASETS: Registry = _Datasets(
    "dataset",
    groups={
        "Images with known factors": (
            "sprites",
            "dsprites",
            "shapes3d",
            "cars3d",
            "smallnorb",
            "mpi3d",
        ),
        "Images": ("digits", "mnist", "fashion_mnist", "freyfaces"),
        "Vectors": ("linear_gaussian",),
        "Text": ("grammar", "text"),
        "Data of your own": ("files",),
    },
)
