"""Verdicts as a page, a table, LaTeX macros and figures, and the table of all pairs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from pyrovae.claims.judged import NOT_RUN, Judged, judge_study, judge_test
from pyrovae.claims.pairs import Pair, pairs_run
from pyrovae.claims.registry import CLAIMS, Test
from pyrovae.core import atomic
from pyrovae.core.errors import ConfigError, NotSettled, PyrovaeError, did_you_mean
from pyrovae.report import escapes
from pyrovae.report.claims.figures import claim_figure
from pyrovae.report.claims.grid import write_grid
from pyrovae.report.look import names as look
from pyrovae.report.look.formats import files
from pyrovae.report.look.marks import marked
from pyrovae.study.store.results import load_study
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
    results: Path, names: Sequence[str], *, profile: str = "", unsettled: bool = False
) -> pd.DataFrame:
    """Judge the claims on their own studies and write ``results/claims[-<profile>]``.

    Written are ``claims.md``, ``claims.csv``, ``claims.tex`` and ``figures/``, of all claims whose
    studies are there. Where studies of other priors and posteriors are there too, the table of all
    pairs is renewed with it (:func:`report_pairs`).

    Parameters
    ----------
    results
        The folder that holds all studies.
    names
        Of the claims that are asked for; of one whose study has not been run it is said.
    profile
        Of the studies.
    unsettled
        Whether to judge on runs that have not settled too; their verdicts are marked.

    Returns
    -------
    pandas.DataFrame
        One row for each claim that was asked for: see :meth:`pyrovae.claims.judged.Judged.row`.

    Raises
    ------
    PyrovaeError
        If no study has been run.
    NotSettled
        If there is no verdict, and of some claim that is because runs have not settled.
    """
    chosen = chosen_claims(names)
    judged = _judged(results, None, profile, unsettled)
    asked = [each for each in judged if each.name in chosen]
    if len(pairs_run(results, _tests(), profile)) > 1:
        # What other pairs lack is no reason to say nothing of these.
        with suppress(PyrovaeError):
            table = report_pairs(results, (), (), profile=profile, unsettled=unsettled)
            if all(each.word == NOT_RUN for each in asked):
                return table
    _require(asked)
    _write(claims_folder(results, profile), _worth_telling(judged, chosen))
    return _table(asked)


def report_pairs(
    results: Path,
    names: Sequence[str],
    pairs: Sequence[Pair],
    *,
    profile: str = "",
    unsettled: bool = False,
) -> pd.DataFrame:
    """Judge the claims under each prior and posterior, and write one table of them all.

    Below ``results/claims[-<profile>]``, ``grid.md``, ``.tex``, ``.csv`` and ``grid.png``, ``.pdf``
    have all claims and pairs whose studies are there; ``<prior>-<posterior>/`` has the verdicts of
    each of ``pairs`` as :func:`report_claims` writes them. What another pair said stays as it was.

    Parameters
    ----------
    results, names, profile, unsettled
        As for :func:`report_claims`; of claims that are not about priors nothing is said.
    pairs
        Priors and posteriors that are asked for; without any the table alone is written.

    Returns
    -------
    pandas.DataFrame
        One row for each claim and pair that were asked for.

    Raises
    ------
    PyrovaeError, NotSettled
        As :func:`report_claims`.
    """
    chosen = chosen_claims(names)
    there = pairs_run(results, _tests(), profile)
    every = dict.fromkeys([*there, *pairs])
    folder = claims_folder(results, profile)
    cells = {pair: _judged(results, pair, profile, unsettled) for pair in every}
    asked = [c for pair in pairs or there for c in cells[pair] if c.name in chosen]
    if not asked:
        raise PyrovaeError(f"{', '.join(chosen)}: not about priors and posteriors")
    _require(asked)
    for pair in pairs:
        own = _worth_telling(cells[pair], chosen)
        if any(cell.verdict for cell in own):
            _write(folder / pair.name, own, named=pair.name)
    shown = {cell.name for cell in asked}
    shown |= {cell.name for row in cells.values() for cell in row if cell.word != NOT_RUN}
    write_grid(folder, [cell for row in cells.values() for cell in row if cell.name in shown])
    return _table(asked)


def report_study(
    results: Path, names: Sequence[str], study: str, *, unsettled: bool = False
) -> pd.DataFrame:
    """Judge the claims on any study that has what they need, and write ``<study>/claims``.

    Runs of each prior and posterior are judged apart; where there are several, there is a folder
    for each, and the table of all.

    Parameters
    ----------
    results, names, unsettled
        As for :func:`report_claims`.
    study
        Its name.

    Returns
    -------
    pandas.DataFrame
        One row for each claim, prior and posterior.

    Raises
    ------
    PyrovaeError
        If there is no verdict, with what is missing.
    NotSettled
        If that is because runs have not settled.
    """
    root = study_root(results, study)
    known = load_study(root)
    cells = [c for n in chosen_claims(names) for c in judge_study(n, known, unsettled=unsettled)]
    _require(cells)
    pairs = dict.fromkeys((cell.prior, cell.posterior) for cell in cells)
    for pair in pairs:
        own = [cell for cell in cells if (cell.prior, cell.posterior) == pair]
        named = "-".join(map(look.slug, pair)) if len(pairs) > 1 else ""
        if any(cell.verdict for cell in own):
            _write(root / "claims" / named, own, named=named)
    if len(pairs) > 1:
        write_grid(root / "claims", cells)
    return _table(cells)


def claims_folder(results: Path, profile: str) -> Path:
    """Return where verdicts are written."""
    return results / (f"claims-{profile}" if profile else "claims")


def _tests() -> list[Test]:
    tests = dict.fromkeys(claim.pair for claim in CLAIMS.values())
    return [test for test in tests if test is not None]


def _judged(results: Path, pair: Pair | None, profile: str, unsettled: bool) -> list[Judged]:
    """Judge all claims: what is asked for now must not take the others off the page."""
    found = [judge_test(results, n, pair, profile=profile, unsettled=unsettled) for n in CLAIMS]
    return [each for each in found if each is not None]


def _worth_telling(judged: Iterable[Judged], asked: Sequence[str]) -> list[Judged]:
    """Return what was asked for, and what else there are runs of."""
    return [each for each in judged if each.name in asked or each.word != NOT_RUN]


def _table(judged: Sequence[Judged]) -> pd.DataFrame:
    return pd.DataFrame([each.row() for each in judged])


#: Reasons that a refusal names.
_SHOWN = 10


def _require(judged: Sequence[Judged]) -> None:
    """Refuse to write a page without a verdict."""
    if any(each.verdict for each in judged):
        return
    reasons = list(dict.fromkeys(f"{each.name}: {each.told}" for each in judged))
    more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    told = "; ".join(reasons[:_SHOWN]) + more
    raise NotSettled(told) if any(each.unsettled for each in judged) else PyrovaeError(told)


def _write(folder: Path, judged: Sequence[Judged], *, named: str = "") -> None:
    """Write the page, the table, the macros and the figures of some verdicts."""
    parts = [f"# Claims: {escapes.markdown_line(named)}" if named else "# Claims"]
    for each in judged:
        if each.verdict is None or each.settling is None:
            continue
        drawn = marked(claim_figure(each.name, each.claim, each.verdict), each.settling)
        for kind, content in files(drawn).items():
            atomic.write_bytes(folder / "figures" / f"{drawn.name}.{kind}", content)
        parts += _section(each, drawn.name)
    without = [each for each in judged if each.verdict is None]
    if without:
        parts.append("## No verdict")
        parts += [f"- {escapes.markdown_line(each.sentence)}" for each in without]
    atomic.write_text(folder / "claims.md", "\n\n".join(parts) + "\n")
    atomic.write_bytes(folder / "claims.csv", _table(judged).to_csv(index=False).encode())
    atomic.write_text(folder / "claims.tex", _macros(judged, named))


def _section(judged: Judged, figure: str) -> list[str]:
    settling = judged.settling
    assert settling is not None
    beside = [f"- {escapes.markdown_line(line)}" for line in judged.beside()]
    return [
        f"## {judged.claim.statement}",
        escapes.markdown_line(judged.sentence),
        *([settling.noted] if settling.unsettled else []),
        f"Decided: {judged.claim.criterion}",
        *(["Beside it, deciding nothing:", "\n".join(beside)] if beside else []),
        f"![{figure}](figures/{figure}.png)",
    ]


def _macros(judged: Sequence[Judged], named: str) -> str:
    r"""Return the sentences as LaTeX macros: ``\claimSparsity``, and ``\claimSparsityP``."""
    lines = ["% Needs nothing. One sentence for each claim, and its probability."]
    for each in judged:
        name = _camel(f"{each.name} {named}")
        lines.append(rf"\newcommand{{\claim{name}}}{{{_latex(each.sentence)}}}")
        value = f"{each.verdict.probability:.3f}" if each.verdict else "--"
        lines.append(rf"\newcommand{{\claim{name}P}}{{{value}}}")
    return "\n".join(lines) + "\n"


def _latex(text: str) -> str:
    return (
        escapes.latex(text)
        .replace("‡", r"\textsuperscript{\ddag}")
        .replace("²", r"\ensuremath{^2}")
    )


def _camel(text: str) -> str:
    """Return text as the name of a macro: letters only.

    >>> _camel("inactive_units student_t-iaf")
    'InactiveUnitsStudentTIaf'
    """
    return "".join(word.capitalize() for word in re.findall("[A-Za-z]+", text))
