"""A likelihood p(x|z): from the decoder's output to a distribution over observations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.core.registry import Registry
from pyrovae.core.scheduled import Scheduled
from pyrovae.core.schedules import is_schedule
from pyrovae.datasets.base import as_float
from pyrovae.datasets.streamed import Streamed, blocks
from pyrovae.models.likelihoods.support import SUPPORTS, Support

#: Where a scale comes from: one number, one for each element, or the decoder.
ScaleForm = Literal["shared", "per_pixel", "decoder"]
#: A decoder's scale stays above this share of the start: an element that never varies would
#: otherwise have an unbounded density.
_LEAST_SHARE = 0.01


class Likelihood(Scheduled):
    """Base of the likelihoods.

    Parameters
    ----------
    event_shape
        Shape of one observation.
    """

    #: Numbers that the decoder gives for each element of an observation.
    outputs_per_element = 1
    #: What the observations may be: a name of
    #: :data:`~pyrovae.models.likelihoods.support.SUPPORTS`, or a support of its own.
    support: str | Support = "real"
    #: What :meth:`mean` returns: E[x|z], the most probable x, either, element by element, or, where
    #: there is no mean, a draw.
    shows: Literal["mean", "mode", "either", "draw"] = "mean"
    #: ``squared_error``: -log p(x|z) is a squared error but for one scale. ``mean``: E[x|z] is a
    #: function of the decoder's output that has derivatives.
    properties: ClassVar[frozenset[str]] = frozenset({"mean"})

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.event_shape = event_shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of what the decoder gives for one code: a network is asked for this and no other.

        The numbers for each element of something come first, that something's shape follows.
        Where elements need different numbers of them, it is one for each of a vector that holds
        all (:class:`~pyrovae.models.likelihoods.mixed.Mixed`).
        """
        return (self.outputs_per_element, *self.event_shape)

    def refusal(self, x: Tensor) -> tuple[list[int], str] | None:
        """Return the index of the first value that cannot be, and what could; ``None`` if all can.

        Parameters
        ----------
        x
            Observations ``(n, *event_shape)``.
        """
        outside = self._support().first_outside(x)
        return None if outside is None else (outside, self.explains)

    def first_refused(self, values: Tensor | Streamed) -> tuple[list[int], str, float] | None:
        """Return the index of the first of many values that cannot be, what could, and the value.

        Parameters
        ----------
        values
            Observations as data sets have them; they need not fit into memory.
        """
        if self.support == "unit" and values.dtype == torch.uint8:
            return None
        for start, block in blocks(values):
            x = as_float(block)
            found = self.refusal(x)
            if found is not None:
                (datum, *rest), words = found
                return [start + datum, *rest], words, float(x[(datum, *rest)])
        return None

    @property
    def explains(self) -> str:
        """Which data it is for, in words."""
        return self._support().words

    def _support(self) -> Support:
        return SUPPORTS[self.support] if isinstance(self.support, str) else self.support

    @classmethod
    def facts(cls, parameters: Mapping[str, Any]) -> frozenset[str]:
        """Return :attr:`properties`, and ``learned_scale`` where the user asks for one."""
        return cls.properties | ({"learned_scale"} if parameters.get("learned") else set())

    def forward(self, output: Tensor) -> Distribution:
        """Return p(x|z).

        Parameters
        ----------
        output
            Shape ``(*b, *output_shape)``, which is ``(*b, outputs_per_element, *event_shape)``
            unless the family says otherwise.

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

    def set_scale(self, name: str, value: Any, *, learned: bool, form: ScaleForm) -> None:
        """Keep a scale as :meth:`set_log` does, and say what the decoder gives for it.

        Raises
        ------
        ConfigError
            For a decoder's scale that is not to be learned.
        """
        if form == "decoder" and not learned:
            raise ConfigError(
                f"{name}_form 'decoder' is learned by its nature, so learned: false cannot be kept",
                "learned",
            )
        self.outputs_per_element = 2 if form == "decoder" else 1
        # To a decoder's scales the number is the unit: they are learned, it is not.
        shape = self.event_shape if form == "per_pixel" else ()
        self.set_log(name, value, learned=learned and form != "decoder", shape=shape)

    def loc_and_scale(self, output: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
        """Return the decoder's first output, and the scale of each element of it.

        Parameters
        ----------
        output
            As :meth:`forward` takes it.
        log_scale
            What :meth:`set_scale` keeps. A second output is the scale in units of it, by
            softplus, and above a hundredth.
        """
        loc, *raw = output.unbind(-1 - len(self.event_shape))
        scale = log_scale.exp()
        if raw:
            # softplus(x + log(e - 1)) is 1 at x = 0: an untrained decoder starts at the unit.
            share = nn.functional.softplus(raw[0] + math.log(math.e - 1))
            scale = scale * (share + _LEAST_SHARE)
        return loc, scale.expand_as(loc)

    def words(self, x: Tensor) -> Tensor | None:
        """Return how many tokens each sequence has, ``(n,)``; ``None`` for data that are none."""
        return None

    def mean(self, output: Tensor) -> Tensor:
        """Return what a reconstruction shows (:attr:`shows`), shape ``(*b, *event_shape)``."""
        return self(output).mean


#: Likelihoods by name: classes ``(event_shape, *, …)``.
LIKELIHOODS: Registry = Registry(
    "likelihood",
    Likelihood,
    groups={
        "Values from 0 to 1": ("bernoulli", "continuous_bernoulli"),
        "Real values": ("gaussian", "laplace", "student_t"),
        "Levels and codes": ("categorical", "discretized_logistic"),
        "Counts": ("poisson", "negative_binomial"),
        "Columns of a table": ("mixed",),
        "Decoders that see x": ("pixelcnn", "recurrent", "attention"),
    },
)
