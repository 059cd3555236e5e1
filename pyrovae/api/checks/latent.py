"""What every prior and posterior must do, as checks of a :class:`Case`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.distributions import Distribution, Independent
from torch.func import functional_call

from pyrovae.api.checks.charts import Grid, Sum, real, sphere
from pyrovae.api.checks.failing import close, named, quietly
from pyrovae.api.checks.laws import DATA, Case, Law, log_prob
from pyrovae.api.checks.training import trains_alike, vae_with
from pyrovae.core.errors import ConfigError
from pyrovae.core.noise import Recorder, Supply
from pyrovae.distributions import marginals
from pyrovae.distributions.normal_mixture import DiagonalNormalMixture, NormalMixture

DRAWS = 20_000
#: Chance that a right sampler fails. Seeds are fixed: it does so always or never.
FALSE_ALARM = 1e-5
#: Of moments and marginals, absolute and relative.
_TOLERANCE = 2e-3


class Subject:
    """A case, with what several checks look at."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._seen: dict[int, Any] = {}
        self.labels = case.space in ("binary", "labels")
        if case.space == "mixed":
            raise ConfigError("is made of other families, which are checked one by one", case.name)

    def __str__(self) -> str:
        return str(self.case)

    def seen(self, dim: int) -> tuple[Distribution, Tensor, list[Any]]:
        """Return the law, draws ``(n, b, dim)``, and each density on a grid."""
        if dim not in self._seen:
            chart = (sphere if self.case.space == "sphere" else real)(dim)
            with quietly(), torch.no_grad():
                law = self.case.law(dim)()
                draws = law.rsample((DRAWS,)) if law.has_rsample else law.sample((DRAWS,))
            draws = draws.reshape(DRAWS, -1, dim)
            each = [
                lambda x, i=i: log_prob(law, x).reshape(len(x), -1)[:, i]
                for i in range(draws.shape[1])
            ]
            classes = self.case.law(dim).family.classes
            grids = [Sum(classes, dim, f) if self.labels else Grid(chart, f) for f in each]
            self._seen[dim] = law, draws, grids
        return self._seen[dim]


def shapes(subject: Subject) -> None:
    """The law has a code as its event, and a batch of one law for each datum."""
    case = subject.case
    batch = () if case.kind == "prior" else (DATA,)
    for dim in (*case.dims, 5):
        law = case.law(dim)()
        found = tuple(law.batch_shape), tuple(law.event_shape)
        if found != (batch, (dim,)):
            raise AssertionError(
                f"with latent_dim {dim}, batch and event shape are {found}, not {(batch, (dim,))}"
            )
        draws = law.sample((3,))
        if draws.shape != (3, *batch, dim):
            raise AssertionError(f"3 draws have shape {tuple(draws.shape)}")
        density = law.log_prob(draws)
        if density.shape != (3, *batch):
            raise AssertionError(f"their log_prob has shape {tuple(density.shape)}")
        if not density.isfinite().all():
            raise AssertionError("the log_prob of its own draws is not finite")


def density_integrates_to_one(subject: Subject) -> None:
    """By quadrature over one and two dimensions, or the circle and the sphere.

    What a heavy tail has beyond the grid is told by the share of draws there, within 4 standard
    errors.
    """
    for dim in subject.case.dims:
        _, draws, grids = subject.seen(dim)
        for i, grid in enumerate(grids):
            share = float(grid.outside(draws[:, i]).mean())
            error = (share * (1 - share) / DRAWS) ** 0.5
            what = f"in {dim} dimensions, the integral" + (
                f" over the grid, beyond which {share:.2%} of the draws are," if share else ""
            )
            close(grid.total(), 1 - share, what, rtol=0, atol=1e-3 + 4 * error)


def draws_follow_density(subject: Subject) -> None:
    """By Kolmogorov and Smirnov's or the chi-square test."""
    case = subject.case
    if case.kind == "prior" and "density" not in case.entry.properties:
        return
    for dim in case.dims:
        _, draws, grids = subject.seen(dim)
        for i, grid in enumerate(grids):
            p_value = grid.p_value(draws[:, i])
            if not p_value > FALSE_ALARM:
                mean = [grid.mean_of(lambda x, u=u: x[:, u]) for u in range(dim)]
                spread = [
                    max(grid.mean_of(lambda x, u=u: x[:, u] ** 2) - m**2, 0.0) ** 0.5
                    for u, m in enumerate(mean)
                ]
                raise AssertionError(
                    f"in {dim} dimensions, {DRAWS} draws follow log_prob with p = {p_value:.1g}: "
                    f"their mean and sd are {_told(draws[:, i].mean(0))} and "
                    f"{_told(draws[:, i].std(0))}, the density's {_told(mean)} and {_told(spread)}"
                )


def moments(subject: Subject) -> None:
    """Of a law that has moments, mean, variance and covariance are those of the density."""
    properties = subject.case.entry.properties
    for dim in subject.case.dims:
        law, _, grids = subject.seen(dim)
        for i, grid in enumerate(grids):
            if "moments" in properties:
                for u in range(dim):
                    first = grid.mean_of(lambda x, u=u: x[:, u])
                    second = grid.mean_of(lambda x, u=u: x[:, u] ** 2) - first**2
                    for what, found, right in (
                        ("mean", law.mean, first),
                        ("variance", law.variance, second),
                    ):
                        _close(found[i, u], right, f"the {what} of unit {u}")
            if "covariance" in properties and not isinstance(law, Independent):
                mean = law.mean[i]
                right = grid.mean_of(lambda x: x[:, 0] * x[:, -1]) - float(mean[0] * mean[-1])
                _close(law.covariance_matrix[i, 0, -1], right, "a covariance")  # type: ignore[attr-defined]


def marginal_densities(subject: Subject) -> None:
    """Of a law that has marginals, they are the density without the other dimensions."""
    case = subject.case
    if "marginals" not in case.entry.properties:
        return
    law, _, grids = subject.seen(case.dims[1])
    for i, grid in enumerate(grids):
        for u in (0, 1):
            if subject.labels:
                chances = marginals(law).log_prob(grid.axes[u].reshape(-1, 1, 1))[:, i, u].exp()
                _close(chances.detach(), grid.marginal(u), f"the probabilities of unit {u}")
                continue
            z, log_volume = real(1).points(grid.axes[u].unsqueeze(-1))
            found = marginals(law).log_prob(z.unsqueeze(1))[:, i, u].exp() * log_volume.exp()
            _close(found.detach(), grid.marginal(u), f"the marginal density of unit {u}")


def draws_are_functions_of_noise(subject: Subject) -> None:
    """A compiled step and an ensemble supply the noise: nothing else may be drawn."""
    case = subject.case
    if case.kind == "prior" and "reparameterizable" not in case.entry.properties:
        return
    law = case.law(case.dims[1])()
    drawn = law.rsample if law.has_rsample else law.sample
    with Recorder() as recorder, torch.no_grad():
        drawn((5,))
    noise = [
        getattr(torch.empty(d.shape, dtype=d.dtype), d.kind)(*d.arguments) for d in recorder.draws
    ]
    if not noise:
        raise AssertionError("a draw takes no normal, uniform, exponential or Cauchy noise")
    found = []
    for _ in range(2):
        with Supply(noise), torch.no_grad():
            found.append(drawn((5,)))
    close(found[1], found[0], "with the same noise, a draw", rtol=0, atol=0)


def log_prob_derivatives(subject: Subject) -> None:
    """By the code, the parameters and the buffers: those of finite differences."""
    module = subject.case.law(subject.case.dims[1])
    names, values = inputs(module)
    z = draw(module, module.tensors(), 3).detach().clone().requires_grad_(not subject.labels)
    if subject.labels and (not names or "certain" in subject.case.entry.properties):
        return

    def density(z: Tensor, *values: Tensor) -> Tensor:
        torch.manual_seed(7)
        law = functional_call(module, dict(zip(names, values, strict=True)), ())
        return law.log_prob(z)

    gradcheck(density, (z, *values), fast_mode=True)


def draw_derivatives(subject: Subject) -> None:
    """By the parameters and the buffers: those of finite differences at fixed noise.

    A mixture's draws jump at fixed noise: its derivatives are those of its quantiles.
    """
    case = subject.case
    module = case.law(case.dims[1])
    law = module()
    if is_mixture(law) or not law.has_rsample or not module.tensors():
        return
    names, values = inputs(module)
    start = draw(module, module.tensors(), 3)

    def drawn(*values: Tensor) -> Tensor:
        # Added, so that there is something to differentiate where nothing is to be learned.
        given = dict(zip(names, values, strict=True))
        return draw(module, given, 3) + 0 * sum(v.sum() for v in values)

    assert start.isfinite().all(), "a draw is not finite"
    gradcheck(drawn, tuple(values), fast_mode=True)


def trains(subject: Subject) -> None:
    """A step is traced into a graph, and models that train together end where each ends alone."""
    case = subject.case
    labels = {"categorical": {"classes": _classes(case)}, "bernoulli": {}}
    other = {"labels": "categorical", "binary": "bernoulli"}.get(case.space)
    if other is not None:
        partner = {"name": other, **labels[other]}
        kinds = {"prior": partner, "posterior": partner}
        kinds[case.kind] = {"name": case.name, **case.parameters}
        trains_alike(lambda seed: vae_with(seed, **kinds))
        return
    encoder = case.encoder or ("von_mises_fisher" if case.space == "sphere" else None)
    part = {case.kind: {"name": case.name, **case.parameters}}
    if case.kind == "prior":
        part["posterior"] = {"name": encoder or "mean_field_normal"}
    elif case.space == "sphere":
        part["prior"] = {"name": "hyperspherical_uniform"}
    trains_alike(lambda seed: vae_with(seed, **part))


def _classes(case: Case) -> int:
    return int(case.law(1).family.classes) if case.space == "labels" else 0


#: What is checked of a prior or posterior, by name.
LATENT_CHECKS = named(
    shapes,
    density_integrates_to_one,
    draws_follow_density,
    moments,
    marginal_densities,
    draws_are_functions_of_noise,
    log_prob_derivatives,
    draw_derivatives,
    trains,
)


def inputs(module: Law) -> tuple[list[str], list[Tensor]]:
    """Return names and values of what a law has derivatives by."""
    tensors = module.tensors()
    return list(tensors), [t.clone().requires_grad_() for t in tensors.values()]


def draw(module: Law, tensors: dict[str, Tensor], n: int) -> Tensor:
    """Return ``n`` draws of the law with these tensors, always with the same noise."""
    torch.manual_seed(7)
    law = functional_call(module, tensors, ())
    torch.manual_seed(8)
    drawn: Tensor = law.rsample((n,)) if law.has_rsample else law.sample((n,))
    return drawn


def is_mixture(law: Distribution) -> bool:
    """Return whether draws choose a component."""
    inside = law.base_dist if isinstance(law, Independent) else law
    return isinstance(inside, NormalMixture | DiagonalNormalMixture)


def _close(found: Any, expected: Any, what: str) -> None:
    close(found, expected, what, rtol=_TOLERANCE, atol=_TOLERANCE)


def _told(values: Any) -> str:
    return "(" + ", ".join(f"{float(v):.3g}" for v in values) + ")"
