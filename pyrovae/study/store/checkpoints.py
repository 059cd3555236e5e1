"""Snapshots of runs in mid-training, one file each: ``results/<study>/checkpoints/``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pyrovae.core import atomic
from pyrovae.training import Snapshot
from pyrovae.training.validation import Kept, Validated

if TYPE_CHECKING:
    import pandas as pd


#: In front of the name of what an optimiser remembers; before there were others than Adam its two
#: moments had names of their own.
_MOMENTS, _MOMENTS_BEFORE = "moments.", ("first", "second")


@dataclass(frozen=True)
class Checkpoint:
    """Where a run was left.

    Attributes
    ----------
    snapshot
        What its training goes on from.
    history
        Its records so far, as in ``history.parquet``.
    seconds
        Spent on it so far.
    """

    snapshot: Snapshot
    history: pd.DataFrame
    seconds: float


#: Parameters and buffers of the best record on validation data, by the first part of their names.
_BEST = ("best", "best_buffers")
#: Tensors of a checkpoint that are no moments, likewise.
_GROUPS = ("params", "buffers", *_BEST)


class Checkpoints:
    """The checkpoints of a study, by the runs' ids.

    Parameters
    ----------
    folder
        Made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, run_id: str) -> Path:
        """Return the file of a run, which need not exist."""
        return self._folder / f"{run_id}.safetensors"

    def save(self, run_id: str, checkpoint: Checkpoint) -> None:
        """Write a checkpoint in place of the run's last one."""
        snapshot = checkpoint.snapshot
        tensors = {"window": snapshot.window, "seen": snapshot.seen, "heeded": snapshot.heeded}
        groups = {"params": snapshot.params, "buffers": snapshot.buffers}
        groups |= {f"{_MOMENTS}{slot}": group for slot, group in snapshot.moments.items()}
        seen = snapshot.validated
        if seen.tensors is not None:
            groups |= dict(zip(_BEST, seen.tensors, strict=True))
        for kind, group in groups.items():
            tensors |= {f"{kind}/{name}": tensor for name, tensor in group.items()}
        tensors = {k: t.detach().cpu().contiguous().clone() for k, t in tensors.items()}
        metadata = {
            "step": str(snapshot.step),
            "seconds": repr(checkpoint.seconds),
            # Numbers in JSON are written so that reading gives the same ones.
            "history": json.dumps(checkpoint.history.to_dict("list")),
        }
        if seen.best is not None:
            metadata["validated"] = json.dumps(seen.best.content() | {"since": seen.since})
        metadata["sha256"] = _digest(tensors, metadata)
        atomic.write_bytes(self.path(run_id), save(tensors, metadata))

    def load(self, run_id: str) -> Checkpoint | None:
        """Return a run's checkpoint; ``None`` without one.

        A damaged file is renamed, with ``.damaged`` at its end, and counts as none.
        """
        path = self.path(run_id)
        if not path.exists():
            return None
        import pandas as pd

        try:
            with safe_open(path, framework="pt") as file:
                metadata = dict(file.metadata())
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if metadata.pop("sha256") != _digest(tensors, metadata):
                raise ValueError("checksum")
            groups: dict[str, dict[str, Tensor]] = {kind: {} for kind in _GROUPS}
            for name, tensor in tensors.items():
                kind, grouped, rest = name.partition("/")
                if grouped:
                    groups.setdefault(kind, {})[rest] = tensor
            moments = {
                kind.removeprefix(_MOMENTS): group
                for kind, group in groups.items()
                if kind.startswith(_MOMENTS) or kind in _MOMENTS_BEFORE
            }
            snapshot = Snapshot(
                int(metadata["step"]),
                groups["params"],
                moments,
                tensors["window"],
                groups["buffers"],
                validated=_validated(metadata, groups),
            )
            if "seen" in tensors:  # files of before there were plateaus have none
                snapshot = replace(snapshot, seen=tensors["seen"])
            if "heeded" in tensors:
                snapshot = replace(snapshot, heeded=tensors["heeded"])
            return Checkpoint(
                snapshot,
                pd.DataFrame(json.loads(metadata["history"])),
                float(metadata["seconds"]),
            )
        except (SafetensorError, ValueError, KeyError, TypeError):
            path.replace(path.with_name(f"{path.name}.damaged"))
            return None

    def remove(self, run_id: str) -> None:
        """Delete a run's checkpoint, if it has one."""
        self.path(run_id).unlink(missing_ok=True)


def _validated(metadata: dict[str, str], groups: dict[str, dict[str, Tensor]]) -> Validated:
    if "validated" not in metadata:
        return Validated()
    told = json.loads(metadata["validated"])
    params, buffers = (groups[kind] for kind in _BEST)
    return Validated(Kept.of(told), told["since"], (params, buffers) if params else None)


def _digest(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
