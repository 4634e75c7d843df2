"""Paired comparisons on the selection split, which decides, and on test, which is a check; and their chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from foray.records import Comparison, PairedLoss
from foray.records.quantities import format_confidence, format_points
from foray.records.split_names import format_split
from foray.report.drawing import Json, Panel, View, file_stem, literal

VERDICTS: dict[str, str] = {"not_worse": "not worse", "worse": "worse", "unresolved": "unresolved"}


@dataclass(frozen=True)
class PairedComparison:
    """`candidate` against `reference`, on the split that decides and on test; None where they were not compared."""

    reference: str
    candidate: str
    selection: PairedLoss | None
    test: PairedLoss | None

    @property
    def label(self) -> str:
        """'candidate vs reference'."""
        return f"{self.candidate} vs {self.reference}"

    @property
    def sides(self) -> list[tuple[Literal["selection", "test"], PairedLoss]]:
        """The comparisons that were made, selection first."""
        sides: list[tuple[Literal["selection", "test"], PairedLoss]] = []
        if self.selection is not None:
            sides.append(("selection", self.selection))
        if self.test is not None:
            sides.append(("test", self.test))
        return sides


def paired_comparisons(comparison: Comparison) -> list[PairedComparison]:
    """Every pair that was compared on either split, in the order of the decision."""
    selection = {(loss.reference, loss.candidate): loss for loss in comparison.decision.pairs}
    test = {(loss.reference, loss.candidate): loss for loss in comparison.confirmation}
    return [PairedComparison(*key, selection.get(key), test.get(key)) for key in dict.fromkeys([*selection, *test])]


def paired_view(pairs: Sequence[PairedComparison], tolerance: float) -> View:
    """A forest plot of the paired losses, in points, with the tolerance."""
    styles: dict[str, Json] = {
        "selection": {"name": "decides", "offset": -0.13, "symbol": "circle", "color": "@c0"},
        "test": {"name": "test (check only)", "offset": 0.13, "symbol": "diamond-open", "color": "@c1"},
    }
    traces = []
    for side, style in styles.items():
        rows = [(row, loss) for row, pair in enumerate(pairs) for kind, loss in pair.sides if kind == side]
        if rows:
            traces.append(_loss_trace(rows, style))
    traces.append(_tolerance_trace(tolerance, len(pairs)))
    ticks = [f"{literal(pair.candidate)}<br>vs {literal(pair.reference)}" for pair in pairs]
    layout = {
        "height": 150 + 78 * len(pairs),
        "hovermode": "closest",
        "xaxis": {"title": {"text": "Accuracy the candidate loses (points)"}, "zeroline": True},
        "yaxis": {"tickvals": list(range(len(pairs))), "ticktext": ticks, "range": [len(pairs) - 0.5, -0.5]},
    }
    return View("all", [Panel(traces, layout)], file_stem("paired"))


def _loss_trace(rows: Sequence[tuple[int, PairedLoss]], style: Json) -> Json:
    losses, color = [loss for _, loss in rows], style["color"]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": style["name"],
        "x": [100 * loss.loss for loss in losses],
        "y": [row + style["offset"] for row, _ in rows],
        "marker": {
            "color": style["color"],
            "symbol": style["symbol"],
            "size": 11,
            "line": {"width": 2, "color": style["color"]},
        },
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [100 * (loss.upper - loss.loss) for loss in losses],
            "arrayminus": [100 * (loss.loss - loss.lower) for loss in losses],
            "color": color,
            "thickness": 2,
            "width": 6,
        },
        "hovertext": [_loss_text(loss) for loss in losses],
        "hoverinfo": "text",
    }


def _loss_text(loss: PairedLoss) -> str:
    return (
        f"<b>{literal(loss.candidate)} vs {literal(loss.reference)}</b>, {format_split(loss.split)}<br>"
        f"loses {format_points(loss.loss)} [{format_points(loss.lower)}, {format_points(loss.upper)}], "
        f"one-sided {format_confidence(loss.confidence)} bounds<br>"
        f"{VERDICTS[loss.status]}; n = {loss.n:,} images, {loss.seeds} seeds"
    )


def _tolerance_trace(tolerance: float, rows: int) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"tolerance {format_points(tolerance)}",
        "x": [100 * tolerance, 100 * tolerance],
        "y": [-0.5, rows - 0.5],
        "line": {"color": "@bad", "width": 1.5, "dash": "dash"},
        "hoverinfo": "skip",
    }
