"""Reports: figures and tables from a study's results.

Each figure function takes a :class:`pyrovae.study.results.StudyResults` and returns a
:class:`Drawn`: a Matplotlib figure to change at will, the numbers in it, and a draft of a caption.

::

    from pyrovae.report import kl_profile, theme
    from pyrovae.study.results import load_study

    drawn = kl_profile(load_study("results/prior_comparison"))
    drawn.figure.axes[0].set_title("Mine")
    with theme():
        drawn.figure.savefig("mine.pdf")
"""

from __future__ import annotations

from pyrovae.report.cell_scores import active_units, disentanglement
from pyrovae.report.drawn import Drawn, NothingToDraw
from pyrovae.report.effects import effects, interactions
from pyrovae.report.evolution import evolution
from pyrovae.report.factor_heatmaps import factor_heatmap
from pyrovae.report.gallery import FIGURES, draw
from pyrovae.report.kl_profile import kl_profile
from pyrovae.report.metric_correlation import metric_correlation
from pyrovae.report.profiles import performance_profiles
from pyrovae.report.rate_distortion import rate_distortion
from pyrovae.report.reconstructions import reconstructions
from pyrovae.report.samples import samples
from pyrovae.report.sparsity import sparsity
from pyrovae.report.style import PAPER, STYLES, Style, theme
from pyrovae.report.table import cell_table
from pyrovae.report.traversals import traversals
from pyrovae.report.variance_law import variance_law
from pyrovae.report.write import write_report

__all__ = [
    "FIGURES",
    "PAPER",
    "STYLES",
    "Drawn",
    "NothingToDraw",
    "Style",
    "active_units",
    "cell_table",
    "disentanglement",
    "draw",
    "effects",
    "evolution",
    "factor_heatmap",
    "interactions",
    "kl_profile",
    "metric_correlation",
    "performance_profiles",
    "rate_distortion",
    "reconstructions",
    "samples",
    "sparsity",
    "theme",
    "traversals",
    "variance_law",
    "write_report",
]
