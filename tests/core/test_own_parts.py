"""Parts of one's own: by dotted path in a study's file, registered again in a notebook."""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_study import TINY, tiny_plan
from tiny_study import run as run_tiny

from pyrovae.core import dotted
from pyrovae.core.errors import ConfigError
from pyrovae.core.registry import Registry
from pyrovae.models.priors import PRIORS
from pyrovae.study.store.results import load_study

PRIOR = """
import pyro.distributions as dist
import torch
from pyrovae.models.priors.base import Prior
from pyrovae.objectives import Elbo
from pyrovae.measures.disentanglement import MetricResult


class Cauchy(Prior):
    properties = Prior.properties | {"factorized"}

    def __init__(self, latent_dim: int, *, scale: float = 1.0) -> None:
        super().__init__(latent_dim)
        self.scale = scale

    def forward(self):
        return dist.Cauchy(torch.zeros(self.latent_dim), self.scale).to_event(1)


class Again(Elbo):
    pass


class Named(Cauchy):
    def __init__(self, latent_dim: int, *, name: str = "") -> None:
        super().__init__(latent_dim)


def spread(codes, factors, rng=None, *, power: float = 1.0):
    return MetricResult(float((codes.var(0) ** power).mean()))


number = 3
"""


@pytest.fixture
def my_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of the user's beside the study's file."""
    file = tmp_path / "my_parts.py"
    file.write_text(PRIOR)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield file
    sys.modules.pop("my_parts", None)


def _text(**parts: str) -> str:
    text = TINY.replace("[standard_normal, student_t]", f"[{parts.get('prior', 'laplace')}]")
    text = text.replace("seeds: 2", "seeds: 1").replace("steps: 60", "steps: 20")
    text = text.replace("metrics: [mig]", f"metrics: [{parts.get('metric', 'mig')}]")
    return text.replace("objective: elbo", f"objective: {parts.get('objective', 'elbo')}")


def test_a_study_names_them_by_path(my_parts: Path, tmp_path: Path) -> None:
    text = _text(
        prior='{name: "my_parts:Cauchy", scale: 2.0}',
        objective='"my_parts:Again"',
        metric='"my_parts:spread", {name: "my_parts:spread", power: 0.5}',
    )
    plan = tiny_plan(tmp_path, text=text)
    (planned,) = plan.runs
    assert planned.labels()["prior"] == "my_parts:Cauchy(scale=2.0)"
    outcome = run_tiny(plan, tmp_path / "results", workers=1)  # another process
    assert (outcome.done, outcome.failed) == (1, {})
    runs = load_study(tmp_path / "results" / "tiny").runs
    assert runs["my_parts:spread"].gt(0).all()
    # A mean standard deviation is at most the root of the mean variance.
    assert (runs["my_parts:spread[power=0.5]"] ** 2 <= runs["my_parts:spread"] + 1e-6).all()
    assert run_tiny(tiny_plan(tmp_path, text=text), tmp_path / "results").kept == 1


def test_the_source_is_part_of_the_identity(my_parts: Path, tmp_path: Path) -> None:
    text = _text(prior='"my_parts:Cauchy"')
    before = tiny_plan(tmp_path, text=text).runs[0]
    stored = before.config.prior
    assert stored is not None
    my_parts.write_text(PRIOR + "# a change\n")
    after = tiny_plan(tmp_path, text=text).runs[0]
    assert before.id != after.id
    with pytest.raises(ConfigError, match="has changed since this run was trained"):
        PRIORS.create(stored["name"], 2, **{k: v for k, v in stored.items() if k != "name"})


@pytest.mark.parametrize(
    ("prior", "told"),
    [
        ('"my_parts:Cauch"', "grid.prior.0.: module 'my_parts' has no 'Cauch'"),
        ('"my_part:Cauchy"', "grid.prior.0.: no module 'my_part'"),
        ('"my_parts:number"', "grid.prior.0.: .*cannot be called"),
        ('"my_parts:Again"', "grid.prior.0.: 'my_parts:Again' is no prior: it must be a subclass"),
        ('"my_parts:spread"', "grid.prior.0.: 'my_parts:spread' is no prior"),
        ('"my_parts:Named"', "has a parameter 'name': call it something else"),
        ('{name: "my_parts:Cauchy", scal: 2.0}', "prior.0..scal: .*did you mean 'scale'"),
        ('{name: "my_parts:Cauchy", scale: a}', "prior.0..scale: .*valid number"),
        ('":"', "must be 'package.module:function'"),
    ],
)
def test_a_wrong_path_is_told_with_its_place(
    my_parts: Path, tmp_path: Path, prior: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=told) as raised:
        tiny_plan(tmp_path, text=_text(prior=prior))
    assert "\n" not in str(raised.value)


def _made(module: str, name: str = "Mine", body: str = "pass") -> Any:
    """Execute a cell that defines a class."""
    namespace: dict[str, Any] = {"__name__": module}
    exec(f"class {name}:\n    {body}", namespace)
    return namespace[name]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("__main__", "Mine"), ("__main__", "Mine")),
        (("__main__", "Mine"), ("__main__", "Better")),
        (("my_parts", "Mine"), ("my_parts", "Mine")),  # a reloaded module
    ],
)
def test_a_cell_that_is_executed_again_replaces(old: tuple[str, str], new: tuple[str, str]) -> None:
    registry: Registry = Registry("prior")
    registry.register("mine", source="me")(_made(*old))
    for _ in range(2):  # each time, not the first only
        again = _made(*new)
        with pytest.warns(UserWarning, match="prior 'mine' is registered again") as told:
            registry.register("mine", source="me")(again)
        assert len(told) == 1
        assert registry["mine"] is again


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("one", "Mine"), ("other", "Mine")),
        (("one", "Mine"), ("one", "Other")),
        (("pyrovae.models.priors.factorized", "Laplace"), ("__main__", "Laplace")),
    ],
)
def test_two_packages_with_one_name_clash(old: tuple[str, str], new: tuple[str, str]) -> None:
    registry: Registry = Registry("prior")
    registry.register("mine", source="")(_made(*old))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="registered twice"):
            registry.register("mine", source="")(_made(*new))


def test_what_no_other_process_can_import_is_told(
    my_parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Local(PRIORS["laplace"]):  # type: ignore[misc]
        pass

    main = types.ModuleType("__main__")
    main.Mine = type("Mine", (PRIORS["laplace"],), {"__module__": "__main__"})
    monkeypatch.setitem(sys.modules, "__main__", main)
    local, mine = PRIORS.name_of(Local), PRIORS.name_of(main.Mine)
    assert PRIORS[local] is Local
    assert (mine, PRIORS[mine]) == ("__main__:Mine", main.Mine)
    for name, where in ((local, "in a function"), (mine, "in a notebook")):
        told = PRIORS.not_elsewhere(name)
        assert told is not None
        assert where in told
        assert "my_parts.py" in told
        assert "executor='inline'" in told
        assert "\n" not in told
    dotted.make_importable(tmp_path)
    for name in ("laplace", "my_parts:Cauchy", PRIORS.name_of(PRIORS["my_parts:Cauchy"])):
        assert PRIORS.not_elsewhere(name) is None
    registry: Registry = Registry("prior")
    registry.register("cauchy", source="me")(PRIORS["my_parts:Cauchy"])
    told = registry.not_elsewhere("cauchy")
    assert told is not None
    assert "name it 'my_parts:Cauchy'" in told


def test_a_class_of_a_notebook_is_known_by_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    one, same, other = (_made("__main__", body=f"x = {x}") for x in (1, 1, 2))
    assert dotted.source_of(one) == dotted.source_of(same) != dotted.source_of(other)
    doing = [_made("__main__", body=f"f = lambda self: {x}") for x in (1, 1, 2)]
    hashes = [dotted.source_of(each) for each in doing]
    assert hashes[0] == hashes[1] != hashes[2]
    with pytest.raises(ConfigError, match="must be written in Python"):
        dotted.source_of(len)
