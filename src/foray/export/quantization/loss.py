"""What an int8 file loses on validation images: labels of float32 and int8, image by image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from foray.records.quantities import format_points
from foray.statistics.paired import PairedResult, paired_loss


def int8_loss(
    float32: npt.NDArray[np.float32], int8: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], tolerance: float
) -> PairedResult:
    """From probabilities (N, C) of the same images, N > 0, and their labels (N,).

    The probabilities themselves are not used: what float32 gives up with each label that int8 changes says next to
    nothing about the accuracy that is lost (correlations of 0.14 to 0.20 over attempts on published and fine-tuned
    weights), since fine-tuned networks are surer than they are right.
    """
    ours, theirs = (found.argmax(axis=1) == labels for found in (float32, int8))
    return paired_loss(ours[None], theirs[None], tolerance)


def loss_words(loss: PairedResult) -> str:
    """The loss with its bounds and the number of images."""
    bounds = f"{format_points(loss.lower)} and {format_points(loss.upper)}, each at {loss.confidence:.0%}"
    return f"{format_points(loss.loss)} lost (bounds {bounds}, n = {loss.n} validation images)"
