"""Pixels one after the other, by masked convolutions."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import pad

from pyrovae.core.errors import ConfigError
from pyrovae.distributions.levels import Levels
from pyrovae.models.likelihoods.autoregressive import Autoregressive, logits_of
from pyrovae.models.likelihoods.base import LIKELIHOODS


@LIKELIHOODS.register("pixelcnn")
class PixelCnn(Autoregressive):
    r"""Pixels in row-major order, each given those before it within a radius, and the code.

    .. math::

        P(x \mid z) = \prod_{ij} P(x_{ij} \mid \{x_{kl} \text{ before}: i - k \le r,
        |j - l| \le r\}, a(z))

    Gated convolutions in two stacks, one over the rows above and one along the row, so that there
    is no blind spot. The channels of a pixel come one after the other too.

    Parameters
    ----------
    event_shape
        ``(channels, height, width)``, or ``(d,)``, which is a single row.
    levels
        Values of an element: 2 are Bernoulli outputs, more are categorical ones.
    of
        ``grey``: levels are k / (levels - 1) on [0, 1]; of 3 or more, an observation between two
        counts for the nearer. ``codes``: whole numbers from 0 to levels - 1.
    radius
        r, how far a pixel sees, in rows and in columns. From the image's side on that is all pixels
        before it.
    channels
        Of each layer.
    layers
        Dilations grow so that each layer can double what is seen: r up to 2^(layers - 1). Layers
        that a small radius does not need look at single pixels.
    z
        What the decoder gives: ``map``, ``features`` numbers for each pixel, or ``bias``, as many
        for the image. A bias is the same at all places: it cannot say where anything is.
    features
        Numbers.

    References
    ----------
    van den Oord et al. 2016, Conditional image generation with PixelCNN decoders, sec. 2,
    arXiv:1606.05328; as a VAE's decoder: Gulrajani et al. 2017, arXiv:1611.05013; a small radius
    that leaves the rest to the code: Chen et al. 2017, sec. 3.1, arXiv:1611.02731

    Examples
    --------
    >>> import torch
    >>> from pyrovae.models.likelihoods import PixelCnn
    >>> likelihood = PixelCnn((1, 8, 8), radius=3, channels=4)
    >>> likelihood.output_shape
    (8, 1, 8, 8)
    >>> p = likelihood(torch.zeros(5, 8, 1, 8, 8))
    >>> p.batch_shape, p.event_shape, p.sample().unique()
    (torch.Size([5]), torch.Size([1, 8, 8]), tensor([0., 1.]))
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        levels: Annotated[int, Field(gt=1)] = 2,
        of: Literal["grey", "codes"] = "grey",
        radius: Annotated[int, Field(gt=0)] = 2,
        channels: Annotated[int, Field(gt=0)] = 16,
        layers: Annotated[int, Field(gt=0)] = 6,
        z: Literal["map", "bias"] = "map",
        features: Annotated[int, Field(gt=0)] = 8,
    ) -> None:
        if len(event_shape) not in (1, 3):
            raise ConfigError(
                "is for images (channels, height, width) or vectors, not for observations of "
                f"shape {event_shape}"
            )
        super().__init__(event_shape, levels=levels, grey=of == "grey")
        self._map, self._features = z == "map", features
        self.conditional = _Network(
            event_shape[0] if len(event_shape) == 3 else 1,
            levels,
            grey=self._grey,
            dilations=dilations(radius, layers),
            channels=channels,
            features=features,
        )

    @property
    def output_shape(self) -> tuple[int, ...]:
        """``(features, 1, height, width)`` of a map, ``(1, features)`` of a bias."""
        if not self._map:
            return (1, self._features)
        place = self.event_shape if len(self.event_shape) == 1 else (1, *self.event_shape[1:])
        return (self._features, *place)


def dilations(radius: int, layers: int) -> list[int]:
    """Return how far each layer looks; together they look at each pixel within the radius.

    The first layer leaves the pixel itself out and looks 1 far. Of the others each can add its
    dilation or not, so that dilations 1, 2, 4, … reach every distance.

    Raises
    ------
    ConfigError
        If there are too few layers.
    """
    found, left = [1], radius - 1
    for _ in range(layers - 1):
        found.append(min(left, sum(found)))
        left -= found[-1]
    if left:
        needed = 1 + math.ceil(math.log2(radius))
        raise ConfigError(f"a radius of {radius} takes {needed} layers", "layers")
    return found


class _Network(nn.Module):
    """The two stacks.

    Parameters
    ----------
    planes
        Channels of an image.
    levels, grey
        As of the likelihood.
    dilations
        As of :func:`dilations`.
    channels, features
        Widths of a layer, and of what is given.
    """

    def __init__(
        self,
        planes: int,
        levels: int,
        *,
        grey: bool,
        dilations: list[int],
        channels: int,
        features: int,
    ) -> None:
        super().__init__()
        self._planes, self._levels, self._grey = planes, levels, grey
        self._dilations, self._radius, self._features = dilations, sum(dilations), features
        read = planes if grey else planes * levels
        widths = [read] + [channels] * (len(dilations) - 1)
        inner = _plane_of(channels, planes)
        # Gates come in two halves, each with all channels.
        gates = torch.cat([inner, inner])
        self.above, self.across, self.along, self.own, self.kept = (
            nn.ModuleList() for _ in "12345"
        )
        self.given_above, self.given_along = nn.ModuleList(), nn.ModuleList()
        for i, (d, width) in enumerate(zip(dilations, widths, strict=True)):
            rows = 1 if i == 0 or d == 0 else 2
            self.above.append(
                nn.Conv2d(width, 2 * channels, (rows, 3 if d else 1), dilation=max(d, 1))
            )
            self.across.append(nn.Conv2d(2 * channels, 2 * channels, 1))
            # What the pixel's row has to the left, and the pixel itself: of the first layer only
            # its channels that come before.
            self.along.append(nn.Conv2d(width, 2 * channels, 1, bias=False) if d else nn.Identity())
            self.own.append(
                _Masked(inner if i else _plane_of(read, planes), gates, strict=i == 0)
                if i or planes > 1
                else nn.Identity()
            )
            self.kept.append(_Masked(inner, inner, strict=False))
            self.given_above.append(nn.Conv2d(features, 2 * channels, 1, bias=False))
            self.given_along.append(nn.Conv2d(features, 2 * channels, 1, bias=False))
        outputs = 1 if levels == 2 else levels
        self.readout = _Masked(inner, _plane_of(planes * outputs, planes), strict=False)

    def forward(self, given: Tensor, x: Tensor | None = None, *, u: Any = None) -> Tensor:
        """Return logits ``(n, *event, K)`` of ``x``, or draw x by uniform numbers ``u``."""
        # A map has a number of each kind for each pixel, a bias one for the image.
        places = given[0].numel() // self._features
        width = (x if x is not None else u).shape[-1] if places > 1 else 1
        given = given.reshape(len(given), self._features, places // width, width)
        if x is not None:
            image = self._image(x)
            found = self._logits(image, self._vertical(image, given), given)
            return found.reshape(*x.shape, self._levels)
        return self._drawn(given, self._image(u)).reshape(u.shape)

    def _image(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), self._planes, -1, x.shape[-1])

    def _read(self, image: Tensor) -> Tensor:
        """Return what the first layer reads: numbers on [-1, 1], or vectors of 0 and 1."""
        if self._grey:
            return 2 * (image * (self._levels - 1)).round() / (self._levels - 1) - 1
        every = torch.arange(self._levels, dtype=image.dtype, device=image.device)
        hot = (image.unsqueeze(2).round() == every[:, None, None]).to(image.dtype)
        return hot.flatten(1, 2)

    def _vertical(self, image: Tensor, given: Tensor) -> list[Tensor]:
        """Return what each layer says of the rows above each pixel."""
        v, found = self._read(image), []
        for i, d in enumerate(self._dilations):
            if i == 0:
                v = pad(v, (1, 1, 1, 0))[..., :-1, :]
            elif d:
                v = pad(v, (d, d, d, 0))
            gates = self.above[i](v) + self.given_above[i](given)
            found.append(self.across[i](gates))
            v = _gated(gates)
        return found

    def _logits(self, image: Tensor, above: list[Tensor], given: Tensor) -> Tensor:
        """Return logits ``(n, planes, height, width, K)``; the rows above are in ``above``."""
        h = self._read(image)
        for i, d in enumerate(self._dilations):
            gates = above[i] + self.given_along[i](given)
            if d:
                gates = gates + self.along[i](pad(h, (d, 0))[..., :-d])
            if i or self._planes > 1:
                gates = gates + self.own[i](h)
            new = self.kept[i](_gated(gates))
            h = new if i == 0 else h + new
        outputs = self.readout(h).unflatten(1, (self._planes, -1))
        return logits_of(outputs.movedim(2, -1))

    def _drawn(self, given: Tensor, u: Tensor) -> Tensor:
        """Draw ``(n, planes, height, width)``, pixel by pixel; only what a pixel sees is run."""
        x, r = torch.zeros_like(u), self._radius
        height, width = u.shape[-2:]
        for i in range(height):
            top = max(0, i - r)
            rows = slice(top, i + 1)
            place = given[..., rows, :] if given.shape[-2] > 1 else given
            above = [v[..., -1:, :] for v in self._vertical(x[..., rows, :], place)]
            line = given[..., i : i + 1, :] if given.shape[-2] > 1 else given
            for j in range(width):
                seen = slice(max(0, j - r), j + 1)
                here = line[..., seen] if line.shape[-1] > 1 else line
                beside = [v[..., seen] for v in above]
                for c in range(self._planes):
                    logits = self._logits(x[..., i : i + 1, seen], beside, here)
                    law = Levels(logits[:, c, -1, -1], unit=self._grey)
                    x[:, c, i, j] = law.icdf(u[:, c, i, j])
        return x


class _Masked(nn.Module):
    """A 1×1 convolution in which channels of an image see those before them.

    Parameters
    ----------
    reads, gives
        Which of the image's channels each input and output belongs to.
    strict
        Whether a channel does not see itself.
    """

    mask: Tensor

    def __init__(self, reads: Tensor, gives: Tensor, *, strict: bool) -> None:
        super().__init__()
        self.inner = nn.Conv2d(len(reads), len(gives), 1)
        seen = reads < gives[:, None] if strict else reads <= gives[:, None]
        self.register_buffer("mask", seen[..., None, None].float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, outputs, height, width)``."""
        return nn.functional.conv2d(x, self.inner.weight * self.mask, self.inner.bias)


def _plane_of(n: int, planes: int) -> Tensor:
    """Return which channel of an image each of ``n`` numbers belongs to, in order."""
    return torch.arange(n) * planes // n


def _gated(gates: Tensor) -> Tensor:
    """Return tanh(a) sigmoid(b) of the two halves of the channels."""
    a, b = gates.chunk(2, 1)
    return a.tanh() * b.sigmoid()
