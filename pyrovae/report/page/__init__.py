"""A study as one HTML file that opens from disk: to read, sort, filter, print and pass on.

Nothing is fetched when it is opened: styles, script, pictures, numbers and the chart library
(Apache ECharts, ``vendor/``) are all inside, and a content security policy forbids the rest.
"""

from __future__ import annotations

from pyrovae.report.page.write import render_page, write_page

__all__ = ["render_page", "write_page"]
