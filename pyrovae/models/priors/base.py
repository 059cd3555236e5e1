"""A prior p(z): a Pyro program that returns the distribution of one code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor
from torch.distributions import Distribution

from pyrovae.core.errors import ConfigError
from pyrovae.core.registry import Registry
from pyrovae.core.scheduled import Scheduled


class Prior(Scheduled):
    """Base of the priors: calling one gives the distribution of ``z``.

    A prior is a Pyro program: ``forward`` may hold sample statements of its own (a hierarchical
    prior samples its scales there) and is called outside the plate over the data. The class
    attributes are facts that the compatibility matrix is computed from.

    Parameters
    ----------
    latent_dim
        Dimension ``d`` of the code.

    Raises
    ------
    ConfigError
        If ``latent_dim`` is below :attr:`smallest_latent_dim`.
    """

    #: Where ``z`` lives, of :data:`pyrovae.models.spaces.SPACES`; ``None``: where the posterior
    #: does.
    space: str | None = "real"
    #: Labels of a unit, where codes are labels; 0 where they are real.
    classes = 0
    #: The smallest ``latent_dim`` that makes sense: 2 on a sphere.
    smallest_latent_dim = 1
    #: Names of the sample sites outside the plate over the data; :meth:`guide` has each of them.
    global_sites: tuple[str, ...] = ()
    #: Whether p(z) is made of the encoder and posterior: :meth:`bind` must come before a call.
    needs_encoder = False
    #: Whether :meth:`bind` starts from training data. They are handed over only then: as floats
    #: they are a large copy in each worker.
    starts_from_data = False
    #: Whether p(z) is a product of laws with ``loc`` and ``scale``, which a context may move:
    #: p(z|c) (:class:`pyrovae.models.condition.PriorMap`).
    has_location = False
    #: ``density``: ``log_prob`` is the density that ``sample`` draws from. ``reparameterizable``:
    #: ``rsample`` is a function of standard noise. ``factorized``: dimensions are independent,
    #: given global sites, and the law is an ``Independent``.
    properties: ClassVar[frozenset[str]] = frozenset({"density", "reparameterizable"})

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        if latent_dim < self.smallest_latent_dim:
            raise ConfigError(
                f"a {self.space} prior needs latent_dim >= {self.smallest_latent_dim}, "
                f"got {latent_dim}",
                "latent_dim",
            )
        self.latent_dim = latent_dim

    @property
    def unit_classes(self) -> tuple[int, ...] | None:
        """Labels of each unit, 0 of a real one; ``None`` where all are real."""
        return (self.classes,) * self.latent_dim if self.classes else None

    def forward(self) -> Distribution:
        """Return p(z): batch shape ``()``, event shape ``(latent_dim,)``."""
        raise NotImplementedError

    def guide(self) -> None:
        """Sample the :attr:`global_sites` from their variational posterior; most have none.

        Called by the model's guide, outside the plate over the data. These sites are shared by all
        data: in a bound for one of N data, their KL counts 1/N.
        """

    def fitted(self) -> Distribution:
        """Return p(z) without chance: global sites at the median of their variational posterior."""
        return self()

    def learn_from(self, z: Tensor) -> None:
        """See the codes ``z`` of the data, inside the plate; most priors learn by p(z) alone.

        A prior with a part that is not trained by p(z) adds a factor site here.
        """

    def bind(
        self,
        encode: Callable[[Tensor], Distribution],
        event_shape: tuple[int, ...],
        data: Tensor | None = None,
    ) -> None:
        """Take what the prior needs of the rest of the model; most need nothing.

        Parameters
        ----------
        encode
            Observations ``(*b, *event_shape)`` to q(z|x). A bound method, so that a copy of the
            model binds its own.
        event_shape
            Shape of one observation.
        data
            Observations ``(n, *event_shape)`` to start from; ``None`` if there are none at hand, or
            :attr:`starts_from_data` says that none are wanted.
        """

    @classmethod
    def data_conflict(cls, parameters: Mapping[str, Any], n: int) -> str | None:
        """Return why these user parameters do not fit ``n`` training data, or ``None``."""
        return None


#: Priors by name: classes ``(latent_dim, *, …)``.
PRIORS: Registry = Registry(
    "prior",
    Prior,
    groups={
        "Independent dimensions": (
            "standard_normal",
            "laplace",
            "student_t",
            "generalized_normal",
            "spike_slab",
        ),
        "Hierarchical": ("ard", "horseshoe"),
        "Mixtures": ("gaussian_mixture", "vampprior"),
        "Learned by networks": ("flow", "two_stage"),
        "Labels": ("categorical", "bernoulli", "mixed"),
        "Other spaces": ("hyperspherical_uniform", "riemannian_normal", "dirichlet"),
    },
)
