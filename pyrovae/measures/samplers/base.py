"""A sampler: the law of codes that a trained run really has, estimated after training.

A model whose codes are not where its prior is draws badly from the prior, and would draw well from
where they are. So generation can be compared apart from the prior: Ghosh et al. 2020, sec. 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.core.given import Data
from pyrovae.core.measuring import only_measures
from pyrovae.core.registry import Registry
from pyrovae.core.seeded import seeded
from pyrovae.measures.collapse.units import drawn_codes
from pyrovae.models.contract import LatentModel


class Sampler:
    """Base of the samplers: a family of laws in R^d, and how one of them is fitted to codes."""

    def fit(self, codes: Tensor, seed: int) -> Distribution:
        """Return the law that suits codes ``(n, d)``: batch ``()``, event ``(d,)``.

        Parameters
        ----------
        codes
            On the CPU, finite.
        seed
            Of the fit.

        Raises
        ------
        ConfigError
            If there are too few of them.
        """
        raise NotImplementedError


#: What a fit's seed is moved by.
_APART = 0x5EED

#: Samplers by name: classes ``(*, …)``.
SAMPLERS: Registry = Registry("sampler", Sampler)


@only_measures
def fit_sampler(
    vae: LatentModel, x: Data, sampler: Mapping[str, Any], *, seed: int = 0
) -> Distribution:
    """Return a sampler's law of the codes of some data, one draw from q(z|x) each.

    Parameters
    ----------
    vae
        The trained model and guide, with codes in real space and without a condition. Of layers,
        the law is that of all codes together.
    x
        Observations ``(n, *event_shape)``: those that it was trained on.
    sampler
        ``{"name": …, **parameters}``.
    seed
        Of draws and fit; the global random state is left as it was.

    Raises
    ------
    ConfigError
        If the model has a condition, or codes on a sphere.

    Examples
    --------
    >>> import pyrovae, torch
    >>> from pyrovae.measures.samplers import fit_sampler
    >>> vae = pyrovae.build((4,), latent_dim=2)
    >>> law = fit_sampler(vae, torch.rand(100, 4), {"name": "mixture", "components": 3})
    >>> vae.decode(law.sample((5,))).mean.shape
    torch.Size([5, 4])
    """
    reason = refusal(vae.space, vae.condition is not None)
    if reason:
        raise ConfigError(reason, "sampler")
    parameters = {key: value for key, value in sampler.items() if key != "name"}
    family: Sampler = SAMPLERS.create(sampler["name"], **parameters)
    # Noise of its own: codes that are drawn with the caller's seed would be those of the fit again.
    own = (seed + _APART) % 2**32
    codes = drawn_codes(vae, x, seed=own).cpu()
    with seeded(own):
        return family.fit(codes, own)


def refusal(space: str, conditional: bool) -> str | None:
    """Return why a model's codes have no sampler, or ``None`` if they may have one."""
    if conditional:
        return "is a law of codes alone, and those of a conditional model depend on its condition"
    if space != "real":
        return f"is a law of codes in real space, and those of this model are in another: {space}"
    return None
