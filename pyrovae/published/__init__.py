"""Numbers that papers report, beside those of studies that follow their recipes."""

from __future__ import annotations

from pyrovae.published.compare import Compared, Ordered, compare
from pyrovae.published.tables import PublishedTable, published_tables

__all__ = ["Compared", "Ordered", "PublishedTable", "compare", "published_tables"]
