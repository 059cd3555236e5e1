"""Where codes live."""

from __future__ import annotations

#: Spaces of codes, in words; those of a prior and a posterior must be the same.
SPACES = {
    "real": "whole real space",
    "sphere": "unit sphere",
    "binary": "corners of the unit cube",
    "labels": "labels of categories",
}
#: Those in which a code is a vector of labels (:mod:`pyrovae.distributions.labels`).
DISCRETE = frozenset({"binary", "labels"})
