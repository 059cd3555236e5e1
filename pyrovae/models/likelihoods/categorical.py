"""A probability for each level of each element."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.distributions.levels import Levels
from pyrovae.models.likelihoods.base import LIKELIHOODS, Likelihood
from pyrovae.models.likelihoods.support import codes


@LIKELIHOODS.register("categorical")
class Categorical(Likelihood):
    r"""A free probability of each level of each element: 256 of them for 8-bit images, or codes.

    .. math:: P(x_i = k \mid z) = \frac{e^{a_{ik}(z)}}{\sum_l e^{a_{il}(z)}}

    The decoder gives ``levels`` numbers for each element. Nothing says that neighbouring grey
    levels are alike, as ``discretized_logistic`` has it.

    Parameters
    ----------
    event_shape
        Shape of one observation.
    levels
        How many there are.
    of
        ``grey``: levels are the numbers k / (levels - 1) on [0, 1], as images have them; an
        observation between two counts for the nearer. ``codes``: whole numbers from 0 to
        levels - 1, as characters, words and categories of a table are coded; the encoder reads
        them as numbers.

    Notes
    -----
    What reconstructions show is the expected grey level, and of codes, which have no order, the
    most probable one.

    References
    ----------
    van den Berg et al. 2018, sec. 6.2, arXiv:1803.05649; van den Oord et al. 2016, sec. 3.1,
    arXiv:1601.06759

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.likelihoods import Categorical
    >>> p = Categorical((1, 8, 8))(torch.zeros(5, 256, 1, 8, 8))
    >>> p.batch_shape, p.event_shape
    (torch.Size([5]), torch.Size([1, 8, 8]))
    >>> text = Categorical((20,), levels=27, of="codes")
    >>> text(torch.zeros(27, 20)).log_prob(torch.full((20,), 3.0))  # 20 log(1/27)
    tensor(-65.9167)
    """

    properties = frozenset()

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        levels: Annotated[int, Field(gt=1)] = 256,
        of: Literal["grey", "codes"] = "grey",
    ) -> None:
        super().__init__(event_shape)
        self.outputs_per_element, self._grey = levels, of == "grey"
        self.support = "unit" if self._grey else codes(levels)
        self.shows = "mean" if self._grey else "mode"

    def _law(self, output: Tensor) -> Levels:
        return Levels(output.movedim(-1 - len(self.event_shape), -1), unit=self._grey)

    def forward(self, output: Tensor) -> Distribution:
        """Return laws with the decoder's output as logits."""
        return self._law(output).to_event(len(self.event_shape))

    def mean(self, output: Tensor) -> Tensor:
        """Return the expected grey level, or the most probable code."""
        law = self._law(output)
        return law.mean if self._grey else law.mode
