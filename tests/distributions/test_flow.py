"""Flows: a draw's own density, both directions; and what importing zuko must not do.

Densities, draws and derivatives of the registered flows are tested in ``latent``.
"""

from __future__ import annotations

import subprocess
import sys

import pyro.distributions as dist
import pytest
import torch

from pyrovae.distributions.autoregressive import autoregressive, zuko
from pyrovae.distributions.flow import Flow
from pyrovae.distributions.planar import Planar
from pyrovae.distributions.radial import Radial
from pyrovae.distributions.sylvester import Frame, Sylvester, householder, orthogonal, permuted
from pyrovae.models.posteriors import POSTERIORS

BATCH = 3


def normal(*shape: int) -> dist.Normal:
    zeros = torch.zeros(*shape, dtype=torch.float64)
    return dist.Normal(zeros + 0.3, 0.8 + zeros).to_event(1)


def lazy(kind: str, dim: int, context: int) -> torch.nn.Module:
    module = autoregressive(kind, dim, context=context, transforms=2, hidden=[8], bins=4).double()
    for parameter in module.parameters():
        parameter.data.add_(0.2 * torch.randn_like(parameter))
    return module


def drawn(*shape: int, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.randn(*shape, dtype=torch.float64)


def frame(kind: str, dim: int, *batch: int) -> Frame:
    if kind == "householder":
        return householder(drawn(*batch, 3, dim))
    if kind == "orthogonal":
        return orthogonal(drawn(*batch, dim, max(1, dim - 1)))
    return permuted(reverse=True)


def sylvester(kind: str, dim: int, *batch: int, scale: float = 1.0) -> Sylvester:
    m = max(1, dim - 1) if kind == "orthogonal" else dim
    square = (*batch, m, m)
    return Sylvester(
        frame(kind, dim, *batch),
        drawn(*square, scale=scale),
        drawn(*square, scale=scale),
        drawn(*batch, m),
    )


FRAMES = ("householder", "orthogonal", "permuted")


def flow(kind: str, dim: int = 2) -> Flow:
    """Return three laws at once, far from the base: one for each context."""
    if kind == "planar":
        sizes = [(BATCH, 1), (BATCH, dim), (BATCH, dim)]
        maps = [
            Planar(tuple(torch.randn(*size, dtype=torch.float64) for size in sizes))
            for _ in range(2)
        ]
        return Flow(normal(BATCH, dim), zuko.transforms.ComposedTransform(*maps))
    if kind == "radial":
        rings = [[drawn(BATCH, dim), drawn(BATCH, 1), drawn(BATCH, 1)] for _ in range(2)]
        maps = [Radial(*ring) for ring in rings]
        return Flow(normal(BATCH, dim), zuko.transforms.ComposedTransform(*maps))
    if kind in FRAMES:
        maps = [sylvester(kind, dim, BATCH) for _ in range(2)]
        return Flow(normal(BATCH, dim), zuko.transforms.ComposedTransform(*maps))
    context = torch.randn(BATCH, 4, dtype=torch.float64)
    transform = lazy(kind.removeprefix("inverse_"), dim, 4)(context)
    return Flow(normal(BATCH, dim), transform.inv if kind.startswith("inverse") else transform)


KINDS = ["planar", "radial", *FRAMES, "affine", "spline", "inverse_affine", "inverse_spline"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_density_of_a_draw_is_that_of_its_value(kind: str) -> None:
    for dim in (1, 2, 5):
        q = flow(kind, dim)
        z = q.rsample((50,))
        assert z.shape == (50, BATCH, dim)
        torch.testing.assert_close(q.log_prob(z), q.log_prob(z.clone()), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_log_prob_has_a_gradient_for_draws_without_one(kind: str) -> None:
    # A score-function estimator takes the density of a draw that carries no gradient.
    q = flow(kind)
    q.base.base_dist.loc.requires_grad_()
    z = q.sample()
    assert not z.requires_grad
    assert q.log_prob(z).requires_grad


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_planar_inverse_even_for_extreme_planes(scale: float) -> None:
    parameters = tuple(scale * torch.randn(500, n, dtype=torch.float64) for n in (1, 4, 4))
    transform = Planar(parameters)
    x = 3 * torch.randn(500, 4, dtype=torch.float64)
    y = transform(x)
    # Where w·u nears -1 the map is flat, and a digit of y stands for many of x.
    back = transform.inv(y.clone())
    torch.testing.assert_close(transform(back.clone()), y, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_are_orthonormal(kind: str) -> None:
    made, m = frame(kind, 5, 2), 4 if kind == "orthogonal" else 5
    columns = torch.stack(
        [made.back(v.expand(2, m)) for v in torch.eye(m, dtype=torch.float64)], -1
    )
    torch.testing.assert_close(
        columns.mT @ columns, torch.eye(m, dtype=torch.float64).expand(2, m, m)
    )
    z = drawn(7, 2, 5)
    torch.testing.assert_close(made.onto(z), (columns.mT @ z.unsqueeze(-1)).squeeze(-1))


@pytest.mark.parametrize("kind", ["radial", *FRAMES])
@pytest.mark.parametrize("scale", [0.01, 1.0, 5.0])
def test_bent_maps_invert_and_know_their_jacobian(kind: str, scale: float) -> None:
    dim = 4
    transform = (
        Radial(drawn(dim), drawn(1, scale=scale), drawn(1, scale=scale))
        if kind == "radial"
        else sylvester(kind, dim, scale=scale)
    )
    x = 3 * drawn(200, dim)
    y = transform(x)
    torch.testing.assert_close(transform(transform.inv(y.clone())), y, rtol=1e-8, atol=1e-8)
    jacobian = torch.func.vmap(torch.func.jacrev(transform._call))(x)
    torch.testing.assert_close(
        transform.log_abs_det_jacobian(x, y), torch.linalg.slogdet(jacobian).logabsdet
    )
    # The inverse's gradient is the inverse of the map's.
    back = torch.func.vmap(torch.func.jacrev(transform._inverse))(y)
    torch.testing.assert_close(
        back @ jacobian, torch.eye(dim).double().expand(200, 4, 4), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("kind", ["affine", "spline"])
@pytest.mark.parametrize("dim", [1, 4])
def test_autoregressive_maps_start_near_the_identity(kind: str, dim: int) -> None:
    module = autoregressive(kind, dim, context=0, transforms=2, hidden=[16])
    x = torch.randn(100, dim)
    torch.testing.assert_close(module(None)(x), x, rtol=0, atol=0.3)
    assert (module(None)(x) - x).abs().max() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_expand_broadcasts_over_leading_dimensions(kind: str) -> None:
    q = flow(kind)
    wide = q.expand((4, BATCH))
    assert wide.rsample((5,)).shape == (5, 4, BATCH, 2)
    x = torch.randn(BATCH, 2, dtype=torch.float64)
    torch.testing.assert_close(wide.log_prob(x), q.log_prob(x).expand(4, BATCH))


@pytest.mark.parametrize("name", ["iaf", "maf", "nsf"])
def test_each_code_under_the_law_of_each_datum(name: str) -> None:
    """As estimates of the aggregate posterior ask for: codes (n, 1, d) under laws (m,)."""
    family = POSTERIORS.create(name, 4, 2, hidden=[6]).double()
    features, z = drawn(BATCH, 4), drawn(5, 2)
    found = family(features).log_prob(z.unsqueeze(1))
    rows = [[family(f).log_prob(code) for f in features] for code in z]
    torch.testing.assert_close(found, torch.stack([torch.stack(row) for row in rows]))


def test_argument_checks_stay_on() -> None:
    # zuko switches them off for the whole process when it is imported.
    code = (
        "import torch; before = torch.distributions.Distribution._validate_args; "
        "import pyrovae.models.vae; "
        "assert before and torch.distributions.Distribution._validate_args"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
