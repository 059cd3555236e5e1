"""What a score is: its title and unit, which way is better, how it varies, and what it means.

Each score is declared once, in the module that computes it::

    ELBO = declare(Score("elbo", "ELBO", unit="nats", better="high", ...))

or where its metric is registered (:class:`pyrovae.measures.disentanglement.base.Metrics`), and
whoever compares, tabulates, draws or explains scores asks :func:`score_of`. The key is the column
of the study's table of runs. What nobody has declared, such as a score of a plug-in that is no
longer installed, has a title made of its key, and nothing is claimed of it.

Other scores follow from declared ones by the form of their key:

- ``mig_se`` is the standard error of ``mig``;
- ``mig_used_only`` is ``mig`` of the units alone that the decoder uses;
- ``mig_active_only`` that of the units alone with Var(mu) > 0.01, all that version 0.1.0 had;
- ``rate_z2`` is ``rate`` of the layer z2 alone, ``used_units_z2`` the units of it that are used;
- ``mig[n_bins=5]`` is ``mig`` with another parameter; so are ``mig[n_bins=5]_se`` and so on.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, get_args

from pyrovae.core import dotted

#: ``count``: whole numbers up to the latent dimension; ``proportion``: in [0, 1]; ``positive``:
#: compared by ratios; ``real``: compared by differences.
Kind = Literal["count", "proportion", "positive", "real"]
Better = Literal["high", "low", "neither"]

#: Half width of the region of practical equivalence (Kruschke 2018) by kind: half a unit, a
#: hundredth of a score's range, a ratio of 1.1, half a nat.
_ROPE: dict[Kind, float] = {"count": 0.5, "proportion": 0.01, "positive": 0.1, "real": 0.5}

TEST, TRAINING, GAP = "Test set", "Training set", "Gap between training and test set"
COLLAPSE, TRAINING_COLLAPSE = "Collapse", "Collapse, training set"
INFORMATION, DISENTANGLEMENT = "Information in the code", "Disentanglement"
POSTERIOR, COST, OTHER = "Posterior diagnostics", "Cost", "Other"
#: Groups in the order in which they are shown; those of plug-ins stand before the last.
_GROUPS = (
    *(
        TEST,
        TRAINING,
        GAP,
        COLLAPSE,
        TRAINING_COLLAPSE,
        INFORMATION,
        DISENTANGLEMENT,
        POSTERIOR,
        COST,
    ),
    OTHER,
)

#: Suffixes of a key: the score's standard error, and its value over some units alone: those that
#: the decoder uses, and those with Var(mu) > 0.01.
STANDARD_ERROR, USED_ONLY, ACTIVE_ONLY = "_se", "_used_only", "_active_only"

#: Modules that declare scores, or know whose metrics do.
_DECLARING = (
    "pyrovae.measures.disentanglement",
    "pyrovae.measures.evaluate",
    "pyrovae.measures.quality.measure",
    "pyrovae.measures.disentanglement.udr",
    "pyrovae.measures.posterior.scores",
)
_VARIANT = re.compile(r"([^\[]+)\[(.*)\]([^\[\]]*)", re.DOTALL)
_LAYER = re.compile(r"(.+)_(z\d+)")
_PARAMETER = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\[[^\]]*\]|\{[^}]*\}|[^,]*)(?:,|$)')


@dataclass(frozen=True)
class Score:
    """A number that each run has.

    Parameters
    ----------
    key
        Its column in the table of runs.
    title
        For headings and axes.
    unit
        ``"nats"``, ``"count"``, …; empty for a pure number.
    better
        ``"high"``, ``"low"``, or ``"neither"`` if no way is better by itself, as with a rate.
    kind
        How it varies between runs: what a comparison takes for its law.
    group
        The heading that it is listed under.
    meaning
        One sentence. Of a metric, the first line of its docstring unless told otherwise.
    rope
        Differences up to this are practically none, for ``positive`` scores on the log scale;
        ``None`` for the kind's default.
    main
        Whether tables and comparisons have it unless asked for others.

    Raises
    ------
    ValueError
        If ``better`` or ``kind`` is none of those.
    """

    key: str
    title: str
    unit: str = ""
    better: Better = "neither"
    kind: Kind = "real"
    group: str = OTHER
    meaning: str = ""
    rope: float | None = None
    main: bool = False

    def __post_init__(self) -> None:
        for field, known in (("better", Better), ("kind", Kind)):
            given = getattr(self, field)
            if given not in get_args(known):
                raise ValueError(
                    f"score '{self.key}': {field} is one of {', '.join(get_args(known))}, "
                    f"got {given!r}"
                )

    @property
    def axis_label(self) -> str:
        """Title with unit, for an axis."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def heading(self) -> str:
        """Title with an arrow that points to what is better, for the column of a table."""
        return self.title + {"high": " ↑", "low": " ↓", "neither": ""}[self.better]

    @property
    def direction(self) -> str:
        """Which way is better, in words; empty if neither is."""
        return {"high": "higher is better", "low": "lower is better", "neither": ""}[self.better]

    @property
    def said(self) -> str:
        """Title, unit and direction in a line: ``"Distortion (nats), lower is better"``."""
        return ", ".join(filter(None, [self.axis_label, self.direction]))

    @property
    def equivalence(self) -> float:
        """Half width of the region of practical equivalence."""
        return _ROPE[self.kind] if self.rope is None else self.rope

    @property
    def file_stem(self) -> str:
        """The key as part of a file's name.

        >>> Score("mig[n_bins=5]", "MIG (5 bins)").file_stem
        'mig-n_bins=5'
        """
        return re.sub(r"[^\w.,=+-]", "-", self.key).rstrip("-")

    def with_unit(self, value: str) -> str:
        """Return a value with its unit; counts are numbers."""
        return f"{value} {self.unit}" if self.unit not in ("", "count") else value


class Metrics(Protocol):
    """The registry of metrics, whose scores are declared where a metric is registered."""

    def __iter__(self) -> Iterator[str]:
        """Iterate over the metrics' names."""

    @property
    def scores(self) -> Mapping[str, Score]:
        """The scores of all metrics and of their parts, by key."""


_DECLARED: dict[str, Score] = {}
_KNOWN: list[Metrics] = []


def declare(score: Score) -> Score:
    """Make a score known, and return it.

    Raises
    ------
    ValueError
        If its key is another score's already.
    """
    if _DECLARED.setdefault(score.key, score) != score:
        raise ValueError(f"score '{score.key}' is declared twice")
    return score


def declare_metrics(metrics: Metrics) -> None:
    """Make known the registry that declares scores of metrics."""
    _KNOWN[:] = [metrics]


def score_of(key: str) -> Score:
    """Return what is known of any score; of an undeclared one, that nothing is."""
    known = _declared(key)
    if known:
        return known
    variant = _VARIANT.fullmatch(key)
    if variant:
        plain = score_of(variant[1] + variant[3])
        return replace(plain, key=key, title=f"{plain.title} ({_in_words(variant[2])})")
    if key.endswith(STANDARD_ERROR):
        of = score_of(key.removesuffix(STANDARD_ERROR))
        return Score(
            key,
            f"{of.title}, standard error",
            of.unit,
            kind="positive",
            group=of.group,
            meaning=f"Standard error of {of.title}.",
        )
    for suffix, which in ((USED_ONLY, "active units"), (ACTIVE_ONLY, "units with Var(mu) > 0.01")):
        if key.endswith(suffix):
            of = score_of(key.removesuffix(suffix))
            meaning = f"{of.title} of the {which} alone."
            title = f"{of.title}, {which} only"
            return replace(of, key=key, title=title, meaning=meaning, main=False)
    layer = _LAYER.fullmatch(key)
    if layer and is_declared(layer[1]):
        of = score_of(layer[1])
        return replace(
            of,
            key=key,
            title=f"{of.title}, {layer[2]}",
            meaning=f"{of.title} of layer {layer[2]} alone.",
            main=False,
        )
    # A part that a metric returns and does not declare is still the metric's.
    metric = _metric_of(key)
    group = score_of(metric).group if metric else OTHER
    # A dotted path is a metric's: it is not imported for this, as the results are there without it.
    return replace(undeclared(key), group=DISENTANGLEMENT if dotted.is_path(key) else group)


def undeclared(key: str) -> Score:
    """Return a score of which nothing is known but its key.

    >>> undeclared("my_metric").title, undeclared("package.module:my_metric").title
    ('My metric', 'My metric')
    """
    name = key.rpartition(".")[2] if dotted.is_path(key) else key
    words = name.rpartition(":")[2].replace("_", " ").strip()
    return Score(key, words[:1].upper() + words[1:])


def is_declared(key: str) -> bool:
    """Tell whether a score, or the one that it follows from, has been declared."""
    if _declared(key):
        return True
    variant = _VARIANT.fullmatch(key)
    if variant:
        return is_declared(variant[1] + variant[3])
    for suffix in (STANDARD_ERROR, USED_ONLY, ACTIVE_ONLY):
        if key.endswith(suffix):
            return is_declared(key.removesuffix(suffix))
    layer = _LAYER.fullmatch(key)
    return is_declared(layer[1]) if layer else bool(_metric_of(key))


def declared_scores() -> Iterator[Score]:
    """Yield every declared score: those of the modules here, then those of metrics."""
    _load()
    yield from _DECLARED.values()
    yield from _metrics().scores.values()


def place_of(group: str) -> int:
    """Return where a group stands among others."""
    return _GROUPS.index(group) if group in _GROUPS else _GROUPS.index(OTHER) - 1


def variant_key(name: str, parameters: Mapping[str, Any]) -> str:
    """Return the key of a metric with parameters of its own.

    >>> variant_key("mig", {"n_bins": 5}), variant_key("mig", {})
    ('mig[n_bins=5]', 'mig')
    """
    told = ",".join(f"{key}={_literal(value)}" for key, value in parameters.items())
    return f"{name}[{told}]" if told else name


def _declared(key: str) -> Score | None:
    _load()
    return _DECLARED.get(key) or _metrics().scores.get(key)


def _load() -> None:
    for module in _DECLARING:
        importlib.import_module(module)


def _metrics() -> Metrics:
    _load()
    return _KNOWN[0]


def _metric_of(key: str) -> str | None:
    """Return the metric that a part is of: ``dci`` of ``dci_completeness``."""
    if dotted.is_path(key):
        return None
    found = [name for name in _metrics() if key.startswith(f"{name}_")]
    return max(found, key=len, default=None)


def _literal(value: Any) -> str:
    """Write a value of JSON so that another one is not written alike: words without quotes."""
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w.-]*", value)
    reserved = ("true", "false", "null", "NaN", "Infinity")
    return value if plain and value not in reserved else json.dumps(value, ensure_ascii=False)


def _in_words(parameters: str) -> str:
    """Return the parameters of a variant for its title.

    >>> _in_words("n_bins=5,binning=quantile")
    '5 bins, binning = quantile'
    """
    told = []
    for key, value in _PARAMETER.findall(parameters):
        words = key.replace("_", " ")
        counted = re.fullmatch(r"n (\w[\w ]*s)", words) if value.isdigit() else None
        told.append(f"{value} {counted[1]}" if counted else f"{words} = {value}")
    return ", ".join(told)
