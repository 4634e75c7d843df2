"""The shape of a learning curve: straight lines fitted to all its epochs after the first quarter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from scipy.stats import t as student

from foray.records import EpochRow
from foray.records.quantities import format_percent, format_points
from foray.reproduce.claim import CurveShape
from foray.reproduce.statement_verdict import Shown

GAIN = 0.02  # change over the fitted epochs that counts as a rise, or a fall
HIGH = 0.9  # train accuracy that counts as high
LEAST_EPOCHS = 8
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Trend:
    """Change of accuracy along a fitted line from the first to the last epoch, with its 95 % interval.

    `start`: the line at the first epoch. `spread`: standard deviation around the line.
    """

    start: float
    change: float
    low: float
    high: float
    spread: float

    def words(self) -> str:
        """In points."""
        low, high = (format_points(bound).removesuffix("s").removesuffix(" point") for bound in (self.low, self.high))
        return f"{format_points(self.change)} ({low} to {high})"


def trend(accuracies: Sequence[float]) -> Trend:
    """Least squares over epochs; the interval is that of the slope, from the residuals. Three epochs or more."""
    y = np.asarray(accuracies)
    x = np.arange(len(y)) - (len(y) - 1) / 2
    slope = float(x @ y / (x @ x))
    residuals = y - y.mean() - slope * x
    spread = math.sqrt(float(residuals @ residuals) / (len(y) - 2))
    half = float(student.ppf((1 + _CONFIDENCE) / 2, len(y) - 2)) * spread / math.sqrt(float(x @ x))
    steps = len(y) - 1
    start = float(y.mean()) - slope * steps / 2
    return Trend(start, slope * steps, (slope - half) * steps, (slope + half) * steps, spread)


def shape_of(histories: Sequence[Sequence[EpochRow]], shape: CurveShape) -> tuple[Shown, str]:
    """Whether the mean curve of all seeds has the shape, and its description.

    A val that lags behind the network, as with a slow batch norm, cannot be told from one that rises: the study's
    recipes therefore state a batch norm that follows within an epoch.
    """
    train = _mean([[row.train_top1 for row in rows] for rows in histories])
    val = _mean([[row.val_top1 for row in rows] for rows in histories])
    epochs = min(len(train), len(val))
    if epochs < LEAST_EPOCHS:
        return "open", f"{epochs} epochs are too few to see a shape: at least {LEAST_EPOCHS} are needed."
    train, val = train[:epochs], val[:epochs]
    quarter = math.ceil(epochs / 4)
    rising, moving = trend(train[quarter - 1 :]), trend(val[quarter - 1 :])
    said = f"From epoch {quarter} to {epochs} train changes by {rising.words()} and val by {moving.words()}"
    if shape.shape == "overfits":
        return _both(_rises(rising), _stays(moving)), f"{said}."
    early = max(train[:quarter])
    is_high: Shown = "holds" if early >= HIGH else "contrary"
    return _both(is_high, _above_zero(moving)), f"{said}; train is at {format_percent(early)} by epoch {quarter}."


def _mean(of_seeds: Sequence[Sequence[float | None]]) -> list[float]:
    """By epoch, over seeds; up to the first epoch that one of them lacks."""
    found = []
    for values in zip(*of_seeds, strict=False):
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            break
        found.append(fmean(known))
    return found


def _rises(line: Trend) -> Shown:
    """By GAIN or more, or by half of what there is to gain: a train of 98 % cannot rise by more than 2 points."""
    wanted = min(GAIN, (1 - line.start) / 2)
    if line.change >= wanted and line.low > 0:
        return "holds"
    return "contrary" if line.high < wanted else "open"


def _stays(line: Trend) -> Shown:
    """Within GAIN either way."""
    if line.low > -GAIN and line.high < GAIN:
        return "holds"
    return "contrary" if line.low > GAIN or line.high < -GAIN else "open"


def _above_zero(line: Trend) -> Shown:
    if line.low > 0:
        return "holds"
    return "contrary" if line.high < 0 else "open"


def _both(one: Shown, other: Shown) -> Shown:
    if "contrary" in (one, other):
        return "contrary"
    return "holds" if one == other == "holds" else "open"
