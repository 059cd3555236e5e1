"""A claim before a study's runs: the verdict, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyrovae.claims.pairs import DEFAULT, Pair
from pyrovae.claims.registry import CLAIMS, Claim, Test, select
from pyrovae.claims.verdict import Undecidable, Verdict, interval
from pyrovae.core.errors import ConfigError, NotSettled
from pyrovae.study.store.results import StudyResults, load_study
from pyrovae.study.store.settling import Settling
from pyrovae.study.store.status import study_root


@dataclass(frozen=True)
class Judged:
    """What some runs say about a claim.

    Attributes
    ----------
    name
        Of the claim.
    prior, posterior
        Of the runs, as text that tells them apart.
    study
        Whose runs they are.
    runs
        How many were looked at.
    settling
        Which of them have settled; ``None`` if there are none.
    verdict
        ``None`` if there is none.
    word, reason
        What stands in place of a verdict, and why.
    """

    name: str
    prior: str
    posterior: str
    study: str
    runs: int = 0
    settling: Settling | None = None
    verdict: Verdict | None = None
    word: str = ""
    reason: str = ""

    @property
    def claim(self) -> Claim:
        """The claim."""
        return CLAIMS[self.name]

    @property
    def unsettled(self) -> int:
        """How many of the runs have not settled."""
        return len(self.settling.unsettled) if self.settling else 0

    @property
    def mark(self) -> str:
        """The mark of runs that have not settled, if there are any."""
        return self.settling.mark if self.settling else ""

    @property
    def gate(self) -> str:
        """Whether the runs may be concluded from, in words."""
        if not self.runs:
            return "no run"
        return f"{self.unsettled} of {self.runs} not settled" if self.unsettled else "settled"

    @property
    def told(self) -> str:
        """The verdict in a word with its mark, or why there is none."""
        if self.verdict is not None:
            return f"{self.verdict.word}{self.mark}"
        return f"{self.word}: {self.reason}"

    @property
    def sentence(self) -> str:
        """All that a reader quotes: claim, estimand, estimate, probability, gate and runs."""
        if self.verdict is None:
            return f"{self.claim.statement}: {self.told}."
        verdict = self.verdict
        low, high = verdict.interval
        return (
            f"{self.claim.statement}: {self.told}, P = {verdict.probability:.3f} "
            f"({verdict.prior_probability:.2f} under the prior alone); {verdict.quantity} "
            f"{_number(verdict.mean)} (95 % interval {_number(low)} to {_number(high)}), claimed "
            f"{verdict.claimed.replace('-', '−')}; {self.runs} runs of {self.study}, {self.gate}."
        )

    def row(self) -> dict[str, object]:
        """Return what a table has of it."""
        verdict = self.verdict
        low, high = verdict.interval if verdict else (math.nan, math.nan)
        return {
            "claim": self.name,
            "prior": self.prior,
            "posterior": self.posterior,
            "verdict": self.told,
            "probability": verdict.probability if verdict else math.nan,
            "prior_probability": verdict.prior_probability if verdict else math.nan,
            "quantity": verdict.quantity if verdict else "",
            "mean": verdict.mean if verdict else math.nan,
            "low": low,
            "high": high,
            "claimed": verdict.claimed if verdict else "",
            "gate": self.gate,
            "runs": self.runs,
            "unsettled": self.unsettled,
            "study": self.study,
        }

    def beside(self) -> Iterator[str]:
        """Yield the quantities that decide nothing, with their intervals."""
        for what, found in (self.verdict.beside if self.verdict else {}).items():
            low, high = interval(found)
            mean = _number(float(found.draws.mean()))
            yield f"{what}: {mean} ({_number(low)} to {_number(high)})"


def judge_runs(name: str, study: StudyResults, *, unsettled: bool, pair: Pair | None) -> Judged:
    """Judge a claim on the runs of a study.

    Parameters
    ----------
    name
        Of the claim.
    study
        With any runs.
    unsettled
        Whether to judge on runs that have not settled too.
    pair
        Of all runs; ``None`` if they differ in it.
    """
    study = CLAIMS[name].about(study)
    about = (name, *_shown(pair), study.name)
    if study.runs.empty:
        return Judged(*about, word=Undecidable.word, reason="needs a finished run")
    settling, runs = study.settling, len(study.runs)
    try:
        settling.require(unsettled=unsettled)
        return Judged(*about, runs, settling, CLAIMS[name].judge(study))
    except Undecidable as why:
        return Judged(*about, runs, settling, word=why.word, reason=str(why))
    except NotSettled as why:
        return Judged(*about, runs, settling, word="not settled", reason=str(why))


def judge_test(
    results: Path, name: str, pair: Pair | None, *, profile: str, unsettled: bool
) -> Judged | None:
    """Judge a claim on the study that tests it, under a pair or, without one, as its file has it.

    ``None`` if there is no such study: the claim is not about priors and posteriors.
    """
    test: Test | None = CLAIMS[name].test if pair is None else CLAIMS[name].pair
    if test is None:
        return None
    study = (pair or DEFAULT).study(test, profile)
    try:
        root = study_root(results, study)
    except ConfigError:
        return Judged(
            name, *_shown(pair), study, word=NOT_RUN, reason=f"study {study} has not been run"
        )
    return judge_runs(name, load_study(root), unsettled=unsettled, pair=pair)


def judge_study(name: str, study: StudyResults, *, unsettled: bool) -> list[Judged]:
    """Judge a claim on any study, on the runs of each prior and posterior apart."""
    if study.runs.empty:
        return [judge_runs(name, study, unsettled=unsettled, pair=None)]
    kinds = study.runs[["prior", "posterior"]].drop_duplicates()
    return [
        judge_runs(
            name,
            select(study, (study.runs[["prior", "posterior"]] == kind).all(axis=1)),
            unsettled=unsettled,
            pair=Pair(kind["prior"], kind["posterior"]),
        )
        for _, kind in kinds.iterrows()
    ]


#: Stands in place of a verdict where there is no study.
NOT_RUN = "not run"


def _shown(pair: Pair | None) -> tuple[str, str]:
    return (pair.prior, pair.posterior) if pair else ("", "")


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
