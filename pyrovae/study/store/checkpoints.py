"""Snapshots of runs in mid-training, one file each: ``results/<study>/checkpoints/``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
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


#: Tensors of a checkpoint, by the first part of their names.
_GROUPS = ("params", "first", "second", "buffers", "best", "best_buffers")


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
        tensors = {"window": snapshot.window}
        for kind, group in zip(
            ("params", "first", "second"), (snapshot.params, *snapshot.moments), strict=True
        ):
            tensors |= {f"{kind}/{name}": tensor for name, tensor in group.items()}
        tensors |= {f"buffers/{name}": tensor for name, tensor in snapshot.buffers.items()}
        seen = snapshot.validated
        for kind, kept in (("best", seen.params), ("best_buffers", seen.buffers)):
            tensors |= {f"{kind}/{name}": tensor for name, tensor in (kept or {}).items()}
        tensors = {k: t.detach().cpu().contiguous().clone() for k, t in tensors.items()}
        metadata = {
            "step": str(snapshot.step),
            "seconds": repr(checkpoint.seconds),
            # Numbers in JSON are written so that reading gives the same ones.
            "history": json.dumps(checkpoint.history.to_dict("list")),
        }
        if seen.best is not None:
            best = {"step": seen.best.step, "loss": seen.best.loss, "since": seen.since}
            metadata["validated"] = json.dumps(best)
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
                kind, _, rest = name.partition("/")
                if kind in groups:
                    groups[kind][rest] = tensor
            return Checkpoint(
                Snapshot(
                    int(metadata["step"]),
                    groups["params"],
                    (groups["first"], groups["second"]),
                    tensors["window"],
                    groups["buffers"],
                    validated=_validated(metadata, groups),
                ),
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
    best = Kept(int(told["step"]), float(told["loss"]))
    if not groups["best"]:
        return Validated(best, int(told["since"]))
    return Validated(best, int(told["since"]), groups["best"], groups["best_buffers"])


def _digest(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
