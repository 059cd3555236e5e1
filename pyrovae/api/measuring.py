"""``pyrovae.collapse`` and its like: of a model and data in memory, and of a stored run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from pyrovae.api.observations import as_array, with_factors
from pyrovae.api.parts import configured, settings
from pyrovae.api.runs import Run, stored_run
from pyrovae.api.subjects import data_for, device_of, model_of, name_of, on_cpu
from pyrovae.core.errors import ConfigError
from pyrovae.core.registry import Registry
from pyrovae.distributions.marginals import is_standard_normal
from pyrovae.measures.collapse import posterior_means
from pyrovae.measures.collapse.measure import CollapseSettings
from pyrovae.measures.disentanglement import METRICS
from pyrovae.measures.disentanglement import score as score_codes
from pyrovae.measures.disentanglement.asked import keys_of
from pyrovae.measures.evaluate import EvaluationSettings, measure_splits
from pyrovae.measures.evaluate import evaluate as measure
from pyrovae.measures.posterior.diagnose import diagnose as diagnose_model
from pyrovae.measures.posterior.settings import DiagnosticsSettings
from pyrovae.measures.samplers import SAMPLERS
from pyrovae.models.contract import LatentModel
from pyrovae.report.diagnosis import DiagnosisReport
from pyrovae.report.run.collapse import CollapseReport
from pyrovae.report.run.evaluation import EvaluationReport
from pyrovae.report.run.scores import ScoreReport
from pyrovae.study.store.diagnoses import DiagnosisFolder, check_density, diagnose_run


def collapse(
    model: LatentModel | Run | str | Path,
    x: Any = None,
    *,
    train: Any = None,
    context: Any = None,
    train_context: Any = None,
    points: int = 5000,
    samples: int = 16,
    information_points: int = 1000,
    sensitivity_points: int = 64,
    seed: int = 0,
    results: str | Path = "results",
) -> CollapseReport:
    """Tell what each latent unit does: KL, variances, information, what the decoder heeds.

    Parameters
    ----------
    model
        From :func:`pyrovae.build`, :func:`pyrovae.fit` or :func:`pyrovae.wrap`, or any other
        :class:`pyrovae.models.contract.LatentModel`; or a stored run: its folder, the start of its
        id, or what :func:`pyrovae.load_run` gives.
    x
        Test data, as :func:`pyrovae.fit` takes them; of a :class:`pyrovae.datasets.Dataset` both
        splits are taken. A stored run is told of as it was measured when it was trained, unless
        there are other data.
    train
        What the model was trained on: adds ``train_…`` and the gaps between both.
    context, train_context
        Labels or covariates of x and of train, as :func:`pyrovae.fit` takes them, for a conditional
        model, of which all is told given them. A data set has its own.
    points, samples
        At most so many of the data, and draws of z for each.
    information_points, sensitivity_points
        Points whose codes' information is measured, and whose units are replaced.
    seed
        Of the draws; the global random state is neither read nor changed.
    results
        The folder that holds all studies, in which an id is looked for.

    Returns
    -------
    CollapseReport
        ``table`` (one row for each unit, by decreasing KL), ``scores``, ``text()``, ``figures()``,
        ``save(folder)``. The command ``pyrovae collapse`` prints the same.

    Raises
    ------
    ConfigError
        If there is no such run, or a setting that cannot be.
    DataError
        For values that cannot be, or that the likelihood cannot explain.

    Examples
    --------
    >>> import numpy as np, pyrovae
    >>> x = np.random.default_rng(0).random((64, 5)) < 0.5
    >>> vae = pyrovae.build(5, latent_dim=2, network={"name": "mlp", "hidden": [8]})
    >>> report = pyrovae.collapse(vae, x)
    >>> len(report.table), sorted(report.figures())
    (2, ['kl-profile', 'sensitivity', 'variance-law'])
    """
    collapse_points = {
        "information_points": information_points,
        "sensitivity_points": sensitivity_points,
    }
    asked = settings(
        EvaluationSettings,
        {
            "points": points,
            "samples": samples,
            "collapse": settings(CollapseSettings, collapse_points),
        },
    )
    run = stored_run(model, results)
    if run is not None and x is None:
        _refuse_for_stored(train, asked != EvaluationSettings() or seed != 0)
        return CollapseReport.of_run(run.folder)
    vae = model_of(model, run)
    dataset = data_for(vae, x, train, context, train_context)
    test, known = (
        split.floats(slice(asked.points)).to(device_of(vae))
        for split in (dataset.test, dataset.train)
    )
    found = measure_splits(
        vae,
        test,
        known if len(known) else None,
        asked.collapse,
        samples=asked.samples,
        seed=seed,
    )
    return CollapseReport.of_model(
        name_of(vae, run),
        found,
        vae.history,
        vae.settled,
        law=_has_law(vae),
    )


def evaluate(
    model: LatentModel | Run | str | Path,
    x: Any = None,
    factors: Any = None,
    *,
    train: Any = None,
    context: Any = None,
    train_context: Any = None,
    seed: int = 0,
    results: str | Path = "results",
    **options: Any,
) -> EvaluationReport:
    """Measure a model as a study measures its runs: bounds, collapse, information, metrics.

    Parameters
    ----------
    model, x, train, context, train_context, seed, results
        As for :func:`collapse`.
    factors
        Ground-truth factors of x, ``(n, k)`` or ``(n,)``, whole numbers: what disentanglement
        metrics compare codes with. A :class:`pyrovae.datasets.Dataset` has its own.
    **options
        As ``evaluation`` of a study: ``points``, ``samples``, ``metrics``, ``standard_errors``,
        ``collapse``, ``guide_draws``, ``images``, ``samplers``, ``quality``. A metric is a name, a
        mapping of a name and parameters, or a function of your own.

    Returns
    -------
    EvaluationReport
        ``table`` (one row for each score), ``scores``, ``units``, ``codes``, ``images``,
        ``posterior`` (draws of the guide, for ArviZ), ``text()``, ``figures()``, ``save(folder)``.

    Raises
    ------
    ConfigError, DataError
        As :func:`collapse`.

    Examples
    --------
    >>> import numpy as np, pyrovae
    >>> x = np.random.default_rng(0).random((64, 5)) < 0.5
    >>> vae = pyrovae.build(5, latent_dim=2, network={"name": "mlp", "hidden": [8]})
    >>> report = pyrovae.evaluate(vae, x, samples=4)
    >>> report.table.loc["rate", "unit"], report.codes.shape
    ('nats', (64, 2))
    """
    asked = _evaluation(options)
    run = stored_run(model, results)
    if run is not None and x is None:
        _refuse_for_stored(train, asked != _evaluation({}) or seed != 0)
        if factors is not None:
            raise ConfigError("are those of data of your own: give x too", "factors")
        return EvaluationReport.of_run(run.folder)
    vae = model_of(model, run)
    dataset = with_factors(data_for(vae, x, train, context, train_context), factors)
    found = measure(vae, dataset, asked, seed, device_of(vae))
    if run is None and vae.settled is not None:
        found.scores.update(vae.settled.scores)
    return EvaluationReport(
        name_of(vae, run),
        found,
        vae.history,
        vae.settled,
        law=_has_law(vae),
    )


def _has_law(vae: LatentModel) -> bool:
    """Return whether the variance law is one here: the prior is N(0, I)."""
    moved = vae.condition is not None and vae.condition.prior
    return not moved and is_standard_normal(vae.prior_law())


def _evaluation(given: dict[str, Any]) -> EvaluationSettings:
    if given.get("diagnostics") is not None:
        raise ConfigError("are what pyrovae.diagnose makes", "diagnostics")
    asked = settings(EvaluationSettings, {**given, "metrics": [], "samplers": []})
    taken = {
        "metrics": _listed("metrics", METRICS, given.get("metrics", EvaluationSettings().metrics)),
        "samplers": _listed("samplers", SAMPLERS, given.get("samplers", ())),
    }
    try:
        keys_of(taken["metrics"])
    except ConfigError as error:
        raise error.at("metrics") from None
    return asked.model_copy(update=taken)


def _listed(place: str, registry: Registry, given: Any) -> list[dict[str, Any]]:
    """Return a list of parts with every parameter."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ConfigError(f"must be a list, got {given!r}", place)
    taken = []
    for i, part in enumerate(given):
        try:
            taken.append(configured(registry, part))
        except ConfigError as error:
            raise error.at(f"{place}[{i}]") from None
    return taken


def diagnose(
    model: LatentModel | Run | str | Path,
    x: Any = None,
    *,
    context: Any = None,
    seed: int = 0,
    compiled: bool = False,
    progress: bool = True,
    results: str | Path = "results",
    **options: Any,
) -> DiagnosisReport:
    """Sample the true posterior of test points by NUTS and judge the guide by it; minutes.

    Parameters
    ----------
    model, x, context, seed, results
        As for :func:`collapse`. What is stored of a run is opened; if it has not been diagnosed,
        or with other settings, it is diagnosed now, on its own test data and with its own seed, and
        the result stored as the command ``pyrovae diagnose`` does.
    compiled
        Whether the sampler is compiled: half a minute or more once.
    progress
        Whether to show what is done.
    **options
        ``points``, ``chains``, ``warmup``, ``draws``, ``guide_samples``, ``temperatures`` …: see
        :class:`pyrovae.measures.posterior.settings.DiagnosticsSettings`.

    Returns
    -------
    DiagnosisReport
        ``table`` (one row for each unit: who collapsed it), ``points``, ``marginals``, ``scores``,
        ``data`` (draws, for ArviZ), ``text()``, ``figures()``, ``save(folder)``.

    Raises
    ------
    ConfigError, DataError
        As :func:`collapse`.
    PyrovaeError
        If the prior has no density.

    Examples
    --------
    ::

        report = pyrovae.diagnose(vae, images, points=16)
        report.text()
        report.figures()["gaps"]
    """
    asked = settings(DiagnosticsSettings, options)
    run = stored_run(model, results)
    with Console(stderr=True, quiet=not progress).status("") as status:
        if run is not None and x is None:
            if seed:
                raise ConfigError("is a stored run's own: give x for another", "seed")
            stored = DiagnosisFolder.of(run.folder)
            if not stored.exists or (options and stored.settings() != asked):
                stored = diagnose_run(run.folder, asked, compiled=compiled, progress=status.update)
            return DiagnosisReport.of_run(stored)
        vae = model_of(model, run)
        dataset = data_for(vae, x, None, context)
        name = name_of(vae, run)
        check_density(vae, name)
        with on_cpu(vae):
            found = diagnose_model(
                vae, dataset, asked, seed, compiled=compiled, progress=status.update
            )
    return DiagnosisReport.of_model(name, found)


def score(
    model: Any,
    x: Any = None,
    factors: Any = None,
    *,
    metrics: Iterable[Any] | None = None,
    context: Any = None,
    seed: int = 0,
    n_resamples: int = 0,
    original: bool = False,
    results: str | Path = "results",
) -> ScoreReport:
    """Score a representation: of a model, of a stored run, or codes from any program.

    Parameters
    ----------
    model
        As for :func:`collapse`, or codes ``(n, d)``: an array or a tensor.
    x
        Observations, as for :func:`collapse`, whose posterior means are scored. Of codes, factors
        may stand here. A stored run has the codes and factors that were scored when it was trained.
    factors
        Ground-truth factors ``(n, k)``, whole numbers. Without them, the metrics of codes alone are
        computed.
    context
        Labels or covariates of x for a conditional model, as for :func:`collapse`.
    metrics
        Names, or functions of your own; all that these arrays allow by default.
    seed
        Of votes, splits and learners.
    n_resamples
        Random halves of the points for standard errors; 0 for none.
    original
        Whether estimators are those of the original papers.
    results
        As for :func:`collapse`.

    Returns
    -------
    ScoreReport
        ``table`` (one row for each number), ``scores`` (one for each metric), ``text()``. The
        command ``pyrovae metrics`` prints the same.

    Raises
    ------
    ConfigError, DataError
        For an unknown metric, for arrays that are refused, and as :func:`collapse`.

    Examples
    --------
    >>> import numpy as np, pyrovae
    >>> factors = np.random.default_rng(0).integers(0, 4, (500, 2))
    >>> pyrovae.score(1.0 * factors, factors, metrics=["mig"]).scores["mig"] > 0.95
    True
    """
    if isinstance(model, np.ndarray | torch.Tensor):
        if x is not None and factors is not None:
            raise ConfigError("are codes: observations have no place beside them", "model")
        name, codes, known = "codes", as_array(model), factors if x is None else x
    else:
        name, codes, known = _codes(model, x, factors, context, results)
    chosen = None if metrics is None else [_metric(metric) for metric in metrics]
    table = score_codes(
        codes,
        None if known is None else as_array(known),
        chosen,
        seed,
        n_resamples=n_resamples,
        original=original,
    )
    return ScoreReport(name, table)


def _codes(
    model: Any, x: Any, factors: Any, context: Any, results: str | Path
) -> tuple[str, Any, Any]:
    """Return the codes of a model's data, and what is known of their factors."""
    run = stored_run(model, results)
    if run is not None and x is None:
        if factors is not None:
            raise ConfigError("are those of data of your own: give x too", "factors")
        return run.id, run.folder.codes(), run.folder.factors()
    vae = model_of(model, run)
    test = with_factors(data_for(vae, x, None, context), factors).test
    codes = posterior_means(vae, test.floats().to(device_of(vae)))
    return name_of(vae, run), codes.cpu().numpy(), test.factors


def _metric(given: Any) -> str:
    return given if isinstance(given, str) else METRICS.name_of(given)


def _refuse_for_stored(train: Any, set_otherwise: bool) -> None:
    """Refuse what has no meaning for measures that are stored."""
    if train is not None:
        raise ConfigError("is for data of your own: give x too", "train")
    if set_otherwise:
        raise ConfigError(
            "is needed for other settings: a stored run was measured as its study says", "x"
        )
