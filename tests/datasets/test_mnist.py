from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from pyrovae.core.errors import ConfigError, DataError
from pyrovae.datasets import load_dataset

HEADER = bytes.fromhex("00000803")


def write_images(path: Path, n: int, seed: int) -> np.ndarray:
    images = np.random.default_rng(seed).integers(0, 256, (n, 28, 28), np.uint8)
    sizes = b"".join(size.to_bytes(4, "big") for size in images.shape)
    path.parent.mkdir(exist_ok=True)
    content = HEADER + sizes + images.tobytes()
    path.write_bytes(gzip.compress(content, 0) if path.suffix == ".gz" else content)
    return images


def write_labels(path: Path, n: int) -> np.ndarray:
    labels = np.arange(n, dtype=np.uint8) * 7 % 10
    content = bytes.fromhex("00000801") + n.to_bytes(4, "big") + labels.tobytes()
    path.write_bytes(gzip.compress(content, 0) if path.suffix == ".gz" else content)
    return labels


@pytest.fixture
def test_images(user_data: Path) -> np.ndarray:
    return write_images(user_data / "mnist/t10k-images-idx3-ubyte.gz", 10_000, seed=0)


def rows(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


def test_canonical_split_is_the_two_files(user_data: Path, test_images: np.ndarray) -> None:
    train_images = write_images(user_data / "mnist/train-images-idx3-ubyte", 60_000, seed=1)
    data = load_dataset("mnist")
    assert data.event_shape == (1, 28, 28)
    assert torch.equal(data.train.values, torch.from_numpy(train_images)[:, None])
    assert torch.equal(data.test.values, torch.from_numpy(test_images)[:, None])


def test_split_divides_the_test_file(test_images: np.ndarray) -> None:
    data = load_dataset("mnist", split={"train": 8000, "test": 2000})
    train, test = (rows(split.values.numpy()) for split in (data.train, data.test))
    assert (len(train), len(test)) == (8000, 2000)
    assert train | test == rows(test_images)


def test_the_presence_of_other_files_changes_nothing(
    user_data: Path, test_images: np.ndarray
) -> None:
    split = {"train": 100, "test": 50}
    alone = load_dataset("mnist", split=split)
    train_images = write_images(user_data / "mnist/train-images-idx3-ubyte", 60_000, seed=1)
    assert load_dataset("mnist", split=split).fingerprint == alone.fingerprint
    other = load_dataset("mnist", split=split, split_of="train")
    assert rows(other.train.values.numpy()) <= rows(train_images)


def test_seed_chooses_the_split(test_images: np.ndarray) -> None:
    split = {"train": 100, "test": 50}
    first, second = (load_dataset("mnist", split=split, seed=seed) for seed in (0, 1))
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize(
    ("split", "complaint"),
    [
        ({"train": 8000, "test": 2001}, r"8000 \+ 2001 images .* the test file has 10000"),
        ({"train": 8000}, "both 'train' and 'test'"),
        ({"train": 8000, "test": 0}, "greater than 0"),
        ({"train": 8000, "validation": 10}, "'train' or 'test'"),
    ],
)
def test_impossible_splits_are_refused(split: dict[str, int], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        load_dataset("mnist", split=split)
    assert caught.value.place.startswith("split")


def test_a_file_of_another_length_is_refused(user_data: Path) -> None:
    write_images(user_data / "mnist/t10k-images-idx3-ubyte", 9_999, seed=0)
    with pytest.raises(DataError, match=r"its header says \(9999, 28, 28\)"):
        load_dataset("mnist", split={"train": 10, "test": 10})


def test_fashion_mnist_has_a_folder_of_its_own(user_data: Path) -> None:
    images = write_images(user_data / "fashion_mnist/t10k-images-idx3-ubyte", 10_000, seed=2)
    data = load_dataset("fashion_mnist", split={"train": 10, "test": 10})
    assert data.name == "fashion_mnist"
    assert rows(data.train.values.numpy()) < rows(images)


def test_real_mnist(real_data: Path) -> None:
    if not list(real_data.glob("mnist/t10k-images-idx3-ubyte*")):
        pytest.skip("needs MNIST's test images in PYROVAE_DATA")
    data = load_dataset("mnist", split={"train": 8000, "test": 2000})
    pixels = torch.cat([data.train.values, data.test.values]).double() / 255
    # Mean and standard deviation of the 10,000 test images, as published in many a training script.
    assert pixels.mean().item() == pytest.approx(0.1325, abs=1e-4)
    assert pixels.std().item() == pytest.approx(0.3105, abs=1e-4)


def test_labels_are_kept_where_their_file_is(user_data: Path, test_images: np.ndarray) -> None:
    split = {"train": 900, "test": 100}
    without = load_dataset("mnist", split=split)
    assert without.train.labels == {}
    labels = write_labels(user_data / "mnist/t10k-labels-idx1-ubyte.gz", 10_000)
    data = load_dataset("mnist", split=split, validation=90)
    digit_of = {image.tobytes(): label for image, label in zip(test_images, labels, strict=True)}
    for part in data.splits.values():
        assert part.factors is None
        assert part.labels["digit"].tolist() == [
            digit_of[image.tobytes()] for image in part.values[:].numpy()
        ]
    assert load_dataset("mnist", split=split).fingerprint == without.fingerprint
    scored = load_dataset("mnist", split=split, labels_as_factors=True)
    assert (scored.factor_names, scored.factor_sizes) == (("digit",), (10,))
    assert scored.test.factors is not None
    assert scored.test.factors[:, 0].tolist() == scored.test.labels["digit"].tolist()
    assert scored.fingerprint != without.fingerprint


def test_articles_have_names_and_impossible_labels_are_refused(user_data: Path) -> None:
    folder = user_data / "fashion_mnist"
    write_images(folder / "t10k-images-idx3-ubyte", 10_000, seed=0)
    labels = write_labels(folder / "t10k-labels-idx1-ubyte", 10_000)
    data = load_dataset("fashion_mnist", split={"train": 9000, "test": 1000})
    assert (data.train.labels["article"] == "ankle boot").sum() + (
        data.test.labels["article"] == "ankle boot"
    ).sum() == (labels == 9).sum()
    path = folder / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + bytes([10]))
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte holds a label 10"):
        load_dataset("fashion_mnist", split={"train": 9000, "test": 1000})


def test_labels_are_fetched_with_downloaded_images_and_can_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def retrieve(url: str, checksum: str, fname: str, path: Path) -> str:
        asked.append(fname)
        if "labels" in fname:
            raise ConnectionError(url)
        write_images(path / fname, 10_000, seed=0)
        return str(path / fname)

    (tmp_path / "cache").mkdir()
    monkeypatch.setattr("pooch.retrieve", retrieve)
    data = load_dataset("mnist", split={"train": 900, "test": 100})
    assert data.train.labels == {}
    assert asked == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
