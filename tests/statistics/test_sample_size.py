"""Images needed: the chance of a verdict is the one stated, and what is said where images alone do not help."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from foray.statistics import Needed, chance_of_verdict, needed_for_verdict, paired_loss
from foray.statistics.loss import LossSpread, loss_spread
from tools.verdict_rates import number_before, number_now, sample_sizes

TOLERANCE = 0.01


def one_seed(losses: int, gains: int, n: int) -> LossSpread:
    return LossSpread(n, (losses - gains) / n, losses, gains)


def apart() -> tuple[np.ndarray, np.ndarray]:
    """Two models of three trainings, whose accuracies differ by up to 6 points from training to training."""
    reference = np.stack([np.arange(1000) < 1000 * accuracy for accuracy in (0.93, 0.87, 0.91)])
    return reference, np.stack([np.arange(1000) < 1000 * accuracy for accuracy in (0.90, 0.94, 0.86)])


@pytest.mark.parametrize(
    ("losses", "gains", "n", "total"),
    [(6, 3, 300, 1500), (10, 10, 700, 3500), (0, 0, 100, 500), (60, 36, 2000, 10_000), (8, 2, 500, 800)],
)
def test_the_chance_is_that_of_data_drawn_from_what_is_known(losses, gains, n, total) -> None:
    """Against draws without any approximation: Jeffreys' posterior of the shares, multinomial counts, the very test."""
    rng, trials, settled = np.random.default_rng(0), 2000, 0
    for _ in range(trials):
        shares = rng.dirichlet([losses + 0.5, gains + 0.5, n - losses - gains + 0.5])
        new = rng.multinomial(total - n, shares)
        settled += abs(one_seed(losses + new[0], gains + new[1], total).distance(TOLERANCE, 0.95)) > 1
    chance = chance_of_verdict(one_seed(losses, gains, n), TOLERANCE, total)
    assert chance == pytest.approx(settled / trials, abs=0.035)  # three standard errors


@pytest.mark.parametrize(("losses", "gains", "n"), [(0, 0, 100), (6, 4, 700), (40, 38, 1000), (11, 1, 1000)])
@pytest.mark.parametrize("confidence", [0.95, 0.995])
def test_the_number_is_the_one_at_which_the_chance_reaches_80_per_cent(losses, gains, n, confidence) -> None:
    spread = one_seed(losses, gains, n)
    images = needed_for_verdict(spread, TOLERANCE, confidence).images
    assert images is not None
    assert images > n
    assert chance_of_verdict(spread, TOLERANCE, images, confidence) >= 0.8
    assert chance_of_verdict(spread, TOLERANCE, n + round(0.9 * (images - n)), confidence) < 0.8


@pytest.mark.parametrize(("confidence", "times"), [(0.95, 40), (0.975, 60)])
def test_a_loss_observed_at_the_tolerance_needs_many_times_the_images(confidence, times) -> None:
    # The true loss is at a normal distance from the observed one: 80 % of it lies further out than 0.25 deviations,
    # and the margin of N images is 1.64 (1.96) deviations of n images times the root of n / N.
    spread = one_seed(700, 500, 20_000)
    images = needed_for_verdict(spread, TOLERANCE, confidence).images
    assert images is not None
    assert images / spread.n == pytest.approx((ndtri(confidence) / ndtri(0.6)) ** 2, rel=0.15)
    assert images / spread.n == pytest.approx(times, rel=0.15)


def test_first_data_sets_that_ask_get_a_verdict_in_80_of_100_cases() -> None:
    found = sample_sizes(300, number_now, 500)
    assert found.given == 1.0
    assert found.verdicts == pytest.approx(0.8, abs=0.055)  # three standard errors


def test_the_number_for_the_loss_as_observed_would_be_little_better_than_a_coin_flip() -> None:
    """The simulation can fail: what was said before brings a verdict in 58 % of cases."""
    assert sample_sizes(300, number_before, 300).verdicts < 0.67  # three standard errors


def test_with_several_seeds_whoever_is_given_a_number_gets_a_verdict() -> None:
    found = sample_sizes(700, number_now, 150, seeds=5, seed_sd=lambda rng: 0.0002 * 50 ** rng.random())
    assert 0.1 < found.given < 0.9
    assert found.verdicts > 0.68  # three standard errors below 80 %


def test_more_seeds_where_trainings_keep_it_open() -> None:
    result = paired_loss(*apart(), TOLERANCE)
    assert result.status == "unresolved"
    assert result.needed == Needed(None, more_seeds=True)
    assert result.images_needed is None


def test_equal_trainings_need_images_and_no_seeds() -> None:
    first, second = np.ones((2, 3, 300), dtype=bool)
    first[:, :6], second[:, 3:12] = False, False
    assert needed_for_verdict(loss_spread(first, second), TOLERANCE).images is not None


def test_more_than_ten_million_images_are_no_suggestion() -> None:
    assert needed_for_verdict(one_seed(35_000, 25_000, 1_000_000), TOLERANCE) == Needed(None, more_seeds=False)


def test_what_is_settled_needs_nothing() -> None:
    same = np.ones((1, 4000), dtype=bool)
    assert paired_loss(same, same, TOLERANCE).needed == Needed(None, more_seeds=False)


def test_the_number_is_the_same_every_time() -> None:
    assert len({needed_for_verdict(one_seed(6, 4, 700), TOLERANCE).images for _ in range(3)}) == 1
