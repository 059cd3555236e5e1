"""Programs as Pyro's examples have them run, or are refused in a sentence that says what to do."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from click.testing import CliRunner, Result

from pyrovae.commands.main import main
from pyrovae.core.errors import ConfigError
from pyrovae.models.by_path import build, resolve
from pyrovae.study.store.folders import find_run
from pyrovae.study.store.results import load_study
from pyrovae.study.store.trained import load_trained

HERE = Path(__file__).parent
STUDY = """
name: foreign
base:
  dataset: {name: digits, n_train: 200, n_test: 100, flatten: true}
  model: "foreign:flat_vae"
  objective: elbo
  latent_dim: 3
  training: {steps: 8, batch_size: 16, records: 2}
  evaluation: {points: 60, samples: 2, metrics: [], guide_draws: {points: 2, draws: 5}}
"""


@pytest.fixture(autouse=True)
def _own_models_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


def _study(folder: Path, command: str, *options: str) -> Result:
    (folder / "s.yaml").write_text(STUDY)
    chosen = ["--no-compile", "--executor", "inline"] if command == "run" else []
    return CliRunner().invoke(
        main,
        ["study", command, str(folder / "s.yaml"), "--results", str(folder), *chosen, *options],
    )


@pytest.mark.parametrize(
    ("name", "shape", "parts"),
    [
        ("flat_vae", (1, 4, 4), ["'obs'", "(1, 4, 4)", "(16,)", "dataset.flatten: true"]),
        ("takes_rows", (1, 4, 4), ["(1, 4, 4)", "RuntimeError", "dataset.flatten: true"]),
        ("conditional", (16,), ["observed: none", "'ys' stayed None", "x alone"]),
        ("labelled", (16,), ["its model also asks for 'ys'", "leave out", "labels"]),
        (
            "markov",
            (16,),
            ["'mini_batch_reversed', 'mini_batch_mask', 'mini_batch_seq_lengths'", "x alone"],
        ),
        ("markov_of_one_length", (16,), ["z_1: 3, z_2: 3", "obs_x_1, obs_x_2", "latent_dim is 3"]),
        ("sparse_gamma", (16,), ["'alpha_z'", "(2, 3) for 2 data", "(3, 3) for 3", "encoder"]),
        ("auto_normal", (16,), ["AutoNormal", "'latent' in plate 'data'", "encoder network"]),
        ("auto_diagonal", (16,), ["AutoDiagonalNormal", "'latent' in plate 'data'", "encoder"]),
        ("auto_called", (16,), ["AutoDelta", "'latent' in plate 'data'", "encoder network"]),
        ("first_come", (16,), ["runs on 2 data and fails on 3", "encoder network"]),
        ("no_data", (16,), ["its model takes no argument", "observations x"]),
    ],
)
def test_what_a_program_lacks_is_told(name: str, shape: tuple[int, ...], parts: list[str]) -> None:
    with pytest.raises(ConfigError) as told:
        build(resolve(f"foreign:{name}", {}), shape, 3, seed=0)
    message = str(told.value)
    assert message.startswith(f"model 'foreign:{name}' ")
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_pyros_vae_example_runs_on_flat_data(tmp_path: Path) -> None:
    done = _study(tmp_path, "run")
    assert done.exit_code == 0, done.output
    refused = _study(tmp_path, "plan", "--set", "dataset.flatten=false")
    assert refused.exit_code == 2
    assert "dataset.flatten: true" in refused.output
    assert len(refused.output.strip().splitlines()) == 1


def test_pyros_m2_example_learns_from_few_labels_in_a_study(tmp_path: Path) -> None:
    chosen = ("--set", "model={name: 'pyros:ss_vae_m2', labels: 10}")
    given = "objective={name: semi_supervised, labels: %s, known: 50}"
    done = _study(tmp_path, "run", *chosen, "--set", given % "digit")
    assert done.exit_code == 0, done.output
    (folder,) = (tmp_path / "foreign/runs").iterdir()
    units = pd.read_parquet(folder / "units.parquet")
    assert units["layer"].tolist() == ["z", "z", "y"]
    assert units["classes"].tolist() == [0, 0, 10]
    wrong = _study(tmp_path, "plan", *chosen, "--set", given % "shape")
    assert wrong.exit_code == 2
    assert "objective.labels: no label of data set 'digits' (labels: digit)" in wrong.output
    built_in = _study(tmp_path, "plan", "--set", given % "digit")
    assert "needs a label that training sums over" in built_in.output


@pytest.mark.parametrize(
    ("layer", "parts"),
    [
        ("counts", ["attribute", "encoder.2.calls", "make it a buffer"]),
        ("remembers", ["attribute", "encoder.2.last", "make it a buffer"]),
        ("clamps", ["writes the parameter", "encoder.2.weight", "parametrize"]),
        ("forgets", ["encoder.2.mean", "not persistent", "persistent=True"]),
        ("branches", ["encoder.2'", "reads a number out of a tensor"]),
        ("cumulative", ["encoder.2'", "give BatchNorm a momentum"]),
        ("noisy", ["'rrelu_with_noise", "seed cannot repeat"]),
    ],
)
def test_what_a_step_cannot_carry_is_refused_when_planning(
    layer: str, parts: list[str], tmp_path: Path
) -> None:
    model = ("--set", f"model={{name: 'foreign:with_layer', layer: {layer}}}")
    told = _study(tmp_path, "plan", *model)
    assert told.exit_code == 2, told.output
    assert len(told.output.strip().splitlines()) == 1
    for part in parts:
        assert part in told.output


def test_a_gamma_code_has_no_noise_that_a_seed_repeats(tmp_path: Path) -> None:
    told = _study(tmp_path, "plan", "--set", "model=foreign:gamma_codes")
    assert told.exit_code == 2, told.output
    assert "draws by '_standard_gamma'" in told.output


def test_a_norm_of_a_users_model_is_stored_with_it(tmp_path: Path) -> None:
    model = ("--set", "model={name: 'foreign:with_layer', layer: normed}")
    done = _study(tmp_path, "run", *model)
    assert done.exit_code == 0, done.output
    (run,) = load_study(tmp_path / "foreign").runs["run"]
    vae, _ = load_trained(find_run(tmp_path, run))
    norm = next(m for m in vae.modules() if isinstance(m, torch.nn.BatchNorm1d))
    assert int(norm.num_batches_tracked) == 8
    assert not norm.training
    assert not torch.equal(norm.running_mean, torch.zeros(16))
