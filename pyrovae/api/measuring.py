"""``pyrovae.collapse`` and its like: of a model and data in memory, and of a stored run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pyrovae.api.observations import measured
from pyrovae.api.parts import settings
from pyrovae.api.runs import Run, stored_run
from pyrovae.core.errors import ConfigError
from pyrovae.datasets import Dataset
from pyrovae.distributions.marginals import is_standard_normal
from pyrovae.measures.collapse.measure import CollapseSettings
from pyrovae.measures.evaluate import EvaluationSettings, measure_splits
from pyrovae.models.contract import LatentModel
from pyrovae.report.run.collapse import CollapseReport


def collapse(
    model: LatentModel | Run | str | Path,
    x: Any = None,
    *,
    train: Any = None,
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
        ``table`` (one row for each unit, by falling KL), ``scores``, ``text()``, ``figures()``,
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
    vae = _model(model, run)
    dataset = _data(vae, x, train)
    device = next(vae.parameters(), torch.zeros(())).device
    test, known = (
        split.floats(slice(asked.points)).to(device) for split in (dataset.test, dataset.train)
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
        _name(vae, run),
        found,
        None if run else vae.history,
        None if run else vae.settled,
        law=is_standard_normal(vae.prior_law()),
    )


def _refuse_for_stored(train: Any, set_otherwise: bool) -> None:
    """Refuse what has no meaning for measures that are stored."""
    if train is not None:
        raise ConfigError("is for data of your own: give x too", "train")
    if set_otherwise:
        raise ConfigError(
            "is needed for other settings: a stored run was measured as its study says", "x"
        )


def _model(given: Any, run: Run | None) -> LatentModel:
    vae: LatentModel = given if run is None else run.model
    return vae


def _data(vae: LatentModel, x: Any, train: Any) -> Dataset:
    if x is None:
        raise ConfigError("is missing: a model in memory has no data of its own", "x")
    return measured(vae, x, train)


def _name(vae: LatentModel, run: Run | None) -> str:
    return f"a {type(vae).__name__}" if run is None else run.id
