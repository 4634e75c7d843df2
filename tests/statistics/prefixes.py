"""Labels so far, and the rule of settling by its definition: one possible outcome after the other, in whole numbers."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from foray.statistics import Labelled
from foray.statistics.loss import LossSpread


@st.composite
def prefixes(draw, most: int = 14, skipped: bool = False) -> Labelled:
    """Any labels so far, of at most so many disagreements."""
    disagreements = draw(st.integers(0, most))
    images = draw(st.integers(max(disagreements, 1), 800))
    left, counts = disagreements, []
    for _ in range(4 if skipped else 3):
        counts.append(draw(st.integers(0, left)))
        left -= counts[-1]
    return Labelled(images, disagreements, *counts)


def one_by_one(labelled: Labelled, error: float) -> list[tuple[int, int]]:
    """The possible final numbers by the formula of the paper."""
    d, k = labelled.disagreements, labelled.seen
    return [
        (losses, gains)
        for losses in range(d + 1)
        for gains in range(d + 1 - losses)
        if ways(labelled, losses, gains) * math.comb(k + 2, 2) >= error * math.comb(d, k)
    ]


def ways(labelled: Labelled, losses: int, gains: int) -> int:
    """In how many ways the labels so far can be drawn from those final numbers."""
    neither = labelled.disagreements - losses - gains
    return math.comb(losses, labelled.losses) * math.comb(gains, labelled.gains) * math.comb(neither, labelled.neither)


def verdict_of(losses: int, gains: int, images: int, tolerance: float, error: float) -> str:
    """The verdict of labelled images, by `paired_loss`'s own summary."""
    spread = LossSpread(images, (losses - gains) / images, losses, gains)
    distance = spread.distance(tolerance, 1 - error)
    return "not_worse" if distance > 1 else "worse" if distance < -1 else "unresolved"
