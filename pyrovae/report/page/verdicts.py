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
        ``supported``: two levels differ; ``equal``: all pairs are practically equal; ``open``:
        neither has enough posterior probability; ``refused``: the chains did not pass.
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
        f"A sentence asserts only from a posterior probability of {ENOUGH:.0%} on; the pair "
        "of levels named is the one whose difference is surest, of those not practically equal."
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
    sure = pairs["positive"].where(pairs["positive"] >= 0.5, 1 - pairs["positive"])
    surest = pairs.assign(sure=sure, size=pairs["mean"].abs())
    least_equal = float(pairs["rope"].min())
    # A difference that is sure and does not matter is no reason to say that levels differ.
    matters = surest["rope"] < ENOUGH
    pair = surest.assign(matters=matters).sort_values(["matters", "sure", "size"]).iloc[-1]
    # The level that is higher is named first.
    a, b, sign = (
        (pair["a"], pair["b"], 1) if pair["positive"] >= 0.5 else (pair["b"], pair["a"], -1)
    )
    low, high = sorted((sign * pair["low"], sign * pair["high"]))
    difference = score.with_unit(f"{sign * pair['mean']:+.3g}")
    difference = f"{difference} (95 % {low:.3g} to {high:.3g})".replace("-", "−")
    first, second = encoding.level_phrase(factor, a), encoding.level_phrase(factor, b)
    if least_equal >= ENOUGH:
        return Verdict(
            "equal",
            f"{title}: the {noun} makes no practical difference.",
            f"Every pair of levels lies within ±{entry['rope']:g} of each other with posterior "
            f"probability {_probability(least_equal)} or more.",
            least_equal,
        )
    if pair["sure"] >= ENOUGH:
        return Verdict(
            "supported",
            f"{title}: higher with {first} than with {second}.",
            f"Difference {difference}. Posterior probability {_probability(pair['sure'])}; of "
            f"being practically equal {_probability(pair['rope'])}.",
            float(pair["sure"]),
        )
    return Verdict(
        "open",
        f"{title}: whether the {noun} matters is open.",
        f"The surest difference is {first} over {second}: {difference}, posterior probability "
        f"{_probability(pair['sure'])}.",
        float(pair["sure"]),
    )


def _probability(value: float) -> str:
    return "> 0.99" if value > 0.995 else "< 0.01" if value < 0.005 else f"{value:.2f}"
