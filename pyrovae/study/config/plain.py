"""What may stand in a study's file: words, numbers, lists and mappings, of sane size."""

from __future__ import annotations

import math
from typing import Any

from pyrovae.core.errors import ConfigError

#: Whole numbers are below this, and above its negative: what a tensor's size or a seed can be.
LIMIT = 2**63
#: YAML's anchors let a small file stand for a huge one, or for one that holds itself.
_DEEPEST = 50
_MOST_VALUES = 1_000_000


def check_plain(value: Any, place: str = "") -> None:
    """Refuse what no part of a study can mean, wherever it stands.

    Parameters
    ----------
    value
        What was read from YAML.
    place
        Where it stands.

    Raises
    ------
    ConfigError
        For a key that is no word, a whole number beyond 64 bits, a number that is not finite,
        anything else than plain data, and for more or deeper nested data than any study has.
    """
    left = _MOST_VALUES

    def walk(value: Any, place: str, depth: int) -> None:
        nonlocal left
        left -= 1
        if left < 0 or depth > _DEEPEST:
            what = "is nested too deep" if depth > _DEEPEST else "holds too many values"
            raise ConfigError(f"{what}: does an anchor repeat itself?", _short(place))
        if isinstance(value, dict):
            for key, inner in value.items():
                if not isinstance(key, str):
                    raise ConfigError(f"keys must be words, got {key!r}", place)
                walk(inner, f"{place}.{key}" if place else key, depth + 1)
        elif isinstance(value, list):
            for i, inner in enumerate(value):
                walk(inner, f"{place}[{i}]", depth + 1)
        else:
            _check_scalar(value, place)

    walk(value, place, 0)


def _check_scalar(value: Any, place: str) -> None:
    match value:
        case None | bool() | str():
            return
        case int():
            if not -LIMIT < value < LIMIT:
                told = f"must be below 2^63 in size, got {_power(value)}"
                if "seed" not in place:
                    # Nearly all whole numbers of a study are sizes.
                    told += f": so many numbers would take {_power(4 * abs(value))} bytes of memory"
                raise ConfigError(told, place)
        case float():
            if not math.isfinite(value):
                raise ConfigError(f"must be a finite number, got {value}", place)
        case _:
            kind = type(value).__name__
            raise ConfigError(f"must be a number or a word, got {kind} {value}; quote it?", place)


def _power(number: int) -> str:
    """Return a whole number of any size, rounded: 1.2e+30.

    >>> _power(12 * 10**400)
    '1.2e+401'
    """
    exponent = int(abs(number).bit_length() * math.log10(2))
    scaled = number / 10**exponent if exponent < 300 else number // 10 ** (exponent - 15) / 1e15
    while abs(scaled) < 1:
        scaled, exponent = scaled * 10, exponent - 1
    return f"{scaled:.3g}e+{exponent}"


def _short(place: str) -> str:
    """Return the beginning of a place that goes on for ever."""
    return place if len(place) <= 60 else f"{place[:60]}…"
