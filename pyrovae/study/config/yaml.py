"""Reading and writing YAML 1.2, safely: plain data only, duplicate keys refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pyrovae.core.errors import ConfigError, first_line


def parse(text: str, file: str = "") -> Any:
    """Return the plain data that YAML text stands for.

    Raises
    ------
    ConfigError
        With line and column, if the text is not YAML or gives a key twice.
    """
    try:
        return YAML(typ="safe", pure=True).load(text)
    except RecursionError:
        raise ConfigError("not valid YAML: it is nested too deep", "", file) from None
    except MarkedYAMLError as failure:
        mark = failure.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"not valid YAML: {failure.problem}", place, file) from None
    except YAMLError as failure:
        raise ConfigError(f"not valid YAML: {first_line(failure)}", "", file) from None
    except ValueError as failure:
        told = first_line(failure)
        if "integer string conversion" in told:  # Python's guard; its advice is for programmers
            told = "a number of thousands of digits"
        raise ConfigError(f"not valid YAML: {told}", "", file) from failure
    except Exception as failure:
        # What looks like a date or a tag and is none makes the constructors raise nearly anything.
        raise ConfigError(f"not valid YAML: {first_line(failure)}", "", file) from failure


def read(path: Path) -> Any:
    """Return the content of a YAML file.

    Raises
    ------
    ConfigError
        If the file cannot be read or parsed.
    """
    return parse(text(path), str(path))


def text(path: Path) -> str:
    """Return the text of a file.

    Raises
    ------
    ConfigError
        If the file cannot be read or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as failure:
        raise ConfigError(failure.strerror or str(failure), "", str(path)) from None
    except UnicodeDecodeError:
        raise ConfigError("not a text file in UTF-8", "", str(path)) from None


def dump(data: Any) -> str:
    """Return plain data as YAML text."""
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False
    stream = io.StringIO()
    writer.dump(data, stream)
    return stream.getvalue()
