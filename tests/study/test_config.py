"""A study's file: what it expands to, and one clear error for everything that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from pyrovae.commands.main import main
from pyrovae.core.errors import ConfigError
from pyrovae.study.config.read import Study, load_study_file
from pyrovae.study.plan.planning import make_plan

GOOD = """
name: tiny
base:
  dataset: {name: digits, n_train: 200, n_test: 100}
  network: {name: mlp, hidden: [8]}
  prior: standard_normal
  posterior: mean_field_normal
  likelihood: bernoulli
  objective: elbo
  latent_dim: 4
  training: {steps: 5}
"""


def _load(tmp_path: Path, text: str, **options: object) -> Study:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    return load_study_file(file, **options)  # type: ignore[arg-type]


def test_grid_zip_exclude_and_seeds_expand_as_documented(tmp_path: Path) -> None:
    study = _load(
        tmp_path,
        GOOD
        + """
grid:
  prior: [standard_normal, laplace, {name: student_t, df: 3}]
  latent_dim: [2, 4]
zip:
  objective: [elbo, {name: beta, beta: 2}]
  training.lr: [0.001, 0.01]
exclude:
  - {prior: laplace, latent_dim: 2}
  - {prior: {name: student_t, df: 3}, seed: 1}
seeds: [0, 1]
""",
    )
    found = {
        (
            run.config.prior["name"],
            run.config.latent_dim,
            run.config.objective["name"],
            run.config.training.lr,
            run.config.seed,
        )
        for run in study.runs
    }
    expected = {
        (prior, dim, objective, lr, seed)
        for prior in ("standard_normal", "laplace", "student_t")
        for dim in (2, 4)
        for objective, lr in (("elbo", 0.001), ("beta", 0.01))
        for seed in (0, 1)
        if not (prior == "laplace" and dim == 2) and not (prior == "student_t" and seed == 1)
    }
    assert found == expected
    assert len(study.runs) == len(expected)


def test_defaults_are_filled_in(tmp_path: Path) -> None:
    config = _load(tmp_path, GOOD).runs[0].config
    mlp = {"name": "mlp", "hidden": [8], "decoder_hidden": None, "activation": "relu"}
    assert config.network == mlp
    assert config.training.batch_size == 128
    assert [metric["name"] for metric in config.evaluation.metrics] == ["mig", "dci", "factor_vae"]
    assert config.evaluation.metrics[0]["n_bins"] == 20


def test_grid_inside_a_component(tmp_path: Path) -> None:
    study = _load(
        tmp_path, GOOD.replace("elbo", "beta") + "\ngrid:\n  objective.beta: [1.0, 4.0]\n"
    )
    assert [run.config.objective["beta"] for run in study.runs] == [1.0, 4.0]


def test_profile_patches_and_renames(tmp_path: Path) -> None:
    text = GOOD + "\nprofiles:\n  quick:\n    base: {training: {steps: 2}, prior: laplace}\n"
    study = _load(tmp_path, text, profile="quick")
    assert study.name == "tiny-quick"
    assert study.runs[0].config.training.steps == 2
    assert study.runs[0].config.prior["name"] == "laplace"
    assert _load(tmp_path, text).runs[0].config.training.steps == 5


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("training.steps=7", ("training", "steps"), 7),
        ("base.latent_dim=9", ("latent_dim",), 9),
        ("prior.name=laplace", ("prior", "name"), "laplace"),
        ("prior={name: student_t, df: 9}", ("prior", "df"), 9.0),
        ("training.lr=1e-2", ("training", "lr"), 0.01),
        ("network.hidden=[3, 2]", ("network", "hidden"), [3, 2]),
    ],
)
def test_set_overrides(tmp_path: Path, override: str, path: tuple[str, ...], value: object) -> None:
    at = _load(tmp_path, GOOD, overrides=[override]).runs[0].config.model_dump()
    for key in path:
        at = at[key]
    assert at == value


def test_set_reaches_into_lists_and_dotted_grid_keys(tmp_path: Path) -> None:
    text = GOOD + "\ngrid:\n  prior: [laplace, student_t]\n  training.lr: [0.1, 0.2]\n"
    study = _load(
        tmp_path,
        text,
        overrides=["grid.prior[1].df=3", "grid.training.lr=[0.5]", "seeds=2", "name=other"],
    )
    assert study.name == "other"
    assert len(study.runs) == 4
    assert {run.config.training.lr for run in study.runs} == {0.5}
    assert study.runs[2].config.prior["df"] == 3.0


def test_identity_depends_on_what_a_run_is_and_on_nothing_else(tmp_path: Path) -> None:
    def ids(text: str) -> list[str]:
        return [run.id for run in make_plan(_load(tmp_path, text)).runs]

    base = ids(GOOD)[0]
    assert ids(GOOD.replace("prior: standard_normal", "prior: {name: standard_normal}"))[0] == base
    assert ids(GOOD + "  evaluation: {points: 50}\n")[0] == base
    assert ids(GOOD + "\nseeds: 3\n")[0] == base
    assert ids(GOOD + "\ngrid: {latent_dim: [4]}\n")[0] == base
    for change in ("latent_dim: 5", "training: {steps: 6}", "training: {steps: 5, lr: 0.1}"):
        key = change.split(":")[0]
        changed = "\n".join(
            f"  {change}" if line.strip().startswith(key) else line for line in GOOD.split("\n")
        )
        assert ids(changed)[0] != base
    assert ids(GOOD.replace("n_train: 200", "n_train: 201"))[0] != base


BAD = [
    ("name: [", "", "line 1, column 8: not valid YAML"),
    ("name: a\nname: b", "", "line 2, column 1: not valid YAML: found duplicate key"),
    ("- 1", "", "must be a mapping of keys to values, got list"),
    ("", "", "must be a mapping of keys to values, got nothing"),
    (GOOD.replace("name: tiny", ""), "", "name: is missing: a study needs a name"),
    (GOOD.replace("tiny", "../x"), "", "name: must be letters, digits"),
    (GOOD.replace("base:", "bases:"), "", "bases: unknown key; did you mean 'base'?"),
    (
        GOOD.replace("latent_dim", "latent_dims"),
        "",
        "base.latent_dims: unknown key; did you mean 'latent_dim'?",
    ),
    (
        GOOD.replace("prior: standard_normal", "prior: laplce"),
        "",
        "base.prior.name: unknown prior 'laplce'; did you mean 'laplace'?",
    ),
    (
        GOOD + "grid:\n  prior: [standard_normal, laplace, {name: laplce}]",
        "",
        "grid.prior[2].name: unknown prior 'laplce'; did you mean 'laplace'?",
    ),
    (
        GOOD + "grid:\n  prior: [{name: student_t, dof: 3}]",
        "",
        "grid.prior[0].dof: prior 'student_t' has no parameter 'dof'; did you mean 'df'?",
    ),
    (
        GOOD + "grid:\n  prior: [{name: student_t, df: 0}]",
        "",
        "grid.prior[0].df: prior 'student_t': Input should be greater than 0, got 0",
    ),
    (
        GOOD + "grid:\n  prior: [{name: gaussian_mixture, components: 0}]",
        "",
        "grid.prior[0].components: prior 'gaussian_mixture': Input should be greater than 0",
    ),
    (
        GOOD.replace("latent_dim: 4", "latent_dim: four"),
        "",
        "base.latent_dim: must be a whole number of at least 1, got str 'four'",
    ),
    (
        GOOD.replace("steps: 5", "steps: many"),
        "",
        "base.training.steps: Input should be a valid integer, got str 'many'",
    ),
    (
        GOOD.replace("steps: 5", "step: 5"),
        "",
        "base.training.step: unknown key; did you mean 'steps'?",
    ),
    (GOOD + "grid: {prior: []}", "", "grid.prior: is empty: nothing would be run"),
    (GOOD + "grid: {prior: laplace}", "", "grid.prior: must be a list, got str 'laplace'"),
    (GOOD + "grid: {pror: [laplace]}", "", "grid.pror: unknown key; did you mean 'prior'?"),
    (GOOD + "seeds: []", "", "seeds: is empty: nothing would be run"),
    (GOOD + "seeds: 0", "", "seeds: must be at least 1, got 0"),
    (GOOD + "seeds: [1, 2, 1]", "", "seeds[2]: seed 1 is given twice"),
    (
        GOOD + "grid:\n  prior: [laplace, standard_normal, {name: laplace}]",
        "",
        "grid.prior[2]: gives the same run twice, as does grid.prior[0]",
    ),
    (
        GOOD + "zip:\n  prior: [laplace, student_t]\n  latent_dim: [1, 2, 3]",
        "",
        "zip: lists must be of equal length, got prior: 2, latent_dim: 3",
    ),
    (
        GOOD + "grid: {latent_dim: [1]}\nzip: {latent_dim: [1]}",
        "",
        "zip.latent_dim: is in the grid as well",
    ),
    (GOOD + "exclude:\n  - {seed: 0}", "", "exclude: leaves out all 1 runs"),
    (
        GOOD + "exclude:\n  - {prior: laplce}",
        "",
        "exclude[0].prior.name: unknown prior 'laplce'; did you mean 'laplace'?",
    ),
    (GOOD.replace("  objective: elbo\n", ""), "", "base.objective: is missing: a run needs"),
    (GOOD, "--profile=fast", "profiles: no profile 'fast'"),
    (GOOD, "--set=training.steps", "--set training.steps: must have the form a.b=value"),
    (GOOD, "--set=training.steps=x", "--set training.steps: Input should be a valid integer"),
    (GOOD, "--set=bse.latent_dim=2", "--set bse.latent_dim: unknown key"),
    (
        GOOD + "grid: {latent_dim: [1, 2]}",
        "--set=grid.prior=[laplace, laplce]",
        "--set grid.prior[1].name: unknown prior 'laplce'; did you mean 'laplace'?",
    ),
    (
        GOOD + "grid: {latent_dim: [1, 2]}",
        "--set=grid.prior=[laplace, laplace]",
        "--set grid.prior[1]: gives the same run twice, as does --set grid.prior[0]",
    ),
    (
        GOOD,
        "--set=prior=laplce",
        "--set prior.name: unknown prior 'laplce'; did you mean 'laplace'?",
    ),
    (
        GOOD + "grid: {latent_dim: [1, 2]}",
        "--set=latent_dim=3",
        "--set latent_dim: grid.latent_dim decides this; set that instead",
    ),
    (
        GOOD + "profiles: {quick: {base: {training: {steps: -1}}}}",
        "--quick",
        "profiles.quick.base.training.steps: Input should be greater than 0, got int -1",
    ),
    (
        GOOD.replace("name: digits", "name: linear_gaussian").replace(
            "n_train: 200, n_test: 100", "dim: 6, rank: 2"
        ),
        "",
        "base.likelihood: likelihood 'bernoulli' is for values in [0, 1]",
    ),
    (
        GOOD.replace("{name: mlp, hidden: [8]}", "{name: conv, channels: [4, 4, 4, 4]}"),
        "",
        "base.network.channels: network 'conv': 4 halvings are too many for images of 8×8",
    ),
    (GOOD.replace("n_train: 200", "n_train: 20000"), "", "base.dataset"),
    # What no part of a study can mean.
    (GOOD.replace("n_test: 100", "3: 100"), "", "base.dataset: keys must be words, got 3"),
    (GOOD + "seeds: [18446744073709551616]", "", "seeds[0]: must be below 2^63 in size, got 1.84e"),
    (GOOD + "seeds: 1000000000000", "", "seeds: must be at most 1,000,000 seeds"),
    (
        GOOD.replace("latent_dim: 4", f"latent_dim: {10**30}"),
        "",
        "base.latent_dim: must be below 2^63 in size, got 1e+30: so many numbers would take 4e",
    ),
    (
        GOOD.replace("latent_dim: 4", f"latent_dim: {10**18}"),
        "",
        "base.latent_dim: 1e+18 is too large: so many numbers alone would take 4 EB of memory",
    ),
    (
        GOOD.replace("latent_dim: 4", f"latent_dim: {10**12}"),
        "",
        "base.latent_dim: training 2.6e+13 parameters on batches of 128 would take 928 TB of mem",
    ),
    (GOOD.replace("hidden: [8]", f"hidden: [{10**12}]"), "", "base.network.hidden: training 1.4"),
    (GOOD.replace("latent_dim: 4", "latent_dim: " + "9" * 5000), "", "not valid YAML: a number of"),
    (GOOD.replace("steps: 5", "steps: 5, lr: .nan"), "", "base.training.lr: must be a finite"),
    (GOOD.replace("latent_dim: 4", "latent_dim: 2020-01-01"), "", "base.latent_dim: must be a num"),
    (GOOD + "exclude: &a [{prior: *a}]", "", "exclude[0].prior[0].prior[0]"),
    (GOOD + "exclude: " + "[" * 600, "", "not valid YAML: it is nested too deep"),
    (GOOD + "\n\tx: 1", "", "line 13, column 1: not valid YAML"),
    (
        GOOD.replace("tiny", "x" * 300),
        "",
        "name: must be letters, digits, '.', '_' or '-'",
    ),
    (GOOD + "profiles: {'../x': {}}", "", "profiles.../x: must be letters, digits"),
    (
        GOOD + "exclude: [{prior.dff: 3}]",
        "",
        "exclude[0].prior.dff: unknown key; did you mean 'df'",
    ),
    (
        GOOD + "exclude: [{prior: {name: student_t, dff: 3}}]",
        "",
        "exclude[0].prior.dff: unknown key; did you mean 'df'?",
    ),
    (GOOD + "exclude: [{training.step: 3}]", "", "exclude[0].training.step: unknown key; did you"),
    (GOOD + "exclude: [{latent_dim: 5}]", "", "exclude[0]: matches no run"),
    (GOOD + "exclude: [{prior: {name: [1]}}]", "", "exclude[0].prior.name: unknown prior '[1]'"),
    (
        GOOD + f"grid: {{latent_dim: {list(range(1, 1001))}, training.lr: {list(range(1, 1003))}}}",
        "",
        "grid: gives 1e+06 runs",
    ),
    (GOOD, "--set=latent_dim=[", "--set latent_dim: not valid YAML"),
    (GOOD, "--set=profiles.quick.seeds=1", "--set profiles.quick.seeds: profiles are chosen by"),
]


@pytest.mark.parametrize(("text", "option", "expected"), BAD)
def test_bad_input_is_one_line_with_its_place(
    tmp_path: Path, text: str, option: str, expected: str
) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    arguments = ["study", "run", str(file), "--results", str(tmp_path / "results")]
    result = CliRunner().invoke(main, arguments + ([option] if option else []))
    assert result.exit_code == 2, result.output
    lines = result.stderr.strip().split("\n")
    assert len(lines) == 1
    assert lines[0].startswith(f"{file}: {expected}"), lines[0]
    assert not (tmp_path / "results").exists()


def test_what_a_profile_takes_away_need_not_be_excluded(tmp_path: Path) -> None:
    text = GOOD + "grid: {latent_dim: [2, 4]}\nexclude: [{latent_dim: 2}]\n"
    assert _load(tmp_path, text).remarks == ()
    study = _load(tmp_path, text, overrides=["grid.latent_dim=[4, 8]"])
    assert len(study.runs) == 2
    assert study.remarks == ("exclude[0]: matches no run, so that it leaves nothing out",)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file"):
        load_study_file(tmp_path / "none.yaml")


def test_impossible_pairs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyrovae.models.priors import PRIORS

    monkeypatch.setattr(PRIORS["laplace"], "space", "sphere")
    study = _load(tmp_path, GOOD + "grid:\n  prior: [standard_normal, laplace]\n")
    with pytest.raises(ConfigError, match="posterior 'mean_field_normal' lives on the whole real"):
        make_plan(study)
