"""A normal law whose scale belongs to the family, not to the datum."""

from __future__ import annotations

import pyro.distributions as dist


class FixedScaleNormal(dist.Normal):
    """A normal law whose scale nobody may choose but the user.

    As a law it is :class:`pyro.distributions.Normal`. Its class tells those who ask what a family
    can reach (:func:`pyrovae.measures.collapse.floors.family`) that the location alone is free.

    Examples
    --------
    >>> FixedScaleNormal(0.0, 0.1).expand((3,))
    FixedScaleNormal(loc: torch.Size([3]), scale: torch.Size([3]))
    """
