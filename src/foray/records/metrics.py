"""Metrics of a run, with sample sizes and intervals."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

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


class LeftOut(Record):
    """Images that are not scored, recognised by content: the run was trained on them, or selected on them (val), or
    they are near-duplicates of such images, or an int8 file was calibrated or selected on them.
    """

    trained_on: int = 0
    selected_on: int = 0
    near_copies: int = 0
    calibrated_on: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.trained_on + self.selected_on + self.near_copies + self.calibrated_on

    @property
    def sentence(self) -> str:
        """How many and why, as a sentence; empty where there are none."""
        reasons = {
            "trained on": self.trained_on,
            "used to select (val)": self.selected_on,
            "near-duplicates of such images": self.near_copies,
            "used to calibrate int8": self.calibrated_on,
        }
        told = ", ".join(f"{n:,} {reason}" for reason, n in reasons.items() if n)
        return f"Left out of the score: {told}." if told else ""


class Leak(Record):
    """Given splits that share images: `leaked` of the `n` images of `split` are duplicates or near-duplicates of images
    in an earlier split. `without`: accuracy of `model` on the others; None where there are none.
    """

    split: str
    model: str
    n: int
    leaked: int
    whole: Estimate
    without: Estimate | None


class Metrics(Record):
    """One split. `confusion[i][j]`: images of class i predicted as class j. `top5` is None below six classes.

    `macro_f1` is over the classes that have images; those in `absent` have none. `left_out`: None where it was not
    checked. `notes`: remarks for the reader of the score.
    """

    split: str
    n: int
    top1: Estimate
    top5: Estimate | None
    macro_f1: float
    loss: float
    per_class: list[ClassMetrics]
    confusion: list[list[int]]
    absent: list[str] = Field(default_factory=list)
    left_out: LeftOut | None = None
    notes: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _has_a_row_a_class(self) -> Self:
        sides = {len(self.per_class), len(self.confusion), *map(len, self.confusion)}
        if len(sides) > 1:
            raise ValueError("per_class and confusion have different numbers of classes")
        return self


class HalfScore(Record):
    """Accuracy in [0, 1] and mean cross-entropy in nats on one half of val."""

    top1: float
    loss: float


class EpochRow(Record):
    """One line of history.jsonl. `train_top1` is measured on the augmented batches during the epoch.

    `val_weights`: which weights were validated: the model's, or their exponential moving average (EMA). For a
    head fitted by `solver` lbfgs, a line is one L2 penalty, counted like an epoch, from strong to weak.
    `val_halves`: the scores by which each half of val alone would select the epoch; None without cross-fitting.
    """

    epoch: int
    learning_rate: float | None  # None: fitted by a solver, without steps
    train_loss: float
    train_top1: float | None
    val_loss: float | None
    val_top1: float | None
    seconds: float
    val_weights: Literal["model", "average"] = "model"
    l2_penalty: float | None = None  # lbfgs only: see linear/logistic.py
    val_halves: tuple[HalfScore, HalfScore] | None = None
