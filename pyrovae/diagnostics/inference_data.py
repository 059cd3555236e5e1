"""The one module that speaks to ArviZ.

ArviZ 0.23 (Python 3.11) keeps groups in an ``InferenceData``, ArviZ 1.x in an
:class:`xarray.DataTree`. Here groups are plain :class:`xarray.Dataset`\\ s, and only :func:`bundle`
and :func:`groups` know which of the two holds them.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from pyrovae.latent_model import LatentModel

with warnings.catch_warnings():
    # 0.23 announces 1.0 at every import; this module is ready for both.
    warnings.simplefilter("ignore", FutureWarning)
    import arviz as az

#: ``InferenceData`` in ArviZ 0.x, ``xarray.DataTree`` in 1.x.
InferenceData = Any

_EVENT_DIMS = {1: ("feature",), 3: ("channel", "row", "column")}


def bundle(groups: dict[str, xr.Dataset]) -> InferenceData:
    """Return the groups as the container of the installed ArviZ."""
    if hasattr(az, "InferenceData"):
        return az.InferenceData(**groups)
    return xr.DataTree.from_dict({f"/{name}": data for name, data in groups.items()})


def guide_draws(
    vae: LatentModel,
    x: Tensor,
    index: np.ndarray,
    *,
    chains: int = 4,
    draws: int = 250,
    seed: int = 0,
) -> InferenceData:
    """Draw from the guide for some data points, with everything that ArviZ asks about them.

    Parameters
    ----------
    vae
        The trained model and guide.
    x
        Observations ``(n, *event_shape)``.
    index
        Their positions in the test set, shape ``(n,)``: the ``datum`` coordinate.
    chains, draws
        The draws are independent; chains let R-hat and ESS show it.
    seed
        Of the draws; the global random state is left as it was.

    Returns
    -------
    InferenceData
        ``posterior`` (``z``: chain, draw, datum, latent), ``log_likelihood`` (``x``: chain, draw,
        datum; nats), ``log_prior`` (``z``), ``sample_stats`` (``log_q``), ``observed_data``
        (``x``), ``constant_data`` (``reconstruction``: the mean of p(x|z) over the draws).
    """
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        q, prior = vae.encode(x), vae.prior_law()
        z = q.sample((chains, draws))
        log_likelihood = torch.empty(chains, draws, len(x))
        mean = torch.zeros_like(x)
        for c in range(chains):
            for d in range(draws):
                log_likelihood[c, d] = vae.decode(z[c, d]).log_prob(x)
                mean += vae.reconstruct(z[c, d]) / (chains * draws)
        log_q, log_prior = q.log_prob(z), prior.log_prob(z)

    event = _EVENT_DIMS.get(x.dim() - 1, tuple(f"axis{i}" for i in range(x.dim() - 1)))
    sampled = ("chain", "draw", "datum")
    coords = {
        "chain": np.arange(chains),
        "draw": np.arange(draws),
        "datum": np.asarray(index),
        "latent": np.arange(z.shape[-1]),
    }

    def dataset(dims: tuple[str, ...], **variables: Tensor) -> xr.Dataset:
        return xr.Dataset(
            {name: (dims, value.numpy()) for name, value in variables.items()},
            coords={name: coords[name] for name in dims if name in coords},
            attrs={"inference_library": "pyrovae", "sampler": "guide q(z|x)"},
        )

    return bundle(
        {
            "posterior": dataset((*sampled, "latent"), z=z),
            "log_likelihood": dataset(sampled, x=log_likelihood),
            "log_prior": dataset(sampled, z=log_prior),
            "sample_stats": dataset(sampled, log_q=log_q),
            "observed_data": dataset(("datum", *event), x=x),
            "constant_data": dataset(("datum", *event), reconstruction=mean),
        }
    )


def save(data: InferenceData, path: Path) -> None:
    """Write netCDF that plain ``az.from_netcdf`` opens."""
    data.to_netcdf(str(path), engine="h5netcdf")


def load(path: Path) -> InferenceData:
    """Read what :func:`save` wrote."""
    return az.from_netcdf(str(path), engine="h5netcdf")


def summary(data: InferenceData, *, datum: list[int], latent: list[int]) -> Any:
    """Return ``az.summary`` of the codes of some data points and units, as a DataFrame."""
    return az.summary(_selected(data, datum, latent), var_names=["z"])


def _selected(data: InferenceData, datum: list[int], latent: list[int]) -> xr.Dataset:
    posterior = data["posterior"]
    posterior = posterior.to_dataset() if hasattr(posterior, "to_dataset") else posterior
    return posterior.sel(datum=datum, latent=latent)


def plots(data: InferenceData, *, datum: list[int], latent: list[int]) -> dict[str, Any]:
    """Return ArviZ's standard plots of the codes of some data points and units.

    Returns
    -------
    dict
        Matplotlib figures: ``trace``, ``rank``, ``forest``, ``autocorr``.
    """
    chosen = bundle({"posterior": _selected(data, datum, latent)})
    made: dict[str, Any] = {}
    # All that was asked for is drawn: ArviZ's own limit would leave panels out.
    with az.rc_context({"plot.max_subplots": None}):
        for name in ("trace", "rank", "forest", "autocorr"):
            drawn = getattr(az, f"plot_{name}" if name != "trace" else _TRACE)(
                chosen, var_names=["z"], **_OPTIONS.get(name, {})
            )
            made[name] = _figure(drawn)
    return made


# ArviZ 1.x renamed the density-and-trace plot.
_TRACE = "plot_trace_dist" if hasattr(az, "plot_trace_dist") else "plot_trace"
# Each code gets a row of its own in the trace plot: in one panel their colours run out.
_OPTIONS: dict[str, dict[str, Any]] = {"trace": {"compact": False}, "forest": {"combined": True}}
if hasattr(az, "InferenceData"):
    _OPTIONS["autocorr"] = {"combined": True}  # 1.x draws the chains of a code in one panel anyway


def _figure(drawn: Any) -> Any:
    """Return the matplotlib figure behind an array of axes (0.x) or a PlotCollection (1.x)."""
    if hasattr(drawn, "viz"):
        return drawn.viz["figure"].item()
    return np.ravel(np.asarray(drawn, dtype=object))[0].figure
