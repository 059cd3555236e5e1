"""Where a bound loses: in the family of q, or in the network that has to find q for each datum.

Cremer, Li & Duvenaud 2018, eq. 3 (arXiv:1801.03558): log p(x) - ELBO is the approximation gap,
log p(x) - ELBO*, plus the amortisation gap, ELBO* - ELBO, with ELBO* the best bound in the family.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.func import functional_call

from pyrovae.core.given import Data, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.distributions.rebatched import Rebatched
from pyrovae.measures.posterior.weights import Estimate, draw_guide, draws_at_a_time, elbo
from pyrovae.models.contract import LatentModel
from pyrovae.models.layered import LayeredVAE
from pyrovae.models.posteriors.mean_field import MeanFieldNormal
from pyrovae.models.vae import VAE

#: Draws for each datum and step of the search, and its step size.
_DRAWS, _LR = 32, 0.02


@only_measures
def best_in_family(vae: LatentModel, x: Data, *, steps: int, samples: int, seed: int) -> Tensor:
    """Weigh draws from the best q of the family, of which each datum gets its own.

    Freed for each datum are the features that the posterior is given and the offsets of its heads.
    That is the whole family where the heads give all of its parameters; flows keep their networks,
    and what reads another layer's code keeps what it makes of that.
    Of a user's own guide nothing but its input is known: there the best is among what the guide
    says for any input.

    Parameters
    ----------
    vae
        The trained model and guide.
    x
        Observations ``(n, *event_shape)``.
    steps
        Of Adam. The mean over the second half of them is taken (Polyak & Juditsky 1992,
        https://doi.org/10.1137/0330046): the last step alone carries its draws' noise, which with p
        parameters a datum costs p nats over twice the draws that count. What is left of that is
        p / (32 ``steps``).
    samples
        Fresh draws for the bound that is returned.
    seed
        Of the draws; the global random state is left as it was.

    Returns
    -------
    Tensor
        log p(x, z) - log q*(z|x), nats, ``(samples, n)``: their mean is ELBO*.
    """
    free, q = _free(vae, x)
    for tensor in free.values():
        tensor.requires_grad_()
    with seeded(seed, x.device):
        optimiser = torch.optim.Adam(free.values(), lr=_LR)
        mean = {name: torch.zeros_like(tensor) for name, tensor in free.items()}
        for step in range(steps):
            # Data do not meet: the gradient of the sum holds that of each.
            loss = -_log_weight(vae, q(), x, _DRAWS).sum() / _DRAWS
            # backward() would leave gradients with the model's parameters too.
            slopes = torch.autograd.grad(loss, [*free.values()], allow_unused=True)
            for tensor, slope in zip(free.values(), slopes, strict=True):
                tensor.grad = slope
            optimiser.step()
            counted = step - steps // 2 + 1
            if counted > 0:
                for name, tensor in free.items():
                    mean[name].lerp_(tensor.detach(), 1 / counted)
        with torch.no_grad():
            for name, tensor in free.items():
                tensor.copy_(mean[name])
            rows = min(samples, draws_at_a_time(observed(x)))
            parts = [_log_weight(vae, q(), x, rows) for _ in range(math.ceil(samples / rows))]
    return torch.cat(parts).double()


def amortisation_gap(vae: LatentModel, x: Data, *, steps: int, samples: int, seed: int) -> Estimate:
    """Return ELBO* - ELBO of each datum, nats: what the encoder loses in its own family.

    Parameters
    ----------
    vae, x, steps, seed
        As of :func:`best_in_family`.
    samples
        Draws for each of both bounds.
    """
    best = best_in_family(vae, x, steps=steps, samples=samples, seed=seed)
    return elbo(best) - elbo(draw_guide(vae, x, samples=samples, seed=seed).log_weight)


def _log_weight(vae: LatentModel, q: Distribution, x: Data, n: int) -> Tensor:
    z = q.rsample((n,))
    return (
        vae.prior_law(**given(x)).log_prob(z)
        + vae.decode(z, **given(x)).log_prob(observed(x))
        - q.log_prob(z)
    )


def _free(vae: LatentModel, x: Data) -> tuple[dict[str, Tensor], Callable[[], Distribution]]:
    if isinstance(vae, VAE):
        return _freed(vae, x)
    return _freed_layers(vae, x) if isinstance(vae, LayeredVAE) else _freed_input(vae, x)


def _freed_layers(vae: LayeredVAE, x: Data) -> tuple[dict[str, Tensor], Callable[[], Distribution]]:
    """As :func:`_freed`, of all layers at once; what reads a layer's code keeps its networks."""
    with torch.no_grad():
        features = vae.features(observed(x))
    free = {f"features{i}": each.clone() for i, each in enumerate(features)}
    fixed: list[dict[str, Tensor]] = []
    heads: list[list[str]] = []
    for i, posterior in enumerate(vae.posteriors):
        names = [name for name, part in posterior.named_children() if isinstance(part, nn.Linear)]
        for name in names:
            bias = getattr(posterior, name).bias.detach()
            free[f"{i}.{name}"] = bias.expand(len(x), -1).clone()
        fixed.append({name: p.detach() for name, p in posterior.named_parameters()})
        heads.append(names)

    def law(i: int, read: Tensor) -> Distribution:
        batch = read.shape[:-1]
        biases = {
            f"{name}.bias": free[f"{i}.{name}"].expand(*batch, -1).flatten(0, -2)
            for name in heads[i]
        }
        # A linear layer takes a bias for each row of a matrix, and of nothing larger.
        flat = functional_call(vae.posteriors[i], {**fixed[i], **biases}, (read.flatten(0, -2),))
        return Rebatched.of(flat, batch)

    def q() -> Distribution:
        found = [free[f"features{i}"] for i in range(len(features))]
        return vae.encoded(found, (len(x),), law)

    return free, q


def _freed(vae: VAE, x: Data) -> tuple[dict[str, Tensor], Callable[[], Distribution]]:
    """Return the tensors of which each datum gets its own, and the law that they make."""
    posterior = _family(vae)
    with torch.no_grad():
        free = {"features": vae.features(observed(x), **given(x)).clone()}
    heads = [name for name, part in posterior.named_children() if isinstance(part, nn.Linear)]
    for name in heads:
        bias = getattr(posterior, name).bias.detach()
        free[name] = bias.expand(len(x), -1).clone()
    fixed = {name: p.detach() for name, p in posterior.named_parameters()}

    def q() -> Distribution:
        biases = {f"{name}.bias": free[name] for name in heads}
        return functional_call(posterior, {**fixed, **biases}, (free["features"],))

    return free, q


def _freed_input(vae: LatentModel, x: Data) -> tuple[dict[str, Tensor], Callable[[], Distribution]]:
    free = {"input": observed(x).clone()}
    return free, lambda: vae.encode(free["input"], **given(x))


def _family(vae: VAE) -> nn.Module:
    """Return the posterior as a function of features alone."""
    posterior = vae.posterior
    if not posterior.needs_model:
        return posterior
    # Steps from the encoder's output end somewhere in the diagonal normal family.
    family = MeanFieldNormal(posterior.features, posterior.latent_dim)
    for name in ("loc", "scale"):
        setattr(family, name, copy.deepcopy(getattr(posterior, name)))
    return family
