"""How much memory something would take, asked before it is tried.

Without asking, Linux may grant what is not there and end the process when it is used.
"""

from __future__ import annotations

import math
import os

from pyrovae.core.errors import ConfigError

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")


def require(needed: int, what: str, place: str = "") -> None:
    """Refuse what this machine's memory cannot hold.

    Parameters
    ----------
    needed
        Bytes.
    what, place
        What would take them, and where in the configuration it is asked for.

    Raises
    ------
    ConfigError
        With both sizes.
    """
    held = total()
    if needed > held:
        raise ConfigError(
            f"{what} would take {in_words(needed)} of memory, and this machine has "
            f"{in_words(round(held))}",
            place,
        )


def total() -> float:
    """Return the bytes of this machine's memory; infinity where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # AttributeError: Windows
        return math.inf


def in_words(size: int) -> str:
    """Return a number of bytes in the unit that suits it.

    >>> in_words(1_500_000), in_words(4 * 10**30)
    ('1.5 MB', '4e+06 YB')
    """
    unit = min((len(str(size)) - 1) // 3, len(_UNITS) - 1)
    return f"{size / 10 ** (3 * unit):.3g} {_UNITS[unit]}"
