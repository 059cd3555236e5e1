"""Training data whose factors go together, or never come together; the test data stay as they are.

Both are done by leaving data out. Each training datum stays with a probability that depends on its
factors alone, so that those that stay follow the law that is asked for, relative to that of the
data; no datum comes twice. A data set that knows how many training data it is to have makes as many
more as it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from pyrovae.core.errors import ConfigError, did_you_mean
from pyrovae.datasets.base import Dataset
from pyrovae.datasets.splits import uniform

#: Of the choice of what stays: apart from all other random choices, and the same for every run.
_STREAM = (0, 0x5417)
#: Standard deviations of a count that more data are made for.
_MARGIN = 4.0
#: How often more data are made, at most; the first time nearly always does.
_ROUNDS = 4
#: Data of which at least one stays, unless next to none does.
_ENOUGH = 2000


class Correlation(BaseModel):
    r"""A pair of factors that go together in the training data.

    .. math:: p(c_1, c_2) \propto \exp\left(-\frac{(u_1 - \alpha u_2)^2}{2 \sigma^2}\right)

    with u = c / (size - 1), a factor's index as a share of its range. Several pairs multiply; all
    other factors stay as they are.

    Parameters
    ----------
    factors
        Names of the two.
    sigma
        Width, as a share of the first factor's range.
    alpha
        Slope.

    References
    ----------
    Träuble et al. 2021, sec. 3.1, arXiv:2006.07886 (alpha is the ratio of both ranges there: here
    1); several pairs after Roth et al. 2023, arXiv:2210.07347
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    factors: Annotated[list[str], Field(min_length=2, max_length=2)]
    sigma: float = Field(default=0.2, gt=0, allow_inf_nan=False)
    alpha: float = Field(default=1.0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _of_two(self) -> Correlation:
        if self.factors[0] == self.factors[1]:
            raise PydanticCustomError("one_factor", "A factor cannot go together with itself")
        return self


class Span(BaseModel):
    """Successive indices of a factor, both ends among them."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

    first: int = Field(ge=0, alias="from")
    last: int = Field(ge=0, alias="to")


#: Indices of a factor by its name, of which every combination is held out.
HeldOut = Annotated[
    dict[str, Annotated[int, Field(ge=0)] | list[Annotated[int, Field(ge=0)]] | Span],
    Field(min_length=1),
]


def shifted(
    made: Callable[[int | None], Dataset],
    correlate: Sequence[Correlation],
    hold_out: Sequence[HeldOut],
    n_train: int | None,
) -> Dataset:
    """Return a data set whose training data follow another law of their factors.

    Parameters
    ----------
    made
        Makes the data set, of so many training data; the first of more are those of fewer.
    correlate
        Pairs of factors that go together.
    hold_out
        Combinations that training data have none of: indices by factor, as a number, a list or
        ``{from: …, to: …}``.
    n_train
        How many training data there are in the end; ``None`` for those that are left.

    Raises
    ------
    ConfigError
        For data without factors, an unknown factor or index, and if too few data are left.
    """
    dataset = made(None)
    chance = _chance_of(dataset, correlate, hold_out)
    for _ in range(_ROUNDS):
        kept = np.flatnonzero(_coins(len(dataset.train)) < chance(dataset))
        if n_train is None or len(kept) >= n_train:
            break
        if not len(kept) and len(dataset.train) > _ENOUGH:
            break
        share = max(len(kept), 0.5) / len(dataset.train)
        wanted = int(np.ceil((n_train + _MARGIN * n_train**0.5) / share))
        try:
            dataset = made(wanted)
        except ConfigError:
            raise ConfigError(
                f"{share:.1%} of the data of '{dataset.name}' are as correlate and hold_out ask: "
                f"{n_train:,} need about {wanted:,}, and there are fewer",
                "n_train",
            ) from None
    if len(kept) < (n_train or 1):
        raise ConfigError(
            f"correlate and hold_out leave {len(kept):,} of {len(dataset.train):,} training data",
            "n_train" if n_train else "hold_out",
        )
    kept = kept[:n_train]
    grey = None if dataset.grey is None else dataset.grey.take(kept)
    return replace(dataset, train=dataset.train.take(kept), grey=grey)


def _coins(n: int) -> np.ndarray:
    """Return numbers in [0, 1) whose first are the same for every n."""
    return uniform(np.random.PCG64(np.random.SeedSequence(_STREAM)), n)


def _chance_of(
    dataset: Dataset, correlate: Sequence[Correlation], hold_out: Sequence[HeldOut]
) -> Callable[[Dataset], np.ndarray]:
    """Return the function of a data set that tells with which chance each training datum stays."""
    names, sizes = dataset.factor_names, dataset.factor_sizes
    asked = [
        (f"correlate[{i}].factors", name) for i, c in enumerate(correlate) for name in c.factors
    ]
    asked += [(f"hold_out[{i}]", name) for i, held in enumerate(hold_out) for name in held]
    if not names:
        raise ConfigError(
            f"'{dataset.name}' has no factors: labels_as_factors makes some of labels",
            asked[0][0].partition("[")[0],
        )
    for place, name in asked:
        if name not in names:
            raise ConfigError(
                f"'{dataset.name}' has no factor '{name}'{did_you_mean(name, names)}", place
            )
    size = dict(zip(names, sizes, strict=True))
    for i, correlation in enumerate(correlate):
        for name in correlation.factors:
            if size[name] < 2:
                raise ConfigError(f"factor '{name}' has one value alone", f"correlate[{i}].factors")
    held = [
        {name: _indices(v, size[name], f"hold_out[{i}].{name}") for name, v in each.items()}
        for i, each in enumerate(hold_out)
    ]

    def chance(whole: Dataset) -> np.ndarray:
        assert whole.train.factors is not None
        column = dict(zip(names, whole.train.factors.T, strict=True))
        log_chance = np.zeros(len(whole.train))
        for pair in correlate:
            first, second = (column[name] / (size[name] - 1) for name in pair.factors)
            log_chance -= (first - pair.alpha * second) ** 2 / (2 * pair.sigma**2)
        out = np.zeros(len(whole.train), bool)
        for each in held:
            out |= np.logical_and.reduce([np.isin(column[name], v) for name, v in each.items()])
        found: np.ndarray = np.where(out, 0.0, np.exp(log_chance))
        return found

    return chance


def _indices(given: int | list[int] | Span, size: int, place: str) -> list[int]:
    if isinstance(given, Span):
        if given.last < given.first:
            raise ConfigError(f"goes from {given.first} to {given.last}", place)
        found = list(range(given.first, given.last + 1))
    else:
        found = given if isinstance(given, list) else [given]
    odd = next((i for i in found if i >= size), None)
    if odd is not None:
        raise ConfigError(f"is {odd}, and its indices are 0 to {size - 1}", place)
    return found
