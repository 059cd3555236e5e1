"""How a check fails, and what each leaves as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.distributions import Distribution


class CheckFailed(AssertionError):
    """What a class must do and does not.

    Attributes
    ----------
    check
        Name of the check.
    """

    def __init__(self, check: str, message: str) -> None:
        self.check = check
        super().__init__(f"{check}: {message}")


#: A name, and what is called with the subject and raises :class:`AssertionError`.
Check = tuple[str, Callable[[Any], None]]


def named(*checks: Callable[[Any], None]) -> tuple[Check, ...]:
    """Return checks with their names, which are those of the functions."""
    return tuple((check.__name__, check) for check in checks)


def run(checks: Sequence[Check], subject: Any) -> None:
    """Run checks in order.

    Raises
    ------
    CheckFailed
        For the first that fails, with its name and numbers. Whatever a class raises counts as
        failing.
    """
    for name, check in checks:
        try:
            with quietly():
                check(subject)
        except CheckFailed:
            raise
        except Exception as failure:
            told = str(failure).strip() or type(failure).__name__
            if not isinstance(failure, AssertionError):
                told = f"raises {type(failure).__name__}: {told.splitlines()[0]}"
            raise CheckFailed(name, f"{subject}: {told}") from failure


@contextmanager
def quietly() -> Iterator[None]:
    """Keep the random state, and let arguments be off a law's space: finite differences are."""
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield
    finally:
        Distribution.set_default_validate_args(before)


def close(found: Any, expected: Any, what: str, *, rtol: float, atol: float) -> None:
    """Raise an AssertionError unless numbers are close, with the worst pair of them."""
    a = torch.as_tensor(found, dtype=torch.float64).reshape(-1)
    b = torch.as_tensor(expected, dtype=torch.float64).reshape(-1)
    off = (a - b).abs() - (atol + rtol * b.abs())
    # NaN is not close to anything.
    if not (off <= 0).all():
        worst = int(off.nan_to_num(nan=float("inf")).argmax())
        raise AssertionError(f"{what} is {float(a[worst]):.6g}, not {float(b[worst]):.6g}")
