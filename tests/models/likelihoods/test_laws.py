"""Every likelihood: it sums to 1, draws follow it, means and derivatives are its own."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch

from pyrovae.api.checks.failing import run
from pyrovae.api.checks.latent import FALSE_ALARM
from pyrovae.api.checks.observed import LIKELIHOOD_CHECKS, Subject
from pyrovae.models.likelihoods import LIKELIHOODS
from pyrovae.models.likelihoods.base import ScaleForm

REST, POISSON = {"family": "gaussian", "count": "rest"}, {"family": "poisson"}
#: Chance that any of the tests of draws here fails although all samplers are right.
FAMILY_WISE = 1e-3
#: Parameters of an entry, once for each law that it is to be tested as.
PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "categorical": [{"levels": 5}, {"levels": 4, "of": "codes"}],
    "discretized_logistic": [
        {"levels": 2},
        {"levels": 7},
        {"levels": 7, "learned": False},
        {"levels": 7, "scale_form": "per_pixel", "loc_form": "sigmoid"},
        {"levels": 7, "scale_form": "decoder", "log_scale_bounds": [-4.5, 0.0]},
    ],
    "gaussian": [{"sigma_form": form} for form in ("shared", "per_pixel", "decoder")]
    + [{"learned": False}],
    "laplace": [{}, {"learned": False}],
    "mixed": [
        {},
        {"columns": [{"family": "categorical", "levels": 3, "of": "codes"}, REST]},
        {"columns": [{"family": "student_t", "scale_form": "decoder"}, REST | POISSON]},
        {"columns": [{"family": "bernoulli"}, REST | {"family": "categorical", "levels": 4}]},
    ],
    "negative_binomial": [
        {"concentration_form": form, "concentration": 3.0} for form in get_args(ScaleForm)
    ],
    "student_t": [{"scale_form": form} for form in get_args(ScaleForm)] + [{"learned": False}],
}
CASES = [(name, given) for name in LIKELIHOODS for given in PARAMETERS.get(name, [{}])]


def values(name: str, given: dict[str, Any]) -> list[float] | None:
    """Return what one pixel can be, of a discrete law; ``None`` for a density."""
    count = {"bernoulli": 2, "discretized_logistic": given.get("levels", 256)}.get(name)
    return None if count is None else [k / (count - 1) for k in range(count)]


#: ``trains`` is left to tests/training, where families share the work.
CHECKS = [(name, check) for name, check in LIKELIHOOD_CHECKS if name != "trains"]


def test_no_check_is_left_out() -> None:
    assert len(CHECKS) == len(LIKELIHOOD_CHECKS) - 1
    assert FAMILY_WISE / len(CASES) >= FALSE_ALARM


@pytest.mark.parametrize(("name", "given"), CASES, ids=str)
def test_likelihood_is_a_law_of_its_support(name: str, given: dict[str, Any]) -> None:
    run(CHECKS, Subject(name, given, values(name, given)))


def test_grey_values_count_as_the_expected_binarisation() -> None:
    likelihood, output = Subject("bernoulli").made()
    x = torch.tensor([0.3, 0.9]).double()
    law = likelihood(output).base_dist
    ends = [law.log_prob(torch.full_like(x, end)) for end in (0.0, 1.0)]
    torch.testing.assert_close(law.log_prob(x), (1 - x) * ends[0] + x * ends[1])
