"""Priors and posteriors under which claims are tested, and the studies that do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyrovae.claims.registry import Test
from pyrovae.core.errors import ConfigError, did_you_mean
from pyrovae.core.registry import Registry
from pyrovae.models.posteriors import POSTERIORS
from pyrovae.models.priors import PRIORS


@dataclass(frozen=True)
class Pair:
    """A prior and a posterior, by their names in the registries."""

    prior: str
    posterior: str

    @property
    def name(self) -> str:
        """Both names: that of a folder."""
        return f"{self.prior}-{self.posterior}"

    def study(self, test: Test, profile: str = "") -> str:
        """Return the name of the study that is a test under this pair.

        >>> Pair("laplace", "mean_field_normal").study(Test("x.yaml", "claims-x"), "quick")
        'claims-x-laplace-mean_field_normal-quick'

        Under the pair that the tests' files have it is the test itself.
        """
        own = "" if self == DEFAULT else f"-{self.name}"
        return f"{test.study}{own}{f'-{profile}' if profile else ''}"

    def overrides(self, test: Test) -> list[str]:
        """Return what makes the file of a test that study, in the words of ``--set``."""
        if self == DEFAULT:
            return []
        name = self.study(test)
        return [f"name={name}", f"prior={self.prior}", f"posterior={self.posterior}"]


#: Of the tests' files.
DEFAULT = Pair("standard_normal", "mean_field_normal")


def chosen_pairs(priors: str, posteriors: str) -> list[Pair]:
    """Return all pairs of priors and posteriors, each a list of names with commas between.

    An empty list stands for the default.

    Raises
    ------
    ConfigError
        For a name that is not registered, or is given twice.
    """
    first = _names(priors, PRIORS, "--priors") or [DEFAULT.prior]
    second = _names(posteriors, POSTERIORS, "--posteriors") or [DEFAULT.posterior]
    return [Pair(prior, posterior) for prior in first for posterior in second]


def pairs_run(results: Path, tests: Iterable[Test], profile: str) -> list[Pair]:
    """Return the pairs under which some test has been run, the default first."""
    known = {DEFAULT: None}
    end = f"-{profile}" if profile else ""
    for test in tests:
        for path in sorted(results.glob(f"{test.study}-*/study.json")):
            own = path.parent.name.removeprefix(f"{test.study}-")
            if not own.endswith(end):
                continue
            prior, _, posterior = own.removesuffix(end).partition("-")
            if prior in PRIORS and posterior in POSTERIORS:
                known[Pair(prior, posterior)] = None
    return list(known)


def _names(text: str, registry: Registry, option: str) -> Sequence[str]:
    names = [name.strip() for name in text.split(",")] if text else []
    for i, name in enumerate(names):
        if name not in registry:
            raise ConfigError(f"no '{name}'{did_you_mean(name, registry)}", option)
        if name in names[:i]:
            raise ConfigError(f"'{name}' is given twice", option)
    return names
