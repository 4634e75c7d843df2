"""The report of a comparison (one self-contained HTML file, tables, figures) and the figure of a scaling search."""

from foray.report.comparison_report import require_no_foreign_report, write_report
from foray.report.search_figure import write_search_figure

__all__ = ["require_no_foreign_report", "write_report", "write_search_figure"]
