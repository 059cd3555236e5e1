"""From a study to its plan: runs with identities, checked against the data, and what they cost."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pyrovae.core import dotted, memory
from pyrovae.core.errors import ConfigError, PyrovaeError, first_line
from pyrovae.core.given import observed
from pyrovae.core.registry import parameters_of
from pyrovae.core.seeded import seeded
from pyrovae.datasets import Dataset, load_dataset
from pyrovae.datasets.base import as_float
from pyrovae.datasets.context import Columns, conditioned, learn
from pyrovae.measures.posterior.density import NO_COORDINATES, has_density
from pyrovae.measures.quality.extractor import refusal as quality_refusal
from pyrovae.models import by_path as user_models
from pyrovae.models.contract import LatentModel
from pyrovae.models.layered import LayeredVAE, build_layered
from pyrovae.models.networks import NETWORKS
from pyrovae.models.priors import PRIORS
from pyrovae.models.vae import VAE, build_vae
from pyrovae.objectives import OBJECTIVES, Objective
from pyrovae.study.config.labels import columns, defaults
from pyrovae.study.config.read import PlacedRun, Study
from pyrovae.study.config.run import COMPONENTS, MODEL_PARTS, OWN, RunConfig, label
from pyrovae.study.config.schedules import constant_from
from pyrovae.study.config.size import largest, require_memory
from pyrovae.study.plan.compatibility import (
    conflicts,
    training_conflict,
    unknown_need,
    validation_conflict,
)
from pyrovae.study.plan.cost import conditional_flops, forward_flops
from pyrovae.training import LossProgram
from pyrovae.training.rehearsal import rehearse, rehearse_optimizer

#: What a training step reaches of the speed of a large matrix product, roughly.
_EFFICIENCY = 0.4
#: Training data that a model may take its start from.
START_POINTS = 10_000


@dataclass(frozen=True)
class PlannedRun:
    """A run that can be executed.

    Attributes
    ----------
    id
        Its hash; the name of its folder.
    config
        Fully resolved.
    fingerprint
        Of its data.
    parameters
        Trained numbers.
    flops
        Floating-point operations of its training.
    structure
        Hash of all but the seed: runs that share it are of one cell.
    """

    id: str
    config: RunConfig
    fingerprint: str
    parameters: int
    flops: float
    structure: str

    def labels(self) -> dict[str, Any]:
        """Return what is written with this run as its parts: see :func:`labels_of` for a table."""
        names = {key: _label(key, self.config) for key in COMPONENTS}
        return {**names, "latent_dim": self.config.latent_dim, "seed": self.config.seed}


def _label(key: str, config: RunConfig) -> str:
    component = getattr(config, key)
    if component is None:
        # A user's own model takes the place of its parts; it is named where the network would be.
        assert config.model is not None
        return user_models.label(config.model) if key == "network" else OWN
    return label(component, _defaults(key, component["name"]))


def _defaults(key: str, name: str) -> dict[str, Any]:
    if not dotted.is_path(name):
        return defaults(key, name)
    # Unlike who reads results, who plans a run imports what it names.
    return parameters_of(dotted.load(name), name).model_construct().model_dump(mode="json")


@dataclass(frozen=True)
class Plan:
    """All runs of a study, ready to be executed.

    Attributes
    ----------
    name, description
        Of the study.
    runs
        In the order of the file.
    datasets
        By fingerprint.
    """

    name: str
    description: str
    runs: tuple[PlannedRun, ...]
    datasets: dict[str, Dataset]

    def seconds(self, workers: int) -> float:
        """Return a rough guess of the training time on this machine, without training."""
        rate = _matmul_rate() * _EFFICIENCY
        return sum(run.flops for run in self.runs) / rate / workers


def make_plan(study: Study) -> Plan:
    """Load the data, check every combination and give each run its identity.

    Raises
    ------
    ConfigError
        For a data set that cannot be had, parts that do not fit, or shapes that a network refuses,
        with the place in the study's file.
    """
    datasets: dict[str, Dataset] = {}
    loaded: dict[str, tuple[str, Dataset]] = {}
    built: dict[str, tuple[int, float]] = {}
    planned: list[PlannedRun] = []
    for alike in _alike(study.runs):
        config = alike[0].config
        on = [] if config.condition is None else config.condition.on
        key = json.dumps([config.dataset, on], sort_keys=True)
        if key not in loaded:
            dataset = _load(alike[0], study.file)
            loaded[key] = (dataset.fingerprint, dataset)
        fingerprint, dataset = loaded[key]
        datasets[fingerprint] = dataset
        structure = config.structure(fingerprint)
        if structure not in built:
            built[structure] = _check(alike[0], dataset, study.file)
        parameters, flops = built[structure]
        ids = config.identities(fingerprint, (run.config.seed for run in alike))
        planned += [
            PlannedRun(run_id, run.config, fingerprint, parameters, flops, structure)
            for run_id, run in zip(ids, alike, strict=True)
        ]
    return Plan(study.name, study.description, tuple(planned), datasets)


def _alike(runs: Iterable[PlacedRun]) -> Iterator[list[PlacedRun]]:
    """Yield runs that stand together and differ by their seeds alone."""
    alike: list[PlacedRun] = []
    for run in runs:
        if alike and not run.config.is_like(alike[0].config):
            yield alike
            alike = []
        alike.append(run)
    if alike:
        yield alike


def _load(run: PlacedRun, file: str) -> Dataset:
    try:
        dataset = load_dataset(**run.config.dataset)
    except ConfigError as error:
        place = run.place(f"dataset.{error.place}" if error.place else "dataset")
        raise ConfigError(error.message, place, file) from None
    except PyrovaeError as error:
        raise ConfigError(str(error), run.place("dataset"), file) from None
    try:
        return with_context(dataset, run.config)
    except ConfigError as error:
        raise ConfigError(error.message, run.place(error.place), file) from None
    except PyrovaeError as error:
        raise ConfigError(str(error), run.place("condition.on"), file) from None


def with_context(dataset: Dataset, config: RunConfig) -> Dataset:
    """Return a data set with the context that a run's programs are given, if they are given one.

    Raises
    ------
    ConfigError
        For a column that the data do not have, placed in the run.
    DataError
        For a value in other splits that the training data lack.
    """
    if config.condition is None:
        return dataset
    try:
        columns = learn(dataset, config.condition.on)
    except ConfigError as error:
        only = error.place == "[0]" and len(config.condition.on) == 1
        place = "condition.on" + ("" if only else error.place)
        raise ConfigError(error.message, place) from None
    return conditioned(dataset, columns)


def _check(run: PlacedRun, dataset: Dataset, file: str) -> tuple[int, float]:
    """Return the number of parameters and the cost of a run, or say why it is impossible."""
    unknown = unknown_need(run.config.model_dump()["objective"])
    if unknown:
        raise ConfigError(unknown, run.place("objective"), file)
    training = run.config.training
    try:
        rehearse_optimizer(training.optimizer)
    except ConfigError as error:
        placed = error.at("training.optimizer")
        raise ConfigError(error.message, run.place(placed.place), file) from None
    unseen = validation_conflict(training, constant_from(run.config), dataset)
    if unseen:
        raise ConfigError(unseen[1], run.place(unseen[0]), file)
    quality = run.config.evaluation.quality
    reason = quality_refusal(dataset, quality.extractor) if quality else None
    if reason:
        raise ConfigError(reason, run.place("evaluation.quality"), file)
    if run.config.model is not None:
        return _try(run, dataset, file)
    conflict = conflicts(run.config.model_dump(), dataset)
    if conflict:
        component, reason = conflict
        raise ConfigError(reason, run.place(component), file)
    try:
        with _place(run.config, dataset.event_shape):
            vae = model_of(run.config, dataset.event_shape, columns=dataset.columns)
            try:
                objective = OBJECTIVES.create(**run.config.objective)
            except ConfigError as error:
                raise error.at("objective") from None
        conflict = training_conflict(vae, objective, run.config.objective["name"], training)
        if conflict:
            raise ConfigError(conflict[1], conflict[0])
        require_memory(run.config, vae, dataset.event_shape)
    except ConfigError as error:
        raise ConfigError(error.message, run.place(error.place), file) from None
    except (RuntimeError, OverflowError, MemoryError) as failure:
        # Models are built here without memory for their numbers: only the count can be too large.
        path, size = largest(run.config)
        told = (
            f"{size:.3g} is too large: so many numbers alone would take "
            f"{memory.in_words(4 * size)} of memory ({first_line(failure)})"
        )
        raise ConfigError(told, run.place(path), file) from failure
    if run.config.evaluation.diagnostics and vae.classes is not None:
        raise ConfigError(NO_COORDINATES, run.place("evaluation.diagnostics"), file)
    if run.config.evaluation.diagnostics and not has_density(vae):
        prior = run.config.model_dump()["prior"]["name"]
        reason = f"prior '{prior}' has no density: no posterior to sample"
        raise ConfigError(reason, run.place("evaluation.diagnostics"), file)
    ours = _is_ours(NETWORKS[run.config.model_dump()["network"]["name"]])
    if not ours:
        try:
            rehearse(
                program_of(run.config, dataset),
                dataset.train.floats(slice(min(4, training.batch_size))),
            )
        except ConfigError as error:
            raise ConfigError(error.message, run.place("network"), file) from None
    assert isinstance(vae, VAE | LayeredVAE)
    flops = _forward_flops(vae, objective, run.config, ours)
    # A backward pass costs twice the forward pass.
    return sum(p.numel() for p in vae.parameters()), 3.0 * flops * training.steps


#: Models whose numbers are all up to these are small: tens of millions of weights at most.
_SMALL_PART, _SMALL_EVENT = 256, 2**14


def _place(config: RunConfig, event_shape: tuple[int, ...]) -> torch.device:
    """Return where a model is tried: without memory for its numbers, unless it is small.

    Arithmetic on the meta device has torch import its compiler, which takes longer than to plan a
    study of small models.
    """
    small = largest(config)[1] <= _SMALL_PART and math.prod(event_shape) <= _SMALL_EVENT
    return torch.device("cpu" if small else "meta")


def _forward_flops(
    vae: VAE | LayeredVAE, objective: Objective, config: RunConfig, ours: bool
) -> float:
    """Return the operations of a batch's pass through both networks, on the meta device.

    What stands between layers is small beside them, and left out. Each draw of a datum's code is
    decoded; a prior that is made of the posteriors of pseudo-inputs has these encoded as well.
    """
    n, shape = config.training.batch_size * objective.observations, vae.encoder_shape
    decoded = n * max(objective.samples, vae.draws)  # as `LatentModel.training_terms` draws
    encoded = n + getattr(getattr(vae, "prior", None), "pseudo_inputs", 0)
    if ours:
        return decoded * (
            forward_flops(vae.decoder, (vae.decoder_width,)) + conditional_flops(vae.likelihood)
        ) + encoded * forward_flops(vae.encoder, shape)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        vae.decoder(torch.empty(decoded, vae.decoder_width))
        vae.encoder(torch.empty(encoded, *shape))
    return float(counter.get_total_flops())


def _try(run: PlacedRun, dataset: Dataset, file: str) -> tuple[int, float]:
    """As :func:`_check`, for a user's own model: nothing is declared, so one step is tried."""
    training = run.config.training
    n = min(4, training.batch_size)
    x = dataset.train.floats(slice(n))
    try:
        program = program_of(run.config, dataset)
        name = run.config.objective["name"]
        conflict = training_conflict(program.vae, program.objective, name, training)
        if conflict:
            raise ConfigError(conflict[1], conflict[0])
        reason = program.objective.data_conflict(
            run.config.objective, dataset, program.vae.latent_dim
        )
        if reason:
            raise ConfigError(f"objective '{name}' {reason}", "objective")
        try:
            own_data = program.objective.has_data_of_its_own
            some = as_float(program.objective.trained_on(dataset)[:n]) if own_data else x
            rehearse(program, some)
        except ConfigError as error:
            raise (error.at("objective") if error.place == "labels" else error) from None
        with FlopCounterMode(display=False) as counter:
            program.record(x)
    except ConfigError as error:
        own = error.place.startswith(("training.", "objective"))
        blamed = error.place if own else "model"
        raise ConfigError(error.message, run.place(blamed), file) from None
    except Exception as error:
        told = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise ConfigError(f"it cannot be built: {told}", run.place("model"), file) from error
    # A backward pass costs twice the forward pass.
    flops = 3.0 * counter.get_total_flops() * training.batch_size / n * training.steps
    return sum(p.numel() for p in program.vae.parameters()), flops


def _is_ours(entry: Any) -> bool:
    """Tell whether a registered entry comes with this package, which tests all of its own."""
    return entry.__module__.partition(".")[0] == __name__.partition(".")[0]


def vae_of(
    config: RunConfig,
    event_shape: tuple[int, ...],
    *,
    data: Tensor | None = None,
    columns: Columns | None = None,
) -> VAE:
    """Build the untrained VAE of a run that has no model of the user's own.

    Without ``data``, training data as floats, a prior that starts from them starts elsewhere: for
    models whose parameters are loaded afterwards. ``columns`` are those of the data that a
    conditional run is given.
    """
    if config.model is not None:
        raise ConfigError(f"model '{config.model['name']}' is a user's own: it has no known parts")
    condition = None
    if config.condition is not None:
        assert columns is not None
        condition = config.condition.of(columns)
    if config.layers is not None:
        raise ConfigError(f"has layers of codes ({config.layers.told}), where one flat code is due")
    return build_vae(
        event_shape,
        config.latent_dim,
        **_parts_of(config),
        seed=config.seed,
        data=data,
        condition=condition,
    )


def model_of(
    config: RunConfig,
    event_shape: tuple[int, ...],
    *,
    data: Tensor | None = None,
    columns: Columns | None = None,
) -> LatentModel:
    """Build the untrained model of a run: the user's own, one with layers, or :func:`vae_of`'s."""
    if config.model is not None:
        return user_models.build(config.model, event_shape, config.latent_dim, seed=config.seed)
    if config.layers is not None:
        return _layered_of(config, event_shape, data)
    return vae_of(config, event_shape, data=data, columns=columns)


def _layered_of(config: RunConfig, event_shape: tuple[int, ...], data: Tensor | None) -> LayeredVAE:
    assert config.layers is not None
    return build_layered(
        event_shape, config.layers, **_parts_of(config), seed=config.seed, data=data
    )


def _parts_of(config: RunConfig) -> dict[str, Any]:
    """Return the parts that a model is built from, of a run whose model is no one's own."""
    parts = {key: getattr(config, key) for key in MODEL_PARTS}
    assert None not in parts.values()
    return parts


def program_of(config: RunConfig, dataset: Dataset) -> LossProgram:
    """Build the untrained loss program of a run, ready to train."""
    wanted = config.prior is not None and PRIORS[config.prior["name"]].starts_from_data
    data = observed(dataset.train.floats(slice(START_POINTS))) if wanted else None
    vae = model_of(config, dataset.event_shape, data=data, columns=dataset.columns)
    with seeded(config.seed):
        return LossProgram(
            vae, OBJECTIVES.create(**config.objective), binary=dataset.grey is not None
        )


def _matmul_rate() -> float:
    """Measure floating-point operations a second of one thread on a matrix product."""
    threads, n = torch.get_num_threads(), 512
    a, b = torch.randn(n, n), torch.randn(n, n)
    try:
        torch.set_num_threads(1)
        times: list[float] = []
        for _ in range(6):
            start = time.perf_counter()
            a @ b
            times.append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(threads)
    return 2 * n**3 / min(times)


def labels_of(runs: Sequence[PlannedRun]) -> list[dict[str, Any]]:
    """Return the labels of each run of a study: its parts, each setting that varies, its seed."""
    return columns([run.config for run in runs], [run.labels() for run in runs])
