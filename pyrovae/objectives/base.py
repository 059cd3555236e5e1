"""An objective: what is maximised, as a function of a model trace and a guide trace.

Nothing here calls ``.item()``: an objective can be traced into a graph (see ``training.step``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from pyrovae.core.given import Data
from pyrovae.core.registry import Registry
from pyrovae.core.schedules import ends, is_schedule, unfinished
from pyrovae.datasets.base import Dataset
from pyrovae.models.contract import LatentModel
from pyrovae.models.sites import Terms

#: What an objective needs that takes distortion and rates by their means over data and draws: of
#: these, gradients are known for codes of labels too.
EXPECTATIONS = frozenset({"posterior.expectations"})


class Objective(nn.Module):
    """Base of the objectives; most implement :meth:`loss` alone.

    In formulas D is the distortion, -E_q log p(x|z), R the rate, KL(q(z|x) || p(z)), in nats for
    each datum. :meth:`forward` returns the scalar loss and the :class:`Terms` that it was made of.

    An objective is a module because some have parameters of their own (a discriminator), trained in
    the same step. The class attributes and :meth:`requirements` are facts that the compatibility
    matrix is computed from.
    """

    #: Codes drawn for each datum.
    samples = 1
    #: What the parts of a run must be, in words of :data:`pyrovae.study.plan.compatibility.NEEDS`.
    needs: ClassVar[frozenset[str]] = frozenset({"posterior.reparameterizable"})
    #: One that is a function of means of distortion and rates alone needs :data:`EXPECTATIONS`.
    #: How a user gets around :attr:`needs`, if there is a way.
    hint: ClassVar[str] = ""
    #: A column of the record along training that :meth:`groups` depends on; empty if on none.
    heeds = ""
    #: Whether the loss of one and the same model changes while it trains, other than by schedules:
    #: losses at different steps cannot be compared, and none of them is the best.
    moves = False
    #: Whether other things than data go through the encoder.
    encodes_others = False
    #: Observations of each item of a minibatch: 2 where it is of pairs.
    observations = 1
    #: Why the model may have no condition, in words after the objective's name; empty if it may.
    against_condition = ""
    #: Why no network may have batch normalisation, in words after the objective's name; empty if
    #: any may.
    against_batch_norm = ""

    @classmethod
    def requirements(cls, parameters: Mapping[str, Any]) -> frozenset[str]:
        """Return what the run must be for these user parameters; by default :attr:`needs`."""
        return cls.needs

    @classmethod
    def data_conflict(
        cls, parameters: Mapping[str, Any], dataset: Dataset, latent_dim: int
    ) -> str | None:
        """Return why these user parameters do not go with a data set, or ``None`` if they do.

        In words after the objective's name; ``latent_dim`` is that of the run.
        """
        return None

    @classmethod
    def schedules(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the schedules among these user parameters, or what they stand for, by name."""
        return {key: value for key, value in parameters.items() if is_schedule(value)}

    @classmethod
    def constant_from(cls, parameters: Mapping[str, Any]) -> float:
        """Return the step from which on nothing changes by plan: the end of :meth:`schedules`."""
        return max((ends(value) for value in cls.schedules(parameters).values()), default=0)

    @classmethod
    def cut_short(cls, parameters: Mapping[str, Any], steps: int) -> dict[str, str]:
        """Return a remark on each schedule that training of so many steps ends before.

        Keys are places: ``objective.beta``, or ``objective`` for a change that is no schedule.
        """
        schedules = cls.schedules(parameters)
        remarks = {f"objective.{key}": unfinished(value, steps) for key, value in schedules.items()}
        until = cls.constant_from(parameters)
        if not schedules and steps < until:
            remarks["objective"] = f"it changes until step {until:,.0f}, and training has {steps:,}"
        return {place: remark for place, remark in remarks.items() if remark}

    def prepare(self, vae: LatentModel) -> None:
        """Take what the objective needs of the model before training; most need nothing."""

    def trained_on(self, dataset: Dataset) -> Any:
        """Return what minibatches are taken from, after :meth:`prepare`: by default all that is.

        Parameters
        ----------
        dataset
            Of the run.
        """
        return dataset.trained_on

    @property
    def has_data_of_its_own(self) -> bool:
        """Whether :meth:`trained_on` depends on the objective."""
        return type(self).trained_on is not Objective.trained_on

    def hyperparameters(self, step: int) -> dict[str, float]:
        """Return the scalars that may change with the step; they enter the graph as inputs."""
        return {}

    def groups(self, step: int) -> dict[str, Update]:
        """Return how parameters are updated at a step, where not by the run's optimiser alone.

        Keys are ``guide`` (the parameters of q(z|x)), ``model`` (all others of the model) and
        ``objective`` (the objective's own). The keys must not change with the step.
        """
        return {}

    def heed(self, seen: Sequence[tuple[int, float]]) -> None:
        """Take in the steps of all records so far and their values of the column :attr:`heeds`.

        What follows is a function of these alone: a run goes on after an interruption as it would
        have without.
        """

    def forward(
        self, vae: LatentModel, x: Data, hyper: Mapping[str, Tensor], data_size: int
    ) -> tuple[Tensor, Terms]:
        """Run the programs on a minibatch; return the loss and the terms that it was made of.

        Parameters
        ----------
        vae
            Model and guide.
        x
            Observations ``(n, *event_shape)``, with their context where they have one.
        hyper
            :meth:`hyperparameters` as 0-d tensors.
        data_size
            Size N of the training set.
        """
        found = vae.training_terms(x, samples=self.samples, data_size=data_size)
        return self.loss(found, hyper), found

    def loss(self, terms: Terms, hyper: Mapping[str, Tensor]) -> Tensor:
        """Return the scalar to be minimised, in nats per datum."""
        raise NotImplementedError


@dataclass(frozen=True)
class Update:
    """How a group of parameters is updated at one step.

    Attributes
    ----------
    count
        Number of this update among the group's own, from 1: what an optimiser corrects its moments
        with.
    on
        Whether there is an update at this step.
    lr
        Learning rate, or ``None`` for the run's.
    betas
        Of an Adam that the group has of its own, whatever the run's optimiser is, and whose
        gradients are not clipped; ``None`` for the run's. The same at every step.
    """

    count: int
    on: bool = True
    lr: float | None = None
    betas: tuple[float, float] | None = None


OBJECTIVES: Registry = Registry(
    "objective",
    Objective,
    groups={
        "The bound and its weights": ("elbo", "beta", "annealed", "autoencoder", "rae"),
        "A rate that is held": ("capacity", "joint_capacity", "free_bits", "delta", "geco"),
        "The scale of the noise": ("learned_sigma", "balanced"),
        "Data with a few labels": ("semi_supervised",),
        "Pairs that share factors": ("ada_gvae", "group_vae"),
        "Tighter bounds": ("iwae", "dreg", "miwae", "ciwae", "piwae", "vimco", "hamiltonian"),
        "Inference that keeps up": ("lagging", "latent_reconstruction"),
        "Independent units": ("beta_tc", "factor", "dip_i", "dip_ii"),
        "Codes of all data together": ("info", "wae_mmd", "wae_gan"),
    },
)
