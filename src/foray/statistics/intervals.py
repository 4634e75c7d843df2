"""Intervals for accuracies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from foray.statistics.crossed import Correct, crossed, mixed_quantile


def wilson_interval(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided score interval of a proportion (Wilson 1927, JASA 22:209). (0, 1) for n = 0.

    Raises ValueError unless 0 <= successes <= n and 0 < confidence < 1.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie in 0..n, got {successes} of {n}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    if n == 0:
        return 0.0, 1.0
    z = float(ndtri((1 + confidence) / 2))
    return _score_interval(successes / n, z * z / n)


def seed_summary(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation (n - 1) over seeds; the deviation of one seed is None. Raises ValueError for none."""
    if len(values) == 0:
        raise ValueError("no values")
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def mean_accuracy_interval(correct: Correct, confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean accuracy over seeds with its two-sided interval (mean, low, high); `correct` is (S, N).

    The interval is for the accuracy expected over images and over trainings. With one seed nothing is known about
    trainings: the interval is Wilson's, for this one trained network. With more it is Wilson's at the effective
    number of images that gives the two-way variance of the mean (as Korn & Graubard 1998, Survey Methodology 24:193,
    do for cluster samples), with Cochran's quantile. Raises ValueError for an empty array.
    """
    seeds, n = correct.shape
    if correct.size == 0:
        raise ValueError(f"no images or no seeds: shape {correct.shape}")
    mean = float(correct.mean())
    parts = crossed(correct)
    variance = parts.image_part + parts.seed_part
    # Without any spread (all correct, all wrong, or by chance) the variance is unknown, not zero: count images only.
    if seeds == 1 or variance == 0 or mean in (0.0, 1.0):
        return mean, *wilson_interval(mean * n, n, confidence)
    quantile = mixed_quantile((1 + confidence) / 2, parts.image_part, parts.seed_part, seeds - 1)
    return mean, *_score_interval(mean, quantile**2 * variance / (mean * (1 - mean)))


def _score_interval(p: float, spread: float) -> tuple[float, float]:
    """Solutions x of (p - x)^2 = spread * x * (1 - x); `spread` is z^2 / n for a simple sample."""
    centre = (p + spread / 2) / (1 + spread)
    half = math.sqrt(spread * (p * (1 - p) + spread / 4)) / (1 + spread)
    low, high = max(centre - half, 0.0), min(centre + half, 1.0)
    return (0.0 if p == 0 else min(low, p)), (1.0 if p == 1 else max(high, p))
