"""Intervals for accuracies: published numbers, closed formulas, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from worlds import World

from foray.statistics import mean_accuracy_interval, seed_summary, wilson_interval
from foray.statistics.crossed import crossed, mixed_quantile


def test_wilson_published_example() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, Table I, method 3, 81 of 263 and 15 of 148.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    # ... and its edges, 0 of 20 and 1 of 29.
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


@given(st.integers(1, 5000), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_scipy(n, data, confidence) -> None:
    k = data.draw(st.integers(0, n))
    expected = binomtest(k, n).proportion_ci(confidence, method="wilson")
    assert wilson_interval(k, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("n", [100, 400, 1000, 4000])
def test_wilson_coverage_exactly(n) -> None:
    # Summed over all outcomes, not simulated. At a single p coverage jumps with the discreteness of k, so it is
    # averaged over a point either way, which is also how little one knows a true accuracy.
    bounds = np.array([wilson_interval(k, n) for k in range(n + 1)])
    for accuracy in (0.8, 0.85, 0.9, 0.95, 0.98):
        p = np.linspace(accuracy - 0.01, accuracy + 0.01, 41)
        inside = (bounds[:, :1] <= p) & (p <= bounds[:, 1:])
        coverage = (binom.pmf(np.arange(n + 1)[:, None], n, p) * inside).sum(axis=0).mean()
        assert 0.93 <= coverage <= 0.97, (n, accuracy, coverage)


@pytest.mark.parametrize(("successes", "n", "confidence"), [(-1, 10, 0.95), (11, 10, 0.95), (5, 10, 1.0), (5, 10, 0.0)])
def test_wilson_refuses_nonsense(successes, n, confidence) -> None:
    with pytest.raises(ValueError, match="must lie"):
        wilson_interval(successes, n, confidence)


def test_seed_summary() -> None:
    assert seed_summary([0.9]) == (0.9, None)
    assert seed_summary([1.0, 2.0, 3.0, 4.0]) == (2.5, pytest.approx(1.2909944487))
    with pytest.raises(ValueError, match="no values"):
        seed_summary([])


def test_two_way_components_against_the_textbook_table() -> None:
    rng = np.random.default_rng(5)
    correct = rng.random((4, 30)) < rng.random(30)
    y = correct.astype(float)
    s, n = y.shape
    residual = y - y.mean(0, keepdims=True) - y.mean(1, keepdims=True) + y.mean()
    ms_interaction = (residual**2).sum() / ((s - 1) * (n - 1))
    ms_seeds = n * ((y.mean(1) - y.mean()) ** 2).sum() / (s - 1)
    ms_images = s * ((y.mean(0) - y.mean()) ** 2).sum() / (n - 1)
    parts = crossed(correct)
    assert parts.flips == pytest.approx(ms_interaction / (s * n))
    assert parts.seed_part == pytest.approx(ms_seeds / (s * n))
    assert parts.image_part == pytest.approx((ms_images - ms_interaction) / (s * n))


def test_quantile_lies_between_normal_and_t() -> None:
    assert mixed_quantile(0.95, 1.0, 0.0, 2) == pytest.approx(1.644854, abs=1e-6)
    assert mixed_quantile(0.95, 0.0, 1.0, 2) == pytest.approx(2.919986, abs=1e-6)  # t table, 2 degrees of freedom
    assert mixed_quantile(0.95, 1.0, 1.0, 2) == pytest.approx((1.644854 + 2.919986) / 2, abs=1e-6)


def test_one_seed_is_wilson() -> None:
    correct = np.arange(150) % 10 != 0
    assert mean_accuracy_interval(correct[None]) == (0.9, *wilson_interval(135, 150))


def test_seeds_that_agree_on_every_image_count_once() -> None:
    # A model whose trainings never differ is one model: three copies of it are not three times the images.
    correct = np.arange(1500) % 10 != 0
    once, thrice = mean_accuracy_interval(correct[None]), mean_accuracy_interval(np.stack([correct] * 3))
    assert thrice == pytest.approx(once, abs=2e-5)


@pytest.mark.parametrize("right", [0, 1])
def test_no_spread_leaves_a_width(right) -> None:
    correct = np.full((3, 200), bool(right))
    assert mean_accuracy_interval(correct) == (right, *wilson_interval(200 * right, 200))
    rows = np.zeros((2, 4), dtype=bool)
    rows[0, :2] = rows[1, 2:] = True  # equal seeds, equal images: every sum of squares but one is zero
    _, low, high = mean_accuracy_interval(rows)
    assert high - low > 0.3


@given(st.integers(1, 5), st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0.0, 1.0))
def test_interval_contains_the_mean_and_stays_in_range(seeds, n, seed, accuracy) -> None:
    correct = np.random.default_rng(seed).random((seeds, n)) < accuracy
    mean, low, high = mean_accuracy_interval(correct)
    assert 0 <= low <= mean <= high <= 1
    assert high > low


@pytest.mark.parametrize("shape", [(0, 10), (3, 0)])
def test_no_images_is_an_error(shape) -> None:
    with pytest.raises(ValueError, match="no images or no seeds"):
        mean_accuracy_interval(np.zeros(shape, dtype=bool))


# Every corner of sizes, accuracies, spreads over trainings (0 to 2 points) and kinds of difficulty.
CELLS = [
    World(100, 0.80, seeds=1, difficulty=2),
    World(1000, 0.95, seeds=1, difficulty=0.3),
    World(4000, 0.99, seeds=1, difficulty=None),
    World(100, 0.80, seeds=3, seed_sd=0.02, difficulty=0.5),
    World(400, 0.90, seeds=3, seed_sd=0.0, difficulty=0.3),
    World(400, 0.90, seeds=3, seed_sd=0.02, difficulty=None),
    World(1000, 0.95, seeds=3, seed_sd=0.01, difficulty=2),
    World(1000, 0.99, seeds=3, seed_sd=0.003, difficulty=1),
    World(4000, 0.90, seeds=3, seed_sd=0.005, difficulty=0.5),
    World(100, 0.80, seeds=5, seed_sd=0.0, difficulty=0.5),
    World(400, 0.95, seeds=5, seed_sd=0.01, difficulty=0.3),
    World(1000, 0.95, seeds=5, seed_sd=0.02, difficulty=4),
    World(4000, 0.98, seeds=5, seed_sd=0.003, difficulty=1),
]


def test_coverage_over_images_and_trainings() -> None:
    rng = np.random.default_rng(2024)
    coverage = {}
    for world in CELLS:
        trials = 1000 if world.n < 4000 else 500
        hits = 0
        for _ in range(trials):
            _, low, high = mean_accuracy_interval(world.model(rng, world.images(rng)))
            hits += low <= world.accuracy <= high
        coverage[world] = hits / trials
    # One standard error of a cell is 0.7 (1.0 at 4000 images) points; two are allowed beyond 93 and 97 %.
    assert all(0.914 <= share <= 0.986 for share in coverage.values()), coverage
    assert 0.945 <= np.mean(list(coverage.values())) <= 0.965, coverage
