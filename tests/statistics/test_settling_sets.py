"""Several sets of new images of which one is labelled: how many images differ is known before any label."""

from __future__ import annotations

import numpy as np
import pytest

from foray.statistics import SETTLE_ERROR
from tools.settle_rates import CHOSEN, TOLERANCE, Flips, labellings, wrong_of_chosen


@pytest.mark.parametrize("sets", CHOSEN)
def test_choosing_the_best_of_several_sets_keeps_the_error_where_they_share_it(sets) -> None:
    assert 0 < wrong_of_chosen(sets, 2000, SETTLE_ERROR / sets) <= SETTLE_ERROR


def test_without_sharing_it_would_be_too_much() -> None:
    found = [wrong_of_chosen(sets, 2000, SETTLE_ERROR) for sets in CHOSEN]
    assert found == pytest.approx([0.011, 0.031, 0.052, 0.100], abs=0.001)
    assert found[-1] > 3 * SETTLE_ERROR


@pytest.mark.parametrize(("rate", "neither"), [(0.01, 0.0), (0.02, 0.0), (0.02, 0.3)])
def test_simulated_too(rate, neither) -> None:
    """Of four sets the one with the fewest differing images is labelled, until it suits the candidate."""
    sets, trials, rng = 4, 1500, np.random.default_rng(5)
    flips = Flips(rate, TOLERANCE, neither)
    found = list(labellings(flips, 2000, sets * trials, SETTLE_ERROR / sets, rng))
    tried = [found[start : start + sets] for start in range(0, len(found), sets)]
    wrong = sum(bool((min(one, key=len) == 1).any()) for one in tried)
    assert wrong / trials <= SETTLE_ERROR + 2 * (SETTLE_ERROR / trials) ** 0.5  # two standard errors
