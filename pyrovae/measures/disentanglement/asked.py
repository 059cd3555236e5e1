"""Several metrics of one name: by which keys are their scores told apart?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_jsonable_python

from pyrovae.core import dotted
from pyrovae.core.errors import ConfigError
from pyrovae.measures.disentanglement.base import METRICS
from pyrovae.measures.scores import variant_key

#: ``{"name": …, **parameters}``
Asked = Mapping[str, Any]


def keys_of(metrics: Sequence[Asked]) -> list[str]:
    """Return the key of each metric's score.

    Of several of one name, the one with default parameters keeps the name as it is, or the first
    if none has; the others' keys tell what differs from the defaults: ``mig``, ``mig[n_bins=5]``.
    For a parameter that came later, what scores were before stands for the default, and a key
    always tells another value (:class:`~pyrovae.core.registry.Before`).

    Parameters
    ----------
    metrics
        With every parameter, or those that differ from the defaults. A name may be unknown: that
        of a plug-in which is no longer installed.

    Raises
    ------
    ConfigError
        If two are the same; its ``place`` is the later one's position: ``"[1]"``.
    """
    told = [(m["name"], _told(m, metrics)) for m in metrics]
    plain: dict[str, dict[str, Any]] = {}
    before = {name: METRICS.before(name) for name, _ in told}
    for i, (name, parameters) in enumerate(told):
        if (name, parameters) in told[:i]:
            raise ConfigError(
                f"metric '{name}' is asked for twice with the same parameters", f"[{i}]"
            )
        if not parameters:
            plain[name] = parameters
        elif not before[name].keys() & parameters.keys():
            plain.setdefault(name, parameters)
    return [name if p == plain.get(name) else variant_key(name, p) for name, p in told]


def _told(metric: Asked, others: Sequence[Asked]) -> dict[str, Any]:
    """Return the parameters that differ from the defaults."""
    name = metric["name"]
    given = {key: value for key, value in metric.items() if key != "name"}
    # What a path names is not imported for this: keys are made where results are read, too.
    if dotted.is_path(name):
        # The hash of its source tells two editions of one function apart, and nothing else.
        if len({m.get("source") for m in others if m["name"] == name}) == 1:
            given.pop("source", None)
        return given
    if name not in METRICS:
        return given
    fields = METRICS.parameters(name).model_fields
    before = METRICS.before(name)
    usual = {key: field.default for key, field in fields.items()} | before
    whole = {key: fields[key].default for key in before} | given
    return {
        key: value
        for key, value in whole.items()
        if key not in usual or to_jsonable_python(usual[key]) != value
    }
