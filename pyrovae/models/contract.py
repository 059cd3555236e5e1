"""What the rest of the package asks of a model with one code for each datum."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.core.given import Data
from pyrovae.models.sites import Terms, scored, terms, trace_pair

if TYPE_CHECKING:
    from pandas import DataFrame

    from pyrovae.distributions.joint import Blocks
    from pyrovae.models.condition import Condition


class LatentModel(nn.Module):
    """A pair of Pyro programs, and the laws that they are made of.

    :class:`pyrovae.models.vae.VAE` is one; :class:`pyrovae.models.own.model.UserModel` makes one of
    any model and guide. The latent site is ``"z"``.

    A model with layers of codes has :attr:`blocks` and the sites ``z1`` … ``zL``
    (:class:`pyrovae.models.layered.LayeredVAE`). To everything else its code is one vector, z1
    first, whose laws are joint ones (:class:`pyrovae.distributions.joint.Joint`).

    A datum is named tensors: ``x``, and, where the model is conditional, a ``context`` c (labels
    and covariates as numbers, ``(k,)`` for each datum). A model without a :attr:`condition` is
    never handed one, and its methods are those below. A conditional model
    (:class:`pyrovae.models.vae.VAE` built with a condition) takes a context ``(n, k)`` in each of
    them: laws by name, ``encode(x, context=c)``, Pyro programs behind the observations,
    ``model(x, c)`` and ``guide(x, c)`` (``model(None, c)`` generates), since Pyro's effect handlers
    have a parameter ``context`` of their own. What is said of p(z), p(x|z) and q(z|x) then holds of
    p(z|c), p(x|z, c) and q(z|x, c): a rate is KL(q(z|x, c) || p(z|c)), a bound one on log p(x|c).
    Of p(z|c), :meth:`prior_law` has batch ``(n,)``. Nothing is averaged over c: a method that needs
    a context raises without. Measures are handed data as
    :class:`pyrovae.core.given.Given`, which is cut as a tensor is, and call
    ``encode(observed(data), **given(data))``.

    Attributes
    ----------
    latent_dim
        Dimension of the code.
    space
        Where codes live, of :data:`pyrovae.models.spaces.SPACES`.
    classes
        How many labels each unit has, 0 for a real one; ``None`` where all are real. A code of
        labels is a vector of their numbers, in everything but the programs that are trained:
        :meth:`model` and :meth:`guide` have at their site what the decoder reads, relaxed as the
        posterior says (:mod:`pyrovae.distributions.labels`).
    draws
        Codes of each datum that the gradient of an objective needs.
    event_shape
        Shape of one observation; ``None`` where it is not known.
    history
        What :func:`pyrovae.fit` recorded along training, one row for each record.
    settled
        Whether bound and counts of units stood still when that training ended: a
        :class:`pyrovae.training.settled.Settled`.
    condition
        What of the model is given a context; ``None`` for a model that takes none.
    blocks
        Which units are those of which layer; ``None`` for one flat code.
    kept
        The record whose parameters these are, where the best on validation data were kept: a
        :class:`pyrovae.training.validation.Kept`.
    """

    latent_dim: int
    space: str = "real"
    classes: tuple[int, ...] | None = None
    draws: int = 1
    event_shape: tuple[int, ...] | None = None
    history: DataFrame | None = None
    settled: Any = None
    kept: Any = None
    condition: Condition | None = None
    blocks: Blocks | None = None

    def model(self, x: Tensor | None = None, n: int = 1) -> Tensor:
        """Generative model of all data, to be trained: global sites, p(z), p(x|z)."""
        raise NotImplementedError

    def guide(self, x: Tensor, n: int = 1) -> Tensor:
        """Variational posterior of all latent sites of :meth:`model`."""
        raise NotImplementedError

    def datum_model(self, x: Tensor | None = None, n: int = 1) -> Tensor:
        """:meth:`model` after training, one datum's view: global sites are fixed, none is weighted.

        Data are independent here, so that it is this model whose log p(x), posterior and bounds
        belong to a datum.
        """
        return self.model(x, n)

    def datum_guide(self, x: Tensor, n: int = 1) -> Tensor:
        """q(z|x) alone: the guide of :meth:`datum_model`."""
        return self.guide(x, n)

    def training_terms(self, x: Data, *, samples: int, data_size: int) -> Terms:
        """Return what :meth:`model` and :meth:`guide` say of a minibatch, with their gradients.

        Parameters
        ----------
        x
            Observations ``(n, *event_shape)``, with their context where they have one.
        samples
            Codes of each datum that an objective asks for; a gradient may need more.
        data_size
            Size N of the training set.
        """
        return scored(self.drawn_terms(x, samples=max(samples, self.draws), data_size=data_size))

    def drawn_terms(self, x: Data, *, samples: int, data_size: int) -> Terms:
        """Return what :meth:`model` and :meth:`guide` say of a minibatch at so many codes of each.

        Of draws that have no derivatives, gradients are left to the objective.
        """
        traces = trace_pair(self.model, self.guide, x, samples=samples)
        return terms(*traces, data_size=data_size)

    def encode(self, x: Tensor) -> Distribution:
        """Return q(z|x): batch ``(*b,)``, event ``(latent_dim,)``."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Distribution:
        """Return p(x|z): batch ``(*b,)``, event ``event_shape``."""
        raise NotImplementedError

    def prior_law(self) -> Distribution:
        """Return p(z) with global sites fixed: batch ``()``, event ``(latent_dim,)``."""
        raise NotImplementedError

    def draw_prior(self, n: int, **given: Any) -> Tensor:
        """Return ``n`` codes from p(z), or of p(z|c) one for each of ``n`` contexts."""
        law = self.prior_law(**given)
        return law.sample() if law.batch_shape else law.sample((n,))

    def latents(self, z: Tensor) -> dict[str, Tensor]:
        """Return the values of the latent sites at codes ``(*b, latent_dim)``, by name."""
        return {"z": z}

    def heeds(self, block: int) -> bool:
        """Return whether the decoder itself reads a layer; the one that a flat code is, it does."""
        return True

    def regenerated(self, z: Tensor, block: int, noise: Any = None) -> Tensor:
        """Return codes whose layers below one are generated anew from it; a flat code has none."""
        return z

    def reconstruct(self, z: Tensor) -> Tensor:
        """Return E[x|z], ``(*b, *event_shape)``; of codes the most probable, or a draw.

        :attr:`shows` says which.
        """
        return self.decode_with_mean(z)[1]

    def decode_with_mean(self, z: Tensor) -> tuple[Distribution, Tensor]:
        """Return :meth:`decode` and :meth:`reconstruct` of the same codes, decoded once."""
        law = self.decode(z)
        return law, law.mean

    @property
    def shows(self) -> str:
        """What :meth:`reconstruct` returns, in the words of a likelihood's ``shows``."""
        return getattr(getattr(self, "likelihood", None), "shows", "mean")

    def _repr_html_(self) -> str:
        """Return what a notebook shows: parts and size, and where training ended."""
        facts: dict[str, Any] = {"latent_dim": self.latent_dim, "event_shape": self.event_shape}
        for key, part in getattr(self, "configuration", {}).items():
            facts[key] = ", ".join(f"{k}: {v}" if k != "name" else v for k, v in part.items())
        facts["parameters"] = f"{sum(p.numel() for p in self.parameters()):,}"
        if self.history is not None and len(self.history):
            last = self.history.iloc[-1]
            facts |= {"trained steps": int(last["step"]), "loss": f"{last['loss']:.4g}"}
        if self.kept is not None:
            facts["kept"] = self.kept.told
        if self.settled is not None:
            facts["settled"] = self.settled.told
        rows = "".join(
            f"<tr><th>{escape(str(k))}</th><td>{escape(str(v))}</td></tr>" for k, v in facts.items()
        )
        return f"<table><caption>{escape(type(self).__name__)}</caption>{rows}</table>"

    def is_guide_parameter(self, name: str) -> bool:
        """Return whether a parameter, named as in ``named_parameters``, belongs to q(z|x)."""
        raise NotImplementedError
