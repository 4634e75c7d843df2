"""What a learning curve does, by stated rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from foray.records import EpochRow

GAIN = 0.02  # what counts as a rise
HIGH = 0.9  # train accuracy that counts as high


def shape_of(history: Sequence[EpochRow], shape: Literal["overfits", "keeps rising"]) -> tuple[bool, str]:
    """Whether a curve has the shape, and what it does in words. Epochs are quartered, the first quarter rounded up."""
    train = [row.train_top1 for row in history if row.train_top1 is not None]
    val = [row.val_top1 for row in history if row.val_top1 is not None]
    if len(train) < 2 or len(val) < 2:
        return False, f"Too few epochs to see a shape: {len(history)}."
    quarter = math.ceil(len(train) / 4)
    if shape == "overfits":
        gained, moved = train[-1] - train[quarter - 1], val[-1] - val[quarter - 1]
        said = (
            f"From epoch {quarter} to {len(train)} train goes from {_percent(train[quarter - 1])} to "
            f"{_percent(train[-1])} and val from {_percent(val[quarter - 1])} to {_percent(val[-1])}."
        )
        return gained >= GAIN and abs(moved) < GAIN, said
    early, late = fmean(val[:quarter]), fmean(val[-quarter:])
    said = (
        f"Train is at {_percent(max(train[:quarter]))} within the first {quarter} epochs; val is "
        f"{_percent(early)} on average over these and {_percent(late)} over the last {quarter}."
    )
    return max(train[:quarter]) >= HIGH and late > early, said


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
