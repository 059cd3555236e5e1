"""Where codes live."""

from __future__ import annotations

#: Spaces of codes, in words; those of a prior and a posterior must be the same.
SPACES = {
    "real": "whole real space",
    "sphere": "unit sphere",
    "binary": "corners of the unit cube",
    "labels": "labels of categories",
    "mixed": "real numbers and labels side by side",
}
#: Those in which units of a code are labels (:mod:`pyrovae.distributions.labels`), all or some.
DISCRETE = frozenset({"binary", "labels", "mixed"})
