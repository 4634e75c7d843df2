"""The loss of an exported file against float32 on images without labels, and by labels of those whose label flips.

Two looks share one error. The first needs no label: the loss is at most the rate of flips, whose upper bound is exact
(Clopper & Pearson 1934, Biometrika 26:404). The second is `settled_status` of the same images. Neither pays for the
other: where flips are all losses, which is where the first look errs as often as it may, the second passes nothing that
the first does not, because the score test asks for more images; where some flips are gains, the first look passes
seldom. The chance that either passes a file whose true loss is the tolerance was summed over all outcomes, for 299 to
5,000 images at one point: at most 5.0 %, reached where all flips are losses (tests/statistics/test_flips.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from scipy.special import betaincinv

from foray.statistics.labelled import Labelled
from foray.statistics.paired import Verdict
from foray.statistics.settled import settled_loss

CERTIFICATE_ERROR = 0.05  # of a wrong certificate, each way, both looks together


def flips_bound(flips: int, images: int, confidence: float = 1 - CERTIFICATE_ERROR) -> float:
    """One-sided upper bound of the rate of flips, in [0, 1]: no loss can be larger.

    Args:
        flips: images on which the labels of the two networks differ.
        images: all images, at least 1.
        confidence: of the bound, in (0, 1).

    >>> round(flips_bound(3, 1000), 4)
    0.0077
    """
    return float(betaincinv(flips + 1, images - flips, confidence)) if flips < images else 1.0


def flips_within(flips: int, images: int, tolerance: float, confidence: float = 1 - CERTIFICATE_ERROR) -> bool:
    """Whether two networks cannot differ in accuracy by the tolerance, because their labels differ so seldom.

    Args:
        flips: images on which the labels differ.
        images: all images, at least 1.
        tolerance: loss of accuracy that is allowed, in [0, 1].
        confidence: of the bound, in (0, 1).

    >>> flips_within(0, 298, 0.01), flips_within(0, 299, 0.01)
    (False, True)
    """
    return flips_bound(flips, images, confidence) < tolerance


def images_without_flips(tolerance: float) -> int | None:
    """The fewest images that pass where no label differs; None where no number of them does.

    >>> images_without_flips(0.01)
    299
    """
    if not 0 < tolerance < 1:
        return None
    fewest = max(math.ceil(math.log(CERTIFICATE_ERROR) / math.log1p(-tolerance)), 1)
    return fewest if flips_within(0, fewest, tolerance) else fewest + 1


@dataclass(frozen=True)
class FlipsLoss:
    """What a file loses against float32. Losses are in [-1, 1]; None: not known without labels.

    `lower` and `upper`: one-sided bounds, each at `confidence`: at 95 % at all numbers of labels together, and at 96 %
    once all flips have a label, because a fifth of the error is spent on looking after every label. `status`: not_worse
    when upper < tolerance, worse when lower > tolerance. `images_needed`: images in total that would decide with 80 %
    power; None where it is decided, where labels are missing, and where ten million would not.
    """

    status: Verdict
    upper: float
    loss: float | None = None
    lower: float | None = None
    images_needed: int | None = None
    confidence: float = 1 - CERTIFICATE_ERROR


def flips_loss(labelled: Labelled, tolerance: float) -> FlipsLoss:
    """The loss by both looks.

    Args:
        labelled: the file as the candidate, float32 as the reference; of the flips as many as were labelled so far.
        tolerance: loss of accuracy that is allowed, in [0, 1].

    >>> flips_loss(Labelled(images=299, disagreements=0, losses=0, gains=0, neither=0), tolerance=0.01).status
    'not_worse'
    """
    without = flips_bound(labelled.disagreements, labelled.images)
    passes = without < tolerance
    if labelled.seen == 0:
        return FlipsLoss("not_worse" if passes else "unresolved", without)
    found = settled_loss(labelled, tolerance, CERTIFICATE_ERROR)
    return FlipsLoss(
        "not_worse" if passes else found.status,
        min(found.upper, without),
        found.loss,
        found.lower,
        None if passes else found.needed.images,
        found.confidence if found.upper <= without else 1 - CERTIFICATE_ERROR,
    )


def deciding_labels(images: int, flips: int, tolerance: float) -> frozenset[Verdict]:
    """The verdicts, not_worse or worse, that labels of all flips can bring: none where the images are too few.

    Args:
        images: all images, at least 1.
        flips: images on which the labels differ.
        tolerance: loss of accuracy that is allowed, in [0, 1].

    >>> sorted(deciding_labels(100, 1, 0.01)), sorted(deciding_labels(1200, 24, 0.01))
    ([], ['not_worse', 'worse'])
    """
    all_losses = Labelled(images, flips, losses=flips, gains=0, neither=0)
    extremes = (all_losses, replace(all_losses, losses=0, gains=flips))
    return frozenset(flips_loss(one, tolerance).status for one in extremes) - {"unresolved"}
