"""How much accuracy a candidate loses against a reference, on the same images: bounds, test, verdict, sample size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from scipy.optimize import brentq
from scipy.special import bdtr

from foray.statistics.crossed import Correct
from foray.statistics.loss import LossSpread, loss_spread
from foray.statistics.sample_size import NOTHING, Needed, needed_for_verdict

Verdict = Literal["not_worse", "worse", "unresolved"]


@dataclass(frozen=True)
class PairedResult:
    """The expected loss of a candidate against a reference; positive: the candidate is worse. All in [-1, 1].

    `lower` and `upper` are one-sided bounds, each at `confidence` (together a two-sided interval at
    2 * confidence - 1). `status`: not_worse when upper < tolerance, worse when lower > tolerance. `p_value`: two-sided
    test of "no difference". `spread`: the summary of the data that all of this is computed from.
    With `seeds` = 1 all of this holds for these two trained networks: the variance between trainings is not included.
    """

    loss: float
    lower: float
    upper: float
    confidence: float
    tolerance: float
    status: Verdict
    p_value: float
    n: int
    seeds: int
    spread: LossSpread

    @cached_property
    def needed(self) -> Needed:
        """What would resolve an unresolved comparison with 80 % power; nothing when it is resolved."""
        if self.status != "unresolved":
            return NOTHING
        return needed_for_verdict(self.spread, self.tolerance, self.confidence)

    @property
    def images_needed(self) -> int | None:
        """Images in total, the present ones included, for a verdict with 80 % power; None when it is resolved, when
        more seeds are needed, or when not within ten million."""
        return self.needed.images


def paired_loss(reference: Correct, candidate: Correct, tolerance: float, *, confidence: float = 0.95) -> PairedResult:
    """Compares two models from their correctness on the same images.

    The bounds invert a score test: the image part of the variance is the one that the hypothesised loss implies
    (Tango 1998, Statistics in Medicine 17:891), so that the width is above zero even without any disagreement, and the
    training part of both models is added with Cochran's quantile (see `mixed_quantile`). Trainings of the two models
    are independent of each other: rows are not matched. Half a step of continuity correction keeps the one-sided
    error at 1 - confidence for few disagreements too (without it, up to 6.7 % for 5 %).
    The test is McNemar's exact mid-p with one seed (Fagerland, Lydersen & Laake 2013, BMC Med Res Methodol 13:91),
    the same score test at loss 0 with more.

    Args:
        reference: (S, N), whether each of S trainings was right about each of N images.
        candidate: (S, N), the same of the other model, for the same images in the same order.
        tolerance: loss of accuracy that is allowed, in [0, 1].
        confidence: of each one-sided bound, in (0.5, 1).

    Returns:
        The loss with its bounds, test and verdict.

    Raises:
        ValueError: for other shapes, an empty array, or a confidence outside its range.

    >>> import numpy as np
    >>> reference = np.arange(3000)[None] < 2850  # 95 % right
    >>> candidate = reference.copy()
    >>> candidate[0, :6] = False  # 6 images that only the reference gets right
    >>> result = paired_loss(reference, candidate, tolerance=0.01)
    >>> round(result.loss, 4), round(result.upper, 4), result.status
    (0.002, 0.0041, 'not_worse')
    """
    if reference.shape != candidate.shape or reference.ndim != 2 or reference.size == 0:
        raise ValueError(f"two equal, non-empty (seeds, images) arrays needed: {reference.shape}, {candidate.shape}")
    if not 0.5 < confidence < 1:
        raise ValueError(f"confidence must lie between 0.5 and 1, got {confidence}")
    return result_of(loss_spread(reference, candidate), reference.shape[0], tolerance, confidence)


def result_of(spread: LossSpread, seeds: int, tolerance: float, confidence: float) -> PairedResult:
    """`paired_loss` of data that are summarised already, over `seeds` trainings."""
    upper = spread.upper_bound(confidence)
    lower = -spread.swapped().upper_bound(confidence)
    status = _verdict(lower, upper, tolerance)
    return PairedResult(
        loss=spread.loss,
        lower=lower,
        upper=upper,
        confidence=confidence,
        tolerance=tolerance,
        status=status,
        p_value=_p_value(spread),
        n=spread.n,
        seeds=seeds,
        spread=spread,
    )


def _verdict(lower: float, upper: float, tolerance: float) -> Verdict:
    if upper < tolerance:
        return "not_worse"
    return "worse" if lower > tolerance else "unresolved"


def _p_value(spread: LossSpread) -> float:
    """Two-sided p of "no difference"."""
    if spread.df is None:
        gains, losses = round(spread.gains), round(spread.losses)
        fewer, all_pairs = min(gains, losses), gains + losses
        if gains == losses:
            return 1.0
        below = float(bdtr(fewer - 1, all_pairs, 0.5)) if fewer else 0.0
        return float(bdtr(fewer, all_pairs, 0.5)) + below
    distance = abs(spread.loss)
    if distance == 0:
        return 1.0

    def excess(log_tail: float) -> float:
        return spread.quantile_width(0.0, 1 - math.exp(log_tail)) - distance

    smallest = math.log(1e-12)
    if excess(smallest) <= 0:
        return 2e-12
    return 2 * math.exp(brentq(excess, smallest, math.log(0.5)))
