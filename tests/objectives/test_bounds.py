"""ELBO, importance-weighted bounds and their gradients where log p(x) is known."""

from __future__ import annotations

import torch
from distributions.checks import assert_mean

from objectives.gaussian import LinearGaussian, data, draws, gradients
from pyrovae.objectives import Autoencoder, Beta, Dreg, Elbo, Iwae, LearnedSigma


def test_elbo_is_its_closed_form() -> None:
    vae, x = LinearGaussian(), data()
    expected = -vae.elbo(x).mean().detach()
    assert (vae.log_px(x).mean() + expected) > 0.5  # the guide is far from exact
    assert_mean(draws(vae, Elbo(), x, 800), expected)


def test_elbo_of_the_exact_guide_is_log_px_for_every_draw() -> None:
    vae, x = LinearGaussian(exact=True), data()
    torch.testing.assert_close(vae.elbo(x), vae.log_px(x))
    values = draws(vae, Iwae(particles=1), x, 5)
    torch.testing.assert_close(values, -vae.log_px(x).mean().detach().expand(5))


def test_weighted_forms_are_distortion_and_weighted_rate() -> None:
    vae, x = LinearGaussian(), data()
    distortion = vae.distortion(x).mean().detach()
    rate = -vae.elbo(x).mean().detach() - distortion
    assert rate > 0.5
    assert_mean(draws(vae, Beta(), x, 800, beta=3.0), distortion + 3 * rate)
    assert_mean(draws(vae, Autoencoder(), x, 800), distortion)
    assert_mean(draws(vae, LearnedSigma(), x, 800), distortion + rate)


def test_iwae_rises_with_particles_towards_log_px() -> None:
    vae, x = LinearGaussian(exact=True, widened=2.5), data()
    exact = vae.log_px(x).mean().detach()
    bounds, errors = [], []
    for k in (1, 4, 16, 512):
        values = -draws(vae, Iwae(particles=k), x, 400)
        bounds.append(values.mean())
        errors.append(values.std() / 20)
    assert_mean(-draws(vae, Iwae(particles=1), x, 800), vae.elbo(x).mean().detach())
    for i in range(3):
        assert bounds[i + 1] - bounds[i] > 4 * (errors[i] ** 2 + errors[i + 1] ** 2).sqrt()
    # Four standard errors above it would refute that it is a bound.
    assert all(b < exact + 4 * e for b, e in zip(bounds, errors, strict=True))
    assert exact - bounds[-1] < 0.02 * (exact - bounds[0])


def _exact_gradient(vae: LinearGaussian, x: torch.Tensor) -> torch.Tensor:
    grads = torch.autograd.grad(-vae.elbo(x).mean(), list(vae.parameters()))
    return torch.cat([g.flatten() for g in grads])


def test_elbo_gradient_is_unbiased() -> None:
    vae, x = LinearGaussian(), data(3)
    found = gradients(vae, Elbo(), x, 1500)
    # 20 parameters at 4.5 standard errors: a false alarm in 7000 seeds.
    assert_mean(found, _exact_gradient(vae, x), errors=4.5)


def test_dreg_gradient_is_that_of_the_iwae_bound() -> None:
    """Both are unbiased for one quantity: the means agree, parameter by parameter."""
    vae, x = LinearGaussian(exact=True, widened=2.0), data(3)
    n, particles = 1200, 3
    plain, doubled = (
        gradients(vae, objective(particles=particles), x, n) for objective in (Iwae, Dreg)
    )
    error = ((plain.var(0) + doubled.var(0)) / n).sqrt()
    # 20 parameters at 4.5 standard errors: a false alarm in 7000 seeds.
    assert ((plain.mean(0) - doubled.mean(0)).abs() < 4.5 * error + 1e-12).all()
    assert (error < 0.2 * plain.mean(0).abs().max()).all()
    # The value is the bound's too.
    assert_mean(
        draws(vae, Dreg(particles=particles), x, 400)
        - draws(vae, Iwae(particles=particles), x, 400),
        0.0,
    )


def test_dreg_has_no_noise_where_the_guide_is_exact() -> None:
    # Then log w is constant in z, so its derivative is zero (Tucker et al. 2019, sec. 3);
    # the plain gradient of the same bound keeps its noise.
    vae, x = LinearGaussian(exact=True), data(3)
    model = sum(p.numel() for n, p in vae.named_parameters() if not vae.is_guide_parameter(n))
    quiet, noisy = (gradients(vae, o(particles=4), x, 50)[:, model:] for o in (Dreg, Iwae))
    assert quiet.abs().max() < 1e-9
    # The upper triangle of the scale has no part in it.
    assert (noisy.std(0) > 1e-2).sum() == noisy.shape[1] - 1


def test_dreg_gradient_gains_signal_with_particles() -> None:
    # Rainforth et al. 2018 (arXiv:1802.04537): the plain estimator's signal falls with K; DReG's
    # rises.
    vae, x = LinearGaussian(exact=True, widened=1.5), data(3)
    model = sum(p.numel() for n, p in vae.named_parameters() if not vae.is_guide_parameter(n))
    signal = {}
    for objective in (Iwae, Dreg):
        for k in (2, 64):
            found = gradients(vae, objective(particles=k), x, 400)[:, model:]
            signal[objective, k] = (found.mean(0).norm() / found.std(0).norm()).item()
    assert signal[Dreg, 64] > 2 * signal[Dreg, 2]
    assert signal[Dreg, 64] > 3 * signal[Iwae, 64]
