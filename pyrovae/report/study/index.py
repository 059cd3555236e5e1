"""The page that shows a report's figures and table, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyrovae.report.escapes import markdown as plain
from pyrovae.report.escapes import markdown_line
from pyrovae.report.look import names
from pyrovae.report.look.presented import Presented
from pyrovae.report.tables import settling, true_posterior, variation
from pyrovae.report.tables.cells import caption, markdown
from pyrovae.study.store.diagnoses import DiagnosisFolder
from pyrovae.study.store.results import StudyResults

#: Ids that are listed before the rest is only counted.
_LISTED = 20


def index_page(
    presented: Presented,
    captions: Mapping[str, str],
    skipped: Mapping[str, str],
    *,
    formats: Sequence[str] = ("pdf", "png"),
) -> str:
    """Return the page.

    Parameters
    ----------
    presented
        What it is about.
    captions
        By figure name, in order.
    skipped
        Kinds of figures that could not be drawn, with the reason.
    formats
        What figures are written as; the page shows the PNG.
    """
    study = presented.study
    parts = [f"# {markdown_line(study.name)}", plain(study.description), _counts(study)]
    parts += ["## Cells", markdown(presented)]
    parts.append(
        f"{plain(caption(presented))} [Numbers](tables/cells.csv), [LaTeX](tables/cells.tex)."
    )
    parts += ["## Convergence", settling.markdown(presented)]
    noted = plain(" ".join(filter(None, (settling.CAPTION, study.settling.noted))))
    parts.append(f"{noted} [Numbers](tables/settling.csv), [LaTeX](tables/settling.tex).")
    varied = variation.markdown(presented)
    if varied:
        parts += ["## What the disentanglement scores vary with", varied]
        noted = plain(" ".join(filter(None, (variation.CAPTION, study.settling.noted))))
        parts.append(f"{noted} [By cell](tables/variation.csv).")
    told = true_posterior.markdown(presented)
    if told:
        parts += ["## The true posterior", told]
        diagnosed = study.settling.of(presented.diagnosed["run"])
        noted = plain(" ".join(filter(None, (true_posterior.CAPTION, diagnosed.noted))))
        parts.append(f"{noted} [Numbers](tables/diagnosed.csv).")
        parts.append(_list(_diagnoses(presented)))
    parts.append("## Figures")
    for name, text in captions.items():
        parts.append(f"![{name}](figures/{name}.png)")
        others = [f"[{f.upper()}](figures/{name}.{f})" for f in formats if f != "png"]
        links = ", ".join([*others, f"[data](figures/{name}.csv)"])
        parts.append(f"**{name}** ({links}). {plain(text)}")
    if skipped:
        parts.append("## Not drawn")
        parts.append(_list(_plain({names.words(k): why for k, why in skipped.items()})))
    unsettled = study.settling.unsettled
    if unsettled:
        why = {run: "; ".join(settled.reasons) for run, settled in unsettled.items()}
        parts += ["## Runs that have not settled", _list(_plain(_with_cells(study, why)))]
    if study.failed:
        parts += ["## Failed runs", _list(_plain(study.failed))]
    if study.missing:
        parts += ["## Missing runs", _list(_plain(study.absent))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _counts(study: StudyResults) -> str:
    text = f"{len(study.runs)} runs in {study.runs['cell'].nunique()} cells."
    if study.failed or study.missing:
        text += (
            f" **{len(study.failed)} failed and {len(study.missing)} are missing: all numbers and "
            "figures are without them.**"
        )
    settling = study.settling
    return f"{text} **{plain(settling.noted)}**" if settling.unsettled else text


def _with_cells(study: StudyResults, reasons: Mapping[str, str]) -> dict[str, str]:
    """Return reasons by run, with what the run is."""
    cells = study.settling.cells
    return {f"{run[:8]} ({cells[run]})" if cells[run] else run: why for run, why in reasons.items()}


def _diagnoses(presented: Presented) -> dict[str, str]:
    """Return the figures of each diagnosed run as links, by what the run is: both in Markdown."""
    found = {}
    for row in presented.diagnosed.itertuples():
        stored = DiagnosisFolder.of(presented.study.folder(str(row.run)))
        pictures = sorted(path.stem for path in stored.figures.glob("*.png"))
        where = f"../diagnostics/{row.run}/figures"
        links = ", ".join(f"[{name}]({where}/{name}.png)" for name in pictures)
        found[markdown_line(f"{str(row.run)[:8]}, {row.title}, seed {row.seed}")] = links
    return found


def _plain(entries: Mapping[str, str]) -> dict[str, str]:
    return {markdown_line(key): markdown_line(text) for key, text in entries.items()}


def _list(entries: Mapping[str, str]) -> str:
    lines = [f"- {key}{': ' if text else ''}{text}" for key, text in entries.items()]
    more = len(lines) - _LISTED
    return "\n".join(lines[:_LISTED] + ([f"- and {more} more"] if more > 0 else []))
