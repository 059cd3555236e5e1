"""Reports: figures and tables from a study's results.

Each figure function takes a :class:`Presented` study and returns a :class:`Drawn`: a Matplotlib
figure to change at will, the numbers in it, and a draft of a caption.

::

    from pyrovae import load_study
    from pyrovae.report import kl_profile, present, theme

    drawn = kl_profile(present(load_study("results/prior_comparison")))
    drawn.figure.axes[0].set_title("Mine")
    with theme():
        drawn.figure.savefig("mine.pdf")
"""

from __future__ import annotations

from pyrovae.report.look.drawn import Drawn, NothingToDraw
from pyrovae.report.look.presented import Presented, present
from pyrovae.report.look.style import PAPER, STYLES, Style, theme
from pyrovae.report.run.factor_heatmaps import factor_heatmap
from pyrovae.report.run.traversals import traversals
from pyrovae.report.study.cell_scores import active_units, disentanglement
from pyrovae.report.study.effects import effects, interactions
from pyrovae.report.study.evolution import evolution
from pyrovae.report.study.gallery import FIGURES, draw
from pyrovae.report.study.kl_profile import kl_profile
from pyrovae.report.study.metric_correlation import metric_correlation
from pyrovae.report.study.profiles import performance_profiles
from pyrovae.report.study.rate_distortion import rate_distortion
from pyrovae.report.study.reconstructions import reconstructions
from pyrovae.report.study.samples import samples
from pyrovae.report.study.sparsity import sparsity
from pyrovae.report.study.variance_law import variance_law
from pyrovae.report.study.write import write_report

__all__ = [
    "FIGURES",
    "PAPER",
    "STYLES",
    "Drawn",
    "NothingToDraw",
    "Presented",
    "Style",
    "active_units",
    "disentanglement",
    "draw",
    "effects",
    "evolution",
    "factor_heatmap",
    "interactions",
    "kl_profile",
    "metric_correlation",
    "performance_profiles",
    "present",
    "rate_distortion",
    "reconstructions",
    "samples",
    "sparsity",
    "theme",
    "traversals",
    "variance_law",
    "write_report",
]
