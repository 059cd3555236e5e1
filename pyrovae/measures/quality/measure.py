"""The quality of a run's samples, under its prior and under samplers in the prior's place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pyrovae.core.errors import ConfigError
from pyrovae.core.given import Data, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.core.seeded import seeded
from pyrovae.datasets import Dataset
from pyrovae.measures.quality.distances import frechet, kernel_distance, precision_recall
from pyrovae.measures.quality.extractor import extractor_for
from pyrovae.measures.quality.settings import QualitySettings
from pyrovae.measures.samplers.base import fit_sampler
from pyrovae.measures.samplers.measure import told as sampler_told
from pyrovae.measures.scores import Score, declare, variant_key
from pyrovae.models.contract import LatentModel

#: Heading of the scores.
QUALITY = "Sample quality"
_BY = "by the features of the extractor that is named, of as many samples and test data."

FID = declare(
    Score(
        "fid",
        "FID",
        better="low",
        kind="positive",
        group=QUALITY,
        meaning=f"Squared Fréchet distance of samples and test data, {_BY}",
    )
)
KID = declare(
    Score(
        "kid",
        "KID",
        better="low",
        group=QUALITY,
        rope=1e-3,
        meaning=f"Unbiased squared discrepancy of samples and test data, {_BY}",
    )
)
PRECISION = declare(
    Score(
        "sample_precision",
        "Precision of samples",
        better="high",
        kind="proportion",
        group=QUALITY,
        meaning=f"Share of samples that are where test data are, {_BY}",
    )
)
RECALL = declare(
    Score(
        "sample_recall",
        "Recall of samples",
        better="high",
        kind="proportion",
        group=QUALITY,
        meaning=f"Share of test data that are where samples are, {_BY}",
    )
)

#: Observations that are decoded at a time.
_CHUNK = 500
#: What a seed is moved by: samples that figures show are others.
_APART = 0x9A1D


@only_measures
def measure_quality(
    vae: LatentModel,
    x: Data,
    x_train: Data,
    dataset: Dataset,
    settings: QualitySettings,
    samplers: Sequence[Mapping[str, Any]] = (),
    *,
    seed: int = 0,
) -> tuple[dict[str, float], dict[str, Any]]:
    """Return FID, KID, precision and recall of samples, and what they are by.

    Parameters
    ----------
    vae
        The trained model and guide.
    x, x_train
        Test data, and training data that samplers are fitted to, ``(n, *event_shape)``.
    dataset
        What the extractor is trained on.
    settings
        How they are compared. There are no more samples than test data.
    samplers
        ``{"name": …, **parameters}`` each.
    seed
        Of every random draw made here.

    Returns
    -------
    scores
        Extractor and number of samples are in every key:
        ``fid[extractor=classifier,samples=2000]``; those of samplers have ``sampler=…`` besides,
        and ``of=training_data`` are the training data in the place of samples: what is reached by
        who draws from the data's own law.
    about
        Of the extractor.

    Raises
    ------
    ConfigError
        If the data have no such features, or are too few.
    """
    n = min(settings.samples, len(x))
    if n < settings.neighbours + 2:
        raise ConfigError(f"{n} test data are too few to be compared with", "quality.samples")
    extractor = extractor_for(dataset, settings.extractor)
    real = extractor(observed(x)[:n])
    usual = QualitySettings()
    told: dict[str, Any] = {"extractor": settings.extractor, "samples": n}
    others = {"neighbours": settings.neighbours, "draws": settings.draws}
    told |= {key: value for key, value in others.items() if value != getattr(usual, key)}
    found: dict[str, float] = {}

    def compare(features: Tensor, **more: Any) -> None:
        precision, recall = precision_recall(real, features, settings.neighbours)
        values = {
            FID: frechet(real, features),
            KID: kernel_distance(real, features),
            PRECISION: precision,
            RECALL: recall,
        }
        found.update({variant_key(s.key, told | more): v for s, v in values.items()})

    def generated(draw: Callable[[int, Mapping[str, Any]], Tensor]) -> Tensor:
        parts = []
        with torch.no_grad(), seeded((seed + _APART) % 2**32, x.device):
            for index in torch.arange(n).split(_CHUNK):
                context = given(x[index])
                z = draw(len(index), context)
                if settings.draws:
                    parts.append(extractor(vae.decode(z, **context).sample()))
                else:
                    parts.append(extractor(vae.reconstruct(z, **context)))
        return torch.cat(parts)

    compare(generated(lambda k, context: vae.draw_prior(k, **context)))
    for sampler in samplers:
        law = fit_sampler(vae, x_train, sampler, seed=seed)

        def draw(k: int, context: Mapping[str, Any], law: Any = law) -> Tensor:
            drawn: Tensor = law.sample((k,)).to(x.device)
            return drawn

        compare(generated(draw), **sampler_told(sampler))
    if len(x_train) >= n:
        compare(extractor(observed(x_train)[:n]), of="training_data")
    return found, {"extractor": extractor.name, **extractor.about}
