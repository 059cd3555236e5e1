"""What ``pyrovae collapse`` says and draws of one run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pyrovae.measures.collapse import near_ceiling
from pyrovae.report.run.collapse import FIGURES, CollapseReport, evolution
from pyrovae.study.store.folders import RunFolder

UNITS, IDLE = 6, [1, 4]


@dataclass(frozen=True)
class _Made(RunFolder):
    """A run of six units, two of them idle, as it would be read from disk."""

    scores: dict[str, float]
    unit_information: float = 2.0

    def units(self) -> pd.DataFrame:
        idle = np.isin(np.arange(UNITS), IDLE)
        table = pd.DataFrame({"unit": np.arange(UNITS)})
        for flag in ("active", "used", "informative"):
            table[flag] = ~idle
        for name, (of_active, of_idle) in {
            "kl": (3.0, 2e-3),
            "var_mu": (0.95, 1e-4),
            "mean_var": (0.05, 0.99),
            "sensitivity": (0.2, 1e-5),
            "mi": (self.unit_information, 1e-3),
            "used_cost": (5.0, 1e-4),
        }.items():
            table[name] = np.where(idle, of_idle, of_active)
            table[f"{name}_se"] = 1e-3
        for name in ("kl_q05", "kl_q50", "kl_q95"):
            table[name] = table["kl"]
        for name in ("kl", "information", "decoder"):
            table[f"active_{name}"] = table["active"]
        return table.assign(weight_norm=1.0, kl_floor=0.0, replacement_cost=0.1)

    def metrics(self) -> dict[str, Any]:
        named = (
            "active_units",
            "used_units",
            "informative_units",
            "active_kl",
            "active_decoder",
            "active_information",
            "effective_dimension",
            "rate",
            "distortion",
        )
        gaps = ("elbo", "elbo_se", "elbo_gap", "rate_gap", "distortion_gap")
        return {"scores": dict.fromkeys((*named, *gaps), 1.0) | self.scores}

    def images(self) -> dict[str, torch.Tensor]:
        return {"sensitivity": torch.zeros(UNITS, 1, 2, 2)}

    def config(self) -> Any:
        return SimpleNamespace(has_variance_law=True)

    def history(self) -> pd.DataFrame:
        units = self.units()
        columns = ("var_mu", "mean_var", "kl", "mi", "sensitivity")
        rows = [{k: (units[k] * share).tolist() for k in columns} for share in (0.5, 1.0)]
        return pd.DataFrame(rows).assign(step=[0, 100])


def _made(information: float, points: int, unit_information: float = 2.0) -> CollapseReport:
    scores = {
        "mutual_information": information,
        "mutual_information_upper": 18.59,
        "mutual_information_ceiling": math.log(points),
    }
    return CollapseReport.of_run(_Made(Path("results/s/runs/r"), scores, unit_information))


@pytest.mark.parametrize(
    ("information", "points", "says"),
    [(6.90, 1000, True), (6.2, 1000, False), (4.5, 100, True), (4.5, 1000, False)],
)
def test_a_bound_at_its_ceiling_is_said_to_be(information: float, points: int, says: bool) -> None:
    text = _made(information, points).text()
    assert ("cannot exceed their log" in text) == says
    assert (f"from {points} points" in text) == says
    assert near_ceiling(information, math.log(points)) == says


def test_units_at_the_ceiling_are_named() -> None:
    text = _made(3.0, 50, unit_information=3.8).text()
    assert "I(x;z_u) of units 0, 2, 3, 5 is at its ceiling" in text
    assert "I(x;z) and" not in text


def test_idle_and_active_units_are_seen_along_training() -> None:
    figure = evolution(_made(1.0, 1000)).figure
    figure.draw_without_rendering()
    for ax in figure.axes:
        height = ax.get_window_extent().height
        ends = [ax.transData.transform(line.get_xydata()[-1])[1] for line in ax.get_lines()]
        idle, active = (
            [y for u, y in enumerate(ends) if (u in IDLE) == which] for which in (True, False)
        )
        # Neither kind lies on the other, nor outside the panel.
        assert min(abs(a - b) for a in idle for b in active) > 0.1 * height
        low, high = ax.get_window_extent().intervaly
        assert all(low <= y <= high for y in ends)


@pytest.mark.parametrize("draw", FIGURES[:3], ids=lambda draw: draw.__name__)
def test_legends_hide_nothing(draw: Any) -> None:
    figure = draw(_made(1.0, 1000)).figure
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()][:2] == ["active (4)", "idle (2)"]
    for ax in figure.axes:
        assert not ax.get_legend()
        assert not legend.get_window_extent().overlaps(ax.get_window_extent())
