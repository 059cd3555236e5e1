"""Short hashes: of a run, a cell, a program, a table."""

from __future__ import annotations

import hashlib


def short_digest(content: str | bytes) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of ``content``, a text as UTF-8.

    64 bits: among a million runs two are equal with a probability of 3e-8.
    """
    content = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(content).hexdigest()[:16]
