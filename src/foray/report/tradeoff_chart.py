"""The interactive chart of accuracy against one cost, and where the names of its points go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import Literal

from foray.records import Estimate
from foray.records.quantities import format_interval, format_percent
from foray.report.drawing import Json, Panel, View, file_stem, literal, point_style
from foray.report.tradeoff import Point, Tradeoff

# In fractions of the plot's width and height, for a figure 7 inches wide; a wider one has more room.
_LETTER_WIDTH, _LINE_HEIGHT, _GAP, _BAR = 0.0112, 0.05, 0.012, 0.008
_ROUNDS = 3


@dataclass(frozen=True)
class Placement:
    """On which side of its marker a label is put."""

    vertical: Literal["top", "bottom"]
    horizontal: Literal["left", "right"]


_PLACEMENTS = (
    Placement("top", "right"),
    Placement("bottom", "right"),
    Placement("top", "left"),
    Placement("bottom", "left"),
)


@dataclass(frozen=True)
class Box:
    """A rectangle in the plot, in fractions of its width and height."""

    left: float
    right: float
    bottom: float
    top: float

    def meets(self, other: Box) -> bool:
        """Whether the two overlap."""
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )

    @property
    def is_inside(self) -> bool:
        """Whether all of it lies in the plot."""
        return self.left >= 0 and self.right <= 1 and self.bottom >= 0 and self.top <= 1


def label_of(point: Point) -> str:
    """The candidate's name, marked where the candidate is excluded."""
    return point.model if point.status.is_in else f"{point.model} (excluded)"


def place_labels(tradeoff: Tradeoff) -> dict[str, Placement]:
    """The side for every point's label by model.

    Greedy, the pick first: each label takes the side with the fewest conflicts. Rounds let early labels move.
    """
    bars = [bar for point in tradeoff.points for bar in _bars(point, tradeoff)]
    placed: dict[str, Placement] = {}
    labels: dict[str, Box] = {}
    order = sorted(tradeoff.points, key=lambda point: (point.status.kind != "pick", -point.y.value))
    for point in order * _ROUNDS:
        others = [box for model, box in labels.items() if model != point.model]
        boxes = {placement: label_box(point, placement, tradeoff) for placement in _PLACEMENTS}
        placed[point.model] = min(boxes, key=lambda placement: _conflicts(boxes[placement], bars, others))
        labels[point.model] = boxes[placed[point.model]]
    return placed


def _conflicts(box: Box, bars: Sequence[Box], labels: Sequence[Box]) -> int:
    """Cost of a label at that place: 1 for each error bar behind it, 5 for each other label, 20 outside the plot."""
    in_the_way = sum(box.meets(bar) for bar in bars) + 5 * sum(box.meets(label) for label in labels)
    return in_the_way + (0 if box.is_inside else 20)


def _bars(point: Point, tradeoff: Tradeoff) -> list[Box]:
    x, y = tradeoff.across(point.x), tradeoff.up(point.y.value)
    bars = [Box(x - _BAR, x + _BAR, tradeoff.up(point.y.low), tradeoff.up(point.y.high))]
    if point.x_high is not None:
        bars.append(Box(x, tradeoff.across(point.x_high), y - _BAR, y + _BAR))
    return bars


def label_box(point: Point, placement: Placement, tradeoff: Tradeoff) -> Box:
    """The box of a point's label on that side, estimated from its length."""
    x, y = tradeoff.across(point.x), tradeoff.up(point.y.value)
    width = _LETTER_WIDTH * len(label_of(point))
    left = x + _GAP if placement.horizontal == "right" else x - _GAP - width
    bottom = y + _GAP if placement.vertical == "top" else y - _GAP - _LINE_HEIGHT
    return Box(left, left + width, bottom, bottom + _LINE_HEIGHT)


def tradeoff_view(tradeoff: Tradeoff) -> View:
    """Selection accuracy against one cost, with intervals, the Pareto front and the bound."""
    traces = [_front_trace(tradeoff)] if len(tradeoff.front) > 1 else []
    places = place_labels(tradeoff)
    traces += [_point_trace(point, places[point.model], tradeoff) for point in tradeoff.points]
    if tradeoff.shown_limit is not None:
        traces.append(_limit_trace(tradeoff, tradeoff.shown_limit))
    low, high = tradeoff.x_range
    x_axis: Json = {"title": {"text": tradeoff.axis.title}, "range": [low, high]}
    if tradeoff.is_log:
        title = f"{tradeoff.axis.title}, logarithmic"
        ticks = {"tickvals": tradeoff.log_ticks, "ticktext": [f"{tick:g}" for tick in tradeoff.log_ticks]}
        x_axis = {"title": {"text": title}, "type": "log", "range": [log10(low), log10(high)], **ticks}
    y_axis = {
        "title": {"text": "Selection accuracy"},
        "ticksuffix": " %",
        "range": [100 * end for end in tradeoff.y_range],
    }
    layout = {"height": 440, "showlegend": False, "hovermode": "closest", "xaxis": x_axis, "yaxis": y_axis}
    notes = []
    if tradeoff.missing:
        notes.append(f"Not shown, because accuracy or cost was not measured: {', '.join(tradeoff.missing)}.")
    if tradeoff.limit is not None and tradeoff.shown_limit is None:
        bound = tradeoff.axis.write(tradeoff.limit * tradeoff.axis.unit_size)
        notes.append(f"The bound of {bound} is beyond the right edge.")
    name = file_stem("accuracy_vs", tradeoff.axis.key)
    return View(tradeoff.axis.heading, [Panel([*traces], layout)], name, " ".join(notes))


def _front_trace(tradeoff: Tradeoff) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "Pareto front",
        "x": [point.x for point in tradeoff.front],
        "y": [100 * point.y.value for point in tradeoff.front],
        "line": {"shape": "hv", "color": "@muted", "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
    }


def _point_trace(point: Point, place: Placement, tradeoff: Tradeoff) -> Json:
    style = point_style(point.position)
    inside = point.status.is_in
    color = style.token if inside else "@muted"
    label = literal(label_of(point))
    trace: Json = {
        "type": "scatter",
        "mode": "markers+text",
        "name": label,
        "x": [point.x],
        "y": [100 * point.y.value],
        "error_y": _whiskers([point.y], color),
        "marker": {
            "color": color,
            "size": 12,
            "symbol": style.symbol if point.status.is_in else f"{style.symbol}-open",
        },
        "text": [f"<b>{label}</b>" if point.status.kind == "pick" else label],
        "textposition": f"{place.vertical} {place.horizontal}",
        "textfont": {"color": color},
        "cliponaxis": False,
        "hovertext": [_point_text(point, tradeoff)],
        "hoverinfo": "text",
    }
    if point.x_high is not None:
        trace["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": [point.x_high - point.x],
            "arrayminus": [0],
            "color": color,
            "thickness": 1,
            "width": 4,
        }
    return trace


def _whiskers(estimates: Sequence[Estimate], color: str) -> Json:
    return {
        "type": "data",
        "symmetric": False,
        "array": [100 * (one.high - one.value) for one in estimates],
        "arrayminus": [100 * (one.value - one.low) for one in estimates],
        "color": color,
        "thickness": 1.5,
        "width": 5,
    }


def _limit_trace(tradeoff: Tradeoff, limit: float) -> Json:
    low, high = (100 * end for end in tradeoff.y_range)
    bound = tradeoff.axis.write(limit * tradeoff.axis.unit_size)
    return {
        "type": "scatter",
        "mode": "lines+text",
        "showlegend": False,
        "x": [limit, limit],
        "y": [low, high],
        "line": {"color": "@bad", "width": 1.5, "dash": "dash"},
        "text": [f"bound {bound} ", ""],
        "textposition": "top left",
        "textfont": {"color": "@bad"},
        "hoverinfo": "skip",
    }


def _point_text(point: Point, tradeoff: Tradeoff) -> str:
    axis = tradeoff.axis
    p95 = f", p95 {axis.write(point.x_high * axis.unit_size)}" if point.x_high is not None else ""
    return (
        f"<b>{literal(point.model)}</b> ({literal(point.status.label)})<br>"
        f"{format_percent(point.y.value)} [{format_interval(point.y, '–')}], n = {point.y.n:,}<br>"
        f"{axis.label}: {axis.write(point.x * axis.unit_size)}{p95}"
    )
