"""Reading configurations part by part: the same as reading them whole."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrovae.core.errors import ConfigError
from pyrovae.study.config import yaml
from pyrovae.study.store import stored_config

_WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _WORDS
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=8,
)
_KEYS = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)


@given(st.dictionaries(_KEYS, _TREES, min_size=1, max_size=5))
def test_parts_are_read_as_the_whole_is(tmp_path_factory: pytest.TempPathFactory, content) -> None:
    path = tmp_path_factory.mktemp("run") / "config.yaml"
    path.write_text(yaml.dump(content), encoding="utf-8")
    assert stored_config.read(path) == yaml.read(path)


@pytest.mark.parametrize(
    "text",
    [
        "prior: &p {name: a}\nposterior: *p\n",
        "prior: |\n  two\n  lines\nseed: 1\n",
        "prior:\n- a\n- b: 1\nseed: 2\n",
        "prior: 'ends\n\n  here'\nseed: 2\n",
        "# said above\nprior: a\n",
        "prior: a\n\nseed: 2\n",
        "--- \nprior: a\n",
        "prior: a",
        "[prior, seed]\n",
        "",
    ],
)
def test_what_somebody_has_written_is_read_too(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert stored_config.read(path) == yaml.read(path)


@pytest.mark.parametrize(
    "text", ["prior: a\nprior: b\n", "prior: [a\nseed: 1\n", "a: {b: 1, b: 2}\n"]
)
def test_what_is_no_yaml_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as ours:
        stored_config.read(path)
    with pytest.raises(ConfigError) as whole:
        yaml.read(path)
    assert str(ours.value) == str(whole.value)
    assert "config.yaml" in str(ours.value)
