"""The kinds of figures by name: what the report draws, and what can be asked for one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pyrovae.report.look.drawn import Drawn
from pyrovae.report.look.presented import Presented
from pyrovae.report.look.style import PAPER, Style
from pyrovae.report.run.code_map import code_maps, code_umaps
from pyrovae.report.run.factor_heatmaps import factor_heatmaps
from pyrovae.report.run.interpolations import interpolations
from pyrovae.report.run.label_usage import all_label_usage
from pyrovae.report.run.traversals import traversals
from pyrovae.report.run.units_by_label import all_units_by_label
from pyrovae.report.study import diagnosed
from pyrovae.report.study.capacity import capacity_of_study
from pyrovae.report.study.cell_scores import active_units, disentanglement
from pyrovae.report.study.collapse_blame import collapse_blame
from pyrovae.report.study.effects import effects, interactions
from pyrovae.report.study.evolution import evolution
from pyrovae.report.study.kl_profile import kl_profile
from pyrovae.report.study.layer_rates import layer_rates
from pyrovae.report.study.layers_in_use import layers_in_use
from pyrovae.report.study.mean_vs_sample import mean_vs_sample
from pyrovae.report.study.metric_correlation import metric_correlation
from pyrovae.report.study.overview import overview
from pyrovae.report.study.phase_diagram import phase_diagram
from pyrovae.report.study.profiles import performance_profiles
from pyrovae.report.study.rate_distortion import rate_distortion
from pyrovae.report.study.reconstructions import reconstructions
from pyrovae.report.study.samples import samples
from pyrovae.report.study.settling import settling
from pyrovae.report.study.sparsity import sparsity
from pyrovae.report.study.used_by_layer import used_by_layer
from pyrovae.report.study.variance_law import variance_law


def _each_traversals(presented: Presented, *, style: Style = PAPER) -> Iterator[Drawn]:
    """Draw the traversals of each cell's first finished seed."""
    for run in presented.representatives["run"]:
        yield traversals(presented, run, style=style)


#: Kind to function ``(presented, *, style) -> Drawn``, or several.
FIGURES: dict[str, Callable[..., Drawn | list[Drawn] | Iterator[Drawn]]] = {
    "overview": overview,
    "effects": effects,
    "interactions": interactions,
    "performance_profiles": performance_profiles,
    "active_units": active_units,
    "kl_profile": kl_profile,
    "variance_law": variance_law,
    "rate_distortion": rate_distortion,
    "disentanglement": disentanglement,
    "metric_correlation": metric_correlation,
    "sparsity": sparsity,
    "evolution": evolution,
    "settling": settling,
    "reconstructions": reconstructions,
    "traversals": _each_traversals,
    "factors": factor_heatmaps,
    "samples": samples,
}


#: The same, of what only some studies are about: not missed elsewhere.
ON_REQUEST: dict[str, Callable[..., Drawn | Iterator[Drawn]]] = {
    "code_map": code_maps,
    "units_by_label": all_units_by_label,
    "label_usage": all_label_usage,
    "interpolations": interpolations,
    "collapse_blame": collapse_blame,
    "capacity_curve": capacity_of_study,
    "phase_diagram": phase_diagram,
    "layer_rates": layer_rates,
    "used_by_layer": used_by_layer,
    "layers_in_use": layers_in_use,
}
#: Those that compute what they show, or need a package of their own: in no report.
WHEN_ASKED: dict[str, Callable[..., Drawn | Iterator[Drawn]]] = {
    "mean_vs_sample": mean_vs_sample,
    "code_umap": code_umaps,
}
#: Those of them that a package draws which does not come with this one.
BY_EXTRAS = frozenset({"code_umap"})
#: Every kind. Those of diagnosed runs are in no report: each run's diagnosis has its own figures.
KINDS: dict[str, Callable[..., Drawn | list[Drawn] | Iterator[Drawn]]] = {
    **FIGURES,
    **ON_REQUEST,
    **WHEN_ASKED,
    **diagnosed.FIGURES,
}


def draw(presented: Presented, kind: str, *, style: Style = PAPER) -> Iterator[Drawn]:
    """Draw the figures of a kind, one at a time.

    Raises
    ------
    NothingToDraw
        If the study lacks what they show.
    """
    made = KINDS[kind](presented, style=style)
    yield from [made] if isinstance(made, Drawn) else made
