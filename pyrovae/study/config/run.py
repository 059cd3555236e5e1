"""One run: its configuration with every default filled in, and its identity."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from pyrovae.core import dotted
from pyrovae.core.digest import short_digest
from pyrovae.datasets import DATASETS
from pyrovae.measures.evaluate import EvaluationSettings
from pyrovae.models.layered.settings import Layers
from pyrovae.study.config import column_groups
from pyrovae.study.config.condition import ConditionSettings
from pyrovae.training import TrainingSettings

#: The parts of a run that are chosen by name from a registry.
COMPONENTS = ("dataset", "network", "prior", "posterior", "likelihood", "objective")
#: The setting that is chosen by name from a registry.
OPTIMIZER = "training.optimizer"
#: The parts that a built-in model is made of; a user's own model stands in place of all four.
MODEL_PARTS = ("network", "prior", "posterior", "likelihood")
#: Label of the parts that a user's own model decides.
OWN = "own"
#: Raised when the same configuration starts to mean other numbers.
_FORMAT = 1


class RunConfig(BaseModel):
    """A run, fully resolved: each component is ``{"name": …, **every parameter}``.

    A run has either a ``model`` of the user's (its name is a dotted path, its ``source`` the hash
    of the file that it is in) or all of :data:`MODEL_PARTS`.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    dataset: dict[str, Any]
    model: dict[str, Any] | None = None
    network: dict[str, Any] | None = None
    prior: dict[str, Any] | None = None
    posterior: dict[str, Any] | None = None
    likelihood: dict[str, Any] | None = None
    condition: ConditionSettings | None = None
    layers: Layers | None = None
    objective: dict[str, Any]
    latent_dim: int = Field(gt=0)
    training: TrainingSettings
    evaluation: EvaluationSettings
    seed: int = Field(ge=0)

    @model_serializer(mode="wrap")
    def _without_later_parts(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # They came after runs had been stored: one without is what it was.
        content: dict[str, Any] = serialise(self)
        for later in ("condition", "layers"):
            if content.get(later, self) is None:
                del content[later]
        return content

    def identity(self, fingerprint: str) -> str:
        """Return the run's hash: 16 hexadecimal digits.

        Parameters
        ----------
        fingerprint
            Of the data (:attr:`pyrovae.datasets.Dataset.fingerprint`). How a run is evaluated, and
            where its data are, is not part of what it is.
        """
        return self.identities(fingerprint, [self.seed])[0]

    def identities(self, fingerprint: str, seeds: Iterable[int]) -> list[str]:
        """Return the :meth:`identity` that the run has under each seed."""
        content = self._content() | {"data": fingerprint}
        return [_digest(content | {"seed": seed}) for seed in seeds]

    def structure(self, fingerprint: str) -> str:
        """Return the hash of what the training program depends on: all but the seed."""
        return _digest({**self._content(), "data": fingerprint})

    def is_like(self, other: RunConfig) -> bool:
        """Tell whether another run differs by its seed at most."""
        # Pydantic compares models in Python, field by field: here are the fields.
        mine, others = vars(self), vars(other)
        return all(mine[field] == others[field] for field in mine if field != "seed")

    def _content(self) -> dict[str, Any]:
        content = self.model_dump(exclude={"evaluation", "seed"})
        places = DATASETS.places(self.dataset["name"])
        content["dataset"] = {k: v for k, v in self.dataset.items() if k not in places}
        return content

    @property
    def has_variance_law(self) -> bool:
        """Whether Var(mu) + E(sigma²) = 1 is a law here: the prior is known to be N(0, I).

        Given a context, Var(mu) is the variance within it, and the law that of q(z|c). Of layers
        the prior is moved by the layer above.
        """
        moved = self.layers is not None or (self.condition is not None and self.condition.prior)
        return self.prior is not None and self.prior["name"] == "standard_normal" and not moved

    def cell(self) -> str:
        """Return the hash that runs share which differ by their seed only."""
        return _digest(self.model_dump(exclude={"evaluation", "seed"}))


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps({"format": _FORMAT, **content}, sort_keys=True, separators=(",", ":"))
    return short_digest(text)


def label(component: dict[str, Any], defaults: dict[str, Any]) -> str:
    """Return a component's short name: its parameters only where they are not the default."""
    # The source of a class of the user's own is told by its path.
    hidden = {"name", "source"} if dotted.is_path(component["name"]) else {"name"}
    changed = [
        f"{key}={_written(value)}"
        for key, value in component.items()
        if key not in hidden and value != defaults.get(key)
    ]
    return component["name"] + (f"({', '.join(changed)})" if changed else "")


def _written(value: Any) -> str:
    if not column_groups.are_groups(value):
        return str(value)
    groups = [
        f"{count}{label({'name': family, **changed}, {})}"
        for count, family, changed in column_groups.told(value)
    ]
    return f"[{', '.join(groups)}]"
