"""Verdicts on all claims whose studies have been run, as a table, a page and figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pyrovae.claims.registry import CLAIMS, Claim
from pyrovae.claims.verdict import Undecidable, Verdict
from pyrovae.core import atomic
from pyrovae.core.errors import ConfigError, NotSettled, PyrovaeError, did_you_mean
from pyrovae.report.claims.figures import claim_figure
from pyrovae.report.look.formats import files
from pyrovae.report.look.marks import marked
from pyrovae.study.store.results import StudyResults, load_study
from pyrovae.study.store.status import study_root


def chosen_claims(names: Sequence[str]) -> list[str]:
    """Return the names, or all if there are none.

    Raises
    ------
    ConfigError
        For an unknown name.
    """
    for name in names:
        if name not in CLAIMS:
            raise ConfigError(f"no claim '{name}'{did_you_mean(name, CLAIMS)}")
    return list(names) or list(CLAIMS)


def report_claims(
    results: Path, names: Sequence[str], *, suffix: str = "", unsettled: bool = False
) -> pd.DataFrame:
    """Judge the claims and write ``results/claims<suffix>``: ``claims.md``, ``.csv``, figures.

    Parameters
    ----------
    results
        The folder that holds all studies.
    names
        Of the claims; those whose study has not been run are left out, and said so.
    suffix
        Of the studies' names: ``-quick`` for that profile.
    unsettled
        Whether to judge on runs that have not settled too; their verdicts are marked.

    Returns
    -------
    pandas.DataFrame
        One row for each claim: ``claim``, ``verdict``, ``probability``, ``quantity``, ``mean``,
        ``low``, ``high``, ``runs``, ``unsettled`` (how many of these runs have not settled); for
        one without a verdict the reason instead.

    Raises
    ------
    PyrovaeError
        If no study has been run.
    NotSettled
        If there is no verdict, and of some claim that is because runs have not settled.
    """
    folder = results / f"claims{suffix}"
    rows: list[dict[str, object]] = []
    parts = ["# Claims"]
    not_settled = False
    for name in chosen_claims(names):
        claim = CLAIMS[name]
        try:
            root = study_root(results, f"{claim.study}{suffix}")
        except ConfigError:
            told = f"study {claim.study}{suffix} has not been run"
            rows.append({"claim": name, "verdict": told})
            continue
        study = claim.about(load_study(root))
        settling = study.settling
        try:
            if study.runs.empty:
                raise Undecidable("needs a finished run")
            settling.require(unsettled=unsettled)
            verdict = claim.judge(study)
        except Undecidable as reason:
            rows.append({"claim": name, "verdict": f"no verdict: {reason}"})
            continue
        except NotSettled as reason:
            not_settled = True
            told = f"no verdict: {reason}"
            rows.append({"claim": name, "verdict": told, "unsettled": len(settling.unsettled)})
            continue
        drawn = marked(claim_figure(name, claim, verdict), settling)
        for kind, content in files(drawn).items():
            atomic.write_bytes(folder / "figures" / f"{drawn.name}.{kind}", content)
        rows.append(_row(name, verdict, study))
        parts += _section(claim, verdict, study, drawn.name)
    table = pd.DataFrame(rows)
    if "probability" not in table:
        told = "; ".join(f"{row['claim']}: {row['verdict']}" for row in rows)
        raise NotSettled(told) if not_settled else PyrovaeError(told)
    atomic.write_text(folder / "claims.md", "\n\n".join(parts) + "\n")
    atomic.write_bytes(folder / "claims.csv", table.to_csv(index=False).encode())
    return table


def _row(name: str, verdict: Verdict, study: StudyResults) -> dict[str, object]:
    low, high = verdict.interval
    return {
        "claim": name,
        "verdict": f"{verdict.word}{study.settling.mark}",
        "probability": verdict.probability if verdict.converged else math.nan,
        "quantity": verdict.quantity,
        "mean": verdict.mean,
        "low": low,
        "high": high,
        "runs": len(study.runs),
        "unsettled": len(study.settling.unsettled),
    }


def _section(claim: Claim, verdict: Verdict, study: StudyResults, figure: str) -> list[str]:
    low, high = verdict.interval
    settling = study.settling
    return [
        f"## {claim.statement}",
        f"**{verdict.word}{settling.mark}**{_probability(verdict)}. The {verdict.quantity}: "
        f"{verdict.mean:.4g} (95 % interval {low:.4g} to {high:.4g}), from {len(study.runs)} "
        f"runs of `{study.name}`.",
        *([settling.noted] if settling.unsettled else []),
        f"Decided: {claim.criterion}",
        f"![{figure}](figures/{figure}.png)",
    ]


def _probability(verdict: Verdict) -> str:
    return f", P = {verdict.probability:.3f}" if verdict.converged else ""
