"""The report of a comparison (one self-contained HTML file, tables, figures) and the picture of a scaling search."""

from foray.report.search_figure import write_search_figure
from foray.report.write import require_no_foreign_report, write_report

__all__ = ["require_no_foreign_report", "write_report", "write_search_figure"]
