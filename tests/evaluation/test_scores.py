"""Metrics against hand counts and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, log_loss, precision_recall_fscore_support, top_k_accuracy_score

from foray.evaluation import compute_metrics

SEVEN = [f"class {i}" for i in range(7)]


def random_predictions(n: int = 400, classes: int = 7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, n)
    scores = random.normal(0, 1, (n, classes)) + 1.5 * np.eye(classes)[labels]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return labels, probabilities.astype(np.float32)


def test_every_number_is_scikit_learns() -> None:
    labels, probabilities = random_predictions()
    metrics = compute_metrics("val", SEVEN, labels, probabilities)
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(labels, predicted)
    assert metrics.top1.value == pytest.approx((predicted == labels).mean())
    assert metrics.top5 is not None
    assert metrics.top5.value == pytest.approx(top_k_accuracy_score(labels, probabilities, k=5, labels=range(7)))
    assert metrics.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)  # scikit-learn wants sums of 1 beyond float32
    assert metrics.loss == pytest.approx(log_loss(labels, exact, labels=range(7)), rel=1e-5)
    assert metrics.confusion == confusion_matrix(labels, predicted).tolist()
    assert [c.n for c in metrics.per_class] == support.tolist()
    assert [c.precision for c in metrics.per_class] == pytest.approx(precision.tolist())
    assert [c.recall.value for c in metrics.per_class if c.recall] == pytest.approx(recall.tolist())
    assert [c.f1 for c in metrics.per_class] == pytest.approx(f1.tolist())


def test_the_interval_is_wilsons() -> None:
    """8 of 10: 0.4902 to 0.9433 (Wilson 1927; Newcombe 1998, Statistics in Medicine 17:857, method 3)."""
    labels = np.zeros(10, dtype=np.int64)
    probabilities = np.tile(np.float32([0.9, 0.1]), (10, 1))
    probabilities[:2] = [0.2, 0.8]
    top1 = compute_metrics("test", ["a", "b"], labels, probabilities).top1
    assert (top1.value, top1.n) == (0.8, 10)
    assert (top1.low, top1.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_what_has_no_denominator_is_none_and_not_zero() -> None:
    labels = np.array([0, 0, 1])
    probabilities = np.float32([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.6, 0.4, 0.0]])
    metrics = compute_metrics("val", ["a", "b", "never"], labels, probabilities)
    a, b, never = metrics.per_class
    assert (never.n, never.precision, never.recall, never.f1) == (0, None, None, None)
    assert (b.precision, b.f1) == (None, 0.0)
    assert metrics.macro_f1 == pytest.approx((a.f1 + 0.0) / 2)


def test_top5_says_nothing_with_five_classes() -> None:
    labels, probabilities = random_predictions(classes=5)
    assert compute_metrics("val", SEVEN[:5], labels, probabilities).top5 is None


def test_a_probability_that_rounded_to_zero_leaves_the_loss_finite() -> None:
    metrics = compute_metrics("val", ["a", "b"], np.array([1]), np.float32([[1.0, 0.0]]))
    assert metrics.loss == pytest.approx(-np.log(1e-12))


@pytest.mark.parametrize("n", [0, 3])
def test_shapes_that_do_not_fit_are_refused(n: int) -> None:
    with pytest.raises(ValueError, match="labels"):
        compute_metrics("val", ["a", "b"], np.zeros(n, np.int64), np.zeros((n, 3), np.float32))
