"""The Pareto front of accuracy against cost."""

from __future__ import annotations

from collections.abc import Mapping


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of the (accuracy, cost) points that none dominates, cheapest first.

    A point dominates another when it is at least as accurate and at least as cheap, and better in one of the two;
    equal points do not dominate each other.
    """
    front: list[str] = []
    for name in sorted(points, key=lambda name: (points[name][1], -points[name][0], name)):
        if not front or points[name][0] > points[front[-1]][0] or points[name] == points[front[-1]]:
            front.append(name)
    return front
