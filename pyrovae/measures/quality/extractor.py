"""Features of observations: a small network that learnt to tell what is known of the data.

It is trained once for a data set, by a seed of its own, and kept in the user's cache under the
data's fingerprint: all runs of all studies on the same data are compared by the same features.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from pyrovae.core import atomic
from pyrovae.core.alone import alone
from pyrovae.core.digest import short_digest
from pyrovae.core.errors import ConfigError
from pyrovae.core.given import observed
from pyrovae.core.seeded import seeded
from pyrovae.datasets import Dataset, Split
from pyrovae.datasets.base import as_float
from pyrovae.datasets.files import cache_dir
from pyrovae.datasets.labels import indices
from pyrovae.measures.quality.settings import ExtractorName

#: How a classifier is made: changing any of it makes another extractor.
_RECIPE: dict[str, Any] = {
    "version": 1,
    "channels": [32, 64],
    "features": 64,
    "points": 20_000,
    "steps": 600,
    "batch": 128,
    "lr": 1e-3,
    "seed": 0,
}
#: A label of more values is no class.
_MOST_CLASSES = 1000
#: Data that go through the network at a time.
_CHUNK = 500
#: Seconds that a process waits for another which trains the same classifier.
_PATIENCE = 3600.0


@dataclass(frozen=True)
class Extractor:
    """What makes features of observations, and what it is.

    Attributes
    ----------
    name
        As scores tell it.
    network
        ``(n, *event_shape)`` in [0, 1] to features ``(n, f)``, on the CPU.
    about
        What it was made of, for the record: of a classifier the labels that it tells, and with
        which accuracy it tells each of test data.
    """

    name: ExtractorName
    network: nn.Module
    about: dict[str, Any]

    def __call__(self, x: Tensor) -> Tensor:
        """Return the features of observations ``(n, *event_shape)``, on the CPU: ``(n, f)``."""
        device = x.device
        network = self.network.to(device)
        with torch.no_grad():
            found = torch.cat([network(part).cpu() for part in x.float().split(_CHUNK)])
        network.cpu()
        return found


class Classifier(nn.Module):
    """Two convolutions, or one dense layer of vectors, a layer of features, a softmax a label.

    Parameters
    ----------
    event_shape
        Of an observation.
    classes
        Number of values of each label.
    """

    def __init__(self, event_shape: tuple[int, ...], classes: tuple[int, ...]) -> None:
        super().__init__()
        width, (a, b) = _RECIPE["features"], _RECIPE["channels"]
        if len(event_shape) == 3:
            first = nn.Sequential(
                nn.Conv2d(event_shape[0], a, 3, stride=2, padding=1),
                nn.ReLU(),
                nn.Conv2d(a, b, 3, stride=2, padding=1),
                nn.ReLU(),
                nn.AdaptiveMaxPool2d(8) if min(event_shape[1:]) > 32 else nn.Identity(),
                nn.Flatten(),
            )
        else:
            dense = nn.Linear(prod(event_shape), 4 * width)
            first = nn.Sequential(nn.Flatten(), dense, nn.ReLU())
        with torch.no_grad():
            read = first(torch.zeros(1, *event_shape)).shape[1]
        self.body = nn.Sequential(first, nn.Linear(read, width), nn.ReLU())
        self.heads = nn.ModuleList(nn.Linear(width, k) for k in classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features."""
        found: Tensor = self.body(x)
        return found


def refusal(dataset: Dataset, name: ExtractorName) -> str | None:
    """Return why a data set has no such features, or ``None`` if it has."""
    if dataset.vocabulary:
        return f"compares pictures and numbers, and '{dataset.name}' holds text"
    if name == "classifier" and not _targets(dataset):
        return (
            f"trains a classifier on labels or factors, and data set '{dataset.name}' has none: "
            "extractor: pixels needs none"
        )
    return None


def extractor_for(dataset: Dataset, name: ExtractorName = "classifier") -> Extractor:
    """Return an extractor for a data set; a classifier is trained unless the cache has it.

    Parameters
    ----------
    dataset
        Its training data are what is learnt from. Factors are told where there are any, else
        labels of up to 1000 values.
    name
        Of the extractor.

    Raises
    ------
    ConfigError
        If nothing is known of the data that a classifier could tell.
    """
    reason = refusal(dataset, name)
    if reason:
        raise ConfigError(reason, "quality")
    if name == "pixels":
        return Extractor(name, nn.Flatten(), {"features": prod(dataset.event_shape)})
    targets = _targets(dataset)
    content = json.dumps([dataset.fingerprint, _RECIPE, sorted(targets)])
    digest = short_digest(content)
    if digest not in _KNOWN:
        path = _folder() / f"{digest}.safetensors"
        with alone(path.with_suffix(".lock"), _PATIENCE):
            stored = _read(path)
            if stored is None:
                stored = _trained(dataset, targets)
                _write(path, stored)
        _KNOWN[digest] = stored
    about = _KNOWN[digest]["about"]
    with seeded(_RECIPE["seed"]):  # weights are drawn, and then overwritten
        network = Classifier(dataset.event_shape, tuple(about["classes"].values()))
    network.load_state_dict(_KNOWN[digest]["state"])
    return Extractor(name, network.eval().requires_grad_(False), about)


#: Classifiers by digest that this process has trained or read.
_KNOWN: dict[str, dict[str, Any]] = {}


def _folder() -> Path:
    return cache_dir() / "extractors"


def _targets(dataset: Dataset) -> dict[str, tuple[np.ndarray, np.ndarray, int]]:
    """Return by name what can be told: indices of training and test data, and how many values."""
    train, test = dataset.train, dataset.test
    if train.factors is not None and test.factors is not None:
        columns = zip(
            dataset.factor_names, train.factors.T, test.factors.T, dataset.factor_sizes, strict=True
        )
        return {name: (a, b, size) for name, a, b, size in columns if size > 1}
    found = {}
    for name, column in train.labels.items():
        if column.dtype.kind == "f" or name not in test.labels:
            continue
        codes, (size,) = indices([np.concatenate([column, test.labels[name]])])
        if 1 < size <= _MOST_CLASSES:
            found[name] = codes[: len(column), 0], codes[len(column) :, 0], size
    return found


def _trained(
    dataset: Dataset, targets: dict[str, tuple[np.ndarray, np.ndarray, int]]
) -> dict[str, Any]:
    x = _values(dataset.train)
    classes = {name: size for name, (_, _, size) in targets.items()}
    told = [torch.from_numpy(a[: len(x)].astype(np.int64)) for a, _, _ in targets.values()]
    with seeded(_RECIPE["seed"]), torch.enable_grad():
        network = Classifier(dataset.event_shape, tuple(classes.values()))
        adam = torch.optim.Adam(network.parameters(), lr=_RECIPE["lr"])
        course = torch.optim.lr_scheduler.CosineAnnealingLR(adam, _RECIPE["steps"])
        for _ in range(_RECIPE["steps"]):
            rows = torch.randint(len(x), (min(_RECIPE["batch"], len(x)),))
            features = network(as_float(x[rows]))
            losses = [
                nn.functional.cross_entropy(head(features), known[rows])
                for head, known in zip(network.heads, told, strict=True)
            ]
            adam.zero_grad()
            torch.stack(losses).sum().backward()
            adam.step()
            course.step()
    x = _values(dataset.test)
    with torch.no_grad():
        features = torch.cat([network(as_float(part)) for part in x.split(_CHUNK)])
        accuracy = {
            name: float((head(features).argmax(1).numpy() == b[: len(x)]).mean())
            for head, (name, (_, b, _)) in zip(network.heads, targets.items(), strict=True)
        }
    about = {"classes": classes, "accuracy": accuracy, **_RECIPE}
    return {"state": network.state_dict(), "about": about}


def _values(split: Split) -> Tensor:
    return observed(split.take(slice(_RECIPE["points"])).values[:]).cpu()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        with safe_open(path, framework="pt") as stored:
            state = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            return {"state": state, "about": json.loads(stored.metadata()["about"])}
    except Exception:  # missing, or whatever a damaged file gives: it is made again
        return None


def _write(path: Path, content: dict[str, Any]) -> None:
    stored = save(content["state"], {"about": json.dumps(content["about"])})
    # If no cache can be written, the next process trains it again.
    with suppress(OSError):
        atomic.write_bytes(path, stored)
