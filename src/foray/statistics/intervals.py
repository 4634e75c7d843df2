"""Intervals for accuracies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from foray.statistics.crossed import Correct, crossed, mixed_quantile


def wilson_interval(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided score interval of a proportion (Wilson 1927, JASA 22:209).

    Args:
        successes: how many of the n, in [0, n].
        n: trials; 0 gives (0, 1).
        confidence: of the interval, in (0, 1).

    Returns:
        Lower and upper bound, in [0, 1].

    Raises:
        ValueError: for numbers outside these ranges.

    >>> low, high = wilson_interval(90, 100)
    >>> round(low, 3), round(high, 3)
    (0.826, 0.945)
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
    """Mean and standard deviation (n - 1) over seeds.

    Args:
        values: one number per seed.

    Returns:
        The mean, and the deviation; None with one seed.

    Raises:
        ValueError: for no values.

    >>> mean, deviation = seed_summary([0.90, 0.92, 0.91])
    >>> round(mean, 4), round(deviation, 4)
    (0.91, 0.01)
    """
    if len(values) == 0:
        raise ValueError("no values")
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def mean_accuracy_interval(correct: Correct, confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean accuracy over seeds with its two-sided interval, for the accuracy expected over images and over trainings.

    With one seed nothing is known about trainings: the interval is Wilson's, for this one trained network. With more
    it is Wilson's at the effective number of images that gives the two-way variance of the mean (as Korn & Graubard
    1998, Survey Methodology 24:193, do for cluster samples), with Cochran's quantile.

    Args:
        correct: (S, N), whether each of S trainings was right about each of N images.
        confidence: of the interval, in (0, 1).

    Returns:
        Mean, lower and upper bound, in [0, 1].

    Raises:
        ValueError: for an empty array.

    >>> import numpy as np
    >>> mean, low, high = mean_accuracy_interval(np.arange(400)[None] < 380)
    >>> round(mean, 3), round(low, 3), round(high, 3)
    (0.95, 0.924, 0.967)
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
