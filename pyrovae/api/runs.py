"""``pyrovae.load_run``: one stored run as a model for new data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.distributions import Distribution

from pyrovae.api.conditions import context_for
from pyrovae.api.observations import explained, observations
from pyrovae.api.parts import configured
from pyrovae.core.errors import ConfigError, DataError
from pyrovae.core.given import Data, Given, given, observed
from pyrovae.core.measuring import measuring
from pyrovae.core.params import OwnParams
from pyrovae.core.seeded import seeded
from pyrovae.datasets.base import as_float
from pyrovae.datasets.streamed import Streamed, blocks
from pyrovae.distributions.sphere_coordinates import unit as on_sphere
from pyrovae.measures.collapse import estimate_bound, posterior_means
from pyrovae.measures.collapse.moments import moments
from pyrovae.measures.collapse.units import encoded
from pyrovae.measures.samplers import SAMPLERS, fit_sampler
from pyrovae.measures.samplers.base import refusal
from pyrovae.measures.traversal import Over, between, levels, traverse
from pyrovae.models.contract import LatentModel
from pyrovae.study.config.run import RunConfig
from pyrovae.study.store.folders import RunFolder, find_run
from pyrovae.study.store.trained import data_of, load_model


@dataclass(frozen=True)
class Run:
    """A trained run. Nothing that is asked of it writes a file or moves the global random state.

    Data are what :func:`pyrovae.api.observations.observations` takes, ``(n, *event_shape)``; codes
    are arrays or tensors ``(n, latent_dim)``. What is given as a NumPy array is answered with one,
    anything else with tensors. A conditional run is given a ``context`` everywhere: labels or
    covariates by name (``{"digit": "3"}``: one value for all, or ``(n,)``), of a single column its
    values alone. Where E[x|z] is said, codes (of likelihood ``categorical``) are
    answered with the most probable.

    Attributes
    ----------
    folder
        Everything that is stored of it.
    """

    folder: RunFolder

    @property
    def id(self) -> str:
        """The run's hash."""
        return self.folder.id

    @cached_property
    def config(self) -> RunConfig:
        """The resolved configuration."""
        return self.folder.config()

    @cached_property
    def scores(self) -> pd.Series:
        """One number each, by name; measured when the run was trained."""
        return pd.Series(self.folder.metrics()["scores"], name=self.id)

    @property
    def units(self) -> pd.DataFrame:
        """One row for each latent unit, measured on the test set."""
        return self.folder.units()

    @cached_property
    def _trained(self) -> tuple[LatentModel, tuple[int, ...]]:
        return load_model(self.folder)

    @property
    def model(self) -> LatentModel:
        """The trained model, in evaluation mode."""
        return self._trained[0]

    def encode(self, x: Any, context: Any = None) -> Any:
        """Return E[z|x] under q, ``(n, latent_dim)``; ``model.encode(x)`` has the whole law.

        ``context`` is that of x, for a conditional run.
        """
        return _answer(x, lambda: posterior_means(self.model, self._data(x, context=context)))

    def posterior(
        self, x: Any, context: Any = None, *, draws: int = 0, seed: int = 0
    ) -> dict[str, np.ndarray]:
        """Return what q(z|x) is for each observation.

        Parameters
        ----------
        x
            Observations.
        context
            Of each, for a conditional run.
        draws
            Of each code.
        seed
            Of draws, and of moments where the family does not know its own.

        Returns
        -------
        dict of array
            ``mean`` and ``scale``, the standard deviation, ``(n, latent_dim)``; with draws,
            ``draws`` ``(draws, n, latent_dim)``.
        """
        _whole("draws", draws, 0)
        _whole("seed", seed, 0)
        data = self._observed(x, context)
        names = ("mean", "scale", "draws")[: 3 if draws else 2]
        found: dict[str, list[Tensor]] = {name: [] for name in names}
        with measuring(self.model), torch.no_grad(), seeded(seed):
            for q in (q for part in self._parts(data) for q in encoded(self.model, part)):
                known = moments(q)
                found["mean"].append(known.mean)
                found["scale"].append(known.variance.sqrt())
                if draws:
                    found["draws"].append(q.sample((draws,)))
        return {name: torch.cat(parts, -2).numpy() for name, parts in found.items()}

    def score(
        self, x: Any, context: Any = None, *, samples: int = 100, seed: int = 0
    ) -> pd.DataFrame:
        """Return how likely the model finds each observation, one row for each, in nats.

        Of a conditional run, log p(x|c) and its bound.

        Parameters
        ----------
        x
            Observations.
        context
            Of each, for a conditional run.
        samples
            Draws from q(z|x) for each.
        seed
            Of the draws.

        Returns
        -------
        DataFrame
            ``elbo``, its halves ``rate`` and ``distortion``, and ``log_px``, the bound on log p(x)
            by importance weights.
        """
        _whole("samples", samples, 1)
        _whole("seed", seed, 0)
        data, model = self._observed(x, context), self.model
        names = ("elbo", "rate", "distortion", "log_px")
        tables = []
        for part in self._parts(data):
            with OwnParams():
                bound = estimate_bound(
                    model.datum_model, model.datum_guide, part, samples=samples, seed=seed
                )
            tables.append(pd.DataFrame({name: getattr(bound, name).numpy() for name in names}))
        return pd.concat(tables, ignore_index=True)

    def decode(self, z: Any, context: Any = None) -> Any:
        """Return E[x|z], or E[x|z, c] of a conditional run, ``(n, *event_shape)``.

        Where there is no mean, a draw (:attr:`pyrovae.models.contract.LatentModel.shows`).
        """
        codes = self._codes(z)
        told = self._told(context, len(codes), "z")
        return _answer(z, lambda: self._decoded(codes, **told))

    def reconstruct(self, x: Any, context: Any = None) -> Any:
        """Return the decoded :meth:`encode` of x, ``(n, *event_shape)``."""
        data = self._data(x, context=context)
        return _answer(x, lambda: self._decoded(posterior_means(self.model, data), **given(data)))

    def sample(
        self,
        n: int,
        *,
        context: Any = None,
        seed: int = 0,
        noise: bool = False,
        sampler: Any = None,
    ) -> Tensor:
        """Return E[x|z] of ``n`` draws from the prior, ``(n, *event_shape)``.

        Of a conditional run, draws given a context: ``run.sample(8, context={"digit": "3"})``.

        With ``noise``, draws from p(x|z): observations as the model makes them, such as rows of a
        table.

        With a ``sampler`` (``"mixture"``, or a mapping of its name and parameters), draws from the
        law that it makes of the codes of the run's training data, which have to be at hand.
        """
        _whole("n", n, 1)
        _whole("seed", seed, 0)
        law = None if sampler is None else self._law_of_codes(sampler, seed)
        told = self._told(context, n, "sample")
        with measuring(self.model), torch.no_grad(), seeded(seed):
            z = self.model.draw_prior(n, **told) if law is None else law.sample((n,))
            if noise or self.model.shows == "draw":
                return self.model.decode(z, **told).sample()
            return self._decoded(z, **told)

    def _law_of_codes(self, sampler: Any, seed: int) -> Distribution:
        try:
            asked = configured(SAMPLERS, sampler)
        except ConfigError as error:
            raise error.at("sampler") from None
        reason = refusal(self.model.space, self.model.condition is not None)
        if reason:
            raise ConfigError(reason, "sampler")
        train = data_of(self.folder, self.config).train
        first = train.take(slice(self.config.evaluation.points))
        return fit_sampler(self.model, first.floats(), asked, seed=seed)

    def interpolate(self, a: Any, b: Any, *, context: Any = None, steps: int = 8) -> Any:
        """Return what lies between two observations, ``(steps, *event_shape)``.

        Their codes are joined by a straight line; on a sphere it is brought back to the surface. Of
        a conditional run all share one context.
        """
        _whole("steps", steps, 2)
        ends = [
            posterior_means(self.model, self._data(_one(x), name, context))
            for x, name in ((a, "a"), (b, "b"))
        ]
        told = self._told(context, 1, "a")
        return _answer(a, lambda: between(self.model, *ends, steps=steps, **told)[0])

    def traverse(
        self,
        x: Any = None,
        *,
        context: Any = None,
        units: Sequence[int] | None = None,
        steps: int = 11,
        over: Over = "prior",
        seed: int = 0,
    ) -> Any:
        """Change one unit at a time, through its quantiles from 5 % to 95 %.

        Parameters
        ----------
        x
            Observations that the traversals go through; one draw from the prior by default.
        context
            Of each, or of the draw, for a conditional run; it stays as it is along a traversal.
        units
            Which; all of them by default.
        steps
            Values of each unit.
        over
            Quantiles of the ``prior``, or of the aggregate ``posterior`` of x.
        seed
            Of draws.

        Returns
        -------
        array or tensor
            ``(n, units, steps, *event_shape)``.
        """
        _whole("steps", steps, 2)
        _whole("seed", seed, 0)
        d = self.model.latent_dim
        chosen = list(range(d)) if units is None else list(units)
        for i, unit in enumerate(chosen):
            if (
                isinstance(unit, bool)
                or not isinstance(unit, int | np.integer)
                or not 0 <= unit < d
            ):
                raise ConfigError(f"must be a unit from 0 to {d - 1}, got {unit!r}", f"units[{i}]")
        if over not in ("prior", "posterior"):
            raise ConfigError(f"must be prior or posterior, got {over!r}", "over")
        if x is None and over == "posterior":
            raise ConfigError("needs x: the aggregate posterior is that of data", "over")
        if x is None:
            told = self._told(context, 1, "x")
            with measuring(self.model), torch.no_grad(), seeded(seed):
                centre = self.model.draw_prior(1, **told)
            data: Data = torch.empty(0)
            if told:
                data = Given(torch.empty(1, 0), told["context"])
        else:
            data = self._data(x, context=context)
            centre = posterior_means(self.model, data)
        values = levels(self.model, data, steps=steps, over=over, seed=seed)
        found = torch.tensor([int(unit) for unit in chosen])
        return _answer(x, lambda: traverse(self.model, centre, values, found, **given(data)))

    def _decoded(self, z: Tensor, **told: Tensor) -> Tensor:
        # Where there is no mean, the same draw each time.
        with measuring(self.model), torch.no_grad(), seeded(0):
            codes = on_sphere(z) if self.model.space == "sphere" else z
            return self.model.reconstruct(codes, **told)

    def _told(self, context: Any, n: int, what: str) -> dict[str, Tensor]:
        found = context_for(self.model, context, n, what)
        return {} if found is None else {"context": found}

    def _observed(self, x: Any, context: Any) -> Any:
        """Return observations, those that stay in their file as they are."""
        if isinstance(x, Streamed) and tuple(x.shape[1:]) == self._trained[1]:
            told = self._told(context, len(x), "x")
            values = explained(self.model, x)
            return Given(values, told["context"]) if told else values
        return self._data(x, context=context)

    @staticmethod
    def _parts(data: Any) -> Iterator[Data]:
        values = observed(data)
        if isinstance(values, Tensor):
            yield data
            return
        for start, block in blocks(values):
            x = as_float(block)
            if isinstance(data, Given):
                yield Given(x, data.context[start : start + len(block)])
            else:
                yield x

    def _data(self, x: Any, what: str = "x", context: Any = None) -> Any:
        values = as_float(explained(self.model, observations(x, self._trained[1], what), what))
        told = self._told(context, len(values), what)
        return Given(values, told["context"]) if told else values

    def _codes(self, z: Any) -> Tensor:
        return _codes(z, self.model.latent_dim)

    def _repr_html_(self) -> str:
        labels = {**self.folder.metrics()["labels"], "folder": self.folder.path}
        shown = ("elbo", "rate", "distortion", "used_units", "settled")
        labels |= {name: f"{self.scores[name]:.4g}" for name in shown if name in self.scores}
        rows = "".join(
            f"<tr><th>{escape(str(k))}</th><td>{escape(str(v))}</td></tr>"
            for k, v in labels.items()
        )
        return f"<table><caption>run {escape(self.id)}</caption>{rows}</table>"


def load_run(run: str | Path, *, results: str | Path = "results") -> Run:
    """Open a finished run.

    Parameters
    ----------
    run
        Its folder, ``results/<study>/runs/<id>``, or the start of its id.
    results
        The folder that holds all studies, in which an id is looked for.

    Raises
    ------
    ConfigError
        If there is none, or more than one, or a file of it is missing or damaged.

    Examples
    --------
    ::

        run = pyrovae.load_run("results/prior_comparison/runs/88b8a5fc…")
        run.reconstruct(images)
    """
    return Run(find_run(Path(results), str(run)))


def stored_run(given: Any, results: str | Path) -> Run | None:
    """Return the run that a verb is given, or ``None`` for a model in memory.

    Raises
    ------
    ConfigError
        As :func:`load_run`, and for what is neither a model nor a run.
    """
    if isinstance(given, LatentModel):
        return None
    if isinstance(given, Run):
        return given
    if isinstance(given, RunFolder):
        return Run(given)
    if isinstance(given, str | Path):
        return load_run(given, results=results)
    raise ConfigError(
        f"must be a model, a run or a run's folder, got {type(given).__name__}", "model"
    )


def _answer(given: Any, compute: Callable[[], Tensor]) -> Any:
    found = compute().detach()
    return found.numpy() if isinstance(given, np.ndarray) else found


def _one(x: Any) -> Any:
    return x[None] if hasattr(x, "shape") else x


def _codes(given: Any, latent_dim: int) -> Tensor:
    """Return codes as they are: of whole numbers too, which of observations may be images."""
    if not isinstance(given, np.ndarray | Tensor):
        raise DataError(f"z must be an array or a tensor, got {type(given).__name__}")
    try:
        values = torch.as_tensor(given).detach().cpu()
    except (TypeError, ValueError):
        raise DataError(f"z holds {given.dtype}: must be real numbers") from None
    if values.is_complex():
        raise DataError(f"z holds {values.dtype}: must be real numbers")
    if values.dim() != 2 or values.shape[1] != latent_dim or not len(values):
        raise DataError(f"z has shape {tuple(values.shape)}: must be (n, {latent_dim}), n > 0")
    taken = values.float()
    bad = (~taken.isfinite()).nonzero()
    if len(bad):
        raise DataError(
            f"z holds {float(taken[tuple(bad[0])])} at {bad[0].tolist()}: must be finite"
        )
    return taken


def _whole(place: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**63:
        raise ConfigError(f"must be a whole number of at least {least}, got {value!r}", place)
