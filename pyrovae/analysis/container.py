"""The comparison of one metric as ArviZ takes it: every dimension has a name, and its levels too.

Groups of the container, InferenceData in ArviZ 0.x and a DataTree in 1.x:

``posterior``
    ``mean`` (chain, draw, cell) in the metric's own unit; ``effect_<factor>`` (chain, draw,
    <factor>), how far the mean of each level lies from the mean of all, in the same unit; the
    parameters of the model as they are in :mod:`pyrovae.analysis.model`.
``posterior_predictive``, ``observed_data``
    ``y`` (…, run): what other seeds of the same cells would give, and what was seen.
``log_likelihood``
    ``y`` (chain, draw, run), of the value on the scale of the law: its logarithm for ratios.
``constant_data``
    ``runs`` (cell), and the level of each factor there.

``run`` has the coordinates ``seed`` and ``run_cell``, the name of its cell.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from pyrovae.analysis.design import Design
from pyrovae.analysis.likelihoods import Likelihood
from pyrovae.analysis.model import Rows, of_runs
from pyrovae.analysis.sampling import Sampling
from pyrovae.core.seeded import seeded
from pyrovae.measures.arviz import InferenceData, bundle

#: Of sites: the dimension after chain and draw.
_DIMS = {
    "spread": "term",
    "effects": "coefficient",
    "noise_by_cell": "cell",
    "location": "cell",
    "noise": "cell",
    "mean": "cell",
}
_SAMPLED = ("chain", "draw")


def contain(
    draws: Mapping[str, Tensor],
    design: Design,
    rows: Rows,
    law: Likelihood,
    runs: pd.DataFrame,
    metric: str,
    sampling: Sampling,
) -> InferenceData:
    """Return draws with all that ArviZ's plots and statistics ask for; see the module.

    Parameters
    ----------
    draws
        ``(chains, draws, …)`` of each site, with ``location``, ``noise`` and ``mean`` of the cells.
    design, rows, law
        That they were made with.
    runs
        A row for each of ``rows``: its ``metric``, and ``run`` and ``seed`` where it has them.
    metric
        Column of ``runs``.
    sampling
        That they were made by; its seed is that of the predictions.
    """
    cells = cell_names(design)
    terms = [term.name for term in design.terms]
    about = {
        "inference_library": "pyro",
        "metric": metric,
        "likelihood": law.link_name,
        "target_accept": sampling.target_accept,
        "thin": sampling.thin,
    }
    sampled = {
        "chain": np.arange(sampling.chains),
        "draw": np.arange(sampling.draws),
    }
    posterior = xr.Dataset(
        {
            name: ((*_SAMPLED, *([_DIMS[name]] if name in _DIMS else [])), value.numpy())
            for name, value in draws.items()
        },
        coords={
            **sampled,
            "cell": cells,
            "term": terms,
            "coefficient": [f"{terms[t]}[{i}]" for i, t in enumerate(design.term_of_column)],
        },
        attrs=about,
    )
    for term, values in design.parts(draws["mean"].numpy()):
        if len(term.factors) == 1:
            (factor,) = term.factors
            levels = [str(level) for (level,) in term.levels]
            effect = xr.DataArray(values, dims=(*_SAMPLED, factor), coords={factor: levels})
            posterior[f"effect_{factor}"] = effect
    named = {
        "run": [str(run) for run in runs.get("run", pd.Series(range(len(runs))))],
        "run_cell": ("run", np.asarray(cells)[rows.cell.numpy()]),
    }
    if "seed" in runs:
        named["seed"] = ("run", runs["seed"].to_numpy())
    family = of_runs(rows, law, draws)
    with seeded(sampling.seed), torch.no_grad():
        predicted = law.restored(family.sample())
    likely = family.log_prob(rows.y)

    def by_run(values: Tensor) -> xr.Dataset:
        single = values.numpy().astype(np.float32)
        return xr.Dataset({"y": ((*_SAMPLED, "run"), single)}, {**sampled, **named}, about)

    counts = np.bincount(rows.cell.numpy(), minlength=len(cells))
    levels_of = {f: ("cell", design.cells[f].astype(str).to_numpy()) for f in design.factors}
    return bundle(
        {
            "posterior": posterior,
            "posterior_predictive": by_run(predicted),
            "log_likelihood": by_run(likely),
            "observed_data": xr.Dataset(
                {"y": ("run", runs[metric].to_numpy(dtype=float))}, named, about
            ),
            "constant_data": xr.Dataset(
                {"runs": ("cell", counts), **levels_of}, {"cell": cells}, about
            ),
        }
    )


def cell_names(design: Design) -> list[str]:
    """Return the name of each cell: its levels, as the table of runs has them.

    >>> from pyrovae.analysis.design import make_design
    >>> cells = pd.DataFrame({"prior": ["laplace", "flow"], "latent_dim": [8, 16]})
    >>> cell_names(make_design(cells, ["prior", "latent_dim"]))
    ['laplace, 8', 'flow, 16']
    """
    if not design.factors:
        return ["all"] * len(design.cells)
    rows = design.cells[list(design.factors)].astype(str).itertuples(index=False, name=None)
    return [", ".join(row) for row in rows]
