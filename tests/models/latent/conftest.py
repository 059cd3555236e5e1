"""Shared by the tests of priors and posteriors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from torch.distributions import Distribution


@pytest.fixture(autouse=True)
def _no_argument_checks() -> Iterator[None]:
    """Finite differences step off the sphere."""
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    yield
    Distribution.set_default_validate_args(before)
