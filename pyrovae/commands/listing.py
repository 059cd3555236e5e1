"""``pyrovae list``: what there is to choose from, and what fits together."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.table import Column, Table
from rich.text import Text

from pyrovae.commands import terminal

if TYPE_CHECKING:
    from pyrovae.core.registry import Registry

#: Where the registry of a kind is: no other is imported to list it.
_REGISTRIES = {
    "datasets": ("pyrovae.datasets", "DATASETS"),
    "networks": ("pyrovae.models.networks", "NETWORKS"),
    "priors": ("pyrovae.models.priors", "PRIORS"),
    "posteriors": ("pyrovae.models.posteriors", "POSTERIORS"),
    "likelihoods": ("pyrovae.models.likelihoods", "LIKELIHOODS"),
    "objectives": ("pyrovae.objectives", "OBJECTIVES"),
    "optimizers": ("pyrovae.training.optimizers", "OPTIMIZERS"),
    "metrics": ("pyrovae.measures.disentanglement", "METRICS"),
    "samplers": ("pyrovae.measures.samplers", "SAMPLERS"),
}
_KINDS = (*_REGISTRIES, "schedules")


@click.command("list")
@click.argument("kind", type=click.Choice([*_KINDS, "compat", "studies"]))
@click.option("--brief", is_flag=True, help="Names and meanings alone, one line each.")
def list_kind(kind: str, brief: bool) -> None:
    """Print the entries of a KIND by group: name, parameters with defaults, meaning, source.

    KIND `compat` prints which of them fit together, and why others do not; `studies` the studies
    that come with pyrovae.
    """
    console = terminal.console()
    if kind == "compat":
        for part in _compatibility():
            console.print(part)
        return
    if kind == "studies":
        console.print(_studies())
        return
    heads = ["name", "parameters", "meaning", "source"]
    if kind == "schedules":
        rows = list(_schedules())
        groups = {"": [row[0] for row in rows]}
    else:
        rows, groups = list(_entries(kind)), _registry(kind).grouped()
    if kind == "datasets":
        from pyrovae.datasets.sources import SOURCES

        heads.append("licence")
        for row in rows:
            row.append(SOURCES[row[0]].licence if row[0] in SOURCES else "")
    if kind == "metrics":
        from pyrovae.measures.disentanglement import METRICS

        heads.append("scores")
        for row in rows:
            scores = METRICS.scores_of(row[0])
            row[heads.index("meaning")] = scores[0].meaning
            row.append("\n".join(score.said for score in scores))
    by_name = {row[0]: row for row in rows}
    if brief:
        console.print(_brief(groups, by_name, heads.index("meaning")))
        return
    # Columns of one width in all groups: the eye runs down the names.
    widths = [max(map(_width, column)) for column in zip(heads, *rows, strict=True)]
    for head, names in groups.items():
        title = Text(head, style="bold") if head else None
        table = Table(title=title, title_justify="left", show_lines=True)
        for name, width in zip(heads, widths, strict=True):
            least = width if name in ("name", "parameters") else None
            table.add_column(name, min_width=least)
        for name in names:
            table.add_row(*map(Text, by_name[name]))
        console.print(table)


def _width(cell: str) -> int:
    return max(map(len, cell.split("\n")))


def _brief(groups: dict[str, list[str]], rows: dict[str, list[str]], meaning: int) -> Table:
    table = Table.grid(padding=(0, 2))
    for head, names in groups.items():
        if head:
            table.add_row(Text(head, style="bold"), "")
        for name in names:
            table.add_row(Text(f"  {name}"), Text(rows[name][meaning]))
    return table


def _studies() -> Table:
    from pyrovae.study.config import shipped

    table = Table("name", "description", show_lines=True)
    for name in shipped.studies():
        table.add_row(Text(name), Text(shipped.description(name)))
    return table


def _registry(kind: str) -> Registry:
    module, registered = _REGISTRIES[kind]
    registry: Registry = getattr(import_module(module), registered)
    return registry


def _entries(kind: str) -> Iterator[list[str]]:
    registry = _registry(kind)
    for name in registry:
        fields = registry.parameters(name).model_fields
        parameters = "\n".join(
            key if field.is_required() else f"{key}={_shown(field.default)}"
            for key, field in fields.items()
        )
        # Docstrings mark names by two backticks, as their format has it.
        meaning = registry.summary(name).replace("``", "`")
        yield [name, parameters, meaning, registry.source(name)]


def _schedules() -> Iterator[list[str]]:
    from pyrovae.core.schedules import KINDS

    for kind in KINDS:
        fields = kind.model_fields.items()
        parameters = "\n".join(
            field.alias or key if field.is_required() else f"{key}={_shown(field.default)}"
            for key, field in fields
            if key != "schedule"
        )
        meaning, _, source = (kind.__doc__ or "").rstrip(".").rpartition(" (")
        said = meaning.replace("``", "`") + "."
        yield [kind.model_fields["schedule"].default, parameters, said, source.rstrip(")")]


def _shown(default: Any) -> str:
    """Return a default as it would stand in a study's file."""
    if hasattr(default, "model_dump"):
        pairs = default.model_dump(by_alias=True).items()
        return "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
    if isinstance(default, list | tuple) and len(default) > 2 and len(set(default)) == 1:
        return f"[{default[0]}] * {len(default)}"
    return "null" if default is None else str(default)


def _compatibility() -> Iterator[Any]:
    from pyrovae.study.plan.compatibility import (
        data_requirements,
        latent_matrix,
        objective_matrix,
        refusals,
    )

    matrix = latent_matrix()
    priors = list(next(iter(matrix.values())))
    yield Text("KL(q || p) of posterior and prior: C closed form, M Monte Carlo, - refused")
    yield Text(
        "(with default parameters; closed forms of hierarchical priors are given the scales)"
    )
    # Names stand below each other, numbered: as heads they would not fit.
    yield Text("\n".join(f"  {i + 1:2d} prior {name}" for i, name in enumerate(priors)))
    # Without lines between: names of posteriors have to stay whole beside a column for each prior.
    table = Table(
        Column("posterior", no_wrap=True),
        *(Column(str(i + 1), no_wrap=True) for i in range(len(priors))),
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for posterior, row in matrix.items():
        table.add_row(
            posterior, *({"closed": "C", "sampled": "M"}.get(m, "-") for m in row.values())
        )
    yield table
    table = Table("refused: priors", "with posteriors", "reason", show_lines=True)
    for names, others, reason in refusals():
        table.add_row(Text(", ".join(names)), Text(", ".join(others)), Text(reason))
    yield table

    table = Table("objective", "needs", "refused", show_lines=True)
    for name, asked in objective_matrix().items():
        table.add_row(Text(name), Text("\n".join(asked.needs)), Text(_grouped(asked.refused)))
    yield table

    table = Table("likelihood", "data that it explains")
    for name, data in data_requirements().items():
        table.add_row(name, Text(data))
    yield table


def _grouped(refused: dict[str, list[str]]) -> str:
    return "\n".join(f"{part}: {', '.join(names)}" for part, names in refused.items() if names)
