"""What a run scored, with sample sizes and intervals."""

from __future__ import annotations

from typing import Literal

from foray.records.record import Record


class Estimate(Record):
    """A proportion or mean in [0, 1] with its interval and sample size."""

    value: float
    low: float
    high: float
    n: int
    confidence: float = 0.95
    method: str = "Wilson"


class ClassMetrics(Record):
    """One class: `n` images carry this label. None where the denominator is empty."""

    name: str
    n: int
    precision: float | None
    recall: Estimate | None
    f1: float | None


class Metrics(Record):
    """One split. `confusion[i][j]`: images of class i predicted as class j. `top5` is None below six classes."""

    split: str
    n: int
    top1: Estimate
    top5: Estimate | None
    macro_f1: float
    loss: float
    per_class: list[ClassMetrics]
    confusion: list[list[int]]


class HalfScore(Record):
    """Accuracy in [0, 1] and mean cross-entropy in nats on one half of val."""

    top1: float
    loss: float


class EpochRow(Record):
    """One line of history.jsonl. `train_top1` is measured on the augmented batches as they pass.

    `val_weights`: whose accuracy val's is, that of the model or of the running average of its weights. Of a head that
    was solved for (`solver` lbfgs) a line is one L2 penalty, counted as an epoch is, from strong to weak.
    `val_halves`: what each half of val, alone, would choose the epoch by; None where val is not cross-fitted.
    """

    epoch: int
    learning_rate: float | None  # None: solved for, without steps
    train_loss: float
    train_top1: float | None
    val_loss: float | None
    val_top1: float | None
    seconds: float
    val_weights: Literal["model", "average"] = "model"
    l2_penalty: float | None = None  # lbfgs only: see training/logistic.py
    val_halves: tuple[HalfScore, HalfScore] | None = None
