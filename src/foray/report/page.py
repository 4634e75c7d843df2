"""The page: one HTML file that holds everything it shows and asks the network for nothing."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from foray.records import CandidateResult, Comparison, Mistake
from foray.records.quantities import (
    format_about,
    format_bytes,
    format_confidence,
    format_count,
    format_ms,
    format_percent,
    format_points,
)
from foray.report import facts
from foray.report.charts import confusion_view, pairs_view, tradeoff_view
from foray.report.comparison_folder import ComparisonFolder
from foray.report.confusion import Confusion
from foray.report.curve_charts import curve_views
from foray.report.curves import LearningCurves
from foray.report.marks import COLOURS, DARK_COLOURS
from foray.report.pairs import VERDICTS, Pair
from foray.report.standing import format_split
from foray.report.tables import NOT_MEASURED, candidate_table, format_interval
from foray.report.tradeoff import Tradeoff
from foray.report.view import View

MAX_CLASS_ROWS = 100  # of a per-class table, lowest recall first


@dataclass(frozen=True)
class Picture:
    """A mistake with its picture as a data URI; None when the file is gone."""

    mistake: Mistake
    uri: str | None


def render_page(
    folder: ComparisonFolder,
    tradeoffs: Sequence[Tradeoff],
    curves: Sequence[LearningCurves],
    confusions: Sequence[Confusion],
    pairs: Sequence[Pair],
    stills: Mapping[str, bytes],
) -> str:
    """report.html. `stills`: SVG by file stem, shown in print and where scripts do not run."""
    comparison = folder.comparison
    views = {
        "tradeoff": [tradeoff_view(one) for one in tradeoffs],
        "curves": curve_views(curves),
        "pairs": [pairs_view(pairs, comparison.decision.tolerance)] if pairs else [],
        "confusion": [confusion_view(one) for one in confusions if one.fits_matrix],
    }
    template = _environment().get_template("report.html")
    return template.render(
        comparison=comparison,
        decision_facts=facts.decision_facts(comparison),
        headline=_headline(comparison),
        table=candidate_table(comparison),
        views=views,
        charts={name: [_chart(view) for view in of] for name, of in views.items()},
        stills={stem: _data_uri(svg) for stem, svg in stills.items()},
        pairs=pairs,
        verdicts=VERDICTS,
        exclusions=facts.exclusion_facts(comparison),
        confusions=confusions,
        max_class_rows=MAX_CLASS_ROWS,
        pictures={entrant.name: _pictures(folder, entrant.result.mistakes) for entrant in folder.entrants},
        recipe_facts=facts.recipe_facts(comparison.recipe),
        run_rows=facts.run_rows(folder.entrants),
        data_facts=facts.data_facts(comparison),
        machine_facts=facts.machine_facts(folder),
        notes=facts.notes(folder),
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
        "interval": format_interval,
        "split": format_split,
        "ratio": lambda value: NOT_MEASURED if value is None else f"{value:.3f}",
    }
    return environment


def _headline(comparison: Comparison) -> list[tuple[str, str, str]]:
    """The pick's numbers as (name, value, what it is)."""
    for candidate in comparison.candidates:
        if candidate.model == comparison.decision.pick:
            return _numbers(candidate)
    return []


def _numbers(candidate: CandidateResult) -> list[tuple[str, str, str]]:
    cost = candidate.cost
    numbers = []
    for name, estimate in (("selection accuracy", candidate.selection), ("test accuracy", candidate.test)):
        if estimate is not None:
            numbers.append((name, format_percent(estimate.value), f"{format_interval(estimate)}, n = {estimate.n:,}"))
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
    """What the page's script needs to draw a view."""
    return {"note": view.note, "panels": [dataclasses.asdict(panel) for panel in view.panels]}


def _pictures(folder: ComparisonFolder, mistakes: Sequence[Mistake]) -> list[Picture]:
    found = []
    for mistake in mistakes:
        content = folder.picture(mistake)
        found.append(Picture(mistake, None if content is None else _data_uri(content, "image/jpeg")))
    return found


def _data_uri(content: bytes, media_type: str = "image/svg+xml") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
