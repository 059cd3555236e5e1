"""Figures of the diagnosed runs of a study, of each kind one for each run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from pyrovae.report.diagnosis.calibration import calibration
from pyrovae.report.diagnosis.fit import fit
from pyrovae.report.diagnosis.gaps import gaps
from pyrovae.report.diagnosis.gate import gate
from pyrovae.report.diagnosis.khat import khat
from pyrovae.report.diagnosis.report import DiagnosisReport
from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.marks import marked
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import PAPER, Style
from pyrovae.study.store.diagnoses import DiagnosisFolder


def _each(draw: Callable[..., Drawn]) -> Callable[..., Iterator[Drawn]]:
    def drawn(presented: Presented, *, style: Style = PAPER) -> Iterator[Drawn]:
        stored = {
            run: DiagnosisFolder.of(presented.study.folder(run)) for run in presented.runs["run"]
        }
        known = {
            run: DiagnosisReport.of_run(folder) for run, folder in stored.items() if folder.exists
        }
        reasons = []
        if not known:
            raise NothingToDraw("no run is diagnosed yet: pyrovae diagnose RUN")
        for run, report in known.items():
            try:
                found = draw(report, style=style)
            except NothingToDraw as reason:
                reasons.append(str(reason))
                continue
            said = f"Run {run[:8]}. {found.caption}"
            named = dataclasses.replace(found, name=f"{found.name}-{run[:8]}", caption=said)
            yield marked(named, presented.study.settling.of([run]), style=style)
        if len(reasons) == len(known):
            raise NothingToDraw(reasons[0])

    return drawn


#: Kind to function ``(study, *, style) -> figures``.
FIGURES: dict[str, Callable[..., Iterator[Drawn]]] = {
    "convergence": _each(gate),
    "khat": _each(khat),
    "sbc": _each(calibration),
    "nuts_vs_guide": _each(fit),
    "gaps": _each(gaps),
}
