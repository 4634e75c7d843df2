"""Settling by labels of disagreements: they say what all labels say, and which final numbers stay possible."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prefixes import one_by_one, prefixes, ways

from foray.statistics import (
    SETTLE_ERROR,
    Labelled,
    final_numbers,
    labelled_seeds,
    paired_loss,
    settled_loss,
    settled_status,
)
from foray.statistics.loss import LossSpread, count_distances, count_upper_bounds, loss_spread
from foray.statistics.settled import status_of
from foray.statistics.settling import PREFIX_ERROR, error_of_test

TOLERANCE = 0.01


# Exactness: labels of the disagreements say what labels of all images say.


@given(
    st.integers(1, 400), st.integers(2, 6), st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.005, 0.01, 0.1]),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_one_seed_labels_of_the_disagreements_give_the_numbers_of_all_labels(n, classes, p, q, seed, tolerance) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=n)
    first, second = (np.where(rng.random(n) < share, truth, rng.integers(classes, size=n)) for share in (p, q))
    differ = first != second
    reference, candidate = first == truth, second == truth
    labelled = Labelled(
        images=n,
        disagreements=int(differ.sum()),
        losses=int((reference & differ).sum()),
        gains=int((candidate & differ).sum()),
        neither=int((~reference & ~candidate & differ).sum()),
    )
    everything = paired_loss(reference[None], candidate[None], tolerance, confidence=1 - error_of_test(SETTLE_ERROR))
    found = settled_loss(labelled, tolerance, SETTLE_ERROR)
    assert labelled.spread() == everything.spread
    assert (found.loss, found.lower, found.upper) == (everything.loss, everything.lower, everything.upper)
    assert (found.status, found.p_value, found.confidence) == (everything.status, everything.p_value, 0.98)
    assert settled_status(labelled, tolerance) == everything.status


@given(
    st.integers(2, 4), st.integers(30, 300), st.integers(2, 5), st.floats(0, 1), st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_several_seeds_images_that_all_label_alike_do_not_matter(seeds, n, classes, p, q, seed) -> None:
    """Whatever the truth is, and not only to rounding: all numbers are the same."""
    rng = np.random.default_rng(seed)
    truth, guess = rng.integers(classes, size=(2, n))
    labels = np.where(rng.random((2 * seeds, n)) < p, truth, np.where(rng.random((2 * seeds, n)) < q, guess, 0))
    differ = (labels != labels[0]).any(axis=0)
    reference, candidate = labels[:seeds] == truth, labels[seeds:] == truth
    told = np.ones(int(differ.sum()), dtype=np.bool_)
    pair = labelled_seeds(reference[:, differ], candidate[:, differ], told, n)
    everything = paired_loss(reference, candidate, TOLERANCE, confidence=1 - SETTLE_ERROR)
    assert pair.for_not_worse == pair.for_worse
    # With its images in the order in which they are summed up here.
    order = np.argsort(~differ, kind="stable")
    assert pair.for_not_worse == loss_spread(reference[:, order], candidate[:, order])
    found = settled_loss(pair, TOLERANCE, SETTLE_ERROR)
    assert found.status == status_of(pair, TOLERANCE, SETTLE_ERROR) == everything.status
    assert (found.loss, found.lower, found.upper) == pytest.approx(
        (everything.loss, everything.lower, everything.upper), abs=1e-12
    )


def test_equal_counts_of_seeds_are_not_enough() -> None:
    """Two of three seeds right in both models, but not the same way: the spread between seeds needs such images."""
    reference, candidate = np.ones((2, 3, 200), dtype=bool)
    reference[0, :20] = candidate[1, :20] = False
    told = np.ones(20, dtype=bool)
    with_them = labelled_seeds(reference[:, :20], candidate[:, :20], told, 200).for_not_worse
    assert with_them.loss == 0.0
    assert with_them.common + with_them.flips > 0
    same = np.ones((3, 0), dtype=bool)
    without = labelled_seeds(same, same, told[:0], 200).for_not_worse
    assert without.common + without.flips == 0
    assert with_them.upper_bound(0.975) > without.upper_bound(0.975)


# The test of many counts at once


@given(st.integers(1, 3000), st.floats(0.001, 0.3), st.sampled_from([0.9, 0.98, 0.999]), st.data())
@settings(max_examples=60, deadline=None)
def test_counts_at_once_are_tested_as_each_alone(n, loss, confidence, data) -> None:
    losses = np.array(data.draw(st.lists(st.integers(0, n // 2), min_size=1, max_size=5)), dtype=float)
    gains = np.array([data.draw(st.integers(0, n // 2)) for _ in losses], dtype=float)
    alone = [
        LossSpread(n, (one - other) / n, one, other) for one, other in zip(losses.tolist(), gains.tolist(), strict=True)
    ]
    together = count_distances(losses, gains, n, loss, confidence)
    assert together.tolist() == [spread.distance(loss, confidence) for spread in alone]
    bounds = count_upper_bounds(losses, gains, n, confidence)
    assert bounds == pytest.approx([spread.upper_bound(confidence) for spread in alone], abs=2e-12)


@pytest.mark.parametrize("n", [60, 150, 299, 700, 3000])
@pytest.mark.parametrize("tolerance", [0.001, 0.01, 0.05])
@pytest.mark.parametrize("confidence", [0.9, 0.98, 0.999])
def test_more_gains_and_fewer_losses_never_turn_a_verdict_against_the_candidate(n, tolerance, confidence) -> None:
    """On which stopping, the bounds and what is done with skipped images rest."""
    most = min(n, 120)
    losses, gains = np.meshgrid(np.arange(most + 1.0), np.arange(most + 1.0), indexing="ij")
    distance = count_distances(losses, gains, n, tolerance, confidence)
    verdict = np.where(losses + gains <= n, np.sign(distance) * (abs(distance) > 1), np.nan)
    by_gains, by_losses = np.diff(verdict, axis=1), np.diff(verdict, axis=0)
    assert (by_gains[~np.isnan(by_gains)] >= 0).all()
    assert (by_losses[~np.isnan(by_losses)] <= 0).all()
    bounds = np.stack([count_upper_bounds(losses[:, g], gains[:, g], n, confidence) for g in range(0, most + 1, 10)], 1)
    assert (np.diff(bounds, axis=0) >= -1e-12).all()
    assert (np.diff(bounds, axis=1) <= 1e-12).all()


# The possible final numbers


@given(prefixes(), st.sampled_from([0.3, PREFIX_ERROR, 1e-4]))
@settings(max_examples=150, deadline=None)
def test_the_possible_numbers_are_those_of_the_formula(labelled, error) -> None:
    assert [tuple(pair) for pair in final_numbers(labelled, error).tolist()] == one_by_one(labelled, error)


@given(prefixes())
def test_the_formula_is_the_ratio_of_the_uniform_prior_to_its_posterior(labelled) -> None:
    """The evidence of any labels is 1 / C(k + 2, 2) when all final numbers are equally likely beforehand."""
    d, k = labelled.disagreements, labelled.seen
    summed = sum(ways(labelled, losses, gains) for losses in range(d + 1) for gains in range(d + 1 - losses))
    assert summed * math.comb(k + 2, 2) == math.comb(d + 2, 2) * math.comb(d, k)


@given(prefixes(most=40))
@settings(deadline=None)
def test_without_labels_all_numbers_are_possible_and_with_all_labels_one(labelled) -> None:
    d = labelled.disagreements
    assert len(final_numbers(replace(labelled, losses=0, gains=0, neither=0))) == math.comb(d + 2, 2)
    complete = replace(labelled, neither=d - labelled.losses - labelled.gains)
    assert final_numbers(complete).tolist() == [[labelled.losses, labelled.gains]]


def test_numbers_must_fit() -> None:
    for wrong in ((10, 11, 0, 0, 0), (10, 5, 3, 3, 0), (10, 5, -1, 0, 0), (0, 0, 0, 0, 0), (10, 5, 2, 2, 1, 1)):
        with pytest.raises(ValueError, match=r"below zero|more labels"):
            Labelled(*wrong)
    with pytest.raises(ValueError, match="skipped"):
        final_numbers(Labelled(10, 5, 1, 1, 1, 1))
    with pytest.raises(ValueError, match="not every"):
        Labelled(10, 5, 1, 1, 1, 2).spread()


@pytest.mark.parametrize(
    ("d", "losses", "gains"), [(20, 5, 5), (60, 25, 15), (60, 0, 60), (150, 50, 40), (400, 150, 130)]
)
def test_the_true_numbers_are_possible_at_all_numbers_of_labels_together(d, losses, gains) -> None:
    """Coverage of 99.5 % over a whole labelling, which 40 looks at a set of 99.5 % each would not have."""
    rng, trials = np.random.default_rng(3), 2000
    kinds = np.repeat([0, 1, 2], [losses, gains, d - losses - gains])
    final = np.array([losses]), np.array([gains])
    missed = 0
    for _ in range(trials):
        order = rng.permutation(kinds)
        seen = [np.concatenate([[0], np.cumsum(order == kind)]) for kind in range(3)]
        missed += bool((evidence(d, seen, final) < math.log(PREFIX_ERROR)).any())
    assert missed / trials <= PREFIX_ERROR + 2 * (PREFIX_ERROR / trials) ** 0.5  # two standard errors


def evidence(d, seen, final) -> np.ndarray:
    """Logarithm of what is compared with the error, at each number of labels: by scipy's own hypergeometric."""
    from scipy.stats import multivariate_hypergeom

    k = seen[0] + seen[1] + seen[2]
    m = [int(final[0][0]), int(final[1][0]), d - int(final[0][0]) - int(final[1][0])]
    return multivariate_hypergeom.logpmf(np.stack(seen, axis=1), m, k) + np.log((k + 1) * (k + 2) / 2)
