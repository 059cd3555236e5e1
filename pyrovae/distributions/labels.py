"""Laws of labels: what discrete codes are made of, and how gradients get past their draws.

A label is a number 0 … K-1. A code of d labels is a vector of d such numbers, which is what is
encoded, decoded, measured and stored. A network reads a label as K numbers, 1 at its place
(:func:`as_numbers`), and a switch, which is 0 or 1, as it is. Training draws those numbers
(:class:`Indicators`): one-hot, or relaxed to points between, which have derivatives.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Size, Tensor
from torch.distributions import Distribution, biject_to, constraints, register_kl, transform_to
from torch.distributions.relaxed_bernoulli import LogitRelaxedBernoulli
from torch.distributions.relaxed_categorical import ExpRelaxedCategorical
from torch.nn.functional import logsigmoid

from pyrovae.core.errors import ConfigError
from pyrovae.distributions.columns import Units
from pyrovae.distributions.marginals import marginals


class _Discrete(constraints.Constraint):
    """What has no coordinates on the real line."""

    is_discrete = True

    def __init__(self, inside: Any) -> None:
        self._inside = inside
        self.event_dim = inside.event_dim
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        found: Tensor = self._inside.check(value)
        return found


@biject_to.register(_Discrete)
@transform_to.register(_Discrete)
def _no_coordinates(_: _Discrete) -> Any:
    raise ConfigError(
        "codes of labels have no real coordinates: NUTS and automatic guides are for real codes; "
        "pyrovae.measures.collapse.enumerate_posterior sums over the labels, where they are few"
    )


class Label(dist.Categorical):
    r"""A label 0 … K-1, as a real number: what one unit of a categorical code is.

    .. math:: p(z = k) = \mathrm{softmax}(l)_k

    Draws are those of the Gumbel-max trick, so that they are functions of uniform noise. A label
    has no mean: it is a name.

    Parameters
    ----------
    probs, logits
        As of :class:`pyro.distributions.Categorical`, ``(*b, K)``.

    Examples
    --------
    >>> import torch
    >>> law = Label(logits=torch.zeros(2, 3))
    >>> law.batch_shape, law.log_prob(torch.tensor([0.0, 2.0]))
    (torch.Size([2]), tensor([-1.0986, -1.0986]))
    """

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        """0 … K-1."""
        return _Discrete(constraints.integer_interval(0, self.logits.shape[-1] - 1))

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw labels, ``(*sample_shape, *b)``."""
        with torch.no_grad():
            return _perturbed(self, sample_shape).argmax(-1).to(self.logits.dtype)

    @property
    def shares(self) -> Tensor:
        """Probability of each label, ``(*b, K)``."""
        return self.logits.exp()


class Switch(dist.Bernoulli):
    """0 or 1: what one unit of a Bernoulli code is.

    Parameters
    ----------
    probs, logits
        As of :class:`pyro.distributions.Bernoulli`.

    Examples
    --------
    >>> import torch
    >>> Switch(logits=torch.zeros(2)).shares
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])
    """

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        """0 and 1."""
        return _Discrete(constraints.boolean)

    @property
    def shares(self) -> Tensor:
        """Probabilities of 0 and 1, ``(*b, 2)``."""
        return torch.stack([torch.sigmoid(-self.logits), torch.sigmoid(self.logits)], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability in nats; without -inf × 0 where one value is certain."""
        if self._validate_args:
            self._validate_sample(value)
        return value * logsigmoid(self.logits) + (1 - value) * logsigmoid(-self.logits)


#: Laws of one discrete unit.
DiscreteUnit = Label | Switch


def shares(units: Distribution) -> Tensor | None:
    """Return the probability of each label of discrete units, ``(*b, d, K)``; ``None`` without any.

    Rows of real units beside them are 0, and so are labels that a unit does not have.

    Parameters
    ----------
    units
        What :func:`pyrovae.distributions.marginals` returns, batch ``(*b, d)``.
    """
    if isinstance(units, DiscreteUnit):
        return units.shares
    if not isinstance(units, Units):
        return None
    found = [shares(law) for law in units.laws]
    most = max((part.shape[-1] for part in found if part is not None), default=0)
    if not most:
        return None
    padded = []
    for part, law in zip(found, units.laws, strict=True):
        if part is None:
            like = next(each for each in found if each is not None)
            padded.append(like.new_zeros(*law.batch_shape, most))
        else:
            padded.append(torch.nn.functional.pad(part, (0, most - part.shape[-1])))
    return torch.cat(padded, -2)


class _Categorical(dist.Categorical):
    def sample(self, sample_shape: Any = ()) -> Tensor:
        with torch.no_grad():
            return _gumbel(self.logits, sample_shape).argmax(-1)


class _OneHotCategorical(dist.OneHotCategorical):
    def sample(self, sample_shape: Any = ()) -> Tensor:
        with torch.no_grad():
            return _one_hot(_gumbel(self.logits, sample_shape))


def by_noise(law: Distribution) -> Distribution:
    """Return the same law, drawn as a function of uniform noise if it is one of Pyro's of labels.

    Theirs ask for a multinomial draw, which a training step cannot be given.
    """
    drawn = {dist.Categorical: _Categorical, dist.OneHotCategorical: _OneHotCategorical}
    family: Any = drawn.get(type(law))
    if family is None:
        return law
    logits: Tensor = law.logits  # type: ignore[attr-defined]
    found: Distribution = family(logits=logits, validate_args=False)
    return found


@register_kl(Label, Label)
def _kl_labels(q: Label, p: Label) -> Tensor:
    return (q.logits.exp() * (q.logits - p.logits)).sum(-1)


@register_kl(Switch, Switch)
def _kl_switches(q: Switch, p: Switch) -> Tensor:
    on = logsigmoid(q.logits) - logsigmoid(p.logits)
    off = logsigmoid(-q.logits) - logsigmoid(-p.logits)
    return torch.sigmoid(q.logits) * on + torch.sigmoid(-q.logits) * off


def as_numbers(z: Tensor, classes: int) -> Tensor:
    """Return labels as what a network reads.

    Parameters
    ----------
    z
        ``(*b, d)``; what lies between two labels is taken for the nearer one.
    classes
        Number K of labels.

    Returns
    -------
    Tensor
        ``(*b, d * K)``, the numbers of a unit side by side.

    Examples
    --------
    >>> import torch
    >>> as_numbers(torch.tensor([2.0, 0.0]), 3)
    tensor([0., 0., 1., 1., 0., 0.])
    """
    places = torch.arange(classes, device=z.device)
    return (z.round().unsqueeze(-1) == places).to(z.dtype).flatten(-2)


class Indicators(TorchDistribution):
    r"""A law of labels as it is trained: of the numbers that a network reads.

    With a temperature t, draws are relaxed (Concrete, or Gumbel-softmax) and have derivatives:

    .. math:: z = \mathrm{softmax}((l + g) / t), \quad g_k = -\log(-\log u_k)

    of a switch, :math:`\mathrm{sigmoid}((l + \log u - \log(1 - u)) / t)`. ``hard`` draws are the
    one-hot points next to them, with the derivatives of the relaxed ones (straight through).

    Whatever the draws, log_prob and KL are those of the labels: log p of a relaxed draw is
    interpolated, sum_k z_k log p_k, and no density on the simplex (as in Jang et al.; Maddison et
    al. have one). So what a relaxed step minimises is no bound, unless draws are hard.

    Parameters
    ----------
    units
        The law of each unit: batch ``(*b, d)``, no event.
    temperature
        0-d; ``None`` for draws without derivatives, which are one-hot.
    hard
        Whether draws are one-hot nevertheless.

    References
    ----------
    Jang, Gu & Poole 2017, arXiv:1611.01144; Maddison, Mnih & Teh 2017, arXiv:1611.00712

    Examples
    --------
    >>> import torch
    >>> law = Indicators(Label(logits=torch.zeros(5, 2, 3)), torch.tensor(0.5))
    >>> law.batch_shape, law.event_shape, law.rsample().unflatten(-1, (2, 3)).sum(-1).shape
    (torch.Size([5]), torch.Size([6]), torch.Size([5, 2]))
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(
        self, units: DiscreteUnit, temperature: Tensor | None = None, *, hard: bool = False
    ) -> None:
        self.units, self.temperature, self.hard = units, temperature, hard
        *batch, d = units.batch_shape
        super().__init__(Size(batch), Size((d * self._each,)), validate_args=False)

    @property
    def _each(self) -> int:
        """Numbers of one unit."""
        return self.units.logits.shape[-1] if isinstance(self.units, Label) else 1

    @property
    def has_rsample(self) -> bool:
        """Whether draws have derivatives."""
        return self.temperature is not None

    @property
    def support(self) -> Any:
        """The unit cube, of which draws without a temperature are corners."""
        cube = constraints.independent(constraints.unit_interval, 1)
        return _Discrete(cube)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Indicators:
        """Return the same laws with a larger batch shape."""
        units = self.units.expand(Size(batch_shape) + self.units.batch_shape[-1:])
        return Indicators(units, self.temperature, hard=self.hard)

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw without derivatives, ``(*sample_shape, *b, W)``."""
        with torch.no_grad():
            return self._drawn(sample_shape)

    def rsample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw with derivatives, ``(*sample_shape, *b, W)``.

        Raises
        ------
        NotImplementedError
            Without a temperature.
        """
        if self.temperature is None:
            raise NotImplementedError("draws of labels have no derivatives without a temperature")
        return self._drawn(sample_shape)

    def _drawn(self, sample_shape: Any) -> Tensor:
        raw = _perturbed(self.units, sample_shape)
        categorical = isinstance(self.units, Label)
        if self.temperature is None or self.hard:
            corner = _one_hot(raw) if categorical else (raw > 0).to(raw.dtype)
        if self.temperature is None:
            return corner.flatten(-2) if categorical else corner
        scaled = raw / self.temperature
        soft = scaled.softmax(-1) if categorical else torch.sigmoid(scaled)
        value = corner + (soft - soft.detach()) if self.hard else soft
        return value.flatten(-2) if categorical else value

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability of the labels, in nats, linear in between."""
        logits = self.units.logits
        if isinstance(self.units, Switch):
            return (value * logsigmoid(logits) + (1 - value) * logsigmoid(-logits)).sum(-1)
        return (value.unflatten(-1, logits.shape[-2:]) * logits).sum((-1, -2))

    def entropy(self) -> Tensor:
        """Return the entropy of the labels, in nats."""
        return self.units.entropy().sum(-1)


class Concrete(TorchDistribution):
    r"""Relaxed labels with the density of Maddison et al., in coordinates without bounds.

    Of a label, y is the logarithm of a point of the simplex; of a switch, the logit of a number
    between 0 and 1 (:meth:`numbers` maps both to what a network reads). Ratios of two densities are
    the same in these coordinates as on the simplex, and nothing overflows.

    .. math:: p(y) = (K - 1)!\, t^{K - 1} \prod_k \frac{e^{l_k - t y_k}}{\sum_j e^{l_j - t y_j}},
        \quad y = \log \mathrm{softmax}((l + g) / t), \quad g_k = -\log(-\log u_k)

    Parameters
    ----------
    units
        The law of each unit: batch ``(*b, d)``, no event.
    temperature
        t, 0-d.

    References
    ----------
    Maddison, Mnih & Teh 2017, eq. 10 and appendices B, C; arXiv:1611.00712

    Examples
    --------
    >>> import torch
    >>> law = Concrete(Switch(logits=torch.zeros(5, 2)), torch.tensor(1.0))
    >>> law.log_prob(torch.zeros(2))  # of a temperature of 1, logistic laws: 1/4 each
    tensor([-2.7726, -2.7726, -2.7726, -2.7726, -2.7726])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = True

    def __init__(self, units: DiscreteUnit, temperature: Tensor) -> None:
        self.units, self.temperature = units, temperature
        *batch, d = units.batch_shape
        each = units.logits.shape[-1] if isinstance(units, Label) else 1
        super().__init__(Size(batch), Size((d * each,)), validate_args=False)

    @property
    def support(self) -> Any:
        """Real numbers; but those of a label are logarithms of what adds up to 1."""
        return _Discrete(constraints.independent(constraints.real, 1))

    def expand(self, batch_shape: Any, _instance: Any = None) -> Concrete:
        """Return the same laws with a larger batch shape."""
        units = self.units.expand(Size(batch_shape) + self.units.batch_shape[-1:])
        return Concrete(units, self.temperature)

    def rsample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draw with derivatives, ``(*sample_shape, *b, W)``."""
        scaled = _perturbed(self.units, sample_shape) / self.temperature
        return scaled.log_softmax(-1).flatten(-2) if isinstance(self.units, Label) else scaled

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density of y, in nats."""
        logits = self.units.logits
        if isinstance(self.units, Switch):
            each = LogitRelaxedBernoulli(self.temperature, logits=logits, validate_args=False)
            return each.log_prob(value).sum(-1)
        points = value.unflatten(-1, logits.shape[-2:])
        law = ExpRelaxedCategorical(self.temperature, logits=logits, validate_args=False)
        return law.log_prob(points).sum(-1)

    def numbers(self, value: Tensor) -> Tensor:
        """Return what a network reads of y: points of the simplex, numbers between 0 and 1."""
        label = isinstance(self.units, Label)
        return relaxed_numbers(value, self.units.logits.shape[-1] if label else 0)


def relaxed_numbers(value: Tensor, classes: int) -> Tensor:
    """Return the numbers ``(*b, W)`` that coordinates of :class:`Concrete` laws stand for.

    Parameters
    ----------
    value
        ``(*b, W)``.
    classes
        Labels of a unit; 0 for switches.
    """
    if not classes:
        return torch.sigmoid(value)
    return value.unflatten(-1, (-1, classes)).softmax(-1).flatten(-2)


@register_kl(Indicators, Indicators)
def _kl_indicators(q: Indicators, p: Indicators) -> Tensor:
    return torch.distributions.kl_divergence(q.units, p.units).sum(-1)


@marginals.register
def _(distribution: Indicators) -> Distribution:
    return distribution.units


def _perturbed(units: DiscreteUnit, sample_shape: Any) -> Tensor:
    """Return logits with noise: the largest of a label's is its draw, and of a switch the sign."""
    if isinstance(units, Label):
        return _gumbel(units.logits, sample_shape)
    u = _uniform(units.logits, sample_shape)
    return units.logits + u.log() - torch.log1p(-u)  # logistic noise


def _gumbel(logits: Tensor, sample_shape: Any) -> Tensor:
    """Return logits with Gumbel noise added."""
    return logits - (-_uniform(logits, sample_shape).log()).log()


def _uniform(like: Tensor, sample_shape: Any) -> Tensor:
    """Return uniform numbers, ``(*sample_shape, *like.shape)``, above 0."""
    u = torch.rand((*sample_shape, *like.shape), dtype=like.dtype, device=like.device)
    return u.clamp(min=torch.finfo(u.dtype).tiny)


def _one_hot(raw: Tensor) -> Tensor:
    return torch.zeros_like(raw).scatter(-1, raw.argmax(-1, keepdim=True), 1.0)
