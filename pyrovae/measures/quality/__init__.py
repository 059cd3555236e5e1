"""How much samples look like data, by the features of a stated extractor."""

from __future__ import annotations

from pyrovae.measures.quality.distances import frechet, kernel_distance, precision_recall
from pyrovae.measures.quality.extractor import Extractor, extractor_for
from pyrovae.measures.quality.settings import QualitySettings

__all__ = [
    "Extractor",
    "QualitySettings",
    "extractor_for",
    "frechet",
    "kernel_distance",
    "precision_recall",
]
