"""The one module that speaks to ArviZ.

ArviZ 0.23 (Python 3.11) keeps groups in an ``InferenceData``, ArviZ 1.x in an
:class:`xarray.DataTree`. Here groups are plain :class:`xarray.Dataset`\\ s, and only :func:`bundle`
and :func:`groups` know which of the two holds them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@cache
def _arviz() -> Any:
    """Import ArviZ when it is needed: it takes longer than planning a study or listing priors."""
    with warnings.catch_warnings():
        # 0.23 announces 1.0 at every import; this module is ready for both.
        warnings.simplefilter("ignore", FutureWarning)
        return import_module("arviz")


def import_now() -> None:
    """Import ArviZ now, where many processes are to share it."""
    _arviz()


def _before_1() -> bool:
    # 1.x answers for names of 0.x with a warning: its version is asked, not its names.
    return _arviz().__version__.startswith("0.")


#: ``InferenceData`` in ArviZ 0.x, ``xarray.DataTree`` in 1.x.
InferenceData = Any

_EVENT_DIMS = {1: ("feature",), 3: ("channel", "row", "column")}


def bundle(groups: dict[str, xr.Dataset]) -> InferenceData:
    """Return the groups as the container of the installed ArviZ."""
    if _before_1():
        return _arviz().InferenceData(**groups)
    import xarray as xr

    return xr.DataTree.from_dict({f"/{name}": data for name, data in groups.items()})


def groups(data: InferenceData) -> list[str]:
    """Return the names of the container's groups."""
    names = data.groups() if _before_1() else data.groups
    return [name.strip("/") for name in names if name.strip("/")]


def dataset(
    dims: tuple[str, ...],
    coords: Mapping[str, np.ndarray],
    attributes: Mapping[str, str],
    **variables: np.ndarray,
) -> xr.Dataset:
    """Return arrays of the same leading ``dims`` as a Dataset, with the coordinates they have.

    An array of more dimensions than ``dims`` gets the names of an observation's axes for the rest.
    """
    import xarray as xr

    named = {}
    for name, value in variables.items():
        extra = value.ndim - len(dims)
        event = _EVENT_DIMS.get(extra, tuple(f"axis{i}" for i in range(extra)))
        named[name] = ((*dims, *event), value)
    known = {name: coords[name] for name in dims if name in coords}
    return xr.Dataset(named, coords=known, attrs=dict(attributes))


def save(data: InferenceData, path: Path) -> None:
    """Write netCDF that plain ``az.from_netcdf`` opens."""
    data.to_netcdf(str(path), engine="h5netcdf")


def load(path: Path) -> InferenceData:
    """Read what :func:`save` wrote."""
    return _arviz().from_netcdf(str(path), engine="h5netcdf")


def rhat(draws: np.ndarray) -> np.ndarray:
    """Return rank-normalised split R-hat (Vehtari et al. 2021, arXiv:1903.08008).

    Parameters
    ----------
    draws
        ``(chain, draw, *shape)``.

    Returns
    -------
    ndarray
        Of shape ``shape``.
    """
    return _arviz().rhat(_anonymous(draws))["z"].values


def ess(draws: np.ndarray, kind: Literal["bulk", "tail"]) -> np.ndarray:
    """Return the effective sample size of draws ``(chain, draw, *shape)``, of shape ``shape``."""
    return _arviz().ess(_anonymous(draws), method=kind)["z"].values


#: Up to the first Pareto k weights have a finite variance; up to the second, their smoothed mean is
#: useful (Vehtari et al. 2024, arXiv:1507.02646).
GOOD_K, USABLE_K = 0.5, 0.7


def pareto_k(log_weight: np.ndarray) -> np.ndarray:
    """Return Pareto k of importance weights (Yao et al. 2018, arXiv:1802.02538).

    Parameters
    ----------
    log_weight
        ``(samples, n)``.

    Returns
    -------
    ndarray
        ``(n,)``. Below 0.7 the guide is near enough to the posterior for its weights to be of use.
        Weights that are all equal have no tail: their k is minus infinity.
    """
    k = np.full(log_weight.shape[1], -np.inf)
    spread = np.ptp(log_weight, axis=0) >= _NO_SPREAD
    # Equal weights are kept from ArviZ: 0.x says inf, 1.x raises.
    if spread.any():
        rows = np.ascontiguousarray(log_weight.T[spread])
        # 1.x takes what loo has, log likelihoods, and turns their sign itself.
        k[spread] = (
            _arviz().psislw(rows)
            if _before_1()
            else _of_arviz_stats("base").array_stats.psislw(-rows)
        )[1]
    return k


#: Log weights closer than this are equal to single precision.
_NO_SPREAD = 1e-3


def _of_arviz_stats(module: str) -> Any:
    """Return a module of the package that is part of ArviZ 1.x, and absent before."""
    return import_module(f"arviz_stats.{module}")


def elpd(log_px: np.ndarray, k: np.ndarray | None = None) -> Any:
    """Return ArviZ's container of held-out pointwise log p(x), nats, ``(n,)``.

    Parameters
    ----------
    log_px
        Of data that were not trained on, so that there is nothing to correct for.
    k
        Pareto k of each estimate, if known.
    """
    import xarray as xr

    n = len(log_px)
    k = np.zeros(n) if k is None else k
    pointwise = xr.DataArray(log_px, dims="datum", coords={"datum": np.arange(n)})
    ks = xr.DataArray(k, dims="datum", coords={"datum": np.arange(n)})
    total, se = float(log_px.sum()), float(np.sqrt(n * log_px.var(ddof=1)))
    if _before_1():
        from arviz.stats.stats_utils import ELPDData

        content = {
            "elpd_loo": total,
            "se": se,
            "p_loo": 0.0,
            "n_samples": 1,
            "n_data_points": n,
            "warning": False,
            "loo_i": pointwise,
            "pareto_k": ks,
            "scale": "log",
            "good_k": USABLE_K,
        }
        return ELPDData(data=list(content.values()), index=list(content))
    return _of_arviz_stats("utils").ELPDDataLOO(
        elpd=total,
        se=se,
        p=0.0,
        n_samples=1,
        n_data_points=n,
        scale="log",
        warning=False,
        good_k=USABLE_K,
        elpd_i=pointwise,
        pareto_k=ks,
    )


def compare(log_px: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return ``az.compare`` of models by held-out pointwise log p(x), best first.

    Parameters
    ----------
    log_px
        Name to nats, ``(n,)``: the same data for all.

    Returns
    -------
    DataFrame
        Rows by name: ``rank``, ``elpd`` (sum over data), ``se``, ``elpd_diff`` (best minus this,
        not negative), ``dse`` (standard error of the difference, paired over data), ``weight``
        (stacking; Yao et al. 2018, arXiv:1704.02030).
    """
    # 1.x rounds for reading unless it is asked not to.
    exact = {} if _before_1() else {"round_to": "none"}
    table = _arviz().compare({name: elpd(values) for name, values in log_px.items()}, **exact)
    table = table.rename(columns={"elpd_loo": "elpd"})
    # 1.x counts differences from the best downwards.
    table["elpd_diff"] = table["elpd_diff"].astype(float).abs()
    return table[["rank", "elpd", "se", "elpd_diff", "dse", "weight"]]


def khat_plot(k: np.ndarray) -> Any:
    """Return ``az.plot_khat`` of the data's Pareto k, a Matplotlib figure."""
    shown = elpd(np.zeros(len(k)), np.where(np.isfinite(k), k, 0.0))
    if _before_1():
        return _figure(_arviz().plot_khat(shown, show_bins=True, show_hlines=True))
    return _figure(_arviz().plot_khat(shown, backend="matplotlib"))


def _anonymous(draws: np.ndarray) -> xr.Dataset:
    import xarray as xr

    dims = ("chain", "draw", *(f"axis{i}" for i in range(draws.ndim - 2)))
    return xr.Dataset({"z": (dims, draws)})


def parameter_summary(data: InferenceData) -> Any:
    """Return ``az.summary`` of all of a posterior's variables, with ``variable`` as a column."""
    table = _arviz().summary(data, round_to="none")
    return table.rename_axis("variable").reset_index()


def summary(data: InferenceData, *, datum: list[int], latent: list[int]) -> Any:
    """Return ``az.summary`` of the codes of some data points and units, as a DataFrame."""
    return _arviz().summary(_selected(data, datum, latent), var_names=["z"])


def _selected(data: InferenceData, datum: list[int], latent: list[int]) -> xr.Dataset:
    posterior = data["posterior"]
    posterior = posterior.to_dataset() if hasattr(posterior, "to_dataset") else posterior
    # 1.x tells chains apart by their coordinate alone.
    counted = {dim: np.arange(posterior.sizes[dim]) for dim in ("chain", "draw")}
    absent = {dim: numbers for dim, numbers in counted.items() if dim not in posterior.coords}
    return posterior.assign_coords(absent).sel(datum=datum, latent=latent)


def plots(data: InferenceData, *, datum: list[int], latent: list[int]) -> dict[str, Any]:
    """Return ArviZ's standard plots of the codes of some data points and units.

    Returns
    -------
    dict
        Matplotlib figures: ``trace``, ``rank``, ``forest``, ``autocorr``.
    """
    selected = _selected(data, datum, latent)
    named = selected.assign_coords(
        datum=[f"point {number}" for number in datum],
        latent=[f"unit {number}" for number in latent],
    )
    chosen = bundle({"posterior": named})
    made: dict[str, Any] = {}
    # All that was asked for is drawn: ArviZ's own limit would leave panels out.
    with _arviz().rc_context({"plot.max_subplots": None}):
        for name in ("trace", "rank", "forest", "autocorr"):
            options = dict(_OPTIONS.get(name, {}))
            if name == "autocorr" and _before_1():
                options["combined"] = True  # 1.x draws the chains of a code in one panel anyway
            elif name == "autocorr":
                # Its default of 100 lags fails on shorter chains.
                options["max_lag"] = min(100, chosen["posterior"].sizes["draw"])
            # ArviZ 1.x renamed the density-and-trace plot.
            renamed = name == "trace" and hasattr(_arviz(), "plot_trace_dist")
            draw = getattr(_arviz(), "plot_trace_dist" if renamed else f"plot_{name}")
            drawn = draw(chosen, var_names=["z"], **options)
            made[name] = _figure(drawn)
    return made


# Each code gets a row of its own in the trace plot: in one panel their colours run out.
_OPTIONS: dict[str, dict[str, Any]] = {"trace": {"compact": False}, "forest": {"combined": True}}


def _figure(drawn: Any) -> Any:
    """Return the matplotlib figure behind an array of axes (0.x) or a PlotCollection (1.x)."""
    if hasattr(drawn, "viz"):
        return drawn.viz["figure"].item()
    return np.ravel(np.asarray(drawn, dtype=object))[0].figure
