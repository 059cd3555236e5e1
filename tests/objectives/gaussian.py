"""A linear Gaussian model with any Gaussian guide, in double precision: everything is known.

z ~ N(0, I), x = W z + b + s e, and q(z|x) = N(A x + c, L L^T).
"""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from pyrovae.models.contract import LatentModel

DIM, LATENT, NOISE = 4, 2, 0.6


class LinearGaussian(LatentModel):
    """The model and its guide.

    ``exact`` makes the guide the true posterior; with ``widened`` above 1 it is too wide by that
    factor, and off its place.
    """

    latent_dim = LATENT

    def __init__(self, *, exact: bool = False, widened: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def random(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        self.loading = nn.Parameter(random(DIM, LATENT))
        self.mean = nn.Parameter(random(DIM))
        gain, offset = 0.3 * random(LATENT, DIM), 0.2 * random(LATENT)
        tril = torch.eye(LATENT).double() * 0.6 + 0.3 * random(LATENT, LATENT).tril(-1)
        if exact:
            covariance = self.posterior_covariance().detach()
            gain = covariance @ self.loading.detach().T / NOISE**2
            offset = -gain @ self.mean.detach()
            tril = widened * torch.linalg.cholesky(covariance)
            offset = offset + 0.2 * (widened - 1)
        self.gain, self.offset, self.tril = map(nn.Parameter, (gain, offset, tril))

    def posterior_covariance(self) -> Tensor:
        """Return Cov[z|x], the same for each x."""
        precision = torch.eye(LATENT).double() + self.loading.T @ self.loading / NOISE**2
        return torch.linalg.inv(precision)

    def model(self, x: Tensor | None = None, n: int = 1) -> Tensor:
        """p(z) p(x|z)."""
        with pyro.plate("data", n if x is None else len(x), dim=-1):
            z = pyro.sample("z", self.prior_law())
            return pyro.sample("x", self.decode(z), obs=x)

    def guide(self, x: Tensor, n: int = 1) -> Tensor:
        """q(z|x)."""
        with pyro.plate("data", len(x), dim=-1):
            return pyro.sample("z", self.encode(x))

    def encode(self, x: Tensor) -> Distribution:
        """Return q(z|x)."""
        return dist.MultivariateNormal(x @ self.gain.T + self.offset, scale_tril=self.tril)

    def decode(self, z: Tensor) -> Distribution:
        """Return p(x|z)."""
        loc = z @ self.loading.T + self.mean
        return dist.Normal(loc, torch.full_like(loc, NOISE)).to_event(1)

    def prior_law(self) -> Distribution:
        """Return N(0, I)."""
        zero = torch.zeros(LATENT, dtype=torch.float64)
        return dist.Normal(zero, torch.ones_like(zero)).to_event(1)

    def is_guide_parameter(self, name: str) -> bool:
        """Return whether a parameter is the guide's."""
        return name in ("gain", "offset", "tril")

    def log_px(self, x: Tensor) -> Tensor:
        """Return log p(x) from the marginal law of x, ``(n,)``."""
        covariance = self.loading @ self.loading.T + NOISE**2 * torch.eye(DIM).double()
        return torch.distributions.MultivariateNormal(self.mean, covariance).log_prob(x)

    def elbo(self, x: Tensor) -> Tensor:
        """Return log p(x) - KL(q(z|x) || p(z|x)), ``(n,)``: another way than a loss takes."""
        precision = torch.linalg.inv(self.posterior_covariance())
        gain = self.posterior_covariance() @ self.loading.T / NOISE**2
        off = (x - self.mean) @ gain.T - (x @ self.gain.T + self.offset)
        s = self.tril @ self.tril.T
        kl = 0.5 * (
            (precision @ s).trace()
            - LATENT
            + (off @ precision * off).sum(-1)
            - torch.logdet(precision)
            - torch.logdet(s)
        )
        return self.log_px(x) - kl

    def distortion(self, x: Tensor) -> Tensor:
        """Return E_q[-log p(x|z)], ``(n,)``."""
        mean = (x @ self.gain.T + self.offset) @ self.loading.T + self.mean
        spread = (self.loading @ self.tril).square().sum()
        square = (x - mean).square().sum(-1) + spread
        return square / (2 * NOISE**2) + DIM / 2 * torch.log(
            torch.tensor(2 * torch.pi * NOISE**2).double()
        )


def data(n: int = 6, seed: int = 1) -> Tensor:
    """Return observations that the model could have made, ``(n, DIM)``."""
    generator = torch.Generator().manual_seed(seed)
    return 1.5 * torch.randn(n, DIM, generator=generator, dtype=torch.float64)


def draws(vae: LatentModel, objective: nn.Module, x: Tensor, n: int, **hyper: float) -> Tensor:
    """Return ``n`` independent values of a loss on the data ``x``, ``(n,)``."""
    scalars = {name: torch.tensor(value, dtype=torch.float64) for name, value in hyper.items()}
    with torch.no_grad():
        return torch.stack([objective(vae, x, scalars, len(x))[0] for _ in range(n)])


def gradients(vae: LatentModel, objective: nn.Module, x: Tensor, n: int) -> Tensor:
    """Return ``n`` independent gradients by all parameters of the model, ``(n, parameters)``."""
    parameters = list(vae.parameters())
    rows = []
    for _ in range(n):
        loss, _ = objective(vae, x, {}, len(x))
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)]))
    return torch.stack(rows)
