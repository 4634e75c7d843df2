"""Writes a comparison's report: the page, the tables, the figures.

The page is one HTML file that holds everything it shows and loads nothing from the network.
"""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from foray.decision import details, headline
from foray.errors import RunError
from foray.records import CandidateResult, Comparison, Mistake, require_writable, write_bytes, write_text
from foray.records.quantities import (
    format_about,
    format_bytes,
    format_confidence,
    format_count,
    format_interval,
    format_ms,
    format_percent,
    format_points,
)
from foray.records.split_names import format_split
from foray.report import provenance
from foray.report.candidate_table import NOT_MEASURED, candidate_table, csv_table, markdown_table
from foray.report.comparison_folder import COMPARISON, ComparisonFolder, read_folder
from foray.report.confusion import Confusion, confusion_view, confusions
from foray.report.drawing import COLOURS, DARK_COLOURS, View, render
from foray.report.figures import draw_figures
from foray.report.learning_curves import LearningCurves, curve_views, learning_curves
from foray.report.paired_comparisons import VERDICTS, PairedComparison, paired_comparisons, paired_view
from foray.report.settled_section import settled_section
from foray.report.tradeoff import Tradeoff, tradeoffs
from foray.report.tradeoff_chart import tradeoff_view

_PAGE, _MARKDOWN, _CSV = "report.html", "table.md", "table.csv"
_OPTION = re.compile(r"--[a-z][a-z-]*(?: \d+)?")


def write_report(folder: Path) -> Path:
    """Writes report.html, table.md, table.csv and figures/*.svg|png into a comparison's folder; returns the page.

    Everything is read from comparison.json, the runs' records and histories, and the images of mistakes. The same
    folder gives the same bytes. Raises RunError when one of the files is missing, damaged or of another version.
    """
    source = read_folder(folder)
    comparison = source.comparison
    costs = tradeoffs(comparison)
    curves = learning_curves(source.entrants)
    matrices = confusions(source.entrants, comparison.dataset.classes)
    compared = paired_comparisons(comparison)
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
    """Raises RunError where a report would overwrite files that foray did not write, or cannot be written.

    foray writes comparison.json before any of them.
    """
    require_writable(folder)
    if (folder / COMPARISON).exists():
        return
    if there := [name for name in (_PAGE, _MARKDOWN, _CSV) if (folder / name).exists()]:
        raise RunError(
            f"{folder} holds {' and '.join(there)} but no {COMPARISON}: foray did not write that and does not "
            "overwrite it. Move it elsewhere, or choose another folder with `out`."
        )


def _remove_figures(folder: Path) -> None:
    """Removes figures of an earlier comparison in the same folder, whose models may no longer be in it."""
    for kind in ("accuracy_vs_*", "curves", "curves_*", "confusion_*", "paired"):
        for ending in ("svg", "png"):
            for path in folder.glob(f"{kind}.{ending}"):
                path.unlink(missing_ok=True)


MAX_CLASS_ROWS = 100  # of a per-class table, lowest recall first


@dataclass(frozen=True)
class Picture:
    """A misclassified image with its picture as a data URI; None when the file is missing."""

    mistake: Mistake
    uri: str | None


def render_page(
    folder: ComparisonFolder,
    tradeoffs: Sequence[Tradeoff],
    curves: Sequence[LearningCurves],
    confusions: Sequence[Confusion],
    pairs: Sequence[PairedComparison],
    stills: Mapping[str, bytes],
) -> str:
    """report.html. `stills`: SVG by file stem, shown in print and where scripts do not run."""
    comparison = folder.comparison
    views = {
        "tradeoff": [tradeoff_view(one) for one in tradeoffs],
        "curves": curve_views(curves),
        "pairs": [paired_view(pairs, comparison.decision.tolerance)] if pairs else [],
        "confusion": [confusion_view(one) for one in confusions if one.fits_matrix],
    }
    template = _environment().get_template("report.html")
    settlement, before = folder.settlement, folder.before
    return template.render(
        comparison=comparison,
        decision_facts=provenance.decision_facts(comparison),
        headline=headline(comparison.decision),
        details=details(comparison.decision),
        settled=settled_section(settlement, before) if settlement and before else None,
        numbers=_numbers_of_pick(comparison),
        table=candidate_table(comparison),
        views=views,
        charts={name: [_chart(view) for view in of] for name, of in views.items()},
        stills={stem: _data_uri(svg) for stem, svg in stills.items()},
        pairs=pairs,
        verdicts=VERDICTS,
        exclusions=provenance.exclusion_facts(comparison),
        confusions=confusions,
        max_class_rows=MAX_CLASS_ROWS,
        pictures={entrant.name: _pictures(folder, entrant.result.mistakes) for entrant in folder.entrants},
        recipe_facts=provenance.recipe_facts(comparison.recipe),
        run_rows=provenance.run_rows(folder.entrants),
        data_facts=provenance.data_facts(comparison),
        machine_facts=provenance.machine_facts(folder),
        notes=provenance.notes(folder),
        colours=COLOURS,
        dark_colours=DARK_COLOURS,
        plotly=Markup(get_plotlyjs()),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("foray.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": lambda value: NOT_MEASURED if value is None else format_percent(value),
        "about": format_about,
        "confidence": format_confidence,
        "points": format_points,
        "interval": lambda estimate: format_interval(estimate, "–"),
        "split": format_split,
        "ratio": lambda value: NOT_MEASURED if value is None else f"{value:.3f}",
    }
    environment.filters["whole_options"] = whole_options
    return environment


def whole_options(text: str) -> Markup:
    """Escaped, and no line ends within an option such as `--seeds 3`: browsers break after each hyphen."""
    return Markup(_OPTION.sub(r'<span class="option">\g<0></span>', str(escape(text))))


def _numbers_of_pick(comparison: Comparison) -> list[tuple[str, str, str]]:
    """The pick's numbers as (name, value, explanation)."""
    for candidate in comparison.candidates:
        if candidate.model == comparison.decision.pick:
            return _numbers(candidate)
    return []


def _numbers(candidate: CandidateResult) -> list[tuple[str, str, str]]:
    cost = candidate.cost
    numbers = []
    for name, estimate in (("selection accuracy", candidate.selection), ("test accuracy", candidate.test)):
        if estimate is not None:
            numbers.append(
                (name, format_percent(estimate.value), f"{format_interval(estimate, '–')}, n = {estimate.n:,}")
            )
    if cost.latency_p50_ms is not None:
        numbers.append(
            (
                "latency",
                format_ms(cost.latency_p50_ms),
                f"p50, batch 1, {cost.device}{'' if cost.latency_is_steady else '; not steady'}",
            )
        )
    numbers.append(("parameters", format_count(cost.params), f"{cost.params:,}"))
    numbers.append(("MACs", format_count(cost.macs), f"per image at {cost.resolution} px"))
    if cost.memory_bytes is not None:
        numbers.append((cost.name_of("memory"), format_bytes(cost.memory_bytes), "one inference, batch 1"))
    return numbers


def _chart(view: View) -> dict[str, Any]:
    """A view as the page's script takes it."""
    return {"note": view.note, "panels": [dataclasses.asdict(panel) for panel in view.panels]}


def _pictures(folder: ComparisonFolder, mistakes: Sequence[Mistake]) -> list[Picture]:
    found = []
    for mistake in mistakes:
        content = folder.picture(mistake)
        found.append(Picture(mistake, None if content is None else _data_uri(content, "image/jpeg")))
    return found


def _data_uri(content: bytes, media_type: str = "image/svg+xml") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
