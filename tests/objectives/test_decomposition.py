"""The parts of the rate in closed form, and penalties next to NumPy's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyro.distributions as dist
import pytest
import torch
from distributions.checks import assert_mean
from scipy import stats
from torch import Tensor

from objectives.gaussian import LinearGaussian, data
from pyrovae.models.sites import Terms
from pyrovae.models.vae import build_vae
from pyrovae.objectives import BetaTC, DipI, DipII, Factor, Info
from pyrovae.objectives.info import squared_mmd
from pyrovae.objectives.total_correlation import decompose
from pyrovae.training import LossProgram, Trainer, TrainingSettings


def made(
    q: Any,
    z: Tensor | None = None,
    *,
    p: Any = None,
    distortion: Tensor | None = None,
    size: int = 1,
) -> Terms:
    """Return the terms of a batch of codes, without a model."""
    z = q.sample() if z is None else z
    zero = torch.zeros_like(z)
    p = dist.Normal(zero, torch.ones_like(z)).to_event(1) if p is None else p
    n = len(z)
    return Terms(
        distortion=zero[:, 0] if distortion is None else distortion,
        rate=torch.distributions.kl_divergence(q, p),
        shared=zero.sum(),
        data_size=size,
        local=(({"fn": q, "value": z}, {"fn": p.expand((n,))}),),
        observed=(),
    )


def codes(n: int, d: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    loc = torch.randn(n, d, generator=generator, dtype=torch.float64)
    scale = 0.4 + torch.rand(n, d, generator=generator, dtype=torch.float64)
    return loc, scale


def numpy_log_qz(
    z: np.ndarray, loc: np.ndarray, scale: np.ndarray, size: int, estimator: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return log q(z) and the sum of log q(z_u), as Chen et al. 2018 write them, by loops."""
    n, d = z.shape
    joint, product = np.zeros(n), np.zeros(n)
    for i in range(n):
        if estimator == "weighted":  # eq. 3
            weight = dict.fromkeys(range(n), 1 / (n * size))
        else:  # appendix C.2: i itself, the n - 2 next but one, and one that stands for the rest
            others = [j for j in range(n) if j != i]
            weight = dict.fromkeys(others, 1 / (n - 1))
            weight[i] = 1 / size
            last = (i + 1) % n
            weight[last] = (size - (n - 1)) / (size * (n - 1))
        density = {j: stats.norm.pdf(z[i], loc[j], scale[j]) for j in range(n)}
        joint[i] = math.log(sum(weight[j] * density[j].prod() for j in range(n)))
        for u in range(d):
            product[i] += math.log(sum(weight[j] * density[j][u] for j in range(n)))
    return joint, product


@pytest.mark.parametrize("estimator", ["weighted", "stratified"])
def test_beta_tc_is_the_papers_estimate(estimator: Any) -> None:
    loc, scale = codes(5, 3)
    q = dist.Normal(loc, scale).to_event(1)
    found = made(q, size=40)
    parts = decompose(found, estimator)
    z, log_q = found.z.numpy(), q.log_prob(found.z)
    log_p = stats.norm.logpdf(z).sum(1)
    joint, product = numpy_log_qz(z, loc.numpy(), scale.numpy(), 40, estimator)
    expected = (log_q.numpy() - joint, joint - product, product - log_p)
    for part, own in zip(parts, expected, strict=True):
        np.testing.assert_allclose(part.numpy(), own, rtol=1e-10)
    # They sum to the KL's integrand, whatever q(z) was taken for.
    torch.testing.assert_close(sum(parts), log_q - torch.as_tensor(log_p))
    weights = {"alpha": 2.0, "beta": 5.0, "gamma": 0.5}
    loss = BetaTC(estimator=estimator).loss(found, {k: torch.tensor(v) for k, v in weights.items()})
    torch.testing.assert_close(
        loss, 2 * parts[0].mean() + 5 * parts[1].mean() + parts[2].mean() / 2
    )


def test_beta_tc_parts_are_the_gaussian_closed_forms() -> None:
    """q(z|x) = N(m, s² I), m ~ N(0, C): q(z) is N(0, C + s² I), and each part is known."""
    n, s = 2000, 0.5
    c = torch.tensor([[1.0, 0.7], [0.7, 1.2]], dtype=torch.float64)
    loc = dist.MultivariateNormal(torch.zeros(2).double(), c).sample((n,))
    q = dist.Normal(loc, torch.full_like(loc, s)).to_event(1)
    found = made(q, size=n)
    parts = torch.stack(decompose(found, "stratified"))
    total = c + s**2 * torch.eye(2)
    variances = total.diagonal()
    information = 0.5 * (torch.logdet(total) - 2 * math.log(s**2))
    correlation = 0.5 * (variances.log().sum() - torch.logdet(total))
    dimensions = 0.5 * (variances - 1 - variances.log()).sum()
    # Draws are dependent through q(z); 5 standard errors and the estimate's own bias of order 1/n.
    for part, exact in zip(parts, (information, correlation, dimensions), strict=True):
        assert abs(part.mean() - exact) < 5 * part.std() / n**0.5 + 0.02
    assert correlation > 0.1
    # Eq. 3 with the whole data set as its minibatch has q(z) too small by 1/n, each q(z_u) as well.
    weighted = decompose(found, "weighted")
    for part, other, shift in zip(parts, weighted, (1, 1, -2), strict=True):
        assert abs((other - part).mean() - shift * math.log(n)) < 0.02


@pytest.mark.parametrize("objective", [DipI, DipII])
@pytest.mark.parametrize("dependent", [False, True])
def test_dip_penalties_are_numpys(objective: Any, dependent: bool) -> None:
    loc, scale = codes(7, 3)
    tril = torch.diag_embed(scale) + torch.full((7, 3, 3), 0.3).double().tril(-1)
    q: Any = dist.Normal(loc, scale).to_event(1)
    within = np.stack([np.diag(row**2) for row in scale.numpy()])
    if dependent:
        q = dist.MultivariateNormal(loc, scale_tril=tril)
        within = tril.numpy() @ tril.numpy().transpose(0, 2, 1)
    found = made(q)
    hyper = {"off_diagonal": torch.tensor(3.0), "diagonal": torch.tensor(7.0)}
    loss = objective().loss(found, hyper).item()
    covariance = np.cov(loc.numpy().T, bias=True)  # Kumar et al. 2018, eq. 5
    if objective is DipII:
        covariance = covariance + within.mean(0)
    penalty = 0.0
    for i in range(3):
        for j in range(3):
            miss = covariance[i, j] - (i == j)
            penalty += (7.0 if i == j else 3.0) * miss**2
    assert loss == pytest.approx(found.rate.mean().item() + penalty, rel=1e-10)


def test_dip_is_the_elbo_where_codes_are_white() -> None:
    loc = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    found = made(dist.Normal(loc, torch.full_like(loc, 1e-9)).to_event(1))
    hyper = {"off_diagonal": torch.tensor(10.0), "diagonal": torch.tensor(10.0)}
    for objective in (DipI(), DipII()):
        torch.testing.assert_close(objective.loss(found, hyper), found.rate.mean())


def test_mmd_is_numpys() -> None:
    z, _ = codes(6, 3)
    reference, _ = codes(5, 3, seed=1)
    a, b = z.numpy(), reference.numpy()
    width = np.mean(
        [((x - y) ** 2).sum() for i, x in enumerate(b) for j, y in enumerate(b) if i != j]
    )

    def mean(xs: np.ndarray, ys: np.ndarray, *, same: bool) -> float:
        pairs = [
            math.exp(-((x - y) ** 2).sum() / width)
            for i, x in enumerate(xs)
            for j, y in enumerate(ys)
            if not (same and i == j)
        ]
        return float(np.mean(pairs))

    expected = mean(a, a, same=True) + mean(b, b, same=True) - 2 * mean(a, b, same=False)
    assert squared_mmd(z, reference).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_mmd_of_two_normals_is_known(shift: float) -> None:
    """With kernel exp(-|a - b|² / s²), E k = (s² / (s² + 4))^(d/2) exp(-|m|² / (s² + 4)) for unit
    normals whose means are m apart; s² is 2 d here."""
    d = 2
    generator = torch.Generator().manual_seed(0)

    def normal() -> Tensor:
        return torch.randn(400, d, generator=generator, dtype=torch.float64)

    found = torch.stack([squared_mmd(normal() + shift, normal()) for _ in range(30)])
    s = 2 * d
    factor = (s / (s + 4)) ** (d / 2)
    expected = 2 * factor * (1 - math.exp(-d * shift**2 / (s + 4)))
    assert_mean(found, expected, errors=4.5)
    assert (expected > 0.1) == (shift > 0)


def test_info_weights_rate_and_divergence() -> None:
    loc, scale = codes(50)
    found = made(
        dist.Normal(loc + 2, scale).to_event(1), distortion=torch.full((50,), 3.0).double()
    )
    torch.manual_seed(3)
    loss = Info().loss(found, {"alpha": torch.tensor(0.25), "weight": torch.tensor(4.0)})
    torch.manual_seed(3)
    divergence = squared_mmd(found.z, found.p.rsample())
    assert divergence > 0.1
    torch.testing.assert_close(loss, 3 + 0.75 * found.rate.mean() + 3.25 * divergence)


def test_the_discriminator_of_a_run_learns_a_planted_dependence() -> None:
    """Codes of correlated data, encoded as they are: q(z) is normal, its density ratio known."""
    x = torch.randn(4000, 2) @ torch.tensor([[1.0, 0.8], [0.0, 0.6]])
    vae = build_vae(
        (2,),
        2,
        network={"name": "mlp", "hidden": []},
        prior={"name": "standard_normal"},
        posterior={"name": "mean_field_normal"},
        likelihood={"name": "gaussian"},
    )
    with torch.no_grad():
        vae.posterior.loc.weight.copy_(torch.eye(2))
        vae.posterior.scale.weight.zero_()
        vae.posterior.scale.bias.fill_(-1.8)
        q = vae.encode(x)
        z = q.sample()
    # The model stands still; the discriminator has a learning rate of its own.
    program = LossProgram(vae, Factor(hidden=[32, 32], discriminator_lr=4e-3))
    objective: Any = program.objective
    assert objective.discriminator_loss(z).item() == pytest.approx(math.log(2), abs=0.03)  # chance
    settings = TrainingSettings(steps=400, batch_size=256, lr=1e-12, records=1)
    Trainer(program, x, settings, compiled=False).train(program, seed=0)
    total = x.T.cov() + torch.diag(q.variance[0])
    marginal = dist.Normal(torch.zeros(2), total.diagonal().sqrt()).to_event(1)
    exact = dist.MultivariateNormal(torch.zeros(2), total).log_prob(z) - marginal.log_prob(z)
    with torch.no_grad():
        found = objective.log_ratio(z)
        assert objective.discriminator_loss(z) < math.log(2) - 0.05
        assert found.mean().item() == pytest.approx(exact.mean().item(), abs=0.1)
        assert exact.mean() > 0.3
        assert torch.corrcoef(torch.stack([found, exact]))[0, 1] > 0.9
        # Independent codes: nothing to learn, the estimate is about 0.
        ratio = objective.log_ratio(torch.stack([z[:, 0], z[torch.randperm(4000), 1]], 1))
    assert ratio.mean() < 0


def test_factor_keeps_the_two_trainings_apart() -> None:
    objective = Factor(hidden=[8]).double()
    vae = LinearGaussian()
    objective.discriminator(torch.zeros(1, 2).double())  # its width is known from the first code
    hyper = {"gamma": torch.tensor(5.0).double()}
    loss, found = objective(vae, data(16), hyper, 16)
    ratio = objective.log_ratio(found.z)
    expected = (found.distortion + found.rate).mean() + 5 * ratio.mean()
    torch.testing.assert_close(loss, expected)
    grads = torch.autograd.grad(expected, list(vae.parameters()), retain_graph=True)
    for own, other in zip(
        torch.autograd.grad(loss, list(vae.parameters()), retain_graph=True), grads, strict=True
    ):
        torch.testing.assert_close(own, other)
    # The discriminator's gradient is that of its cross-entropy, the model's weight does not enter.
    torch.manual_seed(1)
    loss, found = objective(vae, data(16), {"gamma": torch.tensor(0.0).double()}, 16)
    a = torch.autograd.grad(loss, list(objective.parameters()))
    torch.manual_seed(1)
    loss, found = objective(vae, data(16), hyper, 16)
    b = torch.autograd.grad(loss, list(objective.parameters()))
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x, y)
    assert any(g.abs().sum() > 0 for g in a)
