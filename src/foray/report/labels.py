"""Where the names of points go in a trade-off: beside their mark, clear of each other and of the error bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from foray.report.tradeoff import Point, Tradeoff

# In parts of the plot's width and height, for a figure 7 inches wide; a wider one has more room.
_LETTER_WIDTH, _LINE_HEIGHT, _GAP, _BAR = 0.0112, 0.05, 0.012, 0.008
_ROUNDS = 3


@dataclass(frozen=True)
class Placement:
    """On which side of its mark a label stands."""

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
    """A part of the plot, in parts of its width and height."""

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
    """The candidate's name, with a word where it is out."""
    return point.model if point.standing.is_in else f"{point.model} (out)"


def place_labels(tradeoff: Tradeoff) -> dict[str, Placement]:
    """The side for every point's label by model.

    One after the other, the pick first, each label takes the side where least is in its way; then each may think again
    now that the others stand.
    """
    bars = [bar for point in tradeoff.points for bar in _bars(point, tradeoff)]
    placed: dict[str, Placement] = {}
    labels: dict[str, Box] = {}
    order = sorted(tradeoff.points, key=lambda point: (point.standing.kind != "pick", -point.y.value))
    for point in order * _ROUNDS:
        others = [box for model, box in labels.items() if model != point.model]
        boxes = {placement: label_box(point, placement, tradeoff) for placement in _PLACEMENTS}
        placed[point.model] = min(boxes, key=lambda placement: _conflicts(boxes[placement], bars, others))
        labels[point.model] = boxes[placed[point.model]]
    return placed


def _conflicts(box: Box, bars: Sequence[Box], labels: Sequence[Box]) -> int:
    """How badly a label would stand there: a bar behind it is a nuisance, a label or the edge makes it illegible."""
    in_the_way = sum(box.meets(bar) for bar in bars) + 5 * sum(box.meets(label) for label in labels)
    return in_the_way + (0 if box.is_inside else 20)


def _bars(point: Point, tradeoff: Tradeoff) -> list[Box]:
    x, y = tradeoff.across(point.x), tradeoff.up(point.y.value)
    bars = [Box(x - _BAR, x + _BAR, tradeoff.up(point.y.low), tradeoff.up(point.y.high))]
    if point.x_high is not None:
        bars.append(Box(x, tradeoff.across(point.x_high), y - _BAR, y + _BAR))
    return bars


def label_box(point: Point, placement: Placement, tradeoff: Tradeoff) -> Box:
    """The room a point's label takes on that side, estimated from its length."""
    x, y = tradeoff.across(point.x), tradeoff.up(point.y.value)
    width = _LETTER_WIDTH * len(label_of(point))
    left = x + _GAP if placement.horizontal == "right" else x - _GAP - width
    bottom = y + _GAP if placement.vertical == "top" else y - _GAP - _LINE_HEIGHT
    return Box(left, left + width, bottom, bottom + _LINE_HEIGHT)
