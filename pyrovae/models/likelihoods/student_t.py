"""Student t observation noise."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.schedules import Number, Positive, Within
from pyrovae.distributions.student_t import StudentT as Law
from pyrovae.models.likelihoods.base import LIKELIHOODS, Likelihood, ScaleForm


@LIKELIHOODS.register("student_t")
class StudentT(Likelihood):
    r"""Independent Student t noise: an outlier costs the log of its distance, not the square.

    .. math::

        p(x \mid z) = \prod_i \frac{\Gamma(\frac{\nu + 1}{2})}{\Gamma(\frac{\nu}{2})
        \sqrt{\pi \nu}\, s} \left(1 + \frac{(x_i - \mu_i(z))^2}{\nu s^2}
        \right)^{-\frac{\nu + 1}{2}}

    Parameters
    ----------
    event_shape
        Shape of one observation.
    df
        Degrees of freedom nu, or a schedule of them, above 1: below there is no mean to
        reconstruct.
    scale
        s, in the data's units: the start if learned, else its value or a schedule of it.
    learned
        Whether the scale is fitted with the rest.
    scale_form
        ``shared``: one number. ``per_pixel``: one for each element, the same for every datum.
        ``decoder``: a further output of the decoder for each element of each datum, in units of
        ``scale`` and above ``scale`` / 100.

    References
    ----------
    Lange, Little & Taylor 1989, doi:10.1080/01621459.1989.10478852; with a decoder: Takahashi et
    al. 2018, doi:10.24963/ijcai.2018/374

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.likelihoods import StudentT
    >>> p = StudentT((3,), scale_form="decoder")(torch.zeros(5, 2, 3))
    >>> p.batch_shape, p.event_shape
    (torch.Size([5]), torch.Size([3]))
    >>> p.mean[0]
    tensor([0., 0., 0.])
    """

    df: Tensor
    log_scale: Tensor

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        df: Annotated[Number, Within(gt=1)] = 5.0,
        scale: Positive = 0.5,
        learned: bool = True,
        scale_form: ScaleForm = "shared",
    ) -> None:
        super().__init__(event_shape)
        self.set_number("df", df)
        self.set_scale("scale", scale, learned=learned, form=scale_form)

    def forward(self, output: Tensor) -> Distribution:
        """Return t laws around the decoder's first output."""
        loc, scale = self.loc_and_scale(output, self.log_scale)
        return Law(self.df, loc, scale).to_event(len(self.event_shape))
