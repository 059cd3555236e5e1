"""Quantised codes: the encoder gives a vector for each unit, and the nearest codeword is taken."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.core.schedules import NotNegative
from pyrovae.distributions.codewords import Codewords, Nearest, words_of
from pyrovae.models.posteriors.base import POSTERIORS, Posterior
from pyrovae.models.priors.discrete import Classes
from pyrovae.models.sites import Terms

#: Keeps the mean of a codeword that no datum has from 0 / 0.
_SMOOTHING = 1e-5


class Quantized(Posterior):
    """Base of the two: labels with certainty, each read as its codeword.

    The law of z given x has one label of probability 1, so that the rate is -log p(z), which for
    equally likely labels is a constant, log K for each.

    Parameters
    ----------
    features, latent_dim
        As for every posterior.
    classes
        Number K of labels of each unit.
    width
        Numbers D of a codeword.
    """

    space = "labels"
    properties = frozenset({"amortized", "factorized", "marginals", "expectations", "certain"})

    def __init__(self, features: int, latent_dim: int, classes: int, width: int) -> None:
        super().__init__(features, latent_dim)
        self.classes, self._width = classes, width
        self.vectors = nn.Linear(features, latent_dim * width)

    @property
    def codewords(self) -> Tensor:
        """``(latent_dim, K, D)``, or ``(1, K, D)`` where all units share them."""
        raise NotImplementedError

    def placed(self, vectors: Tensor) -> Tensor:
        """Return the encoder's vectors ``(*b, d, D)`` as they are compared with codewords."""
        return vectors

    @property
    def widths(self) -> tuple[int, ...]:
        """D numbers for each unit."""
        return (self._width,) * self.latent_dim

    def forward(self, features: Tensor) -> Distribution:
        """Return the labels of the nearest codewords."""
        vectors = self.vectors(features).unflatten(-1, (-1, self._width))
        return Nearest(self.placed(vectors), self.codewords).to_event(1)

    def in_training(self, law: Distribution) -> Distribution:
        """Return the law of the codewords that the decoder reads."""
        return Codewords(law.base_dist, self.codewords)  # type: ignore[attr-defined]

    def read(self, z: Tensor) -> Tensor:
        """Return labels ``(*b, d)`` as the decoder reads them, ``(*b, d D)``."""
        return words_of(z, self.codewords).flatten(-2)


@POSTERIORS.register("vector_quantized")
class VectorQuantized(Quantized):
    r"""The nearest of K learned vectors, for each unit (VQ-VAE).

    .. math::

        q(z_u = k \mid x) = 1 \text{ for } k = \arg\min_j \lVert e_u(x) - c_{uj} \rVert, \quad
        \mathcal{L} = D + R + \lVert \mathrm{sg}[e] - c \rVert^2
        + \beta \lVert e - \mathrm{sg}[c] \rVert^2

    sg stops the gradient. The decoder reads the codewords c of the labels; its gradient goes to e
    as if they were e (straight through). The last two terms have their gradients in every
    objective, and the value 0: what is recorded and compared is the ELBO. The rate is -log p(z):
    d log K nats under equally likely labels, used or not, and less under ``categorical`` with
    ``learned: true``.

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Number of labels that make a code.
    classes
        Number K of codewords. The prior must have as many.
    width
        Numbers D of a codeword.
    shared
        Whether all units have the same codewords.
    commitment
        beta, or a schedule of it.
    codebook
        How codewords follow the vectors that they are nearest to: by ``gradient`` of the term
        above, or as their moving average, ``ema``, which takes its place.
    decay
        Of the moving average.

    References
    ----------
    van den Oord, Vinyals & Kavukcuoglu 2017, eq. 3 and appendix A.1; arXiv:1711.00937

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import VectorQuantized
    >>> posterior = VectorQuantized(16, 3, classes=4, width=2)
    >>> q = posterior(torch.randn(5, 16))
    >>> q.entropy(), posterior.read(q.sample()).shape
    (tensor([0., 0., 0., 0., 0.]), torch.Size([5, 6]))
    """

    commitment: Tensor

    def __init__(
        self,
        features: int,
        latent_dim: int,
        *,
        classes: Classes = 10,
        width: Annotated[int, Field(gt=0)] = 4,
        shared: bool = False,
        commitment: NotNegative = 0.25,
        codebook: Literal["gradient", "ema"] = "gradient",
        decay: Annotated[float, Field(gt=0, lt=1)] = 0.99,
    ) -> None:
        super().__init__(features, latent_dim, classes, width)
        start = torch.randn(1 if shared else latent_dim, classes, width) / math.sqrt(3 * features)
        self.codebook = Codebook(start, None if codebook == "gradient" else decay)
        self.set_number("commitment", commitment)

    @classmethod
    def code_width(cls, latent_dim: int, parameters: Mapping[str, Any]) -> int:
        """Return how many numbers the decoder reads: D for each label."""
        return latent_dim * int(parameters["width"])

    @property
    def codewords(self) -> Tensor:
        """Of each unit."""
        return self.codebook()

    def with_gradients(self, terms: Terms) -> Terms:
        """Return the terms with the gradients that vectors and codewords have besides."""
        law: Any = terms.q
        vectors, chosen = law.units.vectors, law.chosen
        apart = (vectors.detach() - chosen).square().sum((-1, -2))
        committed = (vectors - chosen.detach()).square().sum((-1, -2))
        self.codebook.follow(vectors.detach(), law.units.shares)
        both = apart + self.commitment * committed
        return replace(terms, distortion=terms.distortion + (both - both.detach()))


class Codebook(nn.Module):
    """Codewords: parameters, or moving averages of the vectors that are nearest to them.

    Parameters
    ----------
    start
        ``(d, K, D)``, or ``(1, K, D)``.
    decay
        Of the averages; ``None`` for parameters.
    """

    sums: Tensor
    counts: Tensor

    def __init__(self, start: Tensor, decay: float | None) -> None:
        super().__init__()
        self._decay = decay
        if decay is None:
            self.words = nn.Parameter(start)
        else:
            self.register_buffer("sums", start)
            self.register_buffer("counts", torch.ones(start.shape[:-1]))

    def forward(self) -> Tensor:
        """Return the codewords."""
        if self._decay is None:
            return self.words
        return self.sums / self.counts.unsqueeze(-1)

    def follow(self, vectors: Tensor, shares: Tensor) -> None:
        """Move averages towards the vectors of a minibatch; of parameters nothing.

        Parameters
        ----------
        vectors
            ``(*b, d, D)``.
        shares
            1 at the label of each, ``(*b, d, K)``.
        """
        if self._decay is None or not self.training:
            return
        counts = shares.flatten(0, -3).sum(0)
        sums = (shares.unsqueeze(-1) * vectors.unsqueeze(-2)).flatten(0, -4).sum(0)
        if len(self.counts) == 1:
            counts, sums = counts.sum(0, keepdim=True), sums.sum(0, keepdim=True)
        with torch.no_grad():
            # A word that no datum has stays where it is, and is forgotten slowly.
            words, left = self(), self.counts * self._decay
            new = left + (1 - self._decay) * counts
            new = new.clamp(min=_SMOOTHING)
            self.sums.copy_(words * (new - (1 - self._decay) * counts).unsqueeze(-1))
            self.sums.add_((1 - self._decay) * sums)
            self.counts.copy_(new)


@POSTERIORS.register("finite_scalar")
class FiniteScalar(Quantized):
    r"""A number for each unit, rounded to one of K levels (FSQ); no codewords to learn, or to die.

    .. math::

        z_u = \mathrm{round}\bigl(\tfrac{K - 1}{2} (1 + \epsilon) \tanh(e_u(x) + s) - o\bigr)
        + \lfloor K / 2 \rfloor

    o is 1/2 for an even K, which has no level at 0, else 0; s is such that e = 0 is rounded to 0.
    The decoder reads levels between -1 and 1, and its gradient goes to what was rounded (straight
    through). The levels of all units are as many; the paper has some of 8 beside some of 5.

    Parameters
    ----------
    features
        Width of the encoder's output.
    latent_dim
        Number of units.
    classes
        Number K of levels. The prior, ``categorical``, must have as many.

    References
    ----------
    Mentzer et al. 2023, sec. 3; arXiv:2309.15505

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.posteriors import FiniteScalar
    >>> posterior = FiniteScalar(16, 3, classes=5)
    >>> posterior.read(torch.tensor([0.0, 2.0, 4.0]))
    tensor([-1.,  0.,  1.])
    """

    levels: Tensor

    def __init__(self, features: int, latent_dim: int, *, classes: Classes = 10) -> None:
        super().__init__(features, latent_dim, classes, 1)
        half = classes // 2
        steps = torch.arange(classes) - half
        self.register_buffer("levels", (steps / half).reshape(1, -1, 1), persistent=False)
        self._half = half
        # Beyond the outer levels by a thousandth, so that these are reached.
        self._reach = (classes - 1) / 2 * (1 + 1e-3)
        self._offset = 0.0 if classes % 2 else 0.5
        self._shift = math.atanh(self._offset / self._reach)

    @property
    def codewords(self) -> Tensor:
        """The levels."""
        return self.levels

    def placed(self, vectors: Tensor) -> Tensor:
        """Return numbers between the outer levels."""
        return ((vectors + self._shift).tanh() * self._reach - self._offset) / self._half
