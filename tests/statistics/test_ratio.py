"""Ratios of pairs: closed formulas, what pairing cancels, and how often the interval holds the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gmean, ttest_1samp

from foray.statistics import paired_ratio


def test_the_interval_is_that_of_a_t_test_of_log_ratios() -> None:
    random = np.random.default_rng(0)
    a, b = random.uniform(1, 2, 9), random.uniform(3, 4, 9)
    expected = ttest_1samp(np.log(a / b), 0).confidence_interval(0.9)
    ratio, low, high = paired_ratio(a.tolist(), b.tolist(), 0.9)
    assert ratio == pytest.approx(gmean(a / b))
    assert (low, high) == pytest.approx((np.exp(expected.low), np.exp(expected.high)))


def test_what_slows_both_of_a_pair_alike_cancels() -> None:
    slowdown = np.array([1.0, 7.0, 0.2, 1.5])
    assert paired_ratio((3 * slowdown).tolist(), slowdown.tolist()) == pytest.approx((3, 3, 3))


def test_the_other_way_round_everything_is_its_reciprocal() -> None:
    a, b = [1.0, 1.2, 0.9], [2.0, 2.1, 2.2]
    ratio, low, high = paired_ratio(a, b)
    assert paired_ratio(b, a) == pytest.approx((1 / ratio, 1 / high, 1 / low))


def test_the_interval_holds_the_truth_in_95_of_100_cases() -> None:
    random = np.random.default_rng(0)
    held = 0
    for _ in range(4000):
        a, b = 2 * np.exp(random.normal(0, 0.05, 8)), np.exp(random.normal(0, 0.05, 8))
        _, low, high = paired_ratio(a.tolist(), b.tolist())
        held += low <= 2 <= high
    assert 0.94 <= held / 4000 <= 0.96  # three standard deviations


@pytest.mark.parametrize(
    ("a", "b", "confidence"),
    [([1.0], [1.0], 0.95), ([1.0, 2.0], [1.0], 0.95), ([1.0, 0.0], [1.0, 1.0], 0.95), ([1.0, 2.0], [1.0, 2.0], 1.0)],
)
def test_numbers_without_a_ratio_are_refused(a: list[float], b: list[float], confidence: float) -> None:
    with pytest.raises(ValueError, match=r"pairs|positive|confidence"):
        paired_ratio(a, b, confidence)
