"""Scores of arrays in files."""

import json

import numpy as np
import pytest

from pyrovae.core.errors import ConfigError, UnknownNameError
from pyrovae.measures.disentanglement import METRICS, score_files

from .cases import make


@pytest.fixture
def files(tmp_path):
    codes, factors = make("perfect", levels=4)
    np.save(tmp_path / "codes.npy", codes)
    np.save(tmp_path / "factors.npy", factors)
    return tmp_path / "codes.npy", tmp_path / "factors.npy"


def test_one_row_per_number(files):
    frame = score_files(*files, ["mig", "dci"], seed=1)
    assert frame.metric.unique().tolist() == ["mig", "dci"]
    scores = frame[frame.quantity == "score"].set_index("metric").value
    assert scores["mig"] == pytest.approx(1)
    assert {"disentanglement", "completeness", "informativeness"} <= set(frame.quantity)
    assert json.loads(frame.estimator[0]) == {"n_points": 256, "n_bins": 20, "binning": "uniform"}
    assert frame.standard_error.isna().all()


def test_all_metrics_by_default_and_those_of_codes_alone_without_factors(files):
    assert set(score_files(*files).metric) == set(METRICS)
    assert set(score_files(files[0]).metric) == {
        "gaussian_total_correlation",
        "wasserstein_correlation",
        "average_mutual_information",
        "intrinsic_dimension",
    }


def test_a_score_does_not_depend_on_the_company_it_is_in(files):
    np.save(files[0], make("missing", levels=4).codes)  # where votes are a matter of chance
    alone = score_files(*files, ["factor_vae"], seed=5)
    among = score_files(*files, ["dci", "factor_vae"], seed=5)
    among = among[among.metric == "factor_vae"].reset_index(drop=True)
    assert alone.equals(among)
    assert not alone.equals(score_files(*files, ["factor_vae"], seed=6))


def test_standard_errors_on_request(files):
    frame = score_files(*files, ["jemmig"], n_resamples=5).set_index("quantity")
    assert frame.standard_error["score"] >= 0
    assert np.isnan(frame.standard_error["unnormalized"])


def test_metrics_that_need_factors_say_so(files):
    with pytest.raises(ConfigError, match="'mig' needs factors"):
        score_files(files[0], metrics=["mig"])
    with pytest.raises(UnknownNameError, match="did you mean 'mig'"):
        score_files(*files, ["migg"])


def refused(path, *others):
    with pytest.raises(ConfigError) as caught:
        score_files(path, *others)
    return str(caught.value)


def test_a_metric_that_refuses_the_points_is_named(files):
    np.save(files[1], np.arange(256)[:, None].repeat(2, axis=1))
    message = refused(files[0], files[1], ["mig", "beta_vae"])
    assert message.startswith(f"{files[1]}: factors: metric 'beta_vae': no two points share")
    message = refused(files[0], files[1], ["factor_vae"])
    assert "metric 'factor_vae': no two points" in message


def test_a_metric_named_twice_is_scored_once(files):
    assert len(score_files(*files, ["mig", "mig"])) == 1


def test_seeds_are_not_negative(files):
    with pytest.raises(ConfigError, match="seed: a seed is not negative, got -1"):
        score_files(*files, seed=-1)


def test_files_that_cannot_be_read_are_named(files, tmp_path):
    assert "nowhere.npy: not a readable .npy array: No such file" in refused("nowhere.npy")
    (tmp_path / "text.npy").write_text("1 2 3")
    message = refused(tmp_path / "text.npy")
    assert message.endswith("text.npy: not a readable .npy array: save numbers with numpy.save")
    (tmp_path / "empty.npy").write_bytes(b"")
    assert "empty.npy: not a readable" in refused(tmp_path / "empty.npy")
    np.savez(tmp_path / "many.npz", a=np.zeros(2))
    assert "many.npz: holds several arrays" in refused(tmp_path / "many.npz")
    assert "not a readable" in refused(tmp_path)
    np.save(tmp_path / "none.npy", np.zeros((0, 3)))
    assert "none.npy: codes: there are no points" in refused(tmp_path / "none.npy")


def test_pickled_objects_are_not_loaded(tmp_path):
    path = tmp_path / "objects.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "objects.npy: not a readable" in refused(path)


def test_arrays_that_make_no_sense_are_named(files, tmp_path):
    codes, factors = files
    np.save(tmp_path / "nan.npy", np.full((256, 2), np.nan))
    assert refused(tmp_path / "nan.npy", factors).startswith(f"{tmp_path / 'nan.npy'}: codes: NaN")
    np.save(tmp_path / "short.npy", np.zeros((9, 2), dtype=int))
    message = refused(codes, tmp_path / "short.npy")
    assert message == f"{tmp_path / 'short.npy'}: factors: 9 rows, but the codes have 256"
