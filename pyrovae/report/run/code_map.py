"""Maps of the code: every test point in a plane, coloured by what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pyrovae.report.escapes import figure_text
from pyrovae.report.look import names
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.panels import panels
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import PAPER, Style, roles, theme, tighten
from pyrovae.report.run.known import groups, is_grouped, labels_of
from pyrovae.study.store.folders import RunFolder

Plane = NDArray[np.float64]
#: Points that a map shows, from the first.
_POINTS = 5000


@carries_mark
def code_maps(presented: Presented, *, style: Style = PAPER) -> Iterator[Drawn]:
    """Draw each cell's first finished seed by its two principal components: :func:`code_map`."""
    return _each(presented, code_map, "code-map", style)


@carries_mark
def code_umaps(presented: Presented, *, style: Style = PAPER) -> Iterator[Drawn]:
    """Draw each cell's first finished seed by UMAP: see :func:`code_umap`."""
    return _each(presented, code_umap, "code-umap", style)


def _each(
    presented: Presented, draw: Callable[..., Drawn], stem: str, style: Style
) -> Iterator[Drawn]:
    chosen = presented.representatives
    for run, cell in zip(chosen["run"], chosen["cell"], strict=True):
        title = presented.titles[cell]
        name = f"{stem}-{names.slug(title)}"
        yield draw(presented.study.folder(run), title=title, name=name, style=style)


def code_map(
    folder: RunFolder, *, title: str = "", name: str = "code-map", style: Style = PAPER
) -> Drawn:
    """Draw the posterior means of test points by their two principal components.

    A panel for each label or factor that varies, of the first six.

    Returns
    -------
    Drawn
        ``data`` has a row for each point: ``x``, ``y`` and every label shown.

    Raises
    ------
    NothingToDraw
        If nothing is known of the points, or a code has one unit.
    """
    codes, labels = _codes(folder), labels_of(folder)
    plane, shares = principal_plane(codes)
    told = (
        f"their first two principal components, which have {shares[0]:.0%} and {shares[1]:.0%} of "
        "the variance"
    )
    axes = (f"Component 1 ({shares[0]:.0%})", f"Component 2 ({shares[1]:.0%})")
    return _drawn(folder, plane, labels, told, axes, title, name, style)


def code_umap(
    folder: RunFolder, *, title: str = "", name: str = "code-umap", style: Style = PAPER
) -> Drawn:
    """Draw the posterior means of test points by UMAP, where ``umap-learn`` is installed.

    Raises
    ------
    NothingToDraw
        As :func:`code_map`, and where the package is not installed.
    """
    codes, labels = _codes(folder), labels_of(folder)
    told = (
        "UMAP (McInnes, Healy and Melville 2018), which keeps neighbours together; distances "
        "between groups mean little"
    )
    return _drawn(folder, umap_plane(codes), labels, told, ("UMAP 1", "UMAP 2"), title, name, style)


def principal_plane(codes: Plane) -> tuple[Plane, tuple[float, float]]:
    """Return codes ``(n, d)`` by their first two principal components, and these' shares.

    Of each component the largest loading is positive, so that a map is not mirrored by chance.
    """
    centred = codes - codes.mean(0)
    left, scales, right = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(right[np.arange(2), np.abs(right[:2]).argmax(1)])
    total = max(float((scales**2).sum()), np.finfo(float).tiny)
    shares = (float(scales[0] ** 2) / total, float(scales[1] ** 2) / total)
    return left[:, :2] * scales[:2] * signs, shares


def umap_plane(codes: Plane) -> Plane:
    """Return codes ``(n, d)`` in the plane by UMAP, always the same.

    Raises
    ------
    NothingToDraw
        If ``umap-learn`` is not installed.
    """
    try:
        from umap import UMAP
    except ImportError:
        raise NothingToDraw("UMAP is drawn by umap-learn: pip install 'pyrovae[umap]'") from None
    neighbours = min(15, len(codes) - 1)
    found = UMAP(n_components=2, n_neighbors=neighbours, random_state=0, n_jobs=1)
    return np.asarray(found.fit_transform(codes), dtype=np.float64)


def _codes(folder: RunFolder) -> Plane:
    codes = folder.codes()[:_POINTS].astype(np.float64)
    if codes.shape[1] < 2:
        raise NothingToDraw("a code of one unit has no plane")
    return codes


def _drawn(
    folder: RunFolder,
    plane: Plane,
    labels: pd.DataFrame,
    told: str,
    axes: tuple[str, str],
    title: str,
    name: str,
    style: Style,
) -> Drawn:
    labels = labels.head(len(plane))
    with theme(style):
        figure, used, _ = panels(labels.shape[1], style, height=1.6, extra=0.3)
        for ax, key in zip(used, labels, strict=True):
            _panel(figure, ax, plane, labels[key], style)
            ax.set_title(figure_text(names.words(str(key))), loc="left")
        figure.supxlabel(axes[0])
        figure.supylabel(axes[1])
        if title:
            figure.suptitle(names.wrapped(title, 44))
        tighten(figure)
    seed = folder.metrics()["labels"]["seed"]
    caption = (
        f"Posterior means of {len(plane)} test points{f', {title}' if title else ''}, seed {seed}, "
        f"by {told}. A panel for each label or factor; colours: its values, of many numbers from "
        "the smallest (dark) to the largest."
    )
    data = pd.DataFrame({"x": plane[:, 0], "y": plane[:, 1], **labels}).assign(run=folder.id)
    return Drawn(name, figure, data, caption)


def _panel(figure: Figure, ax: Axes, plane: Plane, label: pd.Series, style: Style) -> None:
    size = style.scale**2 * (5 if len(plane) < 1000 else 2)
    # Points in their thousands are one picture, not as many shapes.
    look: Any = {"s": size, "linewidth": 0, "alpha": 0.7, "rasterized": True}
    if not is_grouped(label):
        x, y = plane.T
        shown = ax.scatter(x, y, c=label.to_numpy(float), cmap="viridis", **look)
        figure.colorbar(shown, ax=ax, pad=0.02)
        return
    group = groups(label)
    values = list(group.cat.categories)
    for value, colour in zip(values, roles(len(values)), strict=True):
        inside = (group == value).to_numpy()
        x, y = plane[inside].T
        ax.scatter(x, y, color=colour, label=figure_text(str(value)), **look)
    ax.legend(
        loc="center left", bbox_to_anchor=(1, 0.5), markerscale=1.5, handletextpad=0.1, ncols=1
    )
