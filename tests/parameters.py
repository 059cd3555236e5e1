"""Every parameter of every registered family, for tests that hold for all of them."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from pyrovae.core.registry import Registry


def parameters(registries: Mapping[str, Registry]) -> Iterator[tuple[str, str, str, FieldInfo]]:
    """Yield kind, name of the family, name of the parameter, and the parameter."""
    for kind, registry in registries.items():
        for name in registry:
            for key, field in registry.parameters(name).model_fields.items():
                yield kind, name, key, field


def types_in(annotation: Any) -> set[Any]:
    """Return the types that an annotation is made of."""
    inside = typing.get_args(annotation)
    return {annotation} if not inside else set().union(*map(types_in, inside))
