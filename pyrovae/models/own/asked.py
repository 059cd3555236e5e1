"""What a user's own programs are asked for, told in the words of those who write them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

from pyro import poutine
from pyro.infer.autoguide import AutoCallable, AutoGuide, AutoGuideList
from torch import Tensor, nn

from pyrovae.core.errors import ConfigError

Program = Callable[..., Any]

_ENCODER = (
    "a guide must compute q(z|x) from the x that it is given, as an encoder network does, so that "
    "it serves minibatches and new data"
)


def check_arguments(which: str, program: Program, *, conditional: bool = False) -> None:
    """Refuse a program that cannot be called with the observations alone, or with a context too."""
    parameters = _parameters(program)
    if parameters is None:
        return
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not positional and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise ConfigError(f"its {which} takes no argument: it is called with the observations x")
    given = positional[: 2 if conditional else 1]
    if conditional and len(given) < 2 and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise ConfigError(
            f"its {which} takes no second argument: it is called with the observations x and their "
            "context c"
        )
    needed = [
        f"'{p.name}'"
        for p in parameters
        if p not in given
        and p.default is p.empty
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if needed:
        raise ConfigError(
            f"its {which} also asks for {', '.join(needed)}, but programs are called with the "
            f"observations x {'and a context' if conditional else 'alone'}: close over what is the "
            "same for all data, and leave out what differs from datum to datum (labels, lengths, "
            "masks)"
        )


def unset(program: Program) -> str:
    """Return, after a semicolon, which arguments stay ``None`` when x alone is given, if any do."""
    names = [f"'{p.name}'" for p in _parameters(program) or [] if p.default is None]
    if not names:
        return ""
    return f"; {', '.join(names)} stayed None, as programs are called with the observations x alone"


def check_guide(used: Sequence[nn.Module], model: Program, *x: Tensor) -> None:
    """Refuse an automatic guide: it keeps a row of numbers for each datum that it has seen."""
    guide = next((m for m in used if isinstance(m, AutoGuide) and not _amortised(m)), None)
    if guide is None:
        return
    sites = poutine.trace(poutine.block(model, hide_types=["param"])).get_trace(*x).nodes.values()
    latent = [
        f"'{s['name']}' in plate '{s['cond_indep_stack'][-1].name}'"
        for s in sites
        if s["type"] == "sample" and not s["is_observed"] and s["cond_indep_stack"]
    ]
    where = f" for {', '.join(latent)}" if latent else ""
    raise ConfigError(
        f"its guide {type(guide).__name__} keeps numbers of its own{where} for each of the data "
        f"that it is first called with: {_ENCODER}"
    )


def _amortised(guide: AutoGuide) -> bool:
    if isinstance(guide, AutoGuideList):
        return all(_amortised(part) for part in guide)
    return isinstance(guide, AutoCallable)


def check_sizes(few: dict[str, Any], more: dict[str, Any]) -> None:
    """Refuse parameters whose shapes, by name, follow the number of data."""
    for name, shape in few.items():
        if more.get(name, shape) != shape:
            raise ConfigError(
                f"its parameter '{name}' has a row for each datum (shape {shape} for 2 data, "
                f"{more[name]} for 3): {_ENCODER}"
            )


def fails_on_more(error: Exception) -> ConfigError:
    """Return the error for programs that run on 2 data, and then not on 3."""
    return ConfigError(f"runs on 2 data and fails on 3 ({_told(error)}): {_ENCODER}")


def failed(error: Exception, event_shape: Sequence[int]) -> ConfigError:
    """Return the error for programs that do not run on data of some shape."""
    return ConfigError(
        "must run on any number of data; on a few, of shape "
        f"{tuple(event_shape)} each, it fails: {_told(error)}{flat_hint(event_shape)}"
    )


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def flat_hint(event_shape: Sequence[int]) -> str:
    """Return, after a semicolon, how data are made flat; nothing if they are."""
    if len(event_shape) < 2:
        return ""
    numbers = math.prod(event_shape)
    return f"; for a program that takes {numbers} numbers in a row, set dataset.flatten: true"


def _parameters(program: Program) -> list[inspect.Parameter] | None:
    if isinstance(program, nn.Module) and not isinstance(program, AutoGuide):
        program = program.forward
    try:
        return list(inspect.signature(program).parameters.values())
    except (TypeError, ValueError):  # of a callable that says nothing about itself
        return None
