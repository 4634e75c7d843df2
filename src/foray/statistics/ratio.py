"""Ratios of what was measured in pairs, as times of two networks that take turns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit


def paired_ratio(
    numerators: Sequence[float], denominators: Sequence[float], confidence: float = 0.95
) -> tuple[float, float, float]:
    """The geometric mean of the ratios of pairs, with Student's t interval of their logarithms.

    Pair by pair: what slows both of a pair alike leaves their ratio alone.

    Args:
        numerators: positive numbers, one per pair.
        denominators: positive numbers, in the same order and unit.
        confidence: of the interval, in (0, 1).

    Returns:
        Ratio, lower and upper bound.

    Raises:
        ValueError: for fewer than two pairs, different lengths, or numbers outside these ranges.

    >>> ratio, low, high = paired_ratio([2.0, 4.2, 1.9], [1.0, 2.0, 1.0])
    >>> round(ratio, 3), round(low, 3), round(high, 3)
    (1.998, 1.765, 2.263)
    """
    if len(numerators) != len(denominators) or len(numerators) < 2:
        raise ValueError(f"needs two pairs or more, got {len(numerators)} and {len(denominators)} numbers")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    if min(*numerators, *denominators) <= 0:
        raise ValueError("ratios need positive numbers")
    logs = np.log(numerators) - np.log(denominators)
    n, mean = len(logs), float(logs.mean())
    half = float(stdtrit(n - 1, (1 + confidence) / 2) * logs.std(ddof=1) / np.sqrt(n))
    return float(np.exp(mean)), float(np.exp(mean - half)), float(np.exp(mean + half))
