"""Every registered prior and posterior, as cases of the checks that anybody's class has.

What is registered is tested: a new entry needs a line here only if its defaults are too large for
quadrature, or if it is several laws.
"""

from __future__ import annotations

from typing import Any

from pyrovae.api.checks.laws import Case
from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.priors import PRIORS

#: Parameters of an entry, once for each law that it is to be tested as.
PARAMETERS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("prior", "categorical"): [{"classes": 3}, {"classes": 4, "learned": True}],
    ("posterior", "categorical"): [{"classes": 3}],
    ("posterior", "finite_scalar"): [{"classes": 3}],
    ("posterior", "vector_quantized"): [{"classes": 3}, {"classes": 3, "shared": True}],
    ("prior", "flow"): [
        {"kind": "affine", "hidden": [6]},
        {"kind": "spline", "hidden": [6], "bins": 4},
    ],
    ("prior", "gaussian_mixture"): [{"components": 3}],
    ("prior", "generalized_normal"): [{"p": 0.7}, {"p": 1.5, "scale": 0.8}, {"p": 8.0}],
    ("prior", "dirichlet"): [{"concentration": 1.0}, {"concentration": 0.4}],
    ("prior", "riemannian_normal"): [{"scale": 0.7}, {"scale": 1.3}],
    ("prior", "two_stage"): [{"hidden": [6]}],
    ("prior", "vampprior"): [{"pseudo_inputs": 4}],
    ("posterior", "iaf"): [{"hidden": [6]}],
    ("posterior", "maf"): [{"hidden": [6]}],
    ("posterior", "nsf"): [{"hidden": [6], "bins": 4}],
    ("posterior", "planar"): [{"transforms": 2}],
    ("posterior", "radial"): [{"transforms": 2}],
    ("posterior", "sylvester"): [
        {"kind": "householder", "transforms": 2, "reflections": 2},
        {"kind": "orthogonal", "transforms": 2, "columns": 1},
        {"kind": "triangular", "transforms": 2},
    ],
}
#: Families that a prior made of the posterior is tested with: one for each space.
ENCODERS = ("mean_field_normal", "von_mises_fisher")


def _cases() -> list[Case]:
    cases = []
    for kind, registry in (("prior", PRIORS), ("posterior", POSTERIORS)):
        for name in registry:
            if registry[name].space == "mixed":  # of other families: tests/models/test_mixed.py
                continue
            made_of = ENCODERS if getattr(registry[name], "needs_encoder", False) else (None,)
            cases += [
                Case(kind, name, parameters, encoder)
                for parameters in PARAMETERS.get((kind, name), [{}])
                for encoder in made_of
            ]
    return cases


CASES = _cases()
