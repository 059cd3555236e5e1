"""What the analysis across runs concludes, as sentences with their evidence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from pyrovae.measures.scores import Score, score_of
from pyrovae.report.look import names
from pyrovae.report.look.encoding import Encoding
from pyrovae.report.look.presented import Presented
from pyrovae.report.page.columns import columns

#: Posterior probability from which a statement is made rather than left open.
ENOUGH = 0.95
#: Probability that a difference has another sign in some cells, from which on its average is not
#: told.
_TURNS = 0.5

Kind = Literal["supported", "equal", "open", "refused"]
_TAGS: dict[Kind, str] = {
    "supported": "Differs",
    "equal": "Practically equal",
    "open": "Undecided",
    "refused": "No conclusion",
}


@dataclass(frozen=True)
class Verdict:
    """What can be said of one factor's effect on one metric.

    Attributes
    ----------
    kind
        ``supported``: levels differ by more than practical equivalence; ``equal``: all pairs are
        practically equal; ``open``: neither has enough posterior probability, or the difference
        turns with the other factors; ``refused``: the chains did not pass.
    statement, evidence
        A sentence, and the numbers behind it.
    probability
        Of the statement, under the posterior; ``None`` if there is none.
    """

    kind: Kind
    statement: str
    evidence: str
    probability: float | None

    @property
    def tag(self) -> str:
        """The kind in a word or two."""
        return _TAGS[self.kind]


@dataclass(frozen=True)
class Card:
    """The verdicts on one metric, one for each factor."""

    title: str
    verdicts: list[Verdict]


@dataclass(frozen=True)
class Verdicts:
    """The verdicts of a study.

    Attributes
    ----------
    basis
        What they rest on, in one sentence.
    cards
        One for each metric, in the order of the run table.
    fresh
        Whether the runs that were analysed are the ones on the page.
    """

    basis: str
    cards: list[Card]
    fresh: bool


def verdicts(presented: Presented) -> Verdicts | None:
    """Return the verdicts of a study's stored analysis; ``None`` if there is none."""
    analysis = presented.stored_analysis
    if analysis is None:
        return None
    about, contrasts = analysis.about, analysis.table("contrasts")
    settling = presented.study.settling
    shown = [score.key for score in columns(presented.runs)]
    cards = []
    for key, entry in sorted(about["metrics"].items(), key=lambda item: _place(item[0], shown)):
        score = score_of(key)
        mine = contrasts[contrasts["metric"] == key]
        if mine.empty:
            reason = entry.get("reason") or "nothing to compare"
            found = [Verdict("refused", "The chains support no conclusion.", reason, None)]
        else:
            groups = mine.groupby("factor", sort=False)
            made = [_verdict(part, str(f), score, entry, presented.encoding) for f, part in groups]
            found = [replace(each, statement=each.statement + settling.mark) for each in made]
        cards.append(Card(score.title, found))
    return Verdicts(
        f"From {about['runs']} runs: a hierarchical Bayesian model of each metric, fitted by NUTS. "
        f"A sentence asserts only from a posterior probability of {ENOUGH:.0%} on, of all "
        "differences that it names together, and of differences beyond practical equivalence only."
        + (f" {settling.noted}" if settling.unsettled else ""),
        cards,
        analysis.fresh,
    )


def _place(key: str, shown: list[str]) -> int:
    return shown.index(key) if key in shown else len(shown)


def _verdict(
    pairs: pd.DataFrame, factor: str, score: Score, entry: dict[str, Any], encoding: Encoding
) -> Verdict:
    title, noun = score.title, names.title(factor).lower()
    if not {"above", "below", "jointly", "crossing"} <= set(pairs.columns):
        told = "An older version analysed these runs: analyse them again."
        return Verdict("refused", f"{title}: no conclusion.", told, None)
    least_equal = float(pairs["rope"].min())
    if least_equal >= ENOUGH:
        return Verdict(
            "equal",
            f"{title}: the {noun} makes no practical difference.",
            f"Every pair of levels lies within ±{entry['rope']:g} of each other with posterior "
            f"probability {_probability(least_equal)} or more.",
            least_equal,
        )
    ordered = [
        _Ordered.of(row, factor, score, encoding)
        for _, row in pairs.sort_values("jointly", ascending=False).iterrows()
    ]
    sure = [each for each in ordered if each.jointly >= ENOUGH]
    turning = [each for each in sure if each.crossing >= _TURNS]
    if turning:
        first = turning[0]
        return Verdict(
            "open",
            f"{title}: whether {first.high} or {first.low} is higher turns with the other factors.",
            f"On average {first.difference}; with posterior probability "
            f"{_probability(first.crossing)} it is the other way round in some cells.",
            first.crossing,
        )
    if sure:
        joint = min(each.jointly for each in sure)
        return Verdict(
            "supported",
            f"{title}: higher {_sentence(sure)}.",
            "; ".join(f"{each.high} over {each.low}: {each.difference}" for each in sure)
            + f". Posterior probability that {'all of this holds' if len(sure) > 1 else 'it holds'}"
            f", by more than {entry['rope']:g}"
            f"{' as a log ratio' if score.kind == 'positive' else ''}: {_probability(joint)}.",
            joint,
        )
    first = ordered[0]
    return Verdict(
        "open",
        f"{title}: whether the {noun} matters is open.",
        f"The surest difference is {first.high} over {first.low}: {first.difference}, posterior "
        f"probability {_probability(first.jointly)} of being beyond practical equivalence.",
        first.jointly,
    )


@dataclass(frozen=True)
class _Ordered:
    """A pair of levels, the higher one first."""

    high: str
    low: str
    difference: str
    jointly: float
    crossing: float

    @classmethod
    def of(cls, pair: pd.Series, factor: str, score: Score, encoding: Encoding) -> _Ordered:
        """Order a row of contrasts."""
        a, b = (encoding.level_phrase(factor, pair[side]) for side in ("a", "b"))
        sign = 1 if pair["above"] >= pair["below"] else -1
        low, high = sorted((sign * pair["low"], sign * pair["high"]))
        told = score.with_unit(f"{sign * pair['mean']:+.3g}")
        told = f"{told} (95 % {low:.3g} to {high:.3g})".replace("-", "−")
        first, second = (a, b) if sign > 0 else (b, a)
        return cls(first, second, told, float(pair["jointly"]), float(pair["crossing"]))


def _sentence(sure: list[_Ordered]) -> str:
    """Return which level is higher than which: ``with A than with B and C, with B than with C``."""
    lower: dict[str, list[str]] = {}
    for each in sure:
        lower.setdefault(each.high, []).append(each.low)
    return ", ".join(f"with {high} than with {' and '.join(lows)}" for high, lows in lower.items())


def _probability(value: float) -> str:
    return "> 0.99" if value > 0.995 else "< 0.01" if value < 0.005 else f"{value:.2f}"
