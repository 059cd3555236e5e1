"""Grey levels as rounded logistic numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.registry import LATER
from pyrovae.core.schedules import Positive
from pyrovae.distributions.discretized_logistic import DiscretizedLogistic as Law
from pyrovae.models.likelihoods.base import LIKELIHOODS, Likelihood, ScaleForm


def _rising(bounds: list[float]) -> list[float]:
    if not bounds[0] < bounds[1]:
        raise ValueError("the first bound must be below the second")
    return bounds


_Bounds = Annotated[
    list[Annotated[float, Field(allow_inf_nan=False)]],
    Field(min_length=2, max_length=2),
    AfterValidator(_rising),
    LATER,
]


@LIKELIHOODS.register("discretized_logistic")
class DiscretizedLogistic(Likelihood):
    r"""Probability of each grey level under a rounded logistic law: bits a pixel mean something.

    .. math::

        P(x_i \mid z) = F\left(\frac{x_i + h - \mu_i}{s_i}\right) - F\left(\frac{x_i - h
        - \mu_i}{s_i}\right), \quad F(t) = \frac{1}{1 + e^{-t}}

    Parameters
    ----------
    event_shape
        Shape of one observation.
    scale
        Of the logistic law, where black to white is 1: the start if learned, else its value or a
        schedule of it.
    learned
        Whether the scale, one for all elements, is fitted with the rest.
    levels
        Number of grey values on [0, 1]; 256 is what 8-bit images have.
    scale_form
        ``shared``: one number. ``per_pixel``: one for each element, the same for every datum.
        ``decoder``: the log of ``scale`` plus a further output of the decoder for each element of
        each datum is the log of the scale.
    log_scale_bounds
        What a decoder's log-scale is cut to.
    loc_form
        ``free``: the decoder's first output is mu. ``sigmoid``: its sigmoid is.

    Notes
    -----
    Tomczak & Welling's likelihood of the Frey faces is ``scale_form: decoder, scale: 1,
    log_scale_bounds: [-4.5, 0], loc_form: sigmoid`` but for three things in their code
    (``log_Logistic_256`` of github.com/jmtomczak/vae_vampprior). Their bins are 1/256 wide and
    closed at the ends, so that what the law has beyond [0, 1] is lost and probabilities sum to
    less than 1: here they are 1/255 wide and the end bins open, which gives a black or white pixel
    more. They add 1e-7 to each probability, which bounds a pixel's cost by 16.1 nats. They cut mu
    to [1/512, 511/512].

    References
    ----------
    Salimans et al. 2017, eq. 2, arXiv:1701.05517; scale from the decoder: Tomczak & Welling 2018,
    arXiv:1705.07120

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.likelihoods import DiscretizedLogistic
    >>> p = DiscretizedLogistic((1, 8, 8))(torch.zeros(5, 1, 1, 8, 8))
    >>> p.batch_shape, p.event_shape
    (torch.Size([5]), torch.Size([1, 8, 8]))
    >>> levels = torch.linspace(0, 1, 256)
    >>> one = DiscretizedLogistic((1,))(torch.full((256, 1, 1), 0.4))
    >>> one.log_prob(levels[:, None]).exp().sum()
    tensor(1.0000, grad_fn=<SumBackward0>)
    """

    support = "unit"
    log_scale: Tensor

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        scale: Positive = 0.1,
        learned: bool = True,
        levels: Annotated[int, Field(gt=1)] = 256,
        scale_form: Annotated[ScaleForm, LATER] = "shared",
        log_scale_bounds: _Bounds = [-7.0, 0.0],  # noqa: B006 - never changed
        loc_form: Annotated[Literal["free", "sigmoid"], LATER] = "free",
    ) -> None:
        super().__init__(event_shape)
        self.levels = levels
        self._bounds, self._squashed = tuple(log_scale_bounds), loc_form == "sigmoid"
        self.set_scale("scale", scale, learned=learned, form=scale_form)

    def forward(self, output: Tensor) -> Distribution:
        """Return rounded logistic laws around the decoder's first output."""
        dims = len(self.event_shape)
        loc, *raw = output.unbind(-1 - dims)
        log_scale = (self.log_scale + raw[0]).clamp(*self._bounds) if raw else self.log_scale
        loc = loc.sigmoid() if self._squashed else loc
        return Law(loc, log_scale.exp().expand_as(loc), self.levels).to_event(dims)
