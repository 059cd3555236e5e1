"""Checks that anybody's prior, posterior, likelihood, network, objective and so on can be put to.

They are those that the built-in families are tested with::

    import pyrovae

    pyrovae.check_prior(MyPrior)

    @pytest.mark.parametrize(("name", "check"), pyrovae.prior_checks(MyPrior))
    def test_my_prior(name, check):
        check()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pyrovae.api.checks import observed, others
from pyrovae.api.checks.failing import Check, CheckFailed, run
from pyrovae.api.checks.latent import LATENT_CHECKS, Subject
from pyrovae.api.checks.laws import Case
from pyrovae.api.parts import configured
from pyrovae.core.registry import Registry
from pyrovae.measures.disentanglement import METRICS
from pyrovae.models.likelihoods import LIKELIHOODS
from pyrovae.models.networks import NETWORKS
from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.priors import PRIORS
from pyrovae.objectives import OBJECTIVES
from pyrovae.training.optimizers import OPTIMIZERS

#: A name, and a check that takes no argument.
Ready = tuple[str, Callable[[], None]]


def _part(registry: Registry, given: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    part = configured(registry, {"name": given, **parameters})
    part.pop("source", None)
    return part


def _ready(checks: Sequence[Check], subject: Any) -> list[Ready]:
    return [(name, partial(run, [(name, check)], subject)) for name, check in checks]


def _run(ready: Sequence[Ready]) -> None:
    for _, check in ready:
        check()


def prior_checks(prior: Any, *, encoder: str | None = None, **parameters: Any) -> list[Ready]:
    """Return the checks of a prior, as (name, function); see :func:`check_prior`."""
    part = _part(PRIORS, prior, parameters)
    name = part.pop("name")
    if encoder is None and PRIORS[name].needs_encoder:
        encoder = "mean_field_normal"
    return _ready(LATENT_CHECKS, Subject(Case("prior", name, part, encoder)))


def posterior_checks(posterior: Any, **parameters: Any) -> list[Ready]:
    """Return the checks of a posterior, as (name, function); see :func:`check_posterior`."""
    part = _part(POSTERIORS, posterior, parameters)
    return _ready(LATENT_CHECKS, Subject(Case("posterior", part.pop("name"), part)))


def likelihood_checks(
    likelihood: Any, *, values: list[float] | None = None, **parameters: Any
) -> list[Ready]:
    """Return the checks of a likelihood, as (name, function); see :func:`check_likelihood`."""
    part = _part(LIKELIHOODS, likelihood, parameters)
    subject = observed.Subject(part.pop("name"), part, values)
    return _ready(observed.LIKELIHOOD_CHECKS, subject)


def network_checks(network: Any, **parameters: Any) -> list[Ready]:
    """Return the checks of a network, as (name, function); see :func:`check_network`."""
    return _ready(others.NETWORK_CHECKS, others.Subject(_part(NETWORKS, network, parameters)))


def objective_checks(objective: Any, **parameters: Any) -> list[Ready]:
    """Return the checks of an objective, as (name, function); see :func:`check_objective`."""
    part = _part(OBJECTIVES, objective, parameters)
    return _ready(others.OBJECTIVE_CHECKS, others.Subject(part))


def optimizer_checks(optimizer: Any, **parameters: Any) -> list[Ready]:
    """Return the checks of an optimiser, as (name, function); see :func:`check_optimizer`."""
    part = _part(OPTIMIZERS, optimizer, parameters)
    return _ready(others.OPTIMIZER_CHECKS, others.Subject(part))


def metric_checks(metric: Any, **parameters: Any) -> list[Ready]:
    """Return the checks of a metric, as (name, function); see :func:`check_metric`."""
    return _ready(others.METRIC_CHECKS, others.Subject(_part(METRICS, metric, parameters)))


def check_prior(prior: Any, *, encoder: str | None = None, **parameters: Any) -> None:
    """Check a prior: shapes, density, sampler, derivatives, and that it trains.

    Parameters
    ----------
    prior
        A class of :class:`pyrovae.models.priors.Prior`, a name or a dotted path.
    encoder
        For a prior that is made of the posterior: of which family.
    parameters
        The class's own; small ones if its defaults make large networks.

    Raises
    ------
    CheckFailed
        An :class:`AssertionError` that names the check that fails, with numbers.

    Examples
    --------
    >>> import pyrovae
    >>> pyrovae.check_prior("laplace")
    """
    _run(prior_checks(prior, encoder=encoder, **parameters))


def check_posterior(posterior: Any, **parameters: Any) -> None:
    """Check a posterior family as :func:`check_prior` does a prior; and moments and marginals."""
    _run(posterior_checks(posterior, **parameters))


def check_likelihood(
    likelihood: Any, *, values: list[float] | None = None, **parameters: Any
) -> None:
    """Check a likelihood: shapes, mass, sampler, mean, derivatives, and that it trains.

    Parameters
    ----------
    likelihood
        A class of :class:`pyrovae.models.likelihoods.Likelihood`, a name or a dotted path.
    values
        What one pixel can be, of a discrete law that has no ``enumerate_support``.
    parameters
        The class's own.

    Raises
    ------
    CheckFailed
        As :func:`check_prior`.
    """
    _run(likelihood_checks(likelihood, values=values, **parameters))


def check_network(network: Any, **parameters: Any) -> None:
    """Check a network: shapes, that data do not mix, derivatives, and that it trains."""
    _run(network_checks(network, **parameters))


def check_objective(objective: Any, **parameters: Any) -> None:
    """Check an objective: a finite number, derivatives of every part, and that it trains."""
    _run(objective_checks(objective, **parameters))


def check_optimizer(optimizer: Any, **parameters: Any) -> None:
    """Check an optimiser: form of its moments, nothing written in place, descent, and training."""
    _run(optimizer_checks(optimizer, **parameters))


def check_metric(metric: Any, **parameters: Any) -> None:
    """Check a metric: result, same numbers from the same seed, arrays left as they are."""
    _run(metric_checks(metric, **parameters))


__all__ = [
    "CheckFailed",
    "check_likelihood",
    "check_metric",
    "check_network",
    "check_objective",
    "check_optimizer",
    "check_posterior",
    "check_prior",
    "likelihood_checks",
    "metric_checks",
    "network_checks",
    "objective_checks",
    "optimizer_checks",
    "posterior_checks",
    "prior_checks",
]
