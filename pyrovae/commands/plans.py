"""From a study's file to its plan, with what its reader should hear."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pyrovae.study.plan.planning import Plan


def planned(
    file: Path, profile: str, overrides: Sequence[str], *, told: set[str] | None = None
) -> Plan:
    """Return the checked plan of a study's file, and print its remarks to standard error.

    Parameters
    ----------
    file, profile, overrides
        As for :func:`pyrovae.study.config.read.load_study_file`.
    told
        Remarks that were printed before and are not again; those that are printed are added.
    """
    from pyrovae.study.config.read import load_study_file
    from pyrovae.study.plan.planning import make_plan

    study = load_study_file(file, profile=profile, overrides=overrides)
    told = set() if told is None else told
    for remark in study.remarks:
        if remark not in told:
            click.echo(f"{file}: {remark}", err=True)
    told.update(study.remarks)
    return make_plan(study)
