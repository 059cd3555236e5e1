"""What is measured on a trained run, and what of it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from torch import Tensor

from pyrovae.core.errors import ConfigError
from pyrovae.core.given import Data, Given, given, observed
from pyrovae.core.measuring import only_measures
from pyrovae.core.params import OwnParams
from pyrovae.core.seeded import seeded
from pyrovae.datasets import Dataset, Split
from pyrovae.datasets.context import Columns
from pyrovae.datasets.linear_gaussian import exact_log_prob
from pyrovae.distributions.sphere_coordinates import unit as on_sphere
from pyrovae.measures.arviz import InferenceData
from pyrovae.measures.collapse import drawn_codes, estimate_bound, posterior_means
from pyrovae.measures.collapse.bounds import DISTORTION, ELBO, RATE
from pyrovae.measures.collapse.measure import (
    SCORES,
    CollapseMeasures,
    CollapseSettings,
    measure_collapse,
)
from pyrovae.measures.collapse.usage import summed_scores
from pyrovae.measures.collapse.variance_loss import measure_variance_loss
from pyrovae.measures.disentanglement.representation import Resampling, score_representation
from pyrovae.measures.flops import RECONSTRUCTION_FLOPS, reconstruction_flops
from pyrovae.measures.neighbours import nearest_observations
from pyrovae.measures.posterior.guide import guide_draws
from pyrovae.measures.posterior.settings import DiagnosticsSettings
from pyrovae.measures.quality.measure import measure_quality
from pyrovae.measures.quality.settings import QualitySettings
from pyrovae.measures.samplers.measure import measure_samplers
from pyrovae.measures.scores import (
    ACTIVE_ONLY,
    COLLAPSE,
    GAP,
    TEST,
    TRAINING,
    TRAINING_COLLAPSE,
    USED_ONLY,
    Score,
    declare,
)
from pyrovae.measures.traversal import between, levels, traverse
from pyrovae.measures.words import measure_words
from pyrovae.models.contract import LatentModel

if TYPE_CHECKING:
    import pandas as pd

#: Draws of z for each training point: the error of a mean over thousands comes from the points.
_TRAIN_DRAWS = 2

for _score in (ELBO, RATE, DISTORTION, *SCORES):
    declare(
        replace(
            _score,
            key=f"train_{_score.key}",
            title=f"{_score.title}, training set",
            group=TRAINING_COLLAPSE if _score.group == COLLAPSE else TRAINING,
            meaning=f"{_score.title}, measured on the training set.",
            main=False,
        )
    )
for _score in (ELBO, RATE, DISTORTION):
    declare(
        Score(
            f"{_score.key}_gap",
            f"{_score.title}, test minus train",
            unit=_score.unit,
            group=GAP,
            meaning=f"{_score.title} of the test set minus that of the training set.",
        )
    )
declare(
    Score(
        "exact_log_px",
        "log p(x), exact",
        unit="nats",
        better="high",
        group=TEST,
        meaning="log p(x) of the test set under the law that the data were drawn from.",
    )
)
declare(Score("parameters", "Parameters", unit="count", meaning="Numbers that are trained."))


class GuideDraws(BaseModel):
    """Draws from q(z|x) that are kept for ArviZ."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    points: int = Field(default=32, gt=0, description="first test points that are drawn for")
    chains: int = Field(default=4, gt=0)
    draws: int = Field(default=100, gt=0, description="draws in each chain")


class EvaluationSettings(BaseModel):
    """How a trained run is measured. Not part of a run's identity: nothing is trained again."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    points: int = Field(default=5000, gt=1, description="at most so many points of each split")
    samples: int = Field(default=16, gt=0, description="draws of z for each point")
    metrics: list[dict[str, Any]] = Field(
        default_factory=lambda: [{"name": "mig"}, {"name": "dci"}, {"name": "factor_vae"}],
        description="disentanglement scores, where the data has factors",
    )
    standard_errors: Resampling = Resampling()
    collapse: CollapseSettings = CollapseSettings()
    guide_draws: GuideDraws = GuideDraws()
    diagnostics: DiagnosticsSettings | None = Field(
        default=None, description="a closer look at the posterior, by NUTS; minutes for each run"
    )
    images: int = Field(default=8, gt=0, description="reconstructions, traversed units and steps")
    samplers: list[dict[str, Any]] = Field(
        default_factory=list,
        description="laws that are fitted to the codes, to generate from in the prior's place",
    )
    quality: QualitySettings | None = Field(
        default=None, description="FID, KID, precision and recall of samples"
    )

    @model_serializer(mode="wrap")
    def _without_none(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # They came after runs had been stored, which are not to be measured again for none.
        content: dict[str, Any] = serialise(self)
        if not content.get("samplers", True):
            del content["samplers"]
        if content.get("quality", self) is None:
            del content["quality"]
        return content


@dataclass(frozen=True)
class Evaluation:
    """All that is kept of one run besides its parameters.

    Attributes
    ----------
    scores
        One number each, by name.
    estimators
        The settings of each disentanglement score, and its parts.
    codes, factors
        Posterior means ``(n, latent_dim)`` of the test points that were scored, and their
        ground-truth factors ``(n, k)``, ``None`` where unknown.
    factor_names
        Of the factors' columns.
    directions
        One row for each direction of a code that has no special axes, on the test set.
    units
        One row for each latent unit of the test set.
    drawn
        One draw from q(z|x) of each of these points, ``(n, latent_dim)``; ``None`` if unknown, as
        in results of earlier versions.
    costs
        Nats that replacing each unit by another datum's costs in each of the first points,
        ``(m, latent_dim)``; ``None`` if unknown.
    labels
        What else is known of these points, by name, ``(n,)`` each.
    columns
        The labels and covariates that the model was given; ``None`` without.
    images
        ``inputs``, ``reconstructions`` ``(k, *event)``; ``traversals`` ``(k, steps, *event)`` and
        ``traversed`` units ``(k,)``, by decreasing KL; ``samples`` from the prior ``(k², *event)``,
        and of images ``nearest``, the training image that is nearest to each of them;
        ``interpolations`` between pairs of the inputs, ``(k // 2, steps, *event)``;
        ``sensitivity`` ``(latent_dim, *event)``, the root mean squared change of each element when
        a unit is replaced.
    posterior
        See :func:`pyrovae.measures.posterior.guide_draws`.
    """

    scores: dict[str, float]
    estimators: dict[str, Any]
    units: pd.DataFrame
    images: dict[str, Tensor]
    posterior: InferenceData
    codes: np.ndarray
    factors: np.ndarray | None = None
    factor_names: tuple[str, ...] = ()
    directions: pd.DataFrame | None = None
    drawn: np.ndarray | None = None
    costs: np.ndarray | None = None
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    columns: Columns | None = None


@only_measures
def evaluate(
    vae: LatentModel,
    dataset: Dataset,
    settings: EvaluationSettings,
    seed: int,
    device: torch.device | str = "cpu",
) -> Evaluation:
    """Measure a trained VAE on a data set.

    Parameters
    ----------
    vae
        The trained model and guide.
    dataset
        What it was trained on; ``test`` is what most numbers are about. Of an empty ``train``
        nothing is told.
    settings
        How much is measured.
    seed
        Of every random draw made here.
    device
        Where the model is, and where it is measured; what is returned is on the CPU.
    """
    test, train = (
        _first(split, settings.points, device) for split in (dataset.test, dataset.train)
    )
    x, x_train = test.floats(), train.floats()
    collapse = measure_splits(
        vae,
        x,
        x_train if len(x_train) else None,
        settings.collapse,
        samples=settings.samples,
        seed=seed,
    )
    units, scores = collapse.table, collapse.scores
    if settings.samplers and not len(x_train):
        raise ConfigError("are fitted to codes of training data: give train", "samplers")
    scores |= measure_samplers(vae, x, x_train, settings.samplers, scores, seed=seed)
    quality: dict[str, Any] = {}
    if settings.quality is not None:
        found, about = measure_quality(
            vae, x, x_train, dataset, settings.quality, settings.samplers, seed=seed
        )
        scores |= found
        quality = {"quality": about}
    scores["parameters"] = float(sum(p.numel() for p in vae.parameters()))
    scores[RECONSTRUCTION_FLOPS.key] = reconstruction_flops(vae, x)
    if "loading" in dataset.exact and not isinstance(x, Given):
        scores["exact_log_px"] = float(exact_log_prob(dataset.exact, x.cpu()).mean())
    codes = posterior_means(vae, x).cpu().numpy()
    found, estimators = score_representation(
        codes,
        test.factors,
        {USED_ONLY: units["used"].to_numpy(), ACTIVE_ONLY: units["active"].to_numpy()},
        settings.metrics,
        settings.standard_errors,
        seed,
        vae.classes,
    )
    scores |= found
    estimators |= quality
    points = min(settings.guide_draws.points, len(test))
    posterior = guide_draws(
        vae,
        x[:points],
        np.arange(points),
        chains=settings.guide_draws.chains,
        draws=settings.guide_draws.draws,
        seed=seed,
    )
    order = torch.from_numpy(np.argsort(-units["kl"].to_numpy(), kind="stable"))
    images = _images(vae, x, order[: settings.images], settings.images, seed)
    images["sensitivity"] = collapse.maps
    shape = observed(x).shape
    if len(shape) == 4 and shape[1] in (1, 3) and len(dataset.train):
        images["nearest"] = nearest_observations(images["samples"], dataset.train)
    return Evaluation(
        scores,
        estimators,
        units,
        images,
        posterior,
        codes,
        test.factors,
        dataset.factor_names,
        collapse.directions,
        drawn_codes(vae, x, seed=seed).cpu().numpy(),
        collapse.costs,
        test.labels,
        dataset.columns,
    )


@only_measures
def measure_splits(
    vae: LatentModel,
    x: Data,
    x_train: Data | None,
    settings: CollapseSettings,
    *,
    samples: int,
    seed: int,
) -> CollapseMeasures:
    """Take collapse measures and bounds on test data, and on training data if there are any.

    Parameters
    ----------
    vae
        The trained model and guide.
    x, x_train
        ``(n, *event_shape)``, where the model is.
    settings
        How much of them the costlier measures see.
    samples
        Draws of z for each point.
    seed
        Of every random draw made here.

    Returns
    -------
    CollapseMeasures
        ``table`` has the columns of the training data under ``train_``, ``scores`` too, and the
        gaps between both; ``maps`` are of the test data.
    """
    on_test = measure_collapse(vae, x, settings, samples, seed)
    scores = _bound_scores(vae, x, samples, seed) | on_test.scores
    scores |= measure_variance_loss(vae, x, seed=seed)
    scores |= measure_words(vae, x, scores["log_px"])
    scores |= summed_scores(vae, x)
    if x_train is None:
        return replace(on_test, scores=scores)
    on_train = measure_collapse(vae, x_train, settings, samples, seed)
    units = on_test.table.join(
        on_train.table.drop(columns=["unit", "layer", "weight_norm"], errors="ignore").add_prefix(
            "train_"
        )
    )
    trained = _bound_scores(vae, x_train, min(samples, _TRAIN_DRAWS), seed)
    # The importance-weighted bound depends on the number of draws: with fewer it is another one.
    trained = {k: v for k, v in trained.items() if k != "log_px"} | on_train.scores
    scores |= {f"train_{name}": value for name, value in trained.items()}
    scores |= {
        f"{name}_gap": scores[name] - trained[name] for name in ("elbo", "rate", "distortion")
    }
    return CollapseMeasures(units, scores, on_test.maps, on_test.directions, on_test.costs)


def _first(split: Split, points: int, device: torch.device | str) -> Split:
    first = split.take(slice(points))
    return replace(first, values=first.values[:].to(device))


def _bound_scores(vae: LatentModel, x: Data, samples: int, seed: int) -> dict[str, float]:
    with OwnParams():  # Pyro's global store would keep the parameters of every model in memory
        bound = estimate_bound(vae.datum_model, vae.datum_guide, x, samples=samples, seed=seed)
    of_layers = bound.rates if vae.blocks is not None else {}
    return {
        **{f"rate_{name}": float(rate.mean()) for name, rate in of_layers.items()},
        "elbo": float(bound.elbo.mean()),
        "elbo_se": float(bound.elbo.std()) / len(x) ** 0.5,
        "rate": float(bound.rate.mean()),
        "distortion": float(bound.distortion.mean()),
        "log_px": float(bound.log_px.mean()),
    }


def _contexts(context: Tensor, k: int) -> Tensor:
    """Return contexts of k rows of k samples, ``(k², size)``: one a row, in order of their values.

    Of more than k, some at equal steps; of fewer, each in several rows.
    """
    known = context.unique(dim=0).flip(0)  # of classes, 1 comes first in the first
    m = len(known)
    chosen = torch.linspace(0, m - 1, k).round().long() if m > k else torch.arange(k) % m
    return known[chosen.to(known.device)].repeat_interleave(k, 0)


def _images(vae: LatentModel, x: Data, order: Tensor, k: int, seed: int) -> dict[str, Tensor]:
    """Return what is shown of a model; under a context, that of the inputs.

    Traversals are given that of the first input, interpolations that of their start, and each row
    of samples another context of the data (:func:`_contexts`).
    """
    shown = x[:k]
    centre = posterior_means(vae, shown, seed=seed)
    conditional = isinstance(x, Given)
    values = levels(vae, x[:1] if conditional else x, steps=k, seed=seed)
    told = [given(part) for part in (x[:1], shown[: len(centre) - 1 : 2])]
    guided = {"context": _contexts(x.context, k)} if isinstance(x, Given) else {}
    with torch.no_grad(), seeded(seed, x.device):
        images = {
            "inputs": observed(shown),
            "reconstructions": vae.reconstruct(
                on_sphere(centre) if vae.space == "sphere" else centre, **given(shown)
            ),
            "traversals": traverse(vae, centre[:1], values, order, **told[0])[0],
            "traversed": order,
            "samples": vae.reconstruct(vae.draw_prior(k * k, **guided), **guided),
        }
        if len(centre) > 1:
            a, b = centre[: len(centre) - 1 : 2], centre[1::2]
            images["interpolations"] = between(vae, a, b, steps=k, **told[1])
    return {name: image.cpu() for name, image in images.items()}
