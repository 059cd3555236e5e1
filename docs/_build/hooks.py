"""What mkdocs calls while it builds: pages from the registries and the commands, formulas as MathML.

Nothing that these pages say is written down twice: names, formulas, parameters, defaults, examples
and sources are the code's own, so that the pages cannot fall behind it, and a plug-in's parts are
on them as built-in ones are.

``python docs/_build/hooks.py`` writes the generated pages into ``docs/``, where the repository's own
pages link to them.
"""

from __future__ import annotations

import html
import inspect
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import gallery
import griffe
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic_core import PydanticUndefined

from pyrovae.core import docstring

logging.getLogger("griffe").setLevel(logging.ERROR)

#: Kind, as its registry has it, to title and introduction of its page.
PAGES = {
    "prior": ("Priors", "What codes are drawn from: p(z). Each is a Pyro program."),
    "posterior": (
        "Posteriors",
        "The families that the guide q(z|x) is from; the encoder gives their parameters.",
    ),
    "likelihood": ("Likelihoods", "What images are drawn from, given a code: p(x|z)."),
    "objective": (
        "Objectives",
        "What is minimised in training, in nats for each datum. D is the distortion, R the rate.",
    ),
    "optimizer": (
        "Optimisers",
        "What moves parameters along their gradients g; η is the learning rate, `training.lr`.",
    ),
    "network": ("Networks", "Pairs of an encoder and a decoder."),
    "dataset": ("Data sets", "Images, with their generative factors where these are known."),
    "metric": (
        "Metrics",
        "Disentanglement scores: functions of codes and factors, and of nothing else.",
    ),
    "sampler": (
        "Samplers",
        "Laws of codes that are fitted to a trained run, to generate from in the prior's place: "
        "`pyrovae sample RUN --sampler mixture`, and `evaluation: {samplers: [mixture]}` in a study.",
    ),
}
#: Stands in a page for the table of what takes a schedule.
_SCHEDULED = "<!-- parameters that take a schedule -->"
_ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
_DOI = re.compile(r"doi:(10\.\S+?)(?=[;,)]?(?:\s|$))")
#: What doctest is told, and a reader need not be.
_SKIP = re.compile(r" *# doctest:.*")
_MATH = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def generated() -> dict[str, str]:
    """Return the generated pages by path."""
    found = {
        f"families/{title.lower().replace(' ', '-')}.md": family_page(kind, title, intro)
        for kind, (title, intro) in PAGES.items()
    }
    return {**found, "commands.md": commands_page(), "gallery.md": gallery.page()}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the generated pages in the place of their stored copies, which lack plug-ins' parts."""
    for path, content in generated().items():
        stored = files.get_file_from_path(path)
        if stored is not None:
            files.remove(stored)
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in what the code knows."""
    return markdown.replace(_SCHEDULED, scheduled_parameters())


def on_page_content(content: str, **_: Any) -> str:
    """Turn formulas into MathML, which browsers draw without a script."""

    def mathml(match: re.Match[str]) -> str:
        block = match[2] == "["
        return convert(html.unescape(match[3]).strip(), display="block" if block else "inline")

    return _MATH.sub(mathml, content)


def registries() -> dict[str, Any]:
    """Return all registries by kind."""
    from pyrovae.measures.disentanglement import METRICS
    from pyrovae.measures.samplers import SAMPLERS
    from pyrovae.study.config.resolve import REGISTRIES
    from pyrovae.training.optimizers import OPTIMIZERS

    return {**REGISTRIES, "optimizer": OPTIMIZERS, "metric": METRICS, "sampler": SAMPLERS}


def family_page(kind: str, title: str, intro: str) -> str:
    """Return a page with a section for each entry of a registry."""
    registry = registries()[kind]
    parts = [f"# {title}", intro, f"`pyrovae list {kind}s` prints the same in the terminal."]
    groups = registry.grouped()
    if len(groups) > 1:
        parts.append("\n".join(f"- {head}: {_links(names)}" for head, names in groups.items()))
    for name in (name for names in groups.values() for name in names):
        parts += [f"## `{name}`", *_entry(registry, name)]
        if kind == "metric":
            parts.append(scores_table(name))
    return "\n\n".join(parts) + "\n"


def _links(names: list[str]) -> str:
    return ", ".join(f"[`{name}`](#{name})" for name in names)


def scores_table(metric: str) -> str:
    """Return a table of what a metric stores: keys, titles with units, directions, meanings."""
    from pyrovae.measures.disentanglement import METRICS
    from pyrovae.measures.disentanglement.asked import keys_of

    (key,) = keys_of([{"name": metric}])
    rows = ["| stored as | score | better | meaning |", "|---|---|---|---|"]
    rows += [
        f"| `{key + s.key.removeprefix(metric)}` | {_in_table(s.axis_label)} | {s.better} | {_in_table(s.meaning)} |"
        for s in METRICS.scores_of(metric)
    ]
    return "\n".join(rows)


def scheduled_parameters() -> str:
    """Return a table of the parameters that take a schedule, by kind and name."""
    from pyrovae.study.plan.batches import scheduled

    rows = ["| | entry | parameters |", "|---|---|---|"]
    for kind, (title, _) in PAGES.items():
        page = f"families/{title.lower().replace(' ', '-')}.md"
        for name in registries()[kind]:
            names = scheduled(registries()[kind], name)
            if names:
                listed = ", ".join(f"`{n}`" for n in sorted(names))
                rows.append(f"| {kind} | [`{name}`]({page}#{name}) | {listed} |")
    return "\n".join(rows)


def _entry(registry: Any, name: str) -> Iterator[str]:
    entry = registry[name]
    text, meanings = _docstring(inspect.getdoc(entry) or "")
    summary, _, rest = docstring.without_formula(text).partition("\n\n")
    yield escaped(summary)
    formula = docstring.formula(entry)
    if formula:
        yield f"$$\n{formula}\n$$"
    if rest:
        yield escaped(rest)
    notes = docstring.section(entry, "Notes")
    if notes:
        yield escaped(notes)
    fields = registry.parameters(name).model_fields
    if fields:
        rows = ["| parameter | default | meaning |", "|---|---|---|"]
        for key, field in fields.items():
            default = "required" if field.default is PydanticUndefined else f"`{field.default!r}`"
            rows.append(f"| `{key}` | {default} | {_in_table(meanings.get(key, ''))} |")
        yield "\n".join(rows)
    examples = docstring.section(entry, "Examples")
    if examples:
        yield f"```pycon\n{_SKIP.sub('', examples)}\n```"
    yield f"Source: {linked(registry.source(name))}."


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return what a docstring says before its sections, and the meaning of each parameter."""
    said: list[str] = []
    meanings: dict[str, str] = {}
    for section in griffe.Docstring(text, lineno=1).parse("numpy"):
        if section.kind is griffe.DocstringSectionKind.text and not said:
            said.append(section.value)
        elif section.kind is griffe.DocstringSectionKind.parameters:
            for parameter in section.value:
                meanings[parameter.name] = parameter.description
    return "".join(said), meanings


def escaped(text: str) -> str:
    """Return a docstring's text as Markdown that shows it as it stands.

    >>> escaped("E_q of ``x`` * 2 <b>")
    'E\\\\_q of `x` \\\\* 2 &lt;b>'
    """
    parts = re.split(r"(``.+?``)", text)
    for i, part in enumerate(parts):
        if i % 2:
            parts[i] = f"`{part[2:-2]}`"
        else:
            plain = re.sub(r":[a-z]+:`~?([^`]+)`", r"\1", part)
            parts[i] = re.sub(r"([\\_*\[\]$`^~])", r"\\\1", plain).replace("<", "&lt;")
    return "".join(parts)


def _in_table(text: str) -> str:
    return escaped(text).replace("\n", " ").replace("|", r"\|")


def linked(source: str) -> str:
    """Return a source whose arXiv number or DOI is a link."""
    text = _ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", source.rstrip("."))
    return _DOI.sub(r"[doi:\1](https://doi.org/\1)", text)


def commands_page() -> str:
    """Return the help of every command."""
    from pyrovae.commands.main import main

    parts = ["# Commands", "What `--help` prints, for each command."]
    for path, command in _commands(main, "pyrovae"):
        context = click.Context(command, info_name=path, max_content_width=96)
        parts += [f"## `{path}`", f"```text\n{command.get_help(context)}\n```"]
    return "\n\n".join(parts) + "\n"


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, part in sorted(command.commands.items()):
            yield from _commands(part, f"{path} {name}")
    else:
        yield path, command


if __name__ == "__main__":
    for path, content in generated().items():
        page = Path(__file__).parents[1] / path
        page.parent.mkdir(exist_ok=True)
        page.write_text(content)
