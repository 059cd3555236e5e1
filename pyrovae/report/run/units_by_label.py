"""Units by label: which unit the decoder heeds in which data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from pyrovae.measures.collapse import USED_ERRORS, USED_NATS
from pyrovae.report.escapes import figure_text
from pyrovae.report.look import names
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.marks import carries_mark
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import PAPER, Style, theme, tighten
from pyrovae.report.run.known import groups, labels_of
from pyrovae.study.store.folders import RunFolder

#: Units in a figure, those of largest KL; labels in it; and data that a group must have.
_UNITS, _LABELS, _FEWEST = 16, 3, 5


@carries_mark
def all_units_by_label(presented: Presented, *, style: Style = PAPER) -> Iterator[Drawn]:
    """Draw each cell's first finished seed: see :func:`units_by_label`."""
    chosen = presented.representatives
    for run, cell in zip(chosen["run"], chosen["cell"], strict=True):
        title = presented.titles[cell]
        yield units_by_label(
            presented.study.folder(run),
            title=title,
            name=f"units-by-label-{names.slug(title)}",
            style=style,
        )


def units_by_label(
    folder: RunFolder, *, title: str = "", name: str = "units-by-label", style: Style = PAPER
) -> Drawn:
    """Draw what replacing each latent unit costs in the data of each label.

    A unit is used for a label as it is in all data: if replacing it by another datum's costs more
    than 0.1 nats and twice the standard error.

    Returns
    -------
    Drawn
        ``data`` has a row for each label, value and unit: ``cost`` and ``cost_se`` in nats, ``n``
        data, ``used``.

    Raises
    ------
    NothingToDraw
        If nothing is known of the points, or the run was measured by an earlier version.
    """
    costs = folder.costs()
    if costs is None:
        raise NothingToDraw("the run was measured by an earlier version, which kept no costs")
    labels = labels_of(folder).head(len(costs))
    data = use_by_label(costs, labels)
    if data.empty:
        raise NothingToDraw(f"no label has {_FEWEST} of the {len(costs)} points that are known")
    order = folder.units().sort_values("kl", ascending=False, kind="stable")["unit"]
    shown = order.head(_UNITS).to_list()
    chosen = list(dict.fromkeys(data["label"]))[:_LABELS]
    parts = [data[data["label"] == label] for label in chosen]
    rows = [part["value"].nunique() for part in parts]
    top = max(float(data.loc[data["unit"].isin(shown), "cost"].max()), USED_NATS)
    with theme(style):
        height = 0.15 * sum(rows) + 0.4 * len(rows) + 0.4
        figure = Figure(figsize=(style.column, height * style.scale), layout="constrained")
        axes = figure.subplots(
            len(parts), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": rows}
        )[:, 0]
        for ax, label, part in zip(axes, chosen, parts, strict=True):
            table = part.pivot(index="value", columns="unit", values="cost")
            table = table.loc[list(dict.fromkeys(part["value"])), shown]
            used = part.groupby("value", sort=False)["used"].sum()
            marks = part.pivot(index="value", columns="unit", values="used").loc[table.index, shown]
            sns.heatmap(
                table,
                vmin=0,
                vmax=top,
                cmap="mako_r",
                ax=ax,
                annot=np.where(marks, "", "·"),
                fmt="",
                annot_kws={"size": style.small, "color": "0.5"},
                cbar_kws={"pad": 0.02, "label": "nats"},
                xticklabels=[str(unit) for unit in shown],
                yticklabels=[f"{figure_text(str(v))} ({used[v]})" for v in table.index],
                linewidths=0.4,
            )
            ax.set_title(figure_text(names.words(str(label))), loc="left")
            ax.set(xlabel="", ylabel="")
            ax.tick_params(length=0, labelrotation=0)
        axes[-1].set_xlabel("Latent unit, in order of decreasing KL")
        if title:
            figure.suptitle(names.wrapped(title, 44))
        tighten(figure)
    more = len(order) - len(shown)
    left_out = f" The {more} units of least KL are left out." if more else ""
    caption = (
        "What replacing each latent unit by another datum's costs in E[log p(x|z)]"
        f"{f', {title}' if title else ''}, seed {folder.metrics()['labels']['seed']}, over the "
        f"data of each label (of the first {len(costs)} test points). Beside each label: how many "
        f"units it uses; a dot marks those that it does not, by {USED_NATS} nats and "
        f"{USED_ERRORS:.0f} standard errors. Units in order of decreasing KL.{left_out}"
    )
    return Drawn(name, figure, data.assign(run=folder.id), caption)


def use_by_label(costs: np.ndarray, labels: pd.DataFrame) -> pd.DataFrame:
    """Return what replacing each unit costs in the data of each value of each label.

    Parameters
    ----------
    costs
        Nats in each datum, ``(n, d)``.
    labels
        A column each, n rows.

    Returns
    -------
    DataFrame
        ``label``, ``value``, ``unit``, ``cost``, ``cost_se``, ``n``, ``used``; values of fewer than
        five data are left out.
    """
    rows = []
    for label in labels:
        group = groups(labels[label])
        counts = group.value_counts()
        for value in (each for each in group.cat.categories if counts[each] >= _FEWEST):
            inside = costs[(group == value).to_numpy()]
            cost, error = inside.mean(0), inside.std(0, ddof=1) / len(inside) ** 0.5
            rows.append(
                pd.DataFrame(
                    {
                        "label": str(label),
                        "value": str(value),
                        "unit": np.arange(costs.shape[1]),
                        "cost": cost,
                        "cost_se": error,
                        "n": len(inside),
                        "used": (cost > USED_NATS) & (cost > USED_ERRORS * error),
                    }
                )
            )
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
