from __future__ import annotations

import re
from urllib.parse import urlparse

import numpy as np
import pytest
import torch

from pyrovae.core.errors import ConfigError, DataError, UnknownNameError
from pyrovae.datasets import DATASETS, load_dataset
from pyrovae.datasets.sources import SOURCES

FROM_NOTHING = {
    "sprites": {"size": 16, "n_train": 30, "n_test": 20},
    "digits": {"n_train": 30, "n_test": 20},
    "grammar": {"n_train": 30, "n_test": 20},
    "linear_gaussian": {"n_train": 30, "n_test": 20},
}
FROM_FILES = sorted(name for name, source in SOURCES.items() if source.files)


def test_every_data_set_has_a_source_and_every_source_a_data_set() -> None:
    assert set(SOURCES) == set(DATASETS) - {"files", "text"}  # whose source the user knows
    assert set(FROM_NOTHING) == set(SOURCES) - set(FROM_FILES)


@pytest.mark.parametrize("name", SOURCES)
def test_sources_are_complete_and_checksums_well_formed(name: str) -> None:
    source = SOURCES[name]
    assert source.homepage.startswith("http")
    assert source.licence
    assert source.citation
    for file_name, (url, checksum) in source.files.items():
        assert urlparse(url).path.endswith("/" + file_name)
        assert checksum is None or re.fullmatch("md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", checksum), (
            file_name
        )


@pytest.mark.parametrize("name", FROM_NOTHING)
def test_a_data_set_is_determined_by_its_parameters(name: str) -> None:
    parameters = FROM_NOTHING[name]
    first, again = (load_dataset(name, **parameters, seed=3) for _ in range(2))
    other = load_dataset(name, **parameters, seed=4)
    assert (len(first.train), len(first.test)) == (30, 20)
    assert first.fingerprint == again.fingerprint
    assert not torch.equal(first.train.values, other.train.values)


@pytest.mark.parametrize("name", FROM_NOTHING)
def test_images_are_bytes_and_the_rest_float32(name: str) -> None:
    data = load_dataset(name, **FROM_NOTHING[name])
    expected = torch.uint8 if len(data.event_shape) == 3 else torch.float32
    assert {data.train.values.dtype, data.test.values.dtype} == {expected}
    assert data.train.floats().dtype == torch.float32


def test_factors_are_within_their_sizes() -> None:
    data = load_dataset("sprites", **FROM_NOTHING["sprites"])
    for split in (data.train, data.test):
        assert split.factors is not None
        assert split.factors.dtype == np.int64
        assert (split.factors >= 0).all()
        assert (split.factors < np.array(data.factor_sizes)).all()
    assert len(data.factor_names) == len(data.factor_sizes) == 5


@pytest.mark.parametrize("name", FROM_FILES)
def test_a_missing_file_is_one_sentence_that_says_what_to_do(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_internet(url: str, *args: object, **kwargs: object) -> str:
        raise ConnectionError(url)

    monkeypatch.setattr("pooch.retrieve", no_internet)
    with pytest.raises(DataError, match=f"^{name}: .*PYROVAE_DATA") as caught:
        load_dataset(name)
    message = str(caught.value)
    assert "\n" not in message
    assert any(
        file_name in message and url in message
        for file_name, (url, _) in SOURCES[name].files.items()
    )


def test_unknown_names_and_parameters_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'sprites'"):
        load_dataset("sprite")
    with pytest.raises(ConfigError, match="did you mean 'n_train'"):
        load_dataset("sprites", n_trian=3)
    with pytest.raises(ConfigError, match="greater than 0"):
        load_dataset("digits", n_train=0)
    with pytest.raises(ConfigError, match="greater than or equal to 0"):
        load_dataset("digits", seed=-1)
