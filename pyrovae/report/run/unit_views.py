"""What the latent units of one run do, to look at: traversals, animation and heat maps."""

from __future__ import annotations

from pathlib import Path

import torch

from pyrovae.core import atomic
from pyrovae.core.errors import ConfigError
from pyrovae.measures.collapse import posterior_means
from pyrovae.measures.traversal import Over, between, levels, traverse
from pyrovae.report.look.formats import files
from pyrovae.report.run.animation import traversal_gif
from pyrovae.report.run.factor_heatmaps import factor_heatmap
from pyrovae.report.run.interpolations import interpolation_grid
from pyrovae.report.run.traversals import traversal_grid
from pyrovae.study.store.folders import RunFolder
from pyrovae.study.store.trained import load_trained


def write_traversals(
    folder: RunFolder,
    *,
    over: Over = "prior",
    points: int = 4,
    units: int = 10,
    steps: int = 11,
    out: Path | None = None,
) -> list[Path]:
    """Write the traversals of a run, and what its units know of the factors.

    ::

        traversals-1.png, .pdf, .csv, .txt   the grid of the first test image; as many as points
        traversals.gif                       all of them side by side, moving
        interpolations.png, …                between pairs of the first test images
        factors.png, …                       factors by units, where the data has factors

    Parameters
    ----------
    folder
        Of a finished run.
    over
        Whether values are quantiles of the prior or of the aggregate posterior.
    points
        Test images, from the first.
    units
        Those of largest KL.
    steps
        Values of each unit.
    out
        Default ``traverse/<run>`` beside the study's runs.

    Returns
    -------
    list of Path
        The pictures.

    Raises
    ------
    ConfigError
        If the observations are no images.
    """
    vae, dataset = load_trained(folder)
    if len(dataset.event_shape) != 3:
        raise ConfigError(
            f"observations of shape {dataset.event_shape} are no images: nothing to traverse",
            file=str(folder.path),
        )
    config = folder.config()
    x = dataset.test.floats(slice(config.evaluation.points))
    ranked = folder.units().sort_values("kl", ascending=False, kind="stable").head(units)
    values = levels(vae, x, steps=steps, over=over, seed=config.seed)
    chosen = torch.tensor(ranked["unit"].to_numpy())
    images = traverse(vae, posterior_means(vae, x[:points]), values, chosen)

    out = out or folder.study / "traverse" / folder.id
    written = []

    def write(name: str, content: bytes) -> None:
        atomic.write_bytes(out / name, content)
        if name.endswith((".png", ".gif")):
            written.append(out / name)

    grids = [traversal_grid(each, ranked, over=over, point=i) for i, each in enumerate(images)]
    pairs = posterior_means(vae, x[: 2 * max(points, 1)])
    if len(pairs) > 1:
        a, b = pairs[: len(pairs) - 1 : 2], pairs[1::2]
        grids.append(interpolation_grid(between(vae, a, b, steps=steps)))
    if folder.factors() is not None:
        grids.append(factor_heatmap(folder))
    for drawn in grids:
        for suffix, content in files(drawn).items():
            write(f"{drawn.name}.{suffix}", content)
    write("traversals.gif", traversal_gif(images, ranked, over=over))
    return written
