"""Whether a run fits into memory, told from its configuration before it is built."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

from torch import nn

from pyrovae.core import memory
from pyrovae.study.config.run import MODEL_PARTS, RunConfig

#: Of each trained number: itself, its gradient, and Adam's two averages.
_COPIES = 4
_FLOAT = 4


def require_memory(config: RunConfig, model: nn.Module, event_shape: tuple[int, ...]) -> None:
    """Refuse a run that this machine's memory cannot hold.

    Parameters
    ----------
    config
        Of the run.
    model
        What it trains; its tensors may be on the meta device.
    event_shape
        Shape of one observation.

    Raises
    ------
    ConfigError
        Placed at the largest number of the configuration, which is most likely the cause.
    """
    parameters = sum(p.numel() for p in model.parameters())
    batch = config.training.batch_size * (prod(event_shape) + config.latent_dim)
    path, _ = largest(config)
    what = f"training {parameters:.3g} parameters on batches of {config.training.batch_size:,}"
    memory.require(_FLOAT * (_COPIES * parameters + batch), what, path)
    drawn = config.evaluation.guide_draws
    draws = drawn.points * drawn.chains * drawn.draws * config.latent_dim
    memory.require(_FLOAT * draws, "keeping these draws", "evaluation.guide_draws")


def largest(config: RunConfig) -> tuple[str, int]:
    """Return the largest whole number that a model's size depends on, and its dotted path."""
    parts = {part: getattr(config, part) for part in MODEL_PARTS}
    parts |= {"latent_dim": config.latent_dim, "training.batch_size": config.training.batch_size}
    return max(_numbers(parts, ""), key=lambda found: found[1])


def _numbers(value: Any, path: str) -> Iterator[tuple[str, int]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner, path)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield path, value
