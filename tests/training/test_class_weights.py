"""Class weights against their closed formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from foray.training.class_weights import class_weights
from tests.small_training import small_recipe

COUNTS = st.lists(st.integers(0, 60), min_size=2, max_size=8).filter(any)


def of_counts(counts, kind: str, beta: float = 0.999) -> np.ndarray:
    labels = np.repeat(np.arange(len(counts)), counts)
    weights = class_weights(small_recipe(class_weights=kind, effective_beta=beta), labels, len(counts))
    assert weights is not None
    return weights.double().numpy()


def test_without_weighting_there_are_no_weights() -> None:
    assert class_weights(small_recipe(), torch.tensor([0, 1, 1]), 2) is None


def test_a_worked_example() -> None:
    """1 and 3 images: 1 / n_c is 1 and 1/3, scaled by 2; effective at beta 0.5: 1 and 4/7, scaled by 28/19."""
    np.testing.assert_allclose(of_counts([1, 3], "inverse"), [2, 2 / 3], rtol=1e-6)
    np.testing.assert_allclose(of_counts([1, 3], "effective", 0.5), [28 / 19, 16 / 19], rtol=1e-6)


@given(counts=COUNTS, beta=st.floats(0.01, 0.9999), kind=st.sampled_from(["inverse", "effective"]))
def test_the_mean_over_train_images_is_one_and_absent_classes_count_nothing(counts, beta: float, kind: str) -> None:
    weights, counts = of_counts(counts, kind, beta), np.array(counts)
    assert counts @ weights == pytest.approx(counts.sum(), rel=1e-5)
    assert ((weights == 0) == (counts == 0)).all()
    rare_first = np.argsort(counts[counts > 0])
    assert (np.diff(weights[counts > 0][rare_first]) <= 1e-6).all()  # the rarer, the heavier


@given(counts=COUNTS, beta=st.floats(0.01, 0.9999))
def test_effective_weights_are_in_the_proportions_of_cui_et_al(counts, beta: float) -> None:
    weights, n = of_counts(counts, "effective", beta), np.array(counts, dtype=float)
    expected = (1 - beta) / (1 - beta ** n[n > 0])
    np.testing.assert_allclose(weights[n > 0] / weights[n > 0][0], expected / expected[0], rtol=1e-5)


@given(counts=COUNTS)
def test_effective_weights_lie_between_none_and_inverse(counts) -> None:
    present = np.array(counts) > 0
    np.testing.assert_allclose(of_counts(counts, "effective", 1e-9)[present], 1.0, rtol=1e-5)
    np.testing.assert_allclose(of_counts(counts, "effective", 1 - 1e-12), of_counts(counts, "inverse"), rtol=1e-5)


def test_inverse_weights_are_what_scikit_learn_calls_balanced() -> None:
    labels = np.array([0, 2, 2, 1, 2, 2, 0])
    weights = class_weights(small_recipe(class_weights="inverse"), torch.from_numpy(labels), 3)
    np.testing.assert_allclose(weights, compute_class_weight("balanced", classes=np.arange(3), y=labels), rtol=1e-6)
