"""A file without labels and by labels of its flips: the table, and how often both looks together pass a wrong file."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prefixes import prefixes
from scipy.special import bdtr, gammaln

from foray.statistics import (
    Labelled,
    deciding_labels,
    flips_bound,
    flips_loss,
    flips_within,
    images_without_flips,
    settled_status,
)
from foray.statistics.flips import CERTIFICATE_ERROR
from foray.statistics.loss import count_distances
from foray.statistics.settling import SettlingRule, error_of_test

TOLERANCE = 0.01
TABLE = ((0, 299), (1, 473), (3, 773), (5, 1049), (12, 1941))  # flips, the fewest images that pass without labels


def unlabelled(images: int, flips: int) -> Labelled:
    return Labelled(images, flips, 0, 0, 0)


@pytest.mark.parametrize(("flips", "images"), TABLE)
def test_the_fewest_images_that_pass_without_labels(flips: int, images: int) -> None:
    assert flips_loss(unlabelled(images, flips), TOLERANCE).status == "not_worse"
    one_less = flips_loss(unlabelled(images - 1, flips), TOLERANCE)
    assert one_less.status == "unresolved"
    found = flips_loss(unlabelled(images, flips), TOLERANCE)
    assert found.upper == flips_bound(flips, images) < TOLERANCE < one_less.upper
    assert (found.loss, found.lower, found.images_needed) == (None, None, None)
    # Clopper and Pearson: at the bound, as few flips or fewer have a chance of 5 %.
    assert bdtr(flips, images, found.upper) == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize("tolerance", [0.003, 0.01, 0.02, 0.05, 0.2])
def test_images_without_a_flip(tolerance: float) -> None:
    fewest = images_without_flips(tolerance)
    assert fewest is not None
    assert flips_within(0, fewest, tolerance)
    assert not flips_within(0, fewest - 1, tolerance)
    assert images_without_flips(0.0) is None


def test_flips_on_all_images_bound_nothing() -> None:
    assert flips_bound(5, 5) == 1.0
    assert not flips_within(5, 5, 0.999)


# Two looks, one error


@given(st.integers(1, 4000), st.integers(0, 80), st.sampled_from([0.003, 0.01, 0.02, 0.1]))
@settings(max_examples=300, deadline=None)
def test_labels_that_are_all_losses_pass_nothing_that_does_not_pass_without(images, flips, tolerance) -> None:
    """Which is where the look without labels errs as often as it may."""
    flips = min(flips, images)
    labelled = Labelled(images, flips, losses=flips, gains=0, neither=0)
    if settled_status(labelled, tolerance, CERTIFICATE_ERROR) == "not_worse":
        assert flips_within(flips, images, tolerance)


def outcomes(images: int, gains: float, neither: float, error: float) -> tuple[float, float, float]:
    """Chance that a file passes whose true loss is the tolerance: without labels, by all labels, by either.

    `gains`, `neither`: flips of these kinds to be expected; `error`: of the test of all labels. Summed over all numbers
    of losses and gains that are likelier than 1e-12.
    """
    share_gains, share_neither = gains / images, neither / images
    share_losses = TOLERANCE + share_gains
    most = int(images * share_losses + 9 * (images * share_losses) ** 0.5 + 12)
    losses, gained = np.meshgrid(np.arange(most), np.arange(most), indexing="ij")
    rest = images - losses - gained
    log = gammaln(images + 1) - gammaln(losses + 1) - gammaln(gained + 1) - gammaln(rest + 1)
    log += losses * np.log(share_losses) + rest * np.log1p(-share_losses - share_gains)
    with np.errstate(divide="ignore", invalid="ignore"):
        log += np.where(gained > 0, gained * np.log(share_gains), 0.0)
    chance = np.exp(log)
    counts = losses.ravel().astype(float), gained.ravel().astype(float)
    by_labels = (count_distances(*counts, images, TOLERANCE, 1 - error) > 1).reshape(losses.shape)
    room = most_flips(images) - losses - gained  # for those that are neither
    of_the_rest = share_neither / (1 - share_losses - share_gains)
    without = np.where(room >= 0, bdtr(np.maximum(room, 0), rest, of_the_rest), 0.0)
    return tuple(float((chance * one).sum()) for one in (without, by_labels, np.where(by_labels, 1.0, without)))


@lru_cache
def most_flips(images: int) -> int:
    """That pass without labels; -1 where none do."""
    return next(flips - 1 for flips in range(images) if not flips_within(flips, images, TOLERANCE))


KINDS = [(gains, neither) for gains in (0, 0.1, 0.3, 1, 3, 10) for neither in (0, 0.3, 2)]


@pytest.mark.parametrize("images", [images for _, images in TABLE] + [350, 628, 1500, 5000])
def test_both_looks_together_pass_at_most_five_per_cent(images: int) -> None:
    """Exact, all flips labelled. The worst case is where all flips are losses, the error that of the first look."""
    found = {kinds: outcomes(images, *kinds, error_of_test(CERTIFICATE_ERROR)) for kinds in KINDS}
    assert max(either for _, _, either in found.values()) <= 0.05
    without, _, either = found[0, 0]
    assert either == pytest.approx(without, abs=1e-12)
    if images in dict(TABLE).values():
        assert without == pytest.approx(0.05, abs=0.0005)


def test_the_sum_can_find_too_large_an_error() -> None:
    assert outcomes(1941, 3, 0, 0.08)[2] > 0.05
    assert outcomes(473, 0, 0, 0.05)[0] == pytest.approx(bdtr(1, 473, 0.01), abs=1e-9)


@pytest.mark.parametrize(
    ("images", "gains", "neither"), [(473, 0.3, 0), (773, 0.3, 0), (1049, 1, 2), (1941, 10, 5), (1200, 20, 10)]
)
def test_stopping_when_it_suits_the_file_passes_at_most_five_per_cent(images, gains, neither) -> None:
    """Labels in random order, a look after each; the true loss is the tolerance. 2,000 files."""
    rng, trials = np.random.default_rng(7), 2000
    expected = np.array([images * TOLERANCE + gains, gains, neither])
    passed = 0
    for counts in rng.multinomial(images, [*(expected / images), 1 - expected.sum() / images], trials)[:, :3]:
        flips = int(counts.sum())
        passed += flips <= most_flips(images) or ever_passes(images, rng.permutation(np.repeat(np.arange(3), counts)))
    assert 0.005 < passed / trials <= 0.05 + 2 * (0.05 * 0.95 / trials) ** 0.5


def ever_passes(images: int, kinds: np.ndarray) -> bool:
    """Whether the file passes after any number of labels; kinds: 0 loss, 1 gain, 2 neither."""
    counts = [np.concatenate([[0], np.cumsum(kinds == kind)]) for kind in range(3)]
    return bool((rule(images, len(kinds)).statuses(*counts) == 1).any())


@lru_cache(maxsize=256)
def rule(images: int, flips: int) -> SettlingRule:
    return SettlingRule(images, flips, TOLERANCE, CERTIFICATE_ERROR)


# The loss by labels


@given(prefixes(most=20, skipped=True), st.sampled_from([0.003, 0.02, 0.1]))
@settings(max_examples=150, deadline=None)
def test_status_and_bounds_agree(labelled, tolerance) -> None:
    found = flips_loss(labelled, tolerance)
    assert found.upper <= flips_bound(labelled.disagreements, labelled.images)
    if found.status != "worse":
        assert (found.upper < tolerance + 1e-9) >= (found.status == "not_worse")
    else:
        assert found.lower is not None
        assert found.lower > tolerance - 1e-9
    by_labels = settled_status(labelled, tolerance, CERTIFICATE_ERROR)
    if not flips_within(labelled.disagreements, labelled.images, tolerance) and labelled.seen:
        assert found.status == by_labels
    assert (found.loss is None) == (labelled.seen == 0)


def test_labels_can_show_that_a_file_fails_or_passes() -> None:
    fails = flips_loss(Labelled(1200, 40, 36, 2, 2), TOLERANCE)
    passes = flips_loss(Labelled(1200, 24, 8, 8, 8), TOLERANCE)
    open_ = flips_loss(Labelled(1200, 24, 15, 5, 4), TOLERANCE)
    assert (fails.status, passes.status, open_.status) == ("worse", "not_worse", "unresolved")
    assert fails.loss == pytest.approx(34 / 1200)
    assert fails.lower is not None
    assert fails.lower > TOLERANCE
    assert open_.images_needed is not None
    assert open_.images_needed > 1200
    assert passes.images_needed is None


@pytest.mark.parametrize(
    ("images", "flips", "reach"),
    [(100, 1, set()), (400, 1, {"not_worse"}), (1200, 24, {"not_worse", "worse"}), (2000, 21, {"not_worse"})],
)
def test_what_labels_can_decide(images: int, flips: int, reach: set[str]) -> None:
    """Against all outcomes."""
    found = {
        flips_loss(Labelled(images, flips, losses, gains, flips - losses - gains), TOLERANCE).status
        for losses in range(flips + 1)
        for gains in range(flips + 1 - losses)
    }
    assert deciding_labels(images, flips, TOLERANCE) == found - {"unresolved"}
    assert found - {"unresolved"} == reach
