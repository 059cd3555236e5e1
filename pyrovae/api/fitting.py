"""``pyrovae.fit``: training of one model in memory, by the loop that studies train with."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pyrovae.api.conditions import with_contexts
from pyrovae.api.observations import of_model
from pyrovae.api.parts import configured, settings
from pyrovae.core.errors import ConfigError, DataError, IncompatibleError, did_you_mean
from pyrovae.core.scheduled import Scheduled
from pyrovae.core.schedules import unfinished
from pyrovae.core.seeded import seeded
from pyrovae.datasets import Dataset, Split
from pyrovae.datasets.context import known_of
from pyrovae.measures.collapse.measure import AlongTraining, along_points, measure_along_training
from pyrovae.models.contract import LatentModel
from pyrovae.models.layered import LayeredVAE
from pyrovae.models.likelihoods import LIKELIHOODS
from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.priors import PRIORS
from pyrovae.models.vae import VAE
from pyrovae.objectives import OBJECTIVES, Objective
from pyrovae.study.plan.compatibility import (
    condition_conflict,
    objective_conflict,
    training_conflict,
    validation_conflict,
)
from pyrovae.study.store.history import Watch, history_table, settled_of
from pyrovae.training import (
    LossProgram,
    Member,
    Record,
    Snapshot,
    Stopped,
    Trainer,
    TrainingSettings,
)
from pyrovae.training.optimizers import OPTIMIZERS
from pyrovae.training.rehearsal import rehearse_optimizer
from pyrovae.training.step import State
from pyrovae.training.validation import Kept, validation

Model = TypeVar("Model", bound=LatentModel)

#: Told the step, the loss and the active units.
Show = Callable[[int, float, int | None], None]


def fit(
    vae: Model,
    x: Any,
    objective: Any = "elbo",
    *,
    steps: int = 3000,
    test: Any = None,
    seed: int = 0,
    batch_size: int = 128,
    lr: Any = 1e-3,
    records: int = 20,
    precision: str = "float32",
    until: str = "steps",
    optimizer: Any = "adam",
    clip_value: float | None = None,
    clip_norm: float | None = None,
    rates: Mapping[str, float] | None = None,
    patience: int = 10,
    keep: str = "last",
    validation: Any = None,
    context: Any = None,
    contexts: Mapping[str, Any] | None = None,
    device: str = "cpu",
    compiled: bool = False,
    progress: bool = True,
) -> Model:
    """Train a model in place and return it, with its ``history``, in evaluation mode.

    Parameters are those of a study's run of the same parts, data, settings and seed. Ctrl-C ends
    the training within some steps: what comes back has the parameters of the last one and the
    history up to there. A second Ctrl-C interrupts at once.

    Parameters
    ----------
    vae
        From :func:`pyrovae.build` or :func:`pyrovae.wrap`, or any other
        :class:`pyrovae.models.contract.LatentModel`. Training goes on from its parameters.
    x
        Observations ``(n, *event_shape)``: an array, a tensor, a map-style
        :class:`torch.utils.data.Dataset`, or a :class:`pyrovae.datasets.Dataset`, whose training
        split is taken. ``uint8`` stands for values / 255, booleans for 0 and 1.
    objective
        A name, a mapping of a name and parameters, a class, or an instance.
    steps, batch_size, lr, records, precision, until, patience, keep
        As ``training`` of a study: optimiser steps, data a step, learning rate or a schedule of it,
        rows of the history, arithmetic of the layers, when training ends and which parameters are
        kept.
    optimizer
        A name (``pyrovae list optimizers``), a mapping of a name and parameters, or a class of
        :class:`pyrovae.training.optimizers.Optimizer`.
    clip_value, clip_norm
        The most that an element of a gradient, and then the norm of all together, may be.
    rates
        Factors on the learning rate of ``guide``, ``model`` or ``objective``:
        ``{"guide": 2.0}``.
    validation
        Observations for ``until="validation"`` and ``keep="best"``; by default the validation split
        of a data set, if it has one.
    context
        For a conditional model: labels or covariates of x (``(n,)``, or columns by name), or
        numbers ``(n, k)`` where it was built with a number. A data set has its own.
    contexts
        The same of ``test`` and ``validation`` where these are given, by those names.
    test
        Observations that the history's measures of units are taken on; by default the test split
        of a data set, else ``x``.
    seed
        Of minibatches and noise; the global random state is neither read nor changed.
    device
        Where to train: ``cpu`` or ``cuda``. The model comes back on the device that it was on.
    compiled
        Whether the step is compiled: half a minute or more once, for steps that are a fifth faster.
    progress
        Whether to show a bar on a terminal or in a notebook, and lines elsewhere.

    Raises
    ------
    ConfigError
        For an unknown name or setting, or an objective that does not fit the model.
    DataError
        For values that cannot be, or that the likelihood cannot explain.
    Diverged
        When the loss is no longer finite; ``vae.history`` holds what was recorded.

    Examples
    --------
    >>> import numpy as np, pyrovae
    >>> x = np.random.default_rng(0).random((64, 5)) < 0.5
    >>> vae = pyrovae.build(5, latent_dim=2, network={"name": "mlp", "hidden": [8]})
    >>> vae = pyrovae.fit(vae, x, steps=20, records=2, progress=False)
    >>> vae.history["step"].tolist()
    [0, 10, 20]
    """
    if not isinstance(vae, LatentModel):
        raise ConfigError(
            f"must be a model of pyrovae.build or pyrovae.wrap, got {type(vae).__name__}", "vae"
        )
    given = {"steps": steps, "batch_size": batch_size, "lr": lr, "records": records}
    given |= {"precision": precision, "until": until, "keep": keep, "clip_value": clip_value}
    given |= {"clip_norm": clip_norm, "rates": {} if rates is None else rates}
    given["optimizer"] = _optimizer(optimizer)
    if until == "validation" or patience != 10:
        given["patience"] = patience
    chosen = settings(TrainingSettings, given)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ConfigError(f"must be a whole number of at least 0, got {seed!r}", "seed")
    dataset = _dataset(vae, x, test, validation)
    dataset = _given(vae, dataset, x, test, context, contexts or {})
    if chosen.validates and dataset.validation is None:
        who = "until='validation', keep='best' and a plateau that watches them"
        raise ConfigError(f"{who} need validation data", "validation")
    place, home = _device(device), next(vae.parameters(), torch.zeros(())).device
    refused = _refused(vae, objective)
    if refused:
        raise IncompatibleError(refused[1], refused[0])
    program = _program(vae, objective, chosen, seed, binary=dataset.grey is not None)
    conflict = validation_conflict(chosen, _constant_from(program), dataset)
    if conflict:
        raise ConfigError(conflict[1], conflict[0].removeprefix("training."))
    for remark in _cut_short(program, chosen):
        warnings.warn(remark, stacklevel=2)
    try:
        program.to(place)
        return _train(vae, program, dataset, chosen, seed, place, compiled, progress)
    finally:
        vae.to(home)


def _train(
    vae: Model,
    program: LossProgram,
    dataset: Dataset,
    settings: TrainingSettings,
    seed: int,
    device: torch.device,
    compiled: bool,
    progress: bool,
) -> Model:
    points = along_points(dataset, device)
    constant = _constant_from(program)
    history: list[Record] = []
    kept: Kept | None = None
    active: int | None = None

    def measure(current: LossProgram) -> AlongTraining:
        nonlocal active
        assert isinstance(current.vae, LatentModel)
        found = measure_along_training(current.vae, *points, seed)
        active = found.used_units
        return found

    def keep(snapshot: Snapshot, records: list[Record]) -> None:
        history[:] = records
        State(snapshot.params, {}, snapshot.buffers).write_to(program)
        program.stand_at(snapshot.step)

    gpus = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=gpus),
        _shown(settings.steps, progress) as show,
        _interruptible() as stop,
    ):
        member = Member(
            program,
            seed,
            settings,
            measure=measure,
            progress=lambda step, loss: show(step, loss, active),
            keep=keep,
            settled=Watch(settings, constant),
            validate=validation(dataset, settings, seed=seed),
            constant_from=constant,
        )
        values = program.objective.trained_on(dataset).to(device)
        trainer = Trainer(program, values, settings, compiled=compiled)
        failure = None
        try:
            for ended in trainer.train_together([member], stop=stop):
                history[:], failure, kept = ended.records, ended.failure, ended.kept
        except Stopped:
            pass
    vae.eval()
    vae.history = history_table(history)
    vae.settled = settled_of(vae.history, settings, constant)
    vae.kept = kept
    if failure:
        raise failure
    return vae


def _constant_from(program: LossProgram) -> float:
    """Return the step from which on nothing that is scheduled changes."""
    objective = program.objective
    parts = [m.constant_from for m in program.modules() if isinstance(m, Scheduled)]
    return max([type(objective).constant_from(vars(objective)), *parts])


def _cut_short(program: LossProgram, settings: TrainingSettings) -> Iterator[str]:
    """Yield a remark on each schedule that training ends before, as plans of studies have it."""
    objective, places = program.objective, {"lr": settings.lr}
    for place, part in program.vae.named_modules():
        if isinstance(part, Scheduled):
            places |= {f"{place}.{name}": value for name, value in part.schedules.items()}
    remarks = {place: unfinished(value, settings.steps) for place, value in places.items()}
    remarks |= type(objective).cut_short(vars(objective), settings.steps)
    yield from (f"{place}: {remark}" for place, remark in remarks.items() if remark)


def _device(name: str) -> torch.device:
    if str(name).partition(":")[0] == "cuda" and not torch.cuda.is_available():
        raise ConfigError("there is no GPU that torch can use", "device")
    try:
        return torch.device(name)
    except (RuntimeError, TypeError) as failure:
        raise ConfigError(str(failure).splitlines()[0], "device") from None


def _dataset(vae: LatentModel, x: Any, test: Any, validation: Any) -> Dataset:
    """Return what is trained on, and what is looked at along the way."""
    grey = None
    if isinstance(x, Dataset):
        test = x.test.values if test is None else test
        if validation is None and x.validation is not None:
            validation = x.validation.values
        grey = x.grey
        x = x.train.values
    train = of_model(vae, x)
    others = {"test": test, "validation": validation}
    seen = {
        name: Split(of_model(vae, given, name))
        for name, given in others.items()
        if given is not None
    }
    for name, split in seen.items():
        if split.values.shape[1:] != train.shape[1:]:
            raise DataError(
                f"{name} holds observations of shape {tuple(split.values.shape[1:])}, and x of "
                f"{tuple(train.shape[1:])}"
            )
    return Dataset(
        "x",
        Split(train),
        seen.get("test", Split(train)),
        validation=seen.get("validation"),
        grey=grey,
    )


def _given(
    vae: LatentModel,
    dataset: Dataset,
    x: Any,
    test: Any,
    context: Any,
    contexts: Mapping[str, Any],
) -> Dataset:
    """Return the data with the context of each split that a conditional model takes."""
    for which in contexts:
        if which not in ("test", "validation"):
            raise ConfigError(
                f"unknown key{did_you_mean(which, ('test', 'validation'))}", "contexts"
            )
    if vae.condition is None and context is None and not contexts:
        return dataset
    own: dict[str, Any] = {"train": context}
    if isinstance(x, Dataset) and context is None and vae.condition and vae.condition.columns:
        own = {which: known_of(x, split) for which, split in x.splits.items()}
        if test is not None:
            del own["test"]
    elif test is None:
        own["test"] = context  # what is looked at along the way is x itself
    return with_contexts(vae, dataset, {**own, **contexts}, {"train": "x"})


def _refused(vae: LatentModel, objective: Any) -> tuple[str, str] | None:
    """Return the place and reason why a conditional model cannot be trained on an objective."""
    if vae.condition is None or not isinstance(vae, VAE):
        return None
    kind = objective if isinstance(objective, type) else type(objective)
    if isinstance(objective, Objective | type):
        asked: dict[str, Any] = {"name": OBJECTIVES.name_of(kind)}
    else:
        try:
            asked = configured(OBJECTIVES, objective)
        except ConfigError as error:
            raise error.at("objective") from None
    return condition_conflict(
        vae.condition,
        prior=PRIORS.name_of(type(vae.prior)),
        posterior=POSTERIORS.name_of(type(vae.posterior)),
        objective=asked,
    )


def _optimizer(given: Any) -> dict[str, Any]:
    """Return an optimiser's name and parameters, which make sense together."""
    try:
        part = configured(OPTIMIZERS, given)
        rehearse_optimizer(part)
    except ConfigError as error:
        raise error.at("optimizer") from None
    return part


def _program(
    vae: LatentModel, given: Any, settings: TrainingSettings, seed: int, *, binary: bool
) -> LossProgram:
    """Return the model with an objective that fits it, as a run of this seed begins."""
    if isinstance(given, Objective):
        _require_trainable(vae, given, type(given).__name__, settings)
        with seeded(seed):
            return LossProgram(vae, given, binary=binary)
    try:
        objective = configured(OBJECTIVES, given)
    except ConfigError as error:
        raise error.at("objective") from None
    conflict = objective_conflict(objective, **_facts(vae))
    if conflict:
        raise IncompatibleError(conflict, "objective")
    needs = OBJECTIVES[objective["name"]].requirements(objective)
    if "training.batch" in needs and settings.batch_size < 2:
        raise ConfigError(
            f"objective '{objective['name']}' compares data within a minibatch: it needs 2 or more",
            "batch_size",
        )
    with seeded(seed):
        try:
            made = OBJECTIVES.create(**objective)
        except ConfigError as error:
            raise error.at("objective") from None
        _require_trainable(vae, made, objective["name"], settings)
        return LossProgram(vae, made, binary=binary)


def _require_trainable(
    vae: LatentModel, objective: Objective, name: str, settings: TrainingSettings
) -> None:
    conflict = training_conflict(vae, objective, name, settings)
    if conflict:
        raise ConfigError(conflict[1], conflict[0].removeprefix("training."))


def _facts(vae: LatentModel) -> dict[str, dict[str, Any]]:
    """Return what is known of a model's parts; nothing of programs of the user's own."""
    if not isinstance(vae, VAE | LayeredVAE):
        return {}
    known: dict[str, Any] = {
        key: configured(registry, vae.configuration[key])
        for key, registry in (("prior", PRIORS), ("posterior", POSTERIORS),
                              ("likelihood", LIKELIHOODS))
        if key in vae.configuration
    }  # fmt: skip
    if isinstance(vae, LayeredVAE):
        return {**known, "layers": vae.layers.model_dump()}
    for key, registry in (("prior", PRIORS), ("posterior", POSTERIORS)):
        known.setdefault(key, {"name": registry.name_of(type(getattr(vae, key)))})
    return known


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C ask for an end, and the second interrupt; hand out the question."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set  # only the main thread may set handlers, and only it is interrupted
        return

    def ask(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _shown(steps: int, progress: bool) -> Iterator[Show]:
    """Show how far the training is: a bar where it can move, else ten lines, or nothing."""
    console = Console(quiet=not progress)
    if not (console.is_terminal or console.is_jupyter) or not progress:
        yield _lines(console, steps)
        return
    with Progress(
        TextColumn("training"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as bar:
        task = bar.add_task("training", total=steps, note="steps")
        yield lambda step, loss, active: bar.update(task, completed=step, note=_note(loss, active))


def _lines(console: Console, steps: int) -> Show:
    start, told = time.monotonic(), 0

    def show(step: int, loss: float, active: int | None) -> None:
        nonlocal told
        if step * 10 // steps > told:
            told = step * 10 // steps
            spent = time.monotonic() - start
            line = f"step {step}/{steps}: {_note(loss, active)}, {spent:.0f} s"
            console.print(line, soft_wrap=True, highlight=False, markup=False)

    return show


def _note(loss: float, active: int | None) -> str:
    return f"loss {loss:.1f}" + ("" if active is None else f", {active} active units")
