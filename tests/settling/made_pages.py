"""Label pages of small coloured pictures, and the rule of a verdict by counting every possibility."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from PIL import Image

from foray.settling import Asked, LabelPage, Pair, picture_of
from foray.statistics.loss import LossSpread

CLASSES = ("daisy", "dandelion", "rose", "tulip")
KINDS = ("losses", "gains", "neither", "skipped")
FIRST_WIDTH = 40  # of the picture of image 0, pixels; that of image i is i wider


def made_page(
    images: int = 6,
    classes: Sequence[str] = CLASSES,
    *,
    repeats: tuple[tuple[int, int], ...] = (),
    names: Sequence[str] = (),
    all_images: int = 300,
    early: bool = True,
    key: str = "a" * 64,
) -> LabelPage:
    """A page with one pair: of every image model "ours" says the first class and "theirs" the second."""
    asked = tuple(
        Asked(names[i] if names else f"new/{i}.png", picture(i), {"ours": 0, "theirs": min(1, len(classes) - 1)})
        for i in range(images)
    )
    pair = Pair("ours", "theirs", all_images, images, 0.025, tuple(range(images)))
    return LabelPage("Ours or theirs", tuple(classes), asked, repeats, (pair,), 0.01, early, key)


def picture(index: int) -> bytes:
    colour = (index * 37 % 256, index * 91 % 256, index * 53 % 256)
    return picture_of(Image.new("RGB", (FIRST_WIDTH + index, 30), colour))


def counted_status(pair: Pair, tolerance: float, counts: dict[str, int]) -> str:
    """The verdict after a prefix with these counts, from all final numbers and with exact binomials."""
    losses, gains, neither, skipped = (counts[kind] for kind in KINDS)
    every, error = pair.disagreements, pair.error
    of_worse = error if pair.worse_error is None else pair.worse_error
    possible = _possible(every, error, losses + skipped, gains, neither)
    if all(_distance(pair, error, tolerance, *final) > 1 for final in possible):
        return "not_worse"
    possible = _possible(every, of_worse, losses, gains + skipped, neither)
    return "worse" if all(_distance(pair, of_worse, tolerance, *final) < -1 for final in possible) else "unresolved"


def _possible(every: int, error: float, losses: int, gains: int, neither: int) -> list[tuple[int, int]]:
    """Final losses and gains whose probability of this prefix is at least 0.2 x error of the average over all."""
    labelled = losses + gains + neither
    least = Fraction(0.2 * error) * math.comb(every, labelled) / math.comb(labelled + 2, 2)
    return [
        (lost, gained)
        for lost in range(losses, every - gains - neither + 1)
        for gained in range(gains, every - lost - neither + 1)
        if math.comb(lost, losses) * math.comb(gained, gains) * math.comb(every - lost - gained, neither) >= least
    ]


def _distance(pair: Pair, error: float, tolerance: float, losses: int, gains: int) -> float:
    spread = LossSpread(n=pair.images, loss=(losses - gains) / pair.images, losses=losses, gains=gains)
    return spread.distance(tolerance, 1 - 0.8 * error)


def counted_verdict(pair: Pair, tolerance: float, kinds: Sequence[str]) -> str:
    """The first verdict that the labels reached; that of all labels where all disagreements are labelled."""
    counts = dict.fromkeys(KINDS, 0)
    reached = [counted_status(pair, tolerance, counts)]
    for kind in kinds:
        counts[kind] += 1
        reached.append(counted_status(pair, tolerance, counts))
    if len(kinds) == pair.disagreements:
        return reached[-1]
    return next((status for status in reached if status != "unresolved"), "unresolved")
