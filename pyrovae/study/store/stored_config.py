"""Reading the configurations of many runs, which have most of their text in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from pyrovae.core.errors import ConfigError
from pyrovae.study.config import yaml

#: A part of a configuration as it is written: its key, and all lines that belong to it.
_PART = re.compile(r"[a-z_]+:(?: .*)?\n(?:[ -] ?.*\n)*")
#: What may reach from one part into another, or is none: anchors, aliases, directives, documents.
_ACROSS = re.compile(r"[&*%]|^---|^\.\.\.", re.MULTILINE)


def read(path: Path) -> Any:
    """Return the content of a run's ``config.yaml``; not to be changed, as runs share its parts.

    Parsing YAML takes ten milliseconds, which a study of thousands of runs cannot afford for each:
    each part is parsed once.

    Raises
    ------
    ConfigError
        If the file cannot be read or is not YAML.
    """
    text = yaml.text(path)
    parts = _PART.findall(text)
    if parts and "".join(parts) == text and not _ACROSS.search(text):
        with suppress(ConfigError):  # which is to name the file, and the line in it
            parsed = [_parsed(part) for part in parts]
            if all(isinstance(part, Mapping) for part in parsed):
                content = {key: value for part in parsed for key, value in part.items()}
                if len(content) == len(parts):
                    return content
    return yaml.parse(text, str(path))


@lru_cache(maxsize=4096)
def _parsed(part: str) -> Any:
    return yaml.parse(part)
