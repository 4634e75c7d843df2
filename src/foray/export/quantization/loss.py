"""What an int8 file loses, measured on validation images in two ways that fail differently."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from foray.records.quantities import format_points
from foray.statistics.paired import PairedResult, paired_loss


@dataclass(frozen=True)
class Int8Loss:
    """`paired`: top-1 lost by the labels of the images. `expected`: top-1 lost by the float32 network's own
    probabilities, as a share, and `expected_upper`, its one-sided bound, at the confidence of `paired`.

    The labels of a few hundred images decide by a handful of them: with 250 images and nine labels in a hundred
    changed, the standard error is 1.9 points. `expected` weighs each changed label by what float32 gives up with it,
    which has a third of that error, but believes float32 to be as sure as it ought to be.
    """

    paired: PairedResult
    expected: float
    expected_upper: float

    def within(self, tolerance: float) -> bool:
        """Whether both say so: the loss measured, and the bound of the loss expected."""
        return self.paired.loss <= tolerance and self.expected_upper <= tolerance

    def words(self) -> str:
        """Both, with bounds and the number of images."""
        paired = self.paired
        bounds = f"{format_points(paired.lower)} and {format_points(paired.upper)}, each at {paired.confidence:.0%}"
        return (
            f"{format_points(paired.loss)} lost (bounds {bounds}, n = {paired.n} validation images), "
            f"{format_points(self.expected)} expected by the probabilities of float32 (at most "
            f"{format_points(self.expected_upper)})"
        )


def int8_loss(
    float32: npt.NDArray[np.float32], int8: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], tolerance: float
) -> Int8Loss:
    """From probabilities (N, C) of the same images, N > 0, and their labels (N,)."""
    rows, ours, theirs = np.arange(len(labels)), float32.argmax(axis=1), int8.argmax(axis=1)
    given_up = float32[rows, ours].astype(np.float64) - float32[rows, theirs]
    expected, error = float(given_up.mean()), float(given_up.std()) / math.sqrt(len(labels))
    paired = paired_loss((ours == labels)[None], (theirs == labels)[None], tolerance)
    return Int8Loss(paired, expected, expected + float(norm.ppf(paired.confidence)) * error)
