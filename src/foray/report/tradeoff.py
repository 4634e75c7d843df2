"""Accuracy against one cost: the points, the Pareto front and the bound, as both kinds of chart need them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log, log10

from foray.decision import pareto_front
from foray.records import COSTS, Comparison, CostKind, Estimate
from foray.report.status import Status, status_of


@dataclass(frozen=True)
class Point:
    """One candidate: `x` in the axis' unit, `x_high` its 95th percentile (latency only), `y` on the selection split."""

    model: str
    position: int  # in the comparison, which fixes colour and marker
    x: float
    x_high: float | None
    y: Estimate
    status: Status


@dataclass(frozen=True)
class Tradeoff:
    """`front`: points on the Pareto front among the candidates within budget, by rising cost.

    `missing`: candidates that cannot be plotted, because they were not trained or their cost was not measured.
    `limit`: the bound on this cost, in the axis' unit.
    """

    axis: CostKind
    points: tuple[Point, ...]
    front: tuple[Point, ...]
    missing: tuple[str, ...]
    limit: float | None

    @property
    def is_log(self) -> bool:
        """Costs that span more than a factor of five are drawn on a logarithmic axis."""
        values = [point.x for point in self.points]
        return bool(values) and min(values) > 0 and max(values) > 5 * min(values)

    @property
    def x_range(self) -> tuple[float, float]:
        """Lower and upper end of the cost axis: all points, with room at the right for the last point's label."""
        values = [point.x for point in self.points] + [point.x_high for point in self.points if point.x_high]
        if self.shown_limit is not None:
            values.append(self.shown_limit)
        return (min(values) / 1.3, max(values) * 1.5) if self.is_log else (0.0, max(values) * 1.15 or 1.0)

    @property
    def y_range(self) -> tuple[float, float]:
        """Lower and upper end of the accuracy axis, in [0, 1]: all intervals and a margin."""
        low, high = min(point.y.low for point in self.points), max(point.y.high for point in self.points)
        margin = max(0.12 * (high - low), 0.005)
        return low - margin, high + margin

    @property
    def shown_limit(self) -> float | None:
        """The bound, where it is at most twice the largest cost; a line further right would squeeze the points."""
        if self.limit is None or self.limit > 2 * max(point.x for point in self.points):
            return None
        return self.limit

    def across(self, x: float) -> float:
        """Position of a cost on its axis: 0 at the left end, 1 at the right."""
        low, high = self.x_range
        return log(x / low) / log(high / low) if self.is_log else (x - low) / (high - low)

    def up(self, accuracy: float) -> float:
        """Position of an accuracy on its axis: 0 at the bottom, 1 at the top."""
        low, high = self.y_range
        return (accuracy - low) / (high - low)

    @property
    def log_ticks(self) -> list[float]:
        """1, 2 and 5 times the powers of ten within a logarithmic axis."""
        low, high = self.x_range
        powers = range(floor(log10(low)), ceil(log10(high)) + 1)
        return [tick for power in powers for digit in (1, 2, 5) if low < (tick := digit * 10.0**power) < high]


def tradeoffs(comparison: Comparison) -> list[Tradeoff]:
    """One trade-off for every cost that was measured for at least one trained candidate, the preferred cost first."""
    prefer = comparison.decision.prefer
    axes = sorted(COSTS.values(), key=lambda axis: axis.key != prefer)
    return [view for axis in axes if (view := _tradeoff(comparison, axis)).points]


def _tradeoff(comparison: Comparison, axis: CostKind) -> Tradeoff:
    points, missing = [], []
    for position, candidate in enumerate(comparison.candidates):
        cost = candidate.cost.cost(axis.key)
        if cost is None or candidate.selection is None:
            missing.append(candidate.model)
            continue
        p95 = candidate.cost.latency_p95_ms if axis.key == "latency" else None
        points.append(
            Point(
                model=candidate.model,
                position=position,
                x=cost / axis.unit_size,
                x_high=p95,
                y=candidate.selection,
                status=status_of(candidate, comparison.decision),
            )
        )
    limit = comparison.budget.limit(axis.key)
    return Tradeoff(
        axis=axis,
        points=tuple(points),
        front=_front(points),
        missing=tuple(missing),
        limit=None if limit is None else limit / axis.unit_size,
    )


def _front(points: Sequence[Point]) -> tuple[Point, ...]:
    eligible = {point.model: point for point in points if point.status.is_in}
    front = pareto_front({model: (point.y.value, point.x) for model, point in eligible.items()})
    return tuple(sorted((eligible[model] for model in front), key=lambda point: point.x))
