"""A likelihood p(x|z): from the decoder's output to a distribution over observations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.core.registry import Registry
from pyrovae.core.scheduled import Scheduled
from pyrovae.core.schedules import is_schedule


class Likelihood(Scheduled):
    """Base of the likelihoods.

    Parameters
    ----------
    event_shape
        Shape of one observation.
    """

    #: Numbers that the decoder gives for each element of an observation.
    outputs_per_element = 1
    #: What the observations may be: ``"unit"`` for [0, 1], ``"real"`` for any number.
    support = "real"
    #: ``squared_error``: -log p(x|z) is a squared error but for one scale.
    properties: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.event_shape = event_shape

    @classmethod
    def facts(cls, parameters: Mapping[str, Any]) -> frozenset[str]:
        """Return :attr:`properties`, and ``learned_scale`` where the user asks for one."""
        return cls.properties | ({"learned_scale"} if parameters.get("learned") else set())

    def forward(self, output: Tensor) -> Distribution:
        """Return p(x|z).

        Parameters
        ----------
        output
            Shape ``(*b, outputs_per_element, *event_shape)``.

        Returns
        -------
        Distribution
            Batch ``b``, event ``event_shape``.
        """
        raise NotImplementedError

    def set_log(self, name: str, value: Any, *, learned: bool, shape: tuple[int, ...] = ()) -> None:
        """Keep the log of a scale as ``log_<name>``: a parameter if learned, else a buffer.

        Raises
        ------
        ConfigError
            For a schedule of a scale that is learned.
        """
        if not learned:
            self.set_number(f"log_{name}", value, shape=shape, transform=math.log, stored=True)
            return
        if is_schedule(value):
            raise ConfigError(
                f"a schedule of {name} goes with learned: false; a learned {name} takes its start "
                "from a number",
                name,
            )
        start = nn.Parameter(torch.full(shape, math.log(value)))
        self.register_parameter(f"log_{name}", start)

    def mean(self, output: Tensor) -> Tensor:
        """Return E[x|z], shape ``(*b, *event_shape)``: what a reconstruction shows."""
        return self(output).mean


#: Likelihoods by name: classes ``(event_shape, *, …)``.
LIKELIHOODS: Registry = Registry("likelihood", Likelihood)
