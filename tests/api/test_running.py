"""``pyrovae.run_study``: a study from a dict, in this process."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import pytest
import torch
from tiny_study import TINY
from torch.distributions import Distribution

import pyrovae
from pyrovae.core.errors import ConfigError
from pyrovae.models.priors import Prior, StandardNormal
from pyrovae.study.config import yaml

SMALL: dict[str, Any] = yaml.parse(TINY) | {"seeds": 1}


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> pyrovae.Study:
    results = tmp_path_factory.mktemp("inline")
    return pyrovae.run_study(copy.deepcopy(SMALL), results=results, progress=False)


def test_inline_gives_the_numbers_of_processes(inline: pyrovae.Study, tmp_path: Path):
    given = copy.deepcopy(SMALL)
    local = pyrovae.run_study(given, "local", workers=1, results=tmp_path, progress=False)
    assert given == SMALL
    assert inline.outcome is not None
    assert (inline.outcome.done, inline.outcome.failed, inline.outcome.left) == (2, {}, 0)
    assert inline.runs.equals(local.runs)
    for run in inline.runs["run"]:
        ours, theirs = inline.folder(run).parameters(), local.folder(run).parameters()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_finished_runs_are_kept_and_state_is_untouched(inline: pyrovae.Study):
    torch.set_num_threads(2)
    before, numpy, seen = torch.get_rng_state(), np.random.get_state()[1].copy(), []  # noqa: NPY002
    again = pyrovae.run_study(
        SMALL,
        overrides=["seeds=[3]", "grid.prior=[laplace]"],
        results=inline.store.root.parent,
        progress=seen.append,
    )
    assert again.outcome is not None
    assert (again.outcome.kept, again.outcome.done) == (0, 1)
    kinds = [event.kind for event in seen]
    assert (kinds[0], kinds[-1]) == ("started", "done")
    assert "progress" in kinds
    assert torch.equal(before, torch.get_rng_state())
    assert (numpy == np.random.get_state()[1]).all()  # noqa: NPY002
    assert torch.get_num_threads() == 2
    assert pyro.settings.get("validate_poutine")
    kept = pyrovae.run_study(SMALL, results=inline.store.root.parent, progress=False)
    assert kept.outcome is not None
    assert (kept.outcome.kept, kept.outcome.done) == (2, 0)


def test_ctrl_c_gives_back_what_is_done(tmp_path: Path):
    def interrupt_second(event: Any) -> None:
        if event.kind == "done":
            import os
            import signal

            os.kill(os.getpid(), signal.SIGINT)

    with pytest.warns(UserWarning, match="interrupted, 1 runs left"):
        study = pyrovae.run_study(
            SMALL, overrides=["training.steps=3000"], results=tmp_path, progress=interrupt_second
        )
    assert (len(study.runs), len(study.missing)) == (1, 1)


@pytest.mark.parametrize(
    ("change", "options", "told"),
    [
        ({"grid": {"prior": ["laplace", {"name": "lapace"}]}}, {}, r"^grid.prior\[1\].name: "),
        ({"grid": {"priors": ["laplace"]}}, {}, "^grid.priors: unknown key; did you mean 'prior'"),
        ({"seeds": 0}, {}, "^seeds: must be at least 1"),
        ({}, {"overrides": ["training.stps=1"]}, "--set training.stps"),
        ({}, {"profile": "quick"}, "^profiles: no profile 'quick'"),
        ({}, {"executor": "locl"}, "^executor: unknown executor 'locl'; did you mean 'local'"),
        ({}, {"workers": 0}, "^workers: must be at least 1"),
        ({}, {"device": "tpu"}, "^device: must be cpu or cuda"),
    ],
)
def test_errors_have_places(tmp_path: Path, change: Any, options: Any, told: str):
    with pytest.raises(ConfigError, match=told):
        pyrovae.run_study({**SMALL, **change}, results=tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_what_is_no_study(tmp_path: Path):
    with pytest.raises(ConfigError, match="study: must be a dict, a path or a name, got list"):
        pyrovae.run_study([1], results=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="nothing: No such file"):
        pyrovae.run_study("nothing", results=tmp_path)


def test_classes_stand_for_names_and_only_this_process_knows_some(tmp_path: Path):
    class Wide(Prior):
        """N(0, 9 I), known to this function alone."""

        def forward(self) -> Distribution:
            zero = torch.zeros(self.latent_dim)
            return pyro.distributions.Normal(zero, 3.0).to_event(1)

    given = copy.deepcopy(SMALL) | {"grid": {"prior": [StandardNormal, {"name": Wide}]}}
    study = pyrovae.run_study(given, results=tmp_path, progress=False)
    assert study.runs["prior"].iloc[0] == "standard_normal"
    assert "Wide" in study.runs["prior"].iloc[1]
    assert given["grid"]["prior"][0] is StandardNormal
    for executor in ("local", "ray"):
        with pytest.raises(ConfigError, match=r"^prior: 'Wide' is defined in a function, where no"):
            pyrovae.run_study(given, executor, results=tmp_path, progress=False)
    wrong = copy.deepcopy(SMALL) | {"grid": {"prior": [dict]}}
    with pytest.raises(ConfigError, match=r"^grid\.prior\[0\]: 'builtins:dict' is no prior"):
        pyrovae.run_study(wrong, results=tmp_path, progress=False)
