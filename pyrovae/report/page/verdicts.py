"""What the analysis across runs concludes, as sentences with their evidence.

When something is asserted is :mod:`pyrovae.analysis.judged`'s business; here it is worded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from pyrovae.analysis.judged import ENOUGH, NEEDED, Judged, bar, judge
from pyrovae.measures.scores import Score, score_of
from pyrovae.report.look import names
from pyrovae.report.look.encoding import Encoding
from pyrovae.report.look.presented import Presented
from pyrovae.report.page.columns import columns

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
        ``supported``: levels differ by more than practical equivalence, on average or for some
        levels of the other factors; ``equal``: all pairs are practically equal; ``open``: neither
        has enough posterior probability; ``refused``: the chains did not pass.
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
    about, contrasts, within = analysis.about, analysis.table("contrasts"), analysis.table("within")
    settling = presented.study.settling
    shown = [score.key for score in columns(presented.runs)]
    enough = bar(contrasts, within)
    cards = []
    for key, entry in sorted(about["metrics"].items(), key=lambda item: _place(item[0], shown)):
        score = score_of(key)
        mine = contrasts[contrasts["metric"] == key]
        if mine.empty:
            reason = entry.get("reason") or "nothing to compare"
            found = [Verdict("refused", "The chains support no conclusion.", reason, None)]
        else:
            alone = within[within["metric"] == key]
            made = [
                _Worded(str(factor), score, entry, presented.encoding, analysis.factors).verdict(
                    part, alone[alone["factor"] == factor] if len(alone) else alone, enough
                )
                for factor, part in mine.groupby("factor", sort=False)
            ]
            found = [replace(each, statement=each.statement + settling.mark) for each in made]
        cards.append(Card(score.title, found))
    return Verdicts(
        f"From {about['runs']} runs: a hierarchical Bayesian model of each metric, fitted by NUTS. "
        "A difference is asserted only if it is beyond practical equivalence with a posterior "
        f"probability of {_percent(enough)} or more: the 5 % that everything asserted here may be "
        "wrong together are shared out among all scores and factors that were looked at."
        + (f" {settling.noted}" if settling.unsettled else ""),
        cards,
        analysis.fresh,
    )


def _place(key: str, shown: list[str]) -> int:
    return shown.index(key) if key in shown else len(shown)


@dataclass(frozen=True)
class _Worded:
    """Puts into words what is found of one factor in one score."""

    factor: str
    score: Score
    entry: dict[str, Any]
    encoding: Encoding
    factors: Sequence[str]

    def verdict(self, pairs: pd.DataFrame, within: pd.DataFrame, enough: float) -> Verdict:
        """Return what is said of rows of contrasts, and of differences within cells."""
        title = self.score.title
        if not set(pairs.columns) >= NEEDED:
            told = "An older version analysed these runs: analyse them again."
            return Verdict("refused", f"{title}: no conclusion.", told, None)
        found = judge(pairs, within, enough)
        kind, said, evidence = {
            "differs": self._differs,
            "within": self._within,
            "turns": self._turns,
            "may turn": self._may_turn,
            "equal": self._equal,
            "open": self._open,
        }[found.finding](found)
        return Verdict(kind, f"{title}: {said}", evidence, found.probability)

    def _differs(self, found: Judged) -> tuple[Kind, str, str]:
        sure = [self._ordered(row) for row in _rows(found.pairs)]
        evidence = "; ".join(f"{each.said}: {each.difference}" for each in sure)
        evidence += f". {self._jointly(len(sure), found.probability)}"
        if self._others():
            where = self._where(found.within)
            evidence += (
                f" By itself it is as sure {'; '.join(where)}."
                if len(sure) > 1 and where
                else f" By itself it is as sure {names.listed(self._contexts(found.within))}."
                if where
                else f" For no {self._others()} is it as sure by itself."
            )
        return "supported", f"higher {_sentence(sure)}.", evidence

    def _within(self, found: Judged) -> tuple[Kind, str, str]:
        told = "; ".join(
            f"{self._context(row)} {each.said}: {each.difference}"
            for row, each in ((row, self._ordered(row)) for row in _rows(found.within))
        )
        return (
            "supported",
            f"higher {'; '.join(self._where(found.within))}; on average over the {self._others()} "
            "open.",
            f"{told}. {self._jointly(len(found.within), found.probability)}",
        )

    def _turns(self, found: Judged) -> tuple[Kind, str, str]:
        first = self._ordered(next(_rows(found.pairs)))
        return (
            "supported",
            f"whether {first.high} or {first.low} is higher turns with the {self._others()}.",
            f"Higher {'; '.join(self._where(found.within))}. "
            f"{self._jointly(len(found.within), found.probability)} The average, "
            f"{first.difference}, says nothing of either.",
        )

    def _may_turn(self, found: Judged) -> tuple[Kind, str, str]:
        first = self._ordered(next(_rows(found.pairs)))
        return (
            "open",
            f"whether {first.high} or {first.low} is higher may turn with the {self._others()}.",
            f"On average {first.difference}; with posterior probability "
            f"{_probability(found.probability)} it is the other way round in some cells.",
        )

    def _equal(self, found: Judged) -> tuple[Kind, str, str]:
        noun = names.title(self.factor).lower()
        everywhere = float(found.pairs["everywhere"].min())
        on_average = everywhere < ENOUGH and self._others()
        told = (
            f"Every pair of levels lies within ±{self.entry['rope']:g} of each other"
            f"{' on average' if on_average else ''} with a posterior probability of "
            f"{_at_least(found.probability)}"
        )
        if on_average:
            told += f"; for every {self._others()} with {_at_least(everywhere)}"
        average = f" on average over the {self._others()}" if on_average else ""
        return "equal", f"the {noun} makes no practical difference{average}.", f"{told}."

    def _open(self, found: Judged) -> tuple[Kind, str, str]:
        first = self._ordered(next(_rows(found.pairs)))
        return (
            "open",
            f"whether the {names.title(self.factor).lower()} matters is open.",
            f"The surest difference is {first.said}: {first.difference}, posterior probability "
            f"{_probability(first.jointly)} of being beyond practical equivalence.",
        )

    def _ordered(self, pair: pd.Series) -> _Ordered:
        return _Ordered.of(pair, self.factor, self.score, self.encoding)

    def _jointly(self, statements: int, probability: float) -> str:
        together = "all of this holds" if statements > 1 else "it holds"
        ratio = " as a log ratio" if self.score.kind == "positive" else ""
        return (
            f"Posterior probability that {together}, by more than {self.entry['rope']:g}{ratio}: "
            f"{_probability(probability)}."
        )

    def _others(self) -> str:
        """Return the other factors, as a noun; empty if there is none."""
        others = [names.title(f).lower() for f in self.factors if f != self.factor]
        return names.listed(others) if others else ""

    def _context(self, row: pd.Series) -> str:
        """Return the levels of the other factors: ``under mean-field normal posterior``."""
        levels = json.loads(row["where"])
        phrases = [self.encoding.level_phrase(factor, level) for factor, level in levels.items()]
        return f"under {names.listed(phrases)}"

    def _contexts(self, within: pd.DataFrame) -> list[str]:
        return list(dict.fromkeys(self._context(row) for row in _rows(within)))

    def _where(self, within: pd.DataFrame) -> list[str]:
        """Return for each context which level is surely higher than which."""
        contexts: dict[str, list[_Ordered]] = {}
        for row in _rows(within):
            contexts.setdefault(self._context(row), []).append(self._ordered(row))
        return [f"{context} {_sentence(sure)}" for context, sure in contexts.items()]


def _rows(table: pd.DataFrame) -> Iterator[pd.Series]:
    for _, row in table.iterrows():
        yield row


@dataclass(frozen=True)
class _Ordered:
    """A pair of levels, the higher one first."""

    high: str
    low: str
    difference: str
    jointly: float

    @property
    def said(self) -> str:
        """Which is over which."""
        return f"{self.high} over {self.low}"

    @classmethod
    def of(cls, pair: pd.Series, factor: str, score: Score, encoding: Encoding) -> _Ordered:
        """Order a row of contrasts."""
        a, b = (encoding.level_phrase(factor, pair[side]) for side in ("a", "b"))
        sign = 1 if pair["above"] >= pair["below"] else -1
        low, high = sorted((sign * pair["low"], sign * pair["high"]))
        told = score.with_unit(f"{sign * pair['mean']:+.3g}")
        told = f"{told} (95 % {low:.3g} to {high:.3g})".replace("-", "−")
        first, second = (a, b) if sign > 0 else (b, a)
        return cls(first, second, told, float(pair["jointly"]))


def _sentence(sure: list[_Ordered]) -> str:
    """Return which level is higher than which: ``with A than with B and C, with B than with C``."""
    lower: dict[str, list[str]] = {}
    for each in sure:
        lower.setdefault(each.high, []).append(each.low)
    return ", ".join(f"with {high} than with {' and '.join(lows)}" for high, lows in lower.items())


def _probability(value: float) -> str:
    return "> 0.99" if value > 0.995 else "< 0.01" if value < 0.005 else f"{value:.2f}"


def _at_least(value: float) -> str:
    return "more than 0.99" if value > 0.995 else f"{value:.2f} or more"


def _percent(share: float) -> str:
    """Return a share near one in percent, with as many digits as it needs.

    >>> _percent(0.95), _percent(0.99875)
    ('95 %', '99.88 %')
    """
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + " %"
