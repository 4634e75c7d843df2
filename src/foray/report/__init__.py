"""The report of a comparison: one self-contained HTML file, tables in Markdown and CSV, figures."""

from foray.report.write import write_report

__all__ = ["write_report"]
