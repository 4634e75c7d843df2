"""Metrics of class probabilities: accuracy with its interval, F1, confusion, loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foray.errors import ForayError
from foray.records import ClassMetrics, Estimate, Metrics
from foray.statistics import wilson_interval

_TOP5_MIN_CLASSES = 6  # with five classes or fewer every answer is among the five most probable
_SMALLEST_PROBABILITY = 1e-12  # keeps the loss finite where float32 rounds a probability to 0


@dataclass(frozen=True)
class Score:
    """Accuracy in [0, 1] and mean cross-entropy in nats."""

    top1: float
    loss: float


def compute_metrics(
    split: str, classes: Sequence[str], labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32]
) -> Metrics:
    """Scores `probabilities` (N, C) against `labels` (N,), each in [0, C).

    Intervals are Wilson's at 95 %. `loss` is the mean cross-entropy in nats, probabilities below 1e-12 counted as
    that. Macro-F1 is the mean over the classes that have images. Raises ForayError for probabilities that are not
    finite, ValueError for shapes that do not fit and for an empty split.
    """
    n, num_classes = probabilities.shape
    if n == 0 or labels.shape != (n,) or len(classes) != num_classes:
        raise ValueError(f"{labels.shape} labels and {probabilities.shape} probabilities for {len(classes)} classes")
    if wrong := int((~np.isfinite(probabilities)).any(axis=1).sum()):
        raise ForayError(
            f"The network's probabilities for {wrong:,} of {n:,} {split} images are not finite: its weights are "
            "damaged, or a value overflows."
        )
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    per_class = [_class_metrics(name, i, confusion) for i, name in enumerate(classes)]
    return Metrics(
        split=split,
        n=n,
        top1=_proportion(int(np.trace(confusion)), n),
        top5=_proportion(_top5_hits(labels, probabilities), n) if num_classes >= _TOP5_MIN_CLASSES else None,
        macro_f1=float(np.mean([metrics.f1 for metrics in per_class if metrics.n and metrics.f1 is not None])),
        loss=mean_loss(labels, probabilities),
        per_class=per_class,
        confusion=confusion.tolist(),
        absent=[metrics.name for metrics in per_class if not metrics.n],
    )


def mean_loss(labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32]) -> float:
    """Mean cross-entropy in nats; NaN probabilities give NaN."""
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(of_label, _SMALLEST_PROBABILITY)).mean())


def _class_metrics(name: str, i: int, confusion: npt.NDArray[np.int64]) -> ClassMetrics:
    hits, n, answers = int(confusion[i, i]), int(confusion[i].sum()), int(confusion[:, i].sum())
    return ClassMetrics(
        name=name,
        n=n,
        precision=hits / answers if answers else None,
        recall=_proportion(hits, n) if n else None,
        f1=2 * hits / (n + answers) if n + answers else None,
    )


def _top5_hits(labels: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float32]) -> int:
    top5 = np.argpartition(-probabilities, 4, axis=1)[:, :5]
    return int((top5 == labels[:, None]).any(axis=1).sum())


def _proportion(successes: int, n: int) -> Estimate:
    low, high = wilson_interval(successes, n)
    return Estimate(value=successes / n, low=low, high=high, n=n)
