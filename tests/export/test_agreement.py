"""Numbers that hold two arrays of probabilities against each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foray.export.agreement import agreement, no_probabilities


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


LOGITS = np.random.default_rng(0).normal(0, 2, (400, 7))


def test_equal_probabilities_agree_in_everything() -> None:
    same = agreement(softmax(LOGITS), softmax(LOGITS))
    assert (same.n, same.same_labels, same.mean_shift, same.logit_error) == (400, 400, 0, 0)
    assert same.unlike() == []


def test_the_numbers_are_those_of_their_definitions() -> None:
    ours = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]], np.float32)
    theirs = np.array([[0.3, 0.5, 0.2], [0.1, 0.7, 0.2]], np.float32)
    found = agreement(ours, theirs)
    assert found.same_labels == 1
    assert found.largest_row == 0
    assert found.largest_difference == pytest.approx(0.2)
    assert found.mean_shift == pytest.approx((0.2 + 0.1) / 2)  # what moved from one class to another


@given(st.floats(0.001, 0.4), st.integers(0, 5))
def test_the_logit_error_is_the_relative_size_of_what_was_added_to_the_logits(size: float, seed: int) -> None:
    """A constant an image changes nothing."""
    centred = 1.5 * (LOGITS - LOGITS.mean(axis=1, keepdims=True))
    noise = np.random.default_rng(seed).normal(size=LOGITS.shape)
    noise -= noise.mean(axis=1, keepdims=True)
    noise *= size * np.linalg.norm(centred) / np.linalg.norm(noise)
    found = agreement(softmax(centred), softmax(centred + noise + 5.0))
    assert found.logit_error == pytest.approx(size, rel=0.02, abs=1e-5)


def test_an_error_in_a_tenth_of_the_images_is_seen() -> None:
    changed = LOGITS.copy()
    changed[::10] = changed[::10, ::-1]
    assert any("log-probabilities" in reason for reason in agreement(softmax(LOGITS), softmax(changed)).unlike())


def test_near_ties_may_change_labels_and_no_others() -> None:
    close = LOGITS.copy()
    first, second = np.argsort(-close[0])[:2]
    close[0, second] = close[0, first] + 1e-6
    one_changed = agreement(softmax(LOGITS), softmax(close))
    assert "labels" not in " ".join(one_changed.unlike())
    many = LOGITS.copy()
    for row in range(20):
        first, second = np.argsort(-many[row])[:2]
        many[row, second] = many[row, first] + 1e-6
    assert "20 of 400 labels changed" in " ".join(agreement(softmax(LOGITS), softmax(many)).unlike())


def test_outputs_that_are_no_probabilities_are_told_apart() -> None:
    right = softmax(LOGITS)
    assert no_probabilities(right) is None
    assert "finite" in str(no_probabilities(np.where(right > 0.9, np.nan, right)))
    assert "sum to 1" in str(no_probabilities(LOGITS.astype(np.float32)))
    assert "sum to 1" in str(no_probabilities(right * 2))
