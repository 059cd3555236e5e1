"""The guide's marginals next to the true posterior's: what is drawn is what was stored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pyrovae.report.look.drawn import NothingToDraw
from pyrovae.report.look.presented import present
from pyrovae.report.study.gallery import draw
from pyrovae.study.store.diagnoses import DiagnosisFolder
from report.made import PRIORS, make_study
from report.texts import cut_off, overlaps


def test_medians_over_points_are_drawn_unit_by_unit(tmp_path: Path) -> None:
    study = make_study(tmp_path / "made", seeds=1, units=4, factors=False, prior=PRIORS[:1])
    run = study.runs["run"].iloc[0]
    folder = DiagnosisFolder.of(study.folder(run))
    folder.path.mkdir(parents=True)
    (folder.path / "scores.json").write_text(json.dumps({"scores": {}, "settings": {}}))
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        [
            {
                "datum": datum,
                "unit": unit,
                "guide_active": unit != 2,
                # Unit 3 is known best, unit 0 least.
                "sd_reference": 0.9 - 0.2 * unit,
                "shift": rng.normal(),
                "sd_ratio": rng.uniform(0.5, 1.5),
                "w1_sd": rng.uniform(0, 1),
            }
            for datum in range(9)
            for unit in range(4)
        ]
    )
    table.to_csv(folder.path / "marginals.csv", index=False)
    (drawn,) = draw(present(study), "nuts_vs_guide")
    assert drawn.name == f"fit-{run[:8]}"
    axes = drawn.figure.axes
    for ax, key in zip(axes, ("shift", "sd_ratio", "w1_sd"), strict=True):
        shown = {}
        for container in ax.containers:
            line, _, (bars,) = container.lines
            shown |= dict(zip(line.get_xdata(), line.get_ydata(), strict=True))
            for x, (low, high) in zip(
                line.get_xdata(), (s[:, 1] for s in bars.get_segments()), strict=True
            ):
                values = table.loc[table["unit"] == 3 - x, key]
                assert [low, high] == pytest.approx(values.quantile([0.1, 0.9]).tolist())
        medians = table.groupby("unit")[key].median()
        assert shown == pytest.approx({3 - unit: medians[unit] for unit in range(4)})
    assert [t.get_text() for t in axes[-1].get_xticklabels()] == ["3", "2", "1", "0"]
    legend = [t.get_text() for t in drawn.figure.legends[0].get_texts()]
    assert legend == ["active (3 units)", "idle (1 units)"]
    assert overlaps(drawn.figure) == []
    assert cut_off(drawn.figure) == []

    table.head(0).to_csv(folder.path / "marginals.csv", index=False)
    with pytest.raises(NothingToDraw, match="no point passed the gate"):
        next(draw(present(study), "nuts_vs_guide"))
