"""The claims: what each says, the study that tests it, and the judge."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace

import pandas as pd

from pyrovae.claims import judge
from pyrovae.claims.verdict import Verdict
from pyrovae.study.store.results import StudyResults


@dataclass(frozen=True)
class Test:
    """A study that tests a claim.

    Attributes
    ----------
    file
        In ``studies/claims`` or, with a slash, in ``studies``.
    study
        Its name: where its results are.
    """

    file: str
    study: str


@dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes
    ----------
    statement
        In a sentence.
    test
        The study that tests it.
    judge
        From its runs to the verdict; its docstring begins with what exactly is decided.
    pair
        The study that tests it under a given prior and posterior: ``test`` unless told otherwise,
        ``None`` for a claim that is not about priors and posteriors.
    pruning
        Whether it judges the pruned runs too, which have to be made before.
    retraining
        Whether it judges models that are trained at the pruned runs' sizes too.
    objective
        Of the runs that it is about; all of the study's if empty.
    """

    statement: str
    test: Test
    judge: Callable[[StudyResults], Verdict]
    pair: Test | None
    pruning: bool = False
    retraining: bool = False
    objective: str = ""

    @property
    def criterion(self) -> str:
        """What the judge decides, in a sentence."""
        told = inspect.getdoc(self.judge) or ""
        return " ".join(told.partition("\n\n")[0].split())

    def about(self, study: StudyResults) -> StudyResults:
        """Return the study with those runs only that the judge looks at."""
        if not self.objective or study.runs.empty:
            return study
        return select(study, study.runs["objective"] == self.objective)


def select(study: StudyResults, chosen: pd.Series) -> StudyResults:
    """Return the study with some of its runs only, of which the mask is true."""
    return replace(study, runs=study.runs[chosen].reset_index(drop=True))


_LATENT_DIM = Test("latent_dim.yaml", "claims-latent-dim")
_INACTIVE = Test("inactive_units.yaml", "claims-inactive-units")
_DISENTANGLEMENT = Test("disentanglement.yaml", "claims-disentanglement")
_NETWORKS = Test("networks.yaml", "claims-networks")
_GENERATION = Test("generation.yaml", "claims-generation")
_THEORY = Test("../phase_diagram.yaml", "phase_diagram")

#: By name, in the order of the paper; the last is no claim but known to be true.
CLAIMS: dict[str, Claim] = {
    "sparsity": Claim(
        "Sparsity appears as the latent space grows",
        _LATENT_DIM,
        judge.sparsity,
        _LATENT_DIM,
        objective="elbo",
    ),
    "inactive_units": Claim(
        "Inactive units carry nothing",
        _INACTIVE,
        judge.inactive_units,
        # Its own study mixes families; dense and convolutional networks of one pair are here.
        _NETWORKS,
        pruning=True,
    ),
    "variance_law": Claim(
        "The variance law holds on used and unused units",
        _LATENT_DIM,
        judge.variance_law,
        _LATENT_DIM,
        objective="elbo",
    ),
    "self_regularisation": Claim(
        "A VAE regularises itself: its train-test gap is smaller than an autoencoder's",
        _LATENT_DIM,
        judge.self_regularisation,
        _LATENT_DIM,
    ),
    "disentanglement": Claim(
        "Sparsity goes along with disentanglement",
        _DISENTANGLEMENT,
        judge.disentanglement,
        _DISENTANGLEMENT,
    ),
    "capacity": Claim(
        "Training large and pruning tunes the capacity",
        _LATENT_DIM,
        judge.capacity,
        _LATENT_DIM,
        pruning=True,
        retraining=True,
        objective="elbo",
    ),
    "networks": Claim(
        "Dense networks are sparser than convolutional ones",
        _NETWORKS,
        judge.networks,
        _NETWORKS,
    ),
    "generation": Claim(
        "Sparsity lowers the variability of random generation",
        _GENERATION,
        judge.generation,
        _GENERATION,
    ),
    "theory": Claim(
        "A linear VAE's unit collapses when its principal variance falls below β × σ²",
        _THEORY,
        judge.theory,
        None,
    ),
}
