"""Which labels of a discrete code are in use, unit by unit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from pyrovae.report.look import names
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import PAPER, Style, theme, tighten
from pyrovae.study.store.folders import RunFolder

#: Units in a figure, those of most information.
_UNITS = 16
_NO_LABELS = "no cell has codes of labels"


@carries_mark
def all_label_usage(presented: Presented, *, style: Style = PAPER) -> Iterator[Drawn]:
    """Draw the first finished seed of each cell whose code has labels: see :func:`label_usage`."""
    chosen = presented.representatives
    pairs = list(zip(chosen["run"], chosen["cell"], strict=True))
    folders = {run: presented.study.folder(run) for run, _ in pairs}
    discrete = [(run, cell) for run, cell in pairs if folders[run].classes() is not None]
    if not discrete:
        raise NothingToDraw(_NO_LABELS)
    for run, cell in discrete:
        title = presented.titles[cell]
        yield label_usage(
            folders[run], title=title, name=f"label-usage-{names.slug(title)}", style=style
        )


def label_usage(
    folder: RunFolder, *, title: str = "", name: str = "label-usage", style: Style = PAPER
) -> Drawn:
    """Draw the share of test data whose most probable label is each of a unit's.

    Returns
    -------
    Drawn
        ``data`` has a row for each discrete unit and label: ``share``, ``dead`` (no datum has it),
        and the unit's ``perplexity`` and ``mi``.

    Raises
    ------
    NothingToDraw
        If no unit is discrete.
    """
    classes = folder.classes()
    if classes is None:
        raise NothingToDraw(_NO_LABELS)
    units = folder.units().set_index("unit")
    data = usage_of_labels(folder.codes(), classes).join(units[["perplexity", "mi"]], on="unit")
    order = units.loc[data["unit"].unique(), "mi"].sort_values(ascending=False, kind="stable")
    shown = order.index[:_UNITS].to_list()
    table = data.pivot(index="unit", columns="label", values="share").loc[shown]
    dead = data.pivot(index="unit", columns="label", values="dead").loc[shown]
    with theme(style):
        size = style.column, (0.16 * len(shown) + 0.7) * style.scale
        figure = Figure(figsize=size, layout="constrained")
        ax = figure.subplots()
        sns.heatmap(
            table,
            vmin=0,
            vmax=float(np.nanmax(table)),
            cmap="mako_r",
            ax=ax,
            annot=np.where(dead.eq(True), "·", ""),
            fmt="",
            annot_kws={"size": style.small, "color": "0.5"},
            cbar_kws={"pad": 0.02, "label": "Share of data"},
            yticklabels=[f"{unit} ({units.loc[unit, 'mi']:.2f})" for unit in shown],
            linewidths=0.4,
        )
        ax.tick_params(length=0, labelrotation=0)
        ax.set(xlabel="Label", ylabel="Unit (nats)")
        if title:
            figure.suptitle(names.wrapped(title, 44))
        tighten(figure)
    more = len(order) - len(shown)
    left_out = f" The {more} units of least information are left out." if more else ""
    caption = (
        "Share of test data whose most probable label is each of a unit's"
        f"{f', {title}' if title else ''}, seed {folder.metrics()['labels']['seed']}; a dot marks "
        "labels that none of these has. Beside each unit: I(x; z) in nats. Labels of a unit that "
        "says nothing may all be in use, and a code may say much by few labels. Units in order of "
        f"decreasing information.{left_out}"
    )
    return Drawn(name, figure, data.assign(run=folder.id), caption)


def usage_of_labels(codes: np.ndarray, classes: list[int]) -> pd.DataFrame:
    """Return how many data have each label of each discrete unit.

    Parameters
    ----------
    codes
        Most probable labels, ``(n, d)``; columns of real units are not looked at.
    classes
        Labels of each unit, 0 of a real one.

    Returns
    -------
    DataFrame
        ``unit``, ``label``, ``share``, ``dead``.
    """
    rows = []
    for unit, k in enumerate(classes):
        if not k:
            continue
        counts = np.bincount(codes[:, unit].round().astype(int), minlength=k)
        rows.append(
            pd.DataFrame(
                {
                    "unit": unit,
                    "label": np.arange(k),
                    "share": counts / len(codes),
                    "dead": counts == 0,
                }
            )
        )
    return pd.concat(rows, ignore_index=True)
