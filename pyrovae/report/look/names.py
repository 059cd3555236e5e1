"""Names that people read, and how they fit lines and file names."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from pyrovae.report.escapes import figure_text
from pyrovae.study.config.labels import assignments, phrase, title, value_text, words

__all__ = ["assignments", "listed", "phrase", "slug", "title", "value_text", "words", "wrapped"]


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence has them.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def wrapped(text: str, width: int) -> str:
    """Return a name for a figure: in lines of about ``width`` characters, no word broken.

    What Matplotlib would take for mathematics is shown as it stands.
    """
    # No line ends inside "p = 4".
    kept = text.replace(" = ", "\xa0=\xa0")
    filled = textwrap.fill(kept, width, break_long_words=False, break_on_hyphens=False)
    return figure_text(filled.replace("\xa0=\xa0", " = "))


def slug(text: str) -> str:
    """Return a name that is safe in a file name.

    >>> slug("Gaussian mixture (components = 5), mean-field normal")
    'gaussian-mixture-components-5-mean-field-normal'
    """
    plain = text.replace("β", "beta").replace("σ", "sigma")
    return re.sub(r"[^A-Za-z0-9.]+", "-", plain).strip("-.").lower()
