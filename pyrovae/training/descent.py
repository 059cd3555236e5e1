"""From gradients to parameters: clipping, an optimiser, and a learning rate for each group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pyrovae.training.optimizers import OPTIMIZERS, Adam, Moments, Optimizer, Tensors
from pyrovae.training.settings import TrainingSettings

if TYPE_CHECKING:
    from pyrovae.training.step import LossProgram

#: Groups of parameters, as :meth:`LossProgram.group` names them.
GROUPS = ("guide", "model", "objective")
#: Added to a norm that gradients are divided by, as :func:`torch.nn.utils.clip_grad_norm_` has it.
_LEAST_NORM = 1e-6


@dataclass(frozen=True)
class Descent:
    """How gradients move the parameters of a program.

    Attributes
    ----------
    optimizer
        Of all groups for which the objective has none of its own.
    clip_value
        Each element of their gradients is kept within ± this, first.
    clip_norm
        Then their gradients are scaled so that the norm of all together is at most this.
    rates
        Factors on the learning rates of groups; 1 for those that are left out.
    in_place
        Whether parameters and moments may be written to: of one model on a CPU.
    """

    optimizer: Optimizer = field(default_factory=Adam)
    clip_value: float | None = None
    clip_norm: float | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    in_place: bool = False

    @classmethod
    def of(cls, settings: TrainingSettings, *, in_place: bool = False) -> Descent:
        """Return what a run's settings ask for."""
        return cls(
            OPTIMIZERS.create(**settings.optimizer),
            settings.clip_value,
            settings.clip_norm,
            settings.rates.model_dump(),
            in_place,
        )

    def start(self, program: LossProgram, params: Tensors) -> Moments:
        """Return what is remembered before the first step, by slot and parameter."""
        moments: Moments = {}
        for _, names, optimizer in self._groups(program, params):
            for slot, tensors in optimizer.start({name: params[name] for name in names}).items():
                moments.setdefault(slot, {}).update(tensors)
        return moments

    def update(
        self,
        program: LossProgram,
        params: Tensors,
        grads: Tensors,
        moments: Moments,
        count: Tensor,
        lr: Tensor,
        hyper: Mapping[str, Tensor],
    ) -> tuple[Tensors, Moments]:
        """Return parameters and moments after a step.

        Parameters
        ----------
        program
            Whose objective may update some groups in its own way.
        params, grads
            By name.
        moments
            As :meth:`start` and earlier steps left them.
        count
            Number of this step, from 1.
        lr
            Learning rate of the run.
        hyper
            Has ``guide.count``, ``guide.on``, ``guide.lr`` and so on where the objective says so.
        """
        own = program.objective.groups(0)
        groups = list(self._groups(program, params))
        ours = [n for _, names, optimizer in groups if optimizer is self.optimizer for n in names]
        grads = grads | self._clipped({name: grads[name] for name in ours})
        new, after = dict(params), {slot: dict(tensors) for slot, tensors in moments.items()}
        for group, names, optimizer in groups:
            part = {name: params[name] for name in names}
            slopes = {name: grads[name] for name in names}
            before = _of(moments, names, optimizer.slots)
            rate = hyper.get(f"{group}.lr", lr) if group in own else lr
            factor = self.rates.get(group, 1.0)
            rate = rate if factor == 1 else factor * rate
            number = hyper[f"{group}.count"] if group in own else count
            # What an objective may leave as it was has to be there still.
            in_place = self.in_place and group not in own
            update = optimizer.update_in_place if in_place else optimizer.update
            moved, remembered = update(part, slopes, before, number, rate)
            if group in own:
                on = hyper[f"{group}.on"] > 0
                moved = _where(on, moved, part)
                remembered = {s: _where(on, t, before[s]) for s, t in remembered.items()}
            new |= moved
            for slot, tensors in remembered.items():
                after[slot] |= tensors
        return new, after

    def _groups(
        self, program: LossProgram, params: Tensors
    ) -> Iterator[tuple[str, list[str], Optimizer]]:
        """Yield each group that has parameters, their names, and what moves them."""
        own = program.objective.groups(0)
        for group in GROUPS:
            names = [name for name in params if program.group(name) == group]
            betas = own[group].betas if group in own else None
            if names:
                yield group, names, Adam(betas=list(betas)) if betas else self.optimizer

    def _clipped(self, grads: Tensors) -> Tensors:
        if self.clip_value is not None:
            bound = self.clip_value
            grads = {name: g.clamp(-bound, bound) for name, g in grads.items()}
        if self.clip_norm is not None and grads:
            norms = [torch.linalg.vector_norm(g) for g in grads.values()]
            norm = torch.linalg.vector_norm(torch.stack(norms))
            factor = (self.clip_norm / (norm + _LEAST_NORM)).clamp(max=1.0)
            grads = {name: g * factor for name, g in grads.items()}
        return grads


def _of(moments: Moments, names: Sequence[str], slots: Sequence[str]) -> Moments:
    return {slot: {name: moments[slot][name] for name in names} for slot in slots}


def _where(on: Tensor, new: Tensors, old: Tensors) -> Tensors:
    return {name: torch.where(on, new[name], old[name]) for name in new}
