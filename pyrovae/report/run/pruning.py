"""What pruning did to a model as one object."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property

import pandas as pd

from pyrovae.models.contract import LatentModel
from pyrovae.report.look.notebook import as_html
from pyrovae.shrink.pruning.describe import describe
from pyrovae.shrink.pruning.prune_run import Pruned, PrunedModel, PrunedRun
from pyrovae.study.store.trained import load_trained


@dataclass(frozen=True, repr=False)
class PruningReport:
    """A model before and after pruning.

    Attributes
    ----------
    found
        What was removed, and what it cost.
    """

    found: Pruned

    @property
    def kept(self) -> list[int]:
        """The units that stayed; directions of the code, where it was turned."""
        return self.found.kept

    @property
    def removed(self) -> list[int]:
        """The units that went."""
        return self.found.removed

    @cached_property
    def model(self) -> LatentModel:
        """The smaller model."""
        if isinstance(self.found, PrunedModel):
            return self.found.model
        assert isinstance(self.found, PrunedRun)
        return load_trained(self.found.folder)[0]

    @property
    def scores(self) -> dict[str, float]:
        """ELBO in nats before and after, its change and the parts of it, and their errors.

        See :class:`pyrovae.shrink.pruning.compare.Comparison`.
        """
        return asdict(self.found.comparison)

    @cached_property
    def table(self) -> pd.DataFrame:
        """Before, after and change of ELBO (nats), units, parameters and operations a datum."""
        found, elbo = self.found, self.found.comparison
        units = len(found.kept) + len(found.removed), len(found.kept)
        rows = {
            "ELBO": (elbo.before, elbo.after, elbo.change),
            "latent units": (*units, units[1] - units[0]),
            "parameters": (*found.parameters, found.parameters[1] - found.parameters[0]),
            "FLOPs a datum": (*found.flops, found.flops[1] - found.flops[0]),
        }
        table = pd.DataFrame.from_dict(rows, "index", columns=["before", "after", "change"])
        table["standard_error"] = [elbo.change_se, *[float("nan")] * 3]
        return table

    def text(self) -> str:
        """Return what pruning did, in words."""
        return describe(self.found)

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html("pruning", self.table, self.text().splitlines())
