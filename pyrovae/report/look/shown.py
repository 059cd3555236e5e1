"""What pictures of reconstructions and samples show of p(x|z), in words."""

from __future__ import annotations

from collections.abc import Iterable

from pyrovae.models.likelihoods import LIKELIHOODS
from pyrovae.report.look.presented import Presented

_WORDS = {
    "mean": "E[x|z]",
    "mode": "argmax p(x|z)",
    "either": "E[x|z] (of codes argmax p(x|z))",
    "draw": "draws from p(x|z)",
}


def shown(presented: Presented, runs: Iterable[str]) -> str:
    """Return what the pictures of some runs show: E[x|z], but of codes, which have no mean."""
    found = {_of(presented, run) for run in runs}
    return _WORDS[found.pop() if len(found) == 1 else "either"]


def _of(presented: Presented, run: str) -> str:
    chosen = presented.study.configs[run].likelihood
    if chosen is None:  # a model of the user's own: its law's mean
        return "mean"
    shape = tuple(presented.study.folder(run).images()["inputs"].shape[1:])
    parameters = {key: value for key, value in chosen.items() if key != "name"}
    shows: str = LIKELIHOODS.create(chosen["name"], shape, **parameters).shows
    return shows
