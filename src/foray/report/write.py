"""Writes a comparison's report: the page, the tables, the figures."""

from __future__ import annotations

from pathlib import Path

from foray.errors import RunError
from foray.records import require_writable, write_bytes, write_text
from foray.report.canvas import render
from foray.report.comparison_folder import COMPARISON, read_folder
from foray.report.confusion import confusions
from foray.report.curves import learning_curves
from foray.report.figures import draw_figures
from foray.report.page import render_page
from foray.report.pairs import pairs
from foray.report.tables import csv_table, markdown_table
from foray.report.tradeoff import tradeoffs

_PAGE, _MARKDOWN, _CSV = "report.html", "table.md", "table.csv"


def write_report(folder: Path) -> Path:
    """Writes report.html, table.md, table.csv and figures/*.svg|png into a comparison's folder; returns the page.

    Everything is read from comparison.json, the runs' records and histories, and the pictures of mistakes. The same
    folder gives the same bytes. Raises RunError when one of the files is missing, damaged or of another version.
    """
    source = read_folder(folder)
    comparison = source.comparison
    costs = tradeoffs(comparison)
    curves = learning_curves(source.entrants)
    matrices = confusions(source.entrants, comparison.dataset.classes)
    compared = pairs(comparison)
    figures = draw_figures(costs, curves, matrices, compared, comparison.decision.tolerance)
    stills = {stem: render(figure, "svg") for stem, figure in figures.items()}
    page = render_page(source, costs, curves, matrices, compared, stills)

    _remove_figures(folder / "figures")
    for stem, figure in figures.items():
        write_bytes(folder / "figures" / f"{stem}.svg", stills[stem])
        write_bytes(folder / "figures" / f"{stem}.png", render(figure, "png"))
    write_text(folder / _MARKDOWN, markdown_table(comparison))
    write_text(folder / _CSV, csv_table(comparison))
    write_text(folder / _PAGE, page)
    return folder / _PAGE


def require_no_foreign_report(folder: Path) -> None:
    """Raises RunError where a report would overwrite files that are none of a comparison's, or cannot be written.

    foray writes comparison.json before any of them.
    """
    require_writable(folder)
    if (folder / COMPARISON).exists():
        return
    if there := [name for name in (_PAGE, _MARKDOWN, _CSV) if (folder / name).exists()]:
        raise RunError(
            f"{folder} holds {' and '.join(there)} but no {COMPARISON}: foray did not write that, and will not "
            "overwrite it. Move it elsewhere, or choose another folder as `out`."
        )


def _remove_figures(folder: Path) -> None:
    """Figures of an earlier comparison in the same folder would speak of models that are no longer in it."""
    for kind in ("accuracy_vs_*", "curves", "curves_*", "confusion_*", "paired"):
        for ending in ("svg", "png"):
            for path in folder.glob(f"{kind}.{ending}"):
                path.unlink(missing_ok=True)
