"""What several commands take is one thing, with one meaning."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from pyrovae.commands.main import main


def _commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path}{name} ")
        else:
            yield path + name, command


COMMANDS = dict(_commands(main))
#: Commands that train what a study's file describes.
TRAIN = ("study run", "claims run", "capacity")


def _options(command: str) -> dict[str, click.Option]:
    return {p.opts[0]: p for p in COMMANDS[command].params if isinstance(p, click.Option)}


@pytest.mark.parametrize("command", TRAIN)
def test_what_trains_a_study_takes_the_same_options(command: str) -> None:
    shared = {"--set", "--quick", "--profile", "--workers", "--device", "--compile", "--results"}
    assert shared <= set(_options(command))


def test_an_option_means_the_same_everywhere() -> None:
    for option in ("--set", "--quick", "--profile", "--workers", "--device", "--results"):
        found = [_options(c)[option] for c in COMMANDS if option in _options(c)]
        assert len({(o.help, str(o.type), o.default, o.multiple) for o in found}) == 1, option


@pytest.mark.parametrize("command", [*TRAIN, "study plan", "claims report"])
def test_quick_and_a_profile_exclude_each_other(command: str) -> None:
    file = [] if command.startswith("claims") else ["prior_comparison"]
    told = CliRunner().invoke(main, [*command.split(), *file, "--quick", "--profile", "short"])
    assert told.exit_code == 2
    assert told.output == "--quick and --profile exclude each other\n"
