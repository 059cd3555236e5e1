"""The claims: what each says, the study that tests it, and the judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pyrovae.claims import judge
from pyrovae.claims.verdict import Verdict
from pyrovae.study.store.results import StudyResults


@dataclass(frozen=True)
class Claim:
    """A claim of the paper.

    Attributes
    ----------
    statement
        In a sentence.
    file
        Study, a file in ``studies/claims`` or, with a slash, in ``studies``.
    study
        Its name: where its results are.
    judge
        From its runs to the verdict; the docstring says what exactly is decided.
    pruning
        Whether it judges the pruned runs too, which have to be made before.
    objective
        Of the runs that it is about; all of the study's if empty.
    """

    statement: str
    file: str
    study: str
    judge: Callable[[StudyResults], Verdict]
    pruning: bool = False
    objective: str = ""

    @property
    def criterion(self) -> str:
        """What the judge decides, in a sentence."""
        return " ".join((self.judge.__doc__ or "").split())

    def about(self, study: StudyResults) -> StudyResults:
        """Return the study with those runs only that the judge looks at."""
        if not self.objective or study.runs.empty:
            return study
        runs = study.runs[study.runs["objective"] == self.objective]
        return replace(study, runs=runs.reset_index(drop=True))


_LATENT_DIM = ("latent_dim.yaml", "claims-latent-dim")

#: By name, in the order of the paper; the last is no claim but known to be true.
CLAIMS: dict[str, Claim] = {
    "sparsity": Claim(
        "Sparsity appears as the latent space grows",
        *_LATENT_DIM,
        judge.sparsity,
        objective="elbo",
    ),
    "inactive_units": Claim(
        "Inactive units carry nothing",
        "inactive_units.yaml",
        "claims-inactive-units",
        judge.inactive_units,
        pruning=True,
    ),
    "variance_law": Claim(
        "The variance law holds on active and inactive units",
        *_LATENT_DIM,
        judge.variance_law,
        objective="elbo",
    ),
    "self_regularisation": Claim(
        "A VAE regularises itself: the train-test gap does not grow with the latent space as an "
        "autoencoder's does",
        *_LATENT_DIM,
        judge.self_regularisation,
    ),
    "disentanglement": Claim(
        "Sparsity goes along with disentanglement",
        "disentanglement.yaml",
        "claims-disentanglement",
        judge.disentanglement,
    ),
    "capacity": Claim(
        "Training large and pruning tunes the capacity",
        *_LATENT_DIM,
        judge.capacity,
        pruning=True,
        objective="elbo",
    ),
    "networks": Claim(
        "Dense networks are sparser than convolutional ones",
        "networks.yaml",
        "claims-networks",
        judge.networks,
    ),
    "generation": Claim(
        "Sparsity lowers the variability of random generation",
        *_LATENT_DIM,
        judge.generation,
        objective="elbo",
    ),
    "theory": Claim(
        "A linear VAE's unit collapses when its principal variance falls below β × σ²",
        "../phase_diagram.yaml",
        "phase_diagram",
        judge.theory,
    ),
}
