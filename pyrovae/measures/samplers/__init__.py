"""Laws of codes that are fitted to a trained run, to generate from in the prior's place."""

from __future__ import annotations

from pyrovae.measures.samplers.base import SAMPLERS, Sampler, fit_sampler
from pyrovae.measures.samplers.flow import FlowSampler
from pyrovae.measures.samplers.mixture import MixtureSampler

__all__ = ["SAMPLERS", "FlowSampler", "MixtureSampler", "Sampler", "fit_sampler"]
