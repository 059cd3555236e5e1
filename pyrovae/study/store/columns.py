"""Scores of runs side by side: one column holds one score, whatever each run calls it.

A run that is measured by one MIG calls its score ``mig``. Where other runs of the study have a MIG
with other parameters, theirs is another score, and it is in a column of its own: ``mig[n_bins=5]``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pyrovae.core import dotted
from pyrovae.core.errors import PyrovaeError
from pyrovae.measures.disentanglement import METRICS
from pyrovae.measures.disentanglement.asked import keys_of

#: The content of ``metrics.json``.
Stored = Mapping[str, Any]


def side_by_side(runs: Iterable[Stored]) -> list[dict[str, Any]]:
    """Return the stored metrics of a study's runs with the keys that they have in the study.

    Parameters
    ----------
    runs
        Contents of ``metrics.json``, in the study's order.

    Returns
    -------
    list of dict
        The same, of which ``scores`` and ``estimators`` are renamed where runs disagree.
    """
    stored = list(runs)
    asked = [{key: _whole(m) for key, m in _asked(run).items()} for run in stored]
    by_key: dict[str, set[str]] = {}
    for metrics in asked:
        for key, metric in metrics.items():
            by_key.setdefault(key, set()).add(_text(metric))
    # Nothing is renamed without need: a default that has changed since is none.
    mixed = {metric["name"] for m in asked for key, metric in m.items() if len(by_key[key]) > 1}
    variants = {
        _text(metric): metric
        for metrics in asked
        for metric in metrics.values()
        if metric["name"] in mixed
    }
    key_of = dict(zip(variants, keys_of(list(variants.values())), strict=True))
    return [
        _renamed(run, {key: key_of.get(_text(metric), key) for key, metric in metrics.items()})
        for run, metrics in zip(stored, asked, strict=True)
    ]


def has_all(run: Stored) -> bool:
    """Tell whether a run has a score for each of several metrics of one name.

    Version 0.1.0 kept only the last of them.
    """
    wanted = Counter(metric["name"] for metric in run["evaluation"]["metrics"])
    found = Counter(e["metric"]["name"] for e in run["estimators"].values() if "metric" in e)
    return all(
        found[name] == count
        for name, count in wanted.items()
        if count > 1 and name in run["estimators"]
    )


def _asked(run: Stored) -> dict[str, dict[str, Any]]:
    """Return by key the metric that a run's scores are of."""
    # Of several of one name, version 0.1.0 kept the last.
    by_name = {metric["name"]: metric for metric in run["evaluation"]["metrics"]}
    known = {k: e["metric"] for k, e in run["estimators"].items() if "metric" in e}
    return {k: m for k, m in by_name.items() if k in run["scores"]} | known


def _whole(metric: dict[str, Any]) -> dict[str, Any]:
    """Return a metric with the parameters that it did not have when it was stored."""
    name = metric["name"]
    if dotted.is_path(name):  # Results are read without importing what somebody's study names.
        return metric
    try:
        given = METRICS.before(name) | {k: v for k, v in metric.items() if k != "name"}
        return {"name": name, **METRICS.resolve(name, given)}
    except PyrovaeError:
        return metric  # It has lost a parameter since, or is that of a plug-in which is gone.


def _text(metric: Mapping[str, Any]) -> str:
    return json.dumps(metric, sort_keys=True)


def _renamed(run: Stored, key_of: Mapping[str, str]) -> dict[str, Any]:
    if all(key == new for key, new in key_of.items()):
        return dict(run)
    keys = sorted(key_of, key=len, reverse=True)

    def rename(score: str) -> str:
        key = next((k for k in keys if score == k or score.startswith(f"{k}_")), None)
        return score if key is None else key_of[key] + score.removeprefix(key)

    return {
        **run,
        **{what: {rename(k): v for k, v in run[what].items()} for what in ("scores", "estimators")},
    }
