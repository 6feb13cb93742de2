"""Pictures and pages: the report of a run, and what stays in the city. The only place that draws.

Importing it is cheap: matplotlib is an extra, and is imported when a figure is drawn.
"""

from __future__ import annotations

from evalkit.report.figures.before_after import before_after
from evalkit.report.figures.canvas import require_matplotlib
from evalkit.report.figures.forest import forest
from evalkit.report.figures.love_plot import love_plot
from evalkit.report.figures.panel_map import panel_map
from evalkit.report.figures.quality import quality
from evalkit.report.numbers import LANGUAGES
from evalkit.report.page import write_page, write_pages
from evalkit.report.panel_page import write_panel_page
from evalkit.report.site_page import site_page_name, write_site_page

__all__ = [
    "LANGUAGES",
    "before_after",
    "forest",
    "love_plot",
    "panel_map",
    "quality",
    "require_matplotlib",
    "site_page_name",
    "write_page",
    "write_pages",
    "write_panel_page",
    "write_site_page",
]
