"""What Pyro asks of a distribution, of every class here: against scipy, draw by draw."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.distributions.torch_distribution import TorchDistributionMixin
from scipy import special, stats
from torch import Tensor
from torch.distributions import Distribution, biject_to

import pyrovae
from distributions.checks import assert_mean
from pyrovae.analysis.rounded_normal import RoundedNormal
from pyrovae.distributions.around_direction import AroundDirection
from pyrovae.distributions.autoregressive import zuko
from pyrovae.distributions.codewords import Codewords, Nearest
from pyrovae.distributions.columns import Columns, Units
from pyrovae.distributions.continuous_bernoulli import ContinuousBernoulli
from pyrovae.distributions.discretized_logistic import DiscretizedLogistic
from pyrovae.distributions.element_by_element import ElementByElement
from pyrovae.distributions.fixed_scale import FixedScaleNormal
from pyrovae.distributions.flow import Flow
from pyrovae.distributions.generalized_normal import GeneralizedNormal
from pyrovae.distributions.half_cauchy import HalfCauchy
from pyrovae.distributions.hyperbolic import RiemannianNormal
from pyrovae.distributions.joint import Joint
from pyrovae.distributions.labels import (
    Concrete,
    Indicators,
    Label,
    Switch,
    _Categorical,
    _OneHotCategorical,
)
from pyrovae.distributions.levels import Levels
from pyrovae.distributions.log_ratio import LogRatioDirichlet, contrasts
from pyrovae.distributions.logistic import Logistic
from pyrovae.distributions.mixture import Mixture
from pyrovae.distributions.normal_mixture import DiagonalNormalMixture, NormalMixture
from pyrovae.distributions.pieces import Pieces
from pyrovae.distributions.planar import Planar
from pyrovae.distributions.power_spherical import PowerSpherical
from pyrovae.distributions.rebatched import Rebatched
from pyrovae.distributions.sphere import HypersphericalUniform
from pyrovae.distributions.student_t import StudentT
from pyrovae.distributions.von_mises_fisher import VonMisesFisher
from pyrovae.models.likelihoods.bernoulli import _CrossEntropy
from pyrovae.models.priors.two_stage import TwoStage, _FromSecondStage
from pyrovae.models.priors.vampprior import _EvenMixture

N = 3  # laws at once, all different


def tensor(*values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@dataclass(frozen=True)
class Case:
    """A family: ``build`` takes ``parameters``, each of batch ``(N,)``.

    ``log_density`` is scipy's, of one value and one datum's parameters; ``outside`` is a value that
    is not in the support, ``wrong`` holds values that a parameter may not have.
    """

    build: Callable[..., Distribution]
    parameters: dict[str, Tensor]
    log_density: Callable[..., float]
    outside: Tensor
    wrong: dict[str, Tensor] = field(default_factory=dict)
    type: type | None = None

    def law(self) -> Distribution:
        return self.build(**self.parameters)

    def expected(self, values: Tensor, event_dim: int) -> Tensor:
        """Return the log-densities, ``(*s, N)``, of values ``(*s, N, *event)``."""
        event = values.shape[values.dim() - event_dim :]
        rows = values.detach().reshape(-1, N, *event)
        each = [{k: v[i].detach().numpy() for k, v in self.parameters.items()} for i in range(N)]
        found = [[self.log_density(row[i].numpy(), **each[i]) for i in range(N)] for row in rows]
        return tensor(*found).reshape(values.shape[: values.dim() - event_dim])


LOC, SCALE = tensor(-0.4, 0.2, 1.1), tensor(0.5, 1.0, 1.7)
SHAPE = tensor(0.9, 2.0, 5.0)
WEIGHTS = tensor([0.3, -0.5], [0.0, 1.0], [0.4, 0.4])
LOCS, SCALES = tensor([-1, 0.5], [0, 2], [1, 1.2]), tensor([0.5, 1], [0.3, 0.8], [1, 2])
LEVELS = tensor([0.3, -0.5, 1.0], [0.0, 1.0, -2.0], [0.4, 0.4, 0.4])
VECTORS = torch.stack([LOCS, LOCS.flip(0) + 0.3], -1)
SPREADS = torch.stack([SCALES, SCALES.roll(1)], -1)
DIRECTIONS = torch.nn.functional.normalize(tensor([1, 2, 0.5], [0, -1, 0.1], [0.2, 0.1, 1]), dim=-1)
AREA = np.log(4 * np.pi)


def mixture(z: np.ndarray, logits: np.ndarray, loc: np.ndarray, scale: np.ndarray) -> float:
    """Components first in ``loc``; further dimensions are independent given the component."""
    each = stats.norm.logpdf(z, loc, scale).reshape(len(logits), -1).sum(-1)
    return special.logsumexp(each + special.log_softmax(logits))


def tilted(z: np.ndarray, logits: np.ndarray) -> float:
    """Continuous Bernoulli with logit t: exp(t z) t / (exp(t) - 1)."""
    return logits * z + np.log(logits / np.expm1(logits))


def rounded_logistic(z: np.ndarray, loc: np.ndarray, scale: np.ndarray) -> float:
    high = 1.0 if z == 1 else special.expit((z + 0.125 - loc) / scale)
    low = 0.0 if z == 0 else special.expit((z - 0.125 - loc) / scale)
    return np.log(high - low)


def side_by_side(logits: Tensor, loc: Tensor, rate: Tensor) -> Columns:
    laws = [
        Levels(logits.unsqueeze(-2), unit=False).to_event(1),
        dist.Normal(loc, 1.0).to_event(1),
        dist.Poisson(rate).to_event(1),
    ]
    return Columns(laws)


def side_by_side_density(
    z: np.ndarray, logits: np.ndarray, loc: np.ndarray, rate: np.ndarray
) -> float:
    first = special.log_softmax(logits)[int(z[0])]
    return first + stats.norm.logpdf(z[1:3], loc).sum() + stats.poisson.logpmf(z[3:], rate).sum()


def rounded_normal(z: np.ndarray, loc: float, scale: float, total: float) -> float:
    high = 1.0 if z == total else stats.norm.cdf(z + 0.5, loc, scale)
    return np.log(high - (0.0 if z == 0 else stats.norm.cdf(z - 0.5, loc, scale)))


def power(z: np.ndarray, loc: np.ndarray, concentration: float) -> float:
    """On the sphere in R^3, where (1 + w) / 2 is Beta(1 + kappa, 1)."""
    return concentration * np.log((1 + z @ loc) / 2) + np.log(concentration + 1) - AREA


def von_mises(z: np.ndarray, loc: np.ndarray, concentration: float) -> float:
    """On the sphere in R^3: exp(kappa w) kappa / (4 pi sinh kappa)."""
    return concentration * (z @ loc) + np.log(concentration / np.sinh(concentration)) - AREA


def squeezed(bias: Tensor, u: Tensor, w: Tensor) -> Flow:
    zero = torch.zeros_like(u)
    base = dist.Normal(zero, 1 + zero).to_event(1)
    return Flow(base, zuko.transforms.ComposedTransform(Planar((bias, u, w))))


def squeezed_density(z: np.ndarray, bias: np.ndarray, u: np.ndarray, w: np.ndarray) -> float:
    """By bisection for w·e and the determinant 1 + w·u sech²(w·e + b)."""
    bent = u + (np.logaddexp(0, w @ u) - 1 - w @ u) * w / (w @ w)
    slope = w @ bent
    low, high = w @ z - abs(slope), w @ z + abs(slope)
    for _ in range(80):
        a = (low + high) / 2
        low, high = (a, high) if a + slope * np.tanh(a + bias[0]) < w @ z else (low, a)
    e = z - bent * np.tanh(a + bias[0])
    return stats.norm.logpdf(e).sum() - np.log(1 + slope / np.cosh(a + bias[0]) ** 2)


def second_stage() -> TwoStage:
    torch.manual_seed(0)
    return TwoStage(latent_dim=2).double()


def normal(z: np.ndarray, loc: np.ndarray, scale: np.ndarray) -> float:
    return stats.norm.logpdf(z, loc, scale).sum()


def log_ratios(z: np.ndarray, concentration: np.ndarray) -> float:
    """Dirichlet by dz, where pi = softmax(V z): the map's volume is prod(pi) sqrt(K)."""
    log_parts = special.log_softmax(contrasts(3).double().numpy() @ z)
    density = stats.dirichlet.logpdf(np.exp(log_parts), concentration)
    return density + log_parts.sum() + 0.5 * np.log(3)


NAN = tensor(float("nan"), 0.0, 0.0)
NOT_POSITIVE = tensor(1.0, 0.0, 1.0)
CASES = {
    "continuous_bernoulli": Case(
        ContinuousBernoulli, {"logits": tensor(-3, 0.1, 7)}, tilted, tensor(1.5), {"logits": NAN}
    ),
    "discretized_logistic": Case(
        lambda **p: DiscretizedLogistic(**p, levels=5),
        {"loc": LOC, "scale": SCALE},
        rounded_logistic,
        tensor(1.5),
        {"loc": NAN, "scale": NOT_POSITIVE},
        DiscretizedLogistic,
    ),
    "generalized_normal": Case(
        GeneralizedNormal,
        {"loc": LOC, "scale": SCALE, "p": SHAPE},
        lambda z, loc, scale, p: stats.gennorm.logpdf(z, p, loc, scale),
        tensor(float("nan")),
        {"loc": NAN, "scale": NOT_POSITIVE, "p": NOT_POSITIVE},
    ),
    "columns": Case(
        side_by_side,
        {"logits": LEVELS, "loc": LOCS, "rate": SCALES},
        side_by_side_density,
        tensor(1.0, 0.0, 0.0, -1.0, 2.0),
        type=Columns,
    ),
    "fixed_scale_normal": Case(
        FixedScaleNormal,
        {"loc": LOC, "scale": SCALE},
        normal,
        tensor(float("nan")),
        {"loc": NAN, "scale": NOT_POSITIVE},
    ),
    "label": Case(
        lambda logits: Label(logits=logits),
        {"logits": LEVELS},
        lambda z, logits: special.log_softmax(logits)[int(z)],
        tensor(3.0),
        type=Label,
    ),
    "switch": Case(
        lambda logits: Switch(logits=logits),
        {"logits": LOC},
        lambda z, logits: stats.bernoulli.logpmf(z, special.expit(logits)),
        tensor(2.0),
        {"logits": NAN},
        Switch,
    ),
    "log_ratio_dirichlet": Case(
        lambda concentration: LogRatioDirichlet(concentration, contrasts(3).double()),
        {"concentration": LEVELS.abs() + 0.5},
        log_ratios,
        tensor(float("nan"), 0.0),
        type=LogRatioDirichlet,
    ),
    "levels": Case(
        Levels,
        {"logits": LEVELS},
        lambda z, logits: special.log_softmax(logits)[round(2 * float(z))],
        tensor(1.5),
        {"logits": NAN},
        Levels,
    ),
    "codes": Case(
        lambda logits: Levels(logits, unit=False),
        {"logits": LEVELS},
        lambda z, logits: special.log_softmax(logits)[int(z)],
        tensor(3.0),
        {"logits": NAN},
        Levels,
    ),
    "half_cauchy": Case(
        HalfCauchy,
        {"scale": SCALE},
        lambda z, scale: stats.halfcauchy.logpdf(z, scale=scale),
        tensor(-1.0),
        {"scale": NOT_POSITIVE},
    ),
    "logistic": Case(
        Logistic,
        {"loc": LOC, "scale": SCALE},
        lambda z, loc, scale: stats.logistic.logpdf(z, loc, scale),
        tensor(float("nan")),
        {"loc": NAN, "scale": NOT_POSITIVE},
    ),
    "student_t": Case(
        StudentT,
        {"df": SHAPE + 8, "loc": LOC, "scale": SCALE},
        lambda z, df, loc, scale: stats.t.logpdf(z, df, loc, scale),
        tensor(float("nan")),
        {"df": NOT_POSITIVE, "loc": NAN, "scale": NOT_POSITIVE},
    ),
    "mixture": Case(
        lambda logits, loc, scale: Mixture(
            dist.Categorical(logits=logits), dist.Normal(loc, scale)
        ),
        {"logits": WEIGHTS, "loc": LOCS, "scale": SCALES},
        mixture,
        tensor(float("nan")),
        type=Mixture,
    ),
    "even_mixture": Case(
        lambda loc, scale: _EvenMixture(
            dist.Categorical(logits=torch.zeros(loc.shape[:-1])),
            dist.Normal(loc, scale).to_event(1),
        ),
        {"loc": VECTORS, "scale": SPREADS},
        lambda z, loc, scale: mixture(z, np.zeros(2), loc, scale),
        tensor(float("nan"), 0),
        type=_EvenMixture,
    ),
    "normal_mixture": Case(
        NormalMixture,
        {"logits": WEIGHTS, "loc": LOCS, "scale": SCALES},
        mixture,
        tensor(float("nan")),
        {"scale": NOT_POSITIVE.unsqueeze(-1)},
    ),
    "diagonal_normal_mixture": Case(
        DiagonalNormalMixture,
        {"logits": WEIGHTS, "loc": VECTORS, "scale": SPREADS},
        mixture,
        tensor(float("nan"), 0),
        {"scale": NOT_POSITIVE[:, None, None].expand(N, 2, 2)},
    ),
    "flow": Case(
        squeezed,
        {"bias": LOC.unsqueeze(-1), "u": LOCS, "w": SCALES - 1.2},
        squeezed_density,
        tensor(float("nan"), 0),
        type=Flow,
    ),
    "hyperspherical_uniform": Case(
        lambda like: HypersphericalUniform(like),
        {"like": DIRECTIONS},
        lambda z, like: -AREA,
        tensor(1.0, 1.0, 0.0),
        type=HypersphericalUniform,
    ),
    "von_mises_fisher": Case(
        VonMisesFisher,
        {"loc": DIRECTIONS, "concentration": SHAPE},
        von_mises,
        tensor(1.0, 1.0, 0.0),
        {"loc": 2 * DIRECTIONS, "concentration": -SHAPE},
    ),
    "power_spherical": Case(
        PowerSpherical,
        {"loc": DIRECTIONS, "concentration": SHAPE},
        power,
        tensor(1.0, 1.0, 0.0),
        {"loc": 2 * DIRECTIONS, "concentration": -SHAPE},
    ),
    "rebatched": Case(
        lambda loc, scale: Rebatched(dist.Normal(loc, scale).to_event(1), loc.shape[:1]),
        {"loc": LOCS, "scale": SCALES},
        normal,
        tensor(float("nan"), 0),
        type=Rebatched,
    ),
    "rounded_normal": Case(
        RoundedNormal,
        {"loc": 3 + LOC, "scale": SCALE, "total": tensor(4, 5, 6)},
        rounded_normal,
        tensor(-1.0),
        {"loc": NAN, "scale": NOT_POSITIVE, "total": -SHAPE},
    ),
    "cross_entropy": Case(
        lambda logits: _CrossEntropy(logits=logits),
        {"logits": LOC},
        lambda z, logits: z * logits - np.logaddexp(0, logits),
        tensor(1.5),
        {"logits": NAN},
        _CrossEntropy,
    ),
    "from_second_stage": Case(
        lambda loc: _FromSecondStage(second_stage()).expand(loc.shape[:1]),
        {"loc": torch.zeros(N, 2, dtype=torch.float64)},
        lambda z, loc: normal(z, loc, np.ones(2)),
        tensor(float("nan"), 0),
        type=_FromSecondStage,
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def law(case: Case) -> Distribution:
    return case.law()


def draws(law: Distribution, *shape: int) -> Tensor:
    return law.sample(torch.Size(shape))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_every_class_is_here() -> None:
    for module in pkgutil.walk_packages(pyrovae.__path__, "pyrovae."):
        if module.name != "pyrovae.__main__":
            importlib.import_module(module.name)

    def below(family: type) -> set[type]:
        return {family}.union(*(below(child) for child in family.__subclasses__()))

    # What a posterior keeps to itself is tested with it; what is made of networks in models/layered
    # and models/likelihoods/test_autoregressive.
    elsewhere = {AroundDirection, ElementByElement, Joint}
    # Labels as numbers, units of two kinds, and Pyro's labels drawn by noise: test_labels,
    # models/own/test_several; geodesics: test_hyperbolic.
    elsewhere |= {Indicators, Units, _Categorical, _OneHotCategorical, Pieces, RiemannianNormal}
    # Relaxed and quantised labels: models/test_discrete_gradients, models/test_quantized.
    elsewhere |= {Concrete, Nearest, Codewords}
    ours = {c for c in below(Distribution) if c.__module__.startswith("pyrovae.distributions.")}
    assert ours - {type(case.law()) for case in CASES.values()} == elsewhere


def test_shapes_and_density_of_many_values(case: Case, law: Distribution) -> None:
    assert isinstance(law, TorchDistributionMixin)
    assert law.batch_shape == (N,)
    assert law.shape() == (N, *law.event_shape)
    for shape in ((), (4,), (2, 3)):
        z = draws(law, *shape)
        assert z.shape == (*shape, N, *law.event_shape)
        assert z.dtype == torch.float64
        assert not z.requires_grad
        close(law.log_prob(z), case.expected(z, law.event_dim))


@pytest.mark.parametrize("shape", [(N,), (4, N), (2, 1, N)])
def test_expand(case: Case, law: Distribution, shape: tuple[int, ...]) -> None:
    wide = law.expand(torch.Size(shape))
    assert wide.batch_shape == shape
    assert wide.event_shape == law.event_shape
    assert wide.has_rsample == law.has_rsample
    for one in (wide, copy.deepcopy(wide).expand((5, *shape)), law.expand_by((2, 5))):
        z = draws(one, 6)
        assert z.shape == (6, *one.batch_shape, *one.event_shape)
        assert len(z.flatten().unique()) > z.numel() / 200  # draws anew in each place
        close(one.log_prob(z), case.expected(z, law.event_dim))
        assert one.support.check(z).all()


def test_a_batch_of_one_expands_within(case: Case) -> None:
    one = case.build(**{k: v[:1] for k, v in case.parameters.items()})
    wide = one.expand((2, 7))
    z = draws(wide)
    assert z.shape == (2, 7, *one.event_shape)
    close(wide.log_prob(z), one.log_prob(z))


def test_expand_refuses_another_batch(law: Distribution) -> None:
    with pytest.raises((ValueError, RuntimeError)):
        law.expand((N + 1,)).log_prob(draws(law))


def test_mask(case: Case, law: Distribution) -> None:
    kept = torch.tensor([True, False, True])
    z = draws(law, 4)
    expected = case.expected(z, law.event_dim)
    close(law.mask(kept).log_prob(z), torch.where(kept, expected, 0))
    close(law.mask(kept).expand((4, N)).log_prob(z), torch.where(kept, expected, 0))
    close(law.mask(True).log_prob(z), expected)
    assert (law.mask(False).log_prob(z) == 0).all()
    assert law.mask(kept).has_rsample == law.has_rsample
    assert law.mask(kept).sample((2,)).shape == (2, N, *law.event_shape)


def test_to_event(case: Case, law: Distribution) -> None:
    z = draws(law, 4)
    expected = case.expected(z, law.event_dim).sum(-1)
    joint = law.to_event(1)
    assert (joint.batch_shape, joint.event_shape) == ((), (N, *law.event_shape))
    close(joint.log_prob(z), expected)
    close(joint.expand((4,)).log_prob(z), expected)
    assert joint.support.check(z).all()
    assert joint.sample((2,)).shape == (2, N, *law.event_shape)


def test_in_a_plate_with_scale_and_mask(case: Case, law: Distribution) -> None:
    kept = torch.tensor([True, False, True])

    def program() -> Tensor:
        with pyro.plate("outer", 2, dim=-2), pyro.plate("data", 6, N, dim=-1):
            return pyro.sample("z", law.mask(kept))

    trace = poutine.trace(program).get_trace()
    z = trace.nodes["z"]["value"]
    assert z.shape == (2, N, *law.event_shape)
    expected = 2 * torch.where(kept, case.expected(z, law.event_dim), 0).sum()
    close(trace.log_prob_sum(), expected)


def test_moments_and_entropy_are_those_of_draws(case: Case, law: Distribution) -> None:
    if case.type is _FromSecondStage:
        return  # what it draws is not what it scores: its docstring says so
    z = draws(law, 20_000)
    for name, values in (
        ("mean", z),
        ("variance", (z - z.mean(0)) ** 2),
        ("entropy", -law.log_prob(z)),
    ):
        try:
            claimed = getattr(law, name)
        except NotImplementedError:
            continue
        if name == "entropy":
            try:
                claimed = claimed()
            except NotImplementedError:
                continue
        assert claimed.shape == values.shape[1:], name
        if claimed.isfinite().all():
            assert_mean(values, claimed)


#: Whose support is wider than what is drawn, or no image of the real numbers.
NOT_BIJECTIVE = (Columns, DiscretizedLogistic, Levels, _CrossEntropy)


def test_support_and_arguments(case: Case, law: Distribution) -> None:
    z = draws(law, 50)
    assert law.support.check(z).all()
    assert law.support.event_dim == law.event_dim
    assert not law.support.check(case.outside).any()
    for name, constraint in law.arg_constraints.items():
        assert constraint.check(getattr(law, name)).all()
    if not law.support.is_discrete and case.type not in NOT_BIJECTIVE:
        to = biject_to(law.support)
        assert law.support.check(to(torch.randn(N, *law.event_shape, dtype=torch.float64))).all()


def test_derivatives_of_draws(case: Case) -> None:
    parameters = {k: v.clone().requires_grad_() for k, v in case.parameters.items()}
    law = case.build(**parameters)
    assert not law.sample((2,)).requires_grad
    assert isinstance(law.has_rsample, bool)
    if not law.has_rsample:
        with pytest.raises(NotImplementedError):
            law.rsample((2,))
        return
    z = law.rsample((2,))
    assert z.shape == (2, N, *law.event_shape)
    if case.type is _FromSecondStage or case.type is HypersphericalUniform:
        return  # no parameters of its own
    for gradient in torch.autograd.grad(z.pow(2).sum(), list(parameters.values())):
        assert gradient.isfinite().all()
        assert gradient.any()


def test_repr_names_the_class(case: Case, law: Distribution) -> None:
    assert type(law).__name__ in repr(law)
    assert repr(law.expand((2, N)))
    assert repr(law.mask(False))


@pytest.mark.parametrize("wide", [False, True], ids=["as built", "expanded"])
def test_values_outside_the_support_are_refused(case: Case, law: Distribution, wide: bool) -> None:
    if wide:
        law = law.expand((2, N))
    z = draws(law)
    with pytest.raises(ValueError, match="support"):
        law.log_prob(case.outside.expand(z.shape))


def test_wrong_parameters_are_refused(case: Case) -> None:
    for name, wrong in case.wrong.items():
        with pytest.raises(ValueError, match=name):
            case.build(**{**case.parameters, name: wrong})


def test_copies(case: Case, law: Distribution) -> None:
    z = draws(law)
    close(copy.deepcopy(law).log_prob(z), law.log_prob(z))
    close(pickle.loads(pickle.dumps(law)).log_prob(z), law.log_prob(z))


@pytest.mark.parametrize(
    "law",
    [
        Concrete(Label(logits=torch.randn(4, 2, 3)), torch.tensor(0.7)),
        Concrete(Switch(logits=torch.randn(4, 2)), torch.tensor(0.7)),
        Codewords(Label(logits=torch.randn(4, 2, 3)), torch.randn(2, 3, 5)),
        Codewords(Nearest(torch.randn(4, 2, 5), torch.randn(2, 3, 5)), torch.randn(2, 3, 5)),
    ],
    ids=["labels", "switches", "codewords", "nearest"],
)
def test_laws_of_labels_expand(law: Distribution) -> None:
    wide = law.expand([6, 4])
    value = law.sample()
    assert wide.batch_shape == (6, 4)
    assert wide.sample().shape == (6, 4, *law.event_shape)
    torch.testing.assert_close(wide.log_prob(value), law.log_prob(value).expand(6, 4))
