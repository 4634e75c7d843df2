"""What labels of all flips of an exported file would decide, before there is any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from foray.statistics.flips import CERTIFICATE_ERROR
from foray.statistics.settling import Ints, SettlingRule


@dataclass(frozen=True)
class LabelReach:
    """Once all flips have a label the file passes where losses less gains are at most `pass_within`, and fails where
    they are at least `fail_from`, however many flips are right in neither. None: no labels bring that verdict.
    """

    pass_within: int | None
    fail_from: int | None


NO_REACH = LabelReach(None, None)


def reach_of_labels(images: int, flips: int, tolerance: float) -> LabelReach:
    """What labels of all flips decide.

    Args:
        images: all images, at least 1.
        flips: images on which the labels of the file and of float32 differ.
        tolerance: loss of accuracy that is allowed, in [0, 1].

    >>> reach_of_labels(images=1200, flips=24, tolerance=0.01)
    LabelReach(pass_within=2, fail_from=21)
    """
    rule = SettlingRule(images, flips, tolerance, CERTIFICATE_ERROR)

    def losses(net: int) -> Ints:
        return np.arange(max(net, 0), (flips + net) // 2 + 1)

    def passes(net: int) -> bool:
        return bool((losses(net) - net >= rule.not_worse_from[losses(net)]).all())

    def fails(net: int) -> bool:
        return bool((losses(net) - net < rule.worse_until[losses(net)]).all())

    # A file that passes with a loss passes with any smaller one, and the same way round for a failure.
    passing = _first(lambda net: not passes(net), -flips, flips + 1) - 1
    failing = _first(fails, -flips, flips + 1)
    return LabelReach(passing if passing >= -flips else None, failing if failing <= flips else None)


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The first number from `low` on at which `holds`, which then stays true; `high` where it does not before."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
