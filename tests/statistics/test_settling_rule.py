"""When labelling stops: the rule against its definition, skipped images, and how often verdicts are wrong or come."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prefixes import one_by_one, prefixes, verdict_of

from foray.statistics import (
    SETTLE_ERROR,
    Chance,
    Labelled,
    SettlingRule,
    chance_over_seeds,
    chance_to_settle,
    final_numbers,
    labelled_seeds,
    settled_loss,
    settled_status,
)
from foray.statistics.loss import LossSpread
from foray.statistics.settled import status_of
from foray.statistics.settling import PREFIX_ERROR, error_of_test, settled_bounds
from tools.settle_rates import (
    HARDEST,
    Flips,
    images_for,
    labellings,
    labels_used,
    one_pair,
    power,
    says,
    wrong_at_five_per_cent,
)

TOLERANCE = 0.01
SET, TEST = PREFIX_ERROR / SETTLE_ERROR, 1 - PREFIX_ERROR / SETTLE_ERROR  # parts of an error


def defined(labelled: Labelled, tolerance: float, error: float) -> str:
    """The verdict of all possible final numbers, each looked at alone."""
    found = {
        verdict_of(*final, labelled.images, tolerance, TEST * error) for final in one_by_one(labelled, SET * error)
    }
    return found.pop() if len(found) == 1 else "unresolved"


# The rule


@given(prefixes(), st.sampled_from([0.0, 0.003, 0.02, 0.1]), st.sampled_from([0.025, 0.025 / 3, 0.2]))
@settings(max_examples=300, deadline=None)
def test_a_verdict_comes_where_all_possible_numbers_share_it(labelled, tolerance, error) -> None:
    assert settled_status(labelled, tolerance, error) == defined(labelled, tolerance, error)


@pytest.mark.parametrize(("images", "d", "tolerance"), [(300, 9, 0.02), (60, 9, 0.1), (2000, 9, 0.004)])
def test_the_rule_at_every_prefix(images, d, tolerance) -> None:
    """Every number of labels of every kind: the rule of many prefixes at once is the definition."""
    counts = [counts for counts in product(range(d + 1), repeat=3) if sum(counts) <= d]
    rule = SettlingRule(images, d, tolerance)
    found = rule.statuses(*np.array(counts).T)
    names = {1: "not_worse", -1: "worse", 0: "unresolved"}
    expected = [defined(Labelled(images, d, *one), tolerance, SETTLE_ERROR) for one in counts]
    assert [names[status] for status in found.tolist()] == expected
    assert len(set(expected)) > 1


@given(prefixes(most=30))
@settings(max_examples=60, deadline=None)
def test_swapping_the_models_at_tolerance_0_swaps_the_verdict(labelled) -> None:
    swapped = {"not_worse": "worse", "worse": "not_worse", "unresolved": "unresolved"}
    assert settled_status(labelled.swapped(), 0.0) == swapped[settled_status(labelled, 0.0)]


@given(prefixes(most=25), st.sampled_from([0.003, 0.02, 0.1]))
@settings(max_examples=60, deadline=None)
def test_a_smaller_error_never_brings_a_verdict_sooner(labelled, tolerance) -> None:
    """On which the shared error of several models rests (Holm)."""
    strict, loose = (settled_status(labelled, tolerance, error) for error in (0.01, 0.025))
    assert strict in (loose, "unresolved")


@given(prefixes(most=25, skipped=True), st.sampled_from([0.003, 0.02, 0.1]))
@settings(max_examples=80, deadline=None)
def test_bounds_are_the_extremes_over_all_possible_numbers(labelled, tolerance) -> None:
    lower, upper = settled_bounds(labelled)
    for as_losses, sign in ((True, 1), (False, -1)):
        hard = replace(labelled, losses=labelled.losses + labelled.skipped, skipped=0)
        if not as_losses:
            hard = replace(labelled, gains=labelled.gains + labelled.skipped, skipped=0).swapped()
        bounds = [
            LossSpread(hard.images, (one - other) / hard.images, one, other).upper_bound(0.98)
            for one, other in final_numbers(hard).tolist()
        ]
        assert sign * (upper if as_losses else lower) == pytest.approx(max(bounds), abs=1e-9)
    found = settled_loss(labelled, tolerance, SETTLE_ERROR)
    assert found.status == settled_status(labelled, tolerance)
    if found.status == "not_worse":
        assert upper < tolerance + 1e-9
    if found.status == "worse":
        assert lower > tolerance - 1e-9


def test_no_disagreement_is_an_answer() -> None:
    """Two networks of equal labels: the answer of N images without a loss, at 2 %, with no label at all."""
    fewest = next(n for n in range(1, 2000) if settled_status(Labelled(n, 0, 0, 0, 0), TOLERANCE) == "not_worse")
    assert verdict_of(0, 0, fewest, TOLERANCE, 0.02) == "not_worse"
    assert verdict_of(0, 0, fewest - 1, TOLERANCE, 0.02) == "unresolved"
    # At least log(0.02) / log(1 - tolerance), the exact number where only losses occur; the score test needs more.
    assert (math.ceil(math.log(0.02) / math.log(0.99)), fewest) == (390, 513)


def test_five_thousand_disagreements_are_no_trouble() -> None:
    """There are 12 million pairs of final numbers; one is looked at for each number of losses."""
    found = SettlingRule(100_000, 5000, TOLERANCE).statuses(*(np.arange(0, 1500, 50) for _ in range(3)))
    assert found.shape == (30,)
    assert set(found.tolist()) == {0, 1}


# Skipped images


@given(prefixes(most=16, skipped=True), st.sampled_from([0.003, 0.02, 0.1]), st.data())
@settings(max_examples=400, deadline=None)
def test_skipping_never_brings_a_verdict_that_the_true_labels_would_not(labelled, tolerance, data) -> None:
    """Whatever the skipped images truly are, the labels of all would have given the same verdict at this point. So a
    person who skips at will, knowing what would help, cannot make a wrong verdict more likely."""
    losses = data.draw(st.integers(0, labelled.skipped))
    gains = data.draw(st.integers(0, labelled.skipped - losses))
    truth = replace(
        labelled,
        losses=labelled.losses + losses,
        gains=labelled.gains + gains,
        neither=labelled.neither + labelled.skipped - losses - gains,
        skipped=0,
    )
    assert settled_status(labelled, tolerance) in (settled_status(truth, tolerance), "unresolved")


@pytest.mark.parametrize(("images", "d", "tolerance"), [(300, 8, 0.02), (60, 8, 0.1), (900, 8, 0.004), (30, 8, 0.15)])
def test_skipping_never_helps_at_any_prefix(images, d, tolerance) -> None:
    """The same, for every prefix and everything that its skipped images can be."""
    rule = SettlingRule(images, d, tolerance)
    states = [counts for counts in product(range(d + 1), repeat=3) if sum(counts) <= d]
    known = dict(zip(states, rule.statuses(*np.array(states).T).tolist(), strict=True))
    later = 0
    for losses, gains, neither in states:
        for skipped in range(1, d - losses - gains - neither + 1):
            not_worse = known[losses + skipped, gains, neither] == 1
            worse = known[losses, gains + skipped, neither] == -1
            truths = {
                known[losses + one, gains + other, neither + skipped - one - other]
                for one in range(skipped + 1)
                for other in range(skipped - one + 1)
            }
            assert not not_worse or truths == {1}
            assert not worse or truths == {-1}
            later += not not_worse and truths == {1}
    assert later == 0  # and it waits no longer than it must


def test_skipped_images_of_several_seeds_count_against_either_verdict() -> None:
    rng = np.random.default_rng(5)
    reference, candidate = rng.random((2, 3, 30)) < np.array([0.5, 0.4])[:, None, None]
    told = np.ones(30, dtype=bool)
    all_told = labelled_seeds(reference, candidate, told, 2000)
    told[:6] = False
    some = labelled_seeds(reference, candidate, told, 2000)
    assert (some.labels, some.disagreements, some.seeds) == (24, 30, 3)
    assert some.for_not_worse.loss >= all_told.for_not_worse.loss >= some.for_worse.loss
    assert some.for_not_worse.loss - some.for_worse.loss == pytest.approx(2 * 6 / 2000)
    of_all, of_some = (settled_loss(pair, TOLERANCE, SETTLE_ERROR) for pair in (all_told, some))
    assert of_some.lower < of_all.lower < of_all.upper < of_some.upper
    assert (of_some.p_value, of_some.needed.images) == (None, None)


def test_skipping_with_several_seeds_never_brings_a_verdict_that_the_true_labels_would_not() -> None:
    """Over random networks. That skipped images count as losses is not enough with two seeds: they may hide by how much
    trainings differ."""
    rng, verdicts, kept = np.random.default_rng(0), 0, 0
    for _ in range(1500):
        seeds, d, images = int(rng.choice([2, 3, 5])), int(rng.integers(5, 60)), int(rng.integers(300, 3000))
        accuracies = np.full(2, rng.random()) if rng.random() < 0.5 else rng.random(2)
        chances = accuracies[:, None, None] + rng.normal(0, 0.15, (2, seeds, 1))
        reference, candidate = rng.random((2, seeds, d)) < chances
        told = np.arange(d) >= rng.integers(1, max(2, d // 5))
        some = labelled_seeds(reference, candidate, told, images)
        truth = labelled_seeds(reference, candidate, np.ones(d, dtype=bool), images)
        for tolerance in (0.005, 0.01, 0.02):
            of_some, of_truth = (status_of(pair, tolerance, SETTLE_ERROR) for pair in (some, truth))
            assert of_some in (of_truth, "unresolved")
            verdicts, kept = verdicts + (of_truth != "unresolved"), kept + (of_some != "unresolved")
    assert 0.3 * verdicts < kept < verdicts


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.sampled_from([0.01, 0.05]))
@settings(max_examples=100, deadline=None)
def test_mirrored_pairs_of_several_seeds(seed, skipped, tolerance) -> None:
    rng = np.random.default_rng(seed)
    reference, candidate = rng.random((2, 2, 20)) < 0.5
    told = np.arange(20) >= skipped
    pair, mirrored = labelled_seeds(reference, candidate, told, 400), labelled_seeds(candidate, reference, told, 400)
    forth, back = settled_loss(pair, tolerance, 0.02), settled_loss(pair.swapped(), tolerance, 0.02)
    assert back == settled_loss(mirrored, tolerance, 0.02)
    assert (back.loss, back.lower, back.upper) == pytest.approx((-forth.loss, -forth.upper, -forth.lower), abs=1e-9)
    assert status_of(pair, tolerance, 0.02) == forth.status


# How often a verdict is wrong


@pytest.mark.parametrize(("rate", "val", "images"), HARDEST[:4])
def test_at_most_five_per_cent_are_wrong_over_compare_and_settle(rate, val, images) -> None:
    """The true loss is the tolerance. Labelling stops at the first verdict, or when it suits the candidate best."""
    trials = 1200
    found = one_pair(Flips(rate, TOLERANCE), val, images, trials)
    noise = 2 * (0.05 * 0.95 / trials) ** 0.5  # two standard errors: 1.1 points
    assert found.wrong <= found.wrong_at_the_worst_moment <= 0.05 + noise
    assert found.compare <= 0.025 + 2 * (0.025 / trials) ** 0.5
    assert found.ever <= 0.025 + 2 * (0.025 / trials) ** 0.5


def test_at_most_two_and_a_half_per_cent_are_wrongly_called_worse() -> None:
    rng, trials, flips = np.random.default_rng(4), 1200, Flips(0.05, TOLERANCE)
    wrong = sum(bool((verdicts == -1).any()) for verdicts in labellings(flips, 1500, trials, SETTLE_ERROR, rng))
    assert 0 < wrong / trials <= 0.025 + 2 * (0.025 / trials) ** 0.5


def test_five_per_cent_in_each_step_would_be_too_much_and_pooling_too() -> None:
    """The simulation can fail. Of 40,000 comparisons, standard error 0.14 points."""
    each, pooled = wrong_at_five_per_cent(Flips(0.05, TOLERANCE), 1500, 6000, 40_000)
    assert each == pytest.approx(0.085, abs=0.005)
    assert pooled == pytest.approx(0.081, abs=0.005)


def test_the_loss_on_the_new_images_is_not_the_loss_in_use() -> None:
    """What the set alone would decide about is the loss on these images: it would be wrong in every third case."""
    rng, trials, images = np.random.default_rng(2), 1000, 2000
    losses, gains, _ = Flips(0.05, TOLERANCE).shares()
    found = rng.multinomial(images, (losses, gains, 1 - losses - gains), trials).T
    below = (found[0] - found[1]) / images < TOLERANCE
    assert below.mean() > 0.4  # known exactly once all are labelled
    assert (says(found[0], found[1], images, 0.02) == 1).mean() <= 0.03


# How often it comes, and what it takes


def test_images_and_labels_for_a_verdict() -> None:
    """80 % power at one point: 2 % flips and no net loss. The table of docs/settle.md has more."""
    flips = Flips(0.02, 0.0)
    assert power(flips, 1200, 0.05) == pytest.approx(0.83, abs=0.005)
    images = images_for(flips, 0.8, error_of_test(SETTLE_ERROR))
    assert images == 1500
    found = labels_used(flips, images, 400)
    assert found.verdicts == pytest.approx(0.8, abs=0.06)  # three standard errors
    assert found.differing == pytest.approx(30, abs=1)
    assert found.used < found.differing


def test_power_is_that_of_simulated_images() -> None:
    flips, trials = Flips(0.03, 0.002), 20_000
    losses, gains, _ = flips.shares()
    found = np.random.default_rng(0).multinomial(2100, (losses, gains, 1 - losses - gains), trials).T
    share = (says(found[0], found[1], 2100, 0.02) == 1).mean()
    assert power(flips, 2100, 0.02) == pytest.approx(share, abs=3 * (0.25 / trials) ** 0.5)


def test_labelling_stops_long_before_the_end_where_the_answer_is_clear() -> None:
    for flips, images in ((Flips(0.02, 0.0), 5000), (Flips(0.05, 0.03), 4000)):
        found = labels_used(flips, images, 60)
        assert found.verdicts == 1.0
        assert found.used < 0.6 * found.differing


def test_the_chance_before_any_label_is_that_of_data_drawn_from_what_val_says() -> None:
    """Against another simulation: all labels given, of shares drawn from the same posterior."""
    rng, images, d, on_val = np.random.default_rng(1), 2400, 58, (6, 3, 4)
    shares = rng.dirichlet(np.array(on_val) + 0.5, 4000)
    drawn = np.array([rng.multinomial(d, share) for share in shares]).T
    told = (says(drawn[0], drawn[1], images, 0.02) != 0).mean()
    found = chance_to_settle(images, d, *on_val, TOLERANCE)
    assert found.probability == pytest.approx(told, abs=0.09)  # three standard errors
    assert 0 < found.expected_labels < d
    assert found == chance_to_settle(images, d, *on_val, TOLERANCE)


def test_the_chance_is_one_or_nothing_where_that_is_sure() -> None:
    assert chance_to_settle(5000, 0, 1, 1, 1, TOLERANCE).probability == 1.0
    assert chance_to_settle(5000, 0, 1, 1, 1, TOLERANCE).expected_labels == 0.0
    assert chance_to_settle(200, 2, 3, 3, 3, TOLERANCE) == Chance(0.0, 2.0)  # neither verdict fits 200 images with two
    assert chance_to_settle(2000, 400, 190, 10, 20, TOLERANCE).probability == 1.0  # surely worse


def test_the_chance_of_several_seeds_that_always_agree_is_that_of_one() -> None:
    losses, gains, neither = (np.repeat([[row]], count, axis=1) for row, count in ((True, 6), (False, 3), (False, 4)))
    reference = np.concatenate([losses, ~losses[:, :3] & False, neither], axis=1)
    candidate = np.concatenate([~losses, ~gains, neither], axis=1)
    three = chance_over_seeds(reference.repeat(3, 0), candidate.repeat(3, 0), 2400, 58, TOLERANCE, SETTLE_ERROR)
    one = chance_to_settle(2400, 58, 6, 3, 4, TOLERANCE, SETTLE_ERROR / (1 - SET))
    assert three.probability == pytest.approx(one.probability, abs=0.11)
    assert three.expected_labels == 58
