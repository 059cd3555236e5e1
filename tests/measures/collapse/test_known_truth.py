"""Against models whose answers are known: probabilistic PCA, and hand-made encoders."""

from __future__ import annotations

import pytest
import torch

from pyrovae.datasets import load_dataset
from pyrovae.datasets.linear_gaussian import exact_log_prob
from pyrovae.measures.collapse import estimate_bound, measure_units
from pyrovae.models.vae import VAE, build_vae
from pyrovae.objectives import Elbo
from pyrovae.training import LossProgram, Trainer, TrainingSettings


@pytest.mark.parametrize("rank", [3, 5])
def test_linear_vae_finds_the_likelihood_and_the_rank_of_probabilistic_pca(rank: int) -> None:
    # Eigenvalues of a noise covariance estimated from n points spread by 2 sqrt(d/n) about the
    # true one (Marchenko & Pastur 1967): a unit on the largest has Var(mu) of about that size. So
    # many points are needed for the superfluous units to fall below the threshold of 0.01.
    data = load_dataset("linear_gaussian", rank=rank, dim=10, n_train=400_000, n_test=2000)
    vae = build_vae(
        (10,),
        8,
        network={"name": "mlp", "hidden": []},
        prior={"name": "standard_normal"},
        posterior={"name": "mean_field_normal"},
        likelihood={"name": "gaussian"},
    )
    steps = 6000
    settings = TrainingSettings(
        steps=steps,
        batch_size=512,
        lr={"schedule": "cosine", "from": 1e-2, "to": 0.0, "steps": steps},
    )
    program = LossProgram(vae, Elbo())
    Trainer(program, data.train.values, settings, compiled=False).train(program, seed=0)
    x = data.test.floats()
    exact = float(exact_log_prob(data.exact, x).mean())
    bound = estimate_bound(vae.model, vae.guide, x, samples=32)
    gap = exact - float(bound.elbo.mean())
    print(f"rank {rank}: exact {exact:.4f} nats, ELBO gap {100 * gap / abs(exact):.3f} %")
    assert abs(gap) < 0.005 * abs(exact)
    units = measure_units(vae, x)
    assert int(units.active.sum()) == rank
    # The variance law, on active and inactive units alike (Asperti & Trentin 2020).
    assert float(units.variance_law.median()) < 0.02
    sigma = float(vae.likelihood.log_sigma.detach().exp())
    assert sigma == pytest.approx(float(data.exact["noise_scale"]), rel=0.02)


def _vae(posterior: str, prior: str = "standard_normal") -> VAE:
    """Return a VAE for 3 numbers whose encoder passes them on."""
    vae = build_vae(
        (3,),
        3,
        network={"name": "mlp", "hidden": []},
        prior={"name": prior},
        posterior={"name": posterior},
        likelihood={"name": "gaussian"},
    )
    with torch.no_grad():
        for name, parameter in vae.posterior.named_parameters():
            parameter.zero_()
            if name == "loc.weight":
                # The second unit ignores its input: a collapsed unit.
                parameter.copy_(torch.diag(torch.tensor([1.0, 0.0, 0.5])))
    return vae


@pytest.mark.parametrize("posterior", ["mean_field_normal", "laplace", "full_rank_normal"])
def test_units_of_a_known_encoder(posterior: str) -> None:
    x = torch.randn(4000, 3)
    vae = _vae(posterior)
    units = measure_units(vae, x)
    assert units.active.tolist() == [True, False, True]
    expected = torch.tensor([x[:, 0].var(correction=0), 0.0, x[:, 2].var(correction=0) / 4])
    torch.testing.assert_close(units.var_mu, expected, rtol=1e-4, atol=1e-6)
    # At scale 1 a normal has variance 1, a Laplace 2.
    variance = 2.0 if posterior == "laplace" else 1.0
    torch.testing.assert_close(units.mean_var, torch.full((3,), variance), rtol=1e-4, atol=0)
    if posterior != "laplace":
        # KL(N(mu, 1) || N(0, 1)) = mu² / 2.
        second_moment = torch.stack([x[:, 0].square(), 0 * x[:, 1], x[:, 2].square() / 4], 1)
        torch.testing.assert_close(units.kl, second_moment.mean(0) / 2, rtol=1e-3, atol=1e-5)


def test_unit_kl_without_closed_form_agrees_with_quadrature() -> None:
    from scipy.integrate import quad
    from scipy.stats import norm, t

    vae = _vae("mean_field_normal", "student_t")
    x = torch.zeros(2000, 3)
    units = measure_units(vae, x, samples=200)

    def integrand(z: float) -> float:
        return float(norm.pdf(z) * (norm.logpdf(z) - t.logpdf(z, 5.0)))

    exact = quad(integrand, -12, 12)[0]
    # 400,000 draws; the log ratio has a standard deviation of about 0.2.
    assert units.kl.tolist() == pytest.approx([exact] * 3, abs=4 * 0.2 / 400_000**0.5 * 5)


def test_importance_weighted_bound_approaches_the_exact_marginal() -> None:
    # A fixed linear Gaussian model: log p(x) is known, N(b, W W' + s² I). The guide is the prior:
    # poor, but its importance weights are bounded.
    vae = _vae("mean_field_normal")
    with torch.no_grad():
        vae.likelihood.log_sigma.fill_(0.0)
        vae.posterior.loc.weight.zero_()
        vae.decoder[0].weight.copy_(torch.tensor([[1.0, 0.2, 0.0], [0.0, 0.8, 0.3], [0.5, 0, 1]]))
        loading = vae.decoder[0].weight
        mean = vae.decoder[0].bias
        covariance = loading @ loading.T + torch.eye(3)
        law = torch.distributions.MultivariateNormal(mean, covariance)
        x = law.sample((200,))
        exact = float(law.log_prob(x).mean())
    means = [
        float(estimate_bound(vae.model, vae.guide, x, samples=k, seed=1).log_px.mean())
        for k in (1, 10, 100, 2000)
    ]
    # The bound rises with K (Burda et al. 2016, theorem 1) to log p(x).
    assert means == sorted(means)
    assert means[0] < exact - 0.1
    assert means[-1] == pytest.approx(exact, abs=0.01)
