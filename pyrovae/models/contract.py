"""What the rest of the package asks of a model with one code for each datum."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.distributions import Distribution

if TYPE_CHECKING:
    from pandas import DataFrame


class LatentModel(nn.Module):
    """A pair of Pyro programs, and the laws that they are made of.

    :class:`pyrovae.models.vae.VAE` is one; :class:`pyrovae.models.own.model.UserModel` makes one of
    any model and guide. The latent site is ``"z"``.

    Attributes
    ----------
    latent_dim
        Dimension of the code.
    space
        Where codes live: ``"real"`` or ``"sphere"``.
    event_shape
        Shape of one observation; ``None`` where it is not known.
    history
        What :func:`pyrovae.fit` recorded along training, one row for each record.
    settled
        Whether bound and counts of units stood still when that training ended: a
        :class:`pyrovae.training.settled.Settled`.
    kept
        The record whose parameters these are, where the best on validation data were kept: a
        :class:`pyrovae.training.validation.Kept`.
    """

    latent_dim: int
    space: str = "real"
    event_shape: tuple[int, ...] | None = None
    history: DataFrame | None = None
    settled: Any = None
    kept: Any = None

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

    def encode(self, x: Tensor) -> Distribution:
        """Return q(z|x): batch ``(*b,)``, event ``(latent_dim,)``."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Distribution:
        """Return p(x|z): batch ``(*b,)``, event ``event_shape``."""
        raise NotImplementedError

    def prior_law(self) -> Distribution:
        """Return p(z) with global sites fixed: batch ``()``, event ``(latent_dim,)``."""
        raise NotImplementedError

    def reconstruct(self, z: Tensor) -> Tensor:
        """Return E[x|z], ``(*b, *event_shape)``; of codes the most probable.

        A likelihood's ``shows`` says which.
        """
        return self.decode_with_mean(z)[1]

    def decode_with_mean(self, z: Tensor) -> tuple[Distribution, Tensor]:
        """Return :meth:`decode` and :meth:`reconstruct` of the same codes, decoded once."""
        law = self.decode(z)
        return law, law.mean

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
