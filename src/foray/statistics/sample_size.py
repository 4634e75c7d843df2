"""How many images a verdict needs: the number that gives a stated power, averaged over what is not known.

The observed loss is uncertain, so a number of images computed from it leads to a verdict in little more than half of
all cases. Here the chance of a verdict is averaged over the true loss and disagreement given the data (predictive
power: Spiegelhalter, Freedman & Blackburn 1986, Controlled Clinical Trials 7:8; assurance: O'Hagan, Stevens & Campbell
2005, Pharmaceutical Statistics 4:187), and the number is the one at which that average reaches 80 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri, gammaincinv, ndtri, stdtrit

from foray.statistics.loss import LossSpread, constrained_variance

CHANCE = 0.8  # of a verdict, either way
MOST_IMAGES = 10_000_000  # more is not a realistic suggestion

_LOG2_DRAWS = 9
_LEVELS = 64  # values that each quantity takes
_PRECISION = 1.01  # ratio of neighbouring candidates for the number of images

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Needed:
    """What a verdict needs. `images`: in total, the present ones included; None when not within ten million.
    `more_seeds`: the variance between trainings prevents a verdict, and more images do not reduce it."""

    images: int | None
    more_seeds: bool = False


NOTHING = Needed(None)


def needed_for_verdict(spread: LossSpread, tolerance: float, confidence: float = 0.95) -> Needed:
    """What gives an 80 % chance that the loss is found below or above the tolerance.

    To about 1 % of the number. Deterministic. For unresolved comparisons: a resolved one needs nothing.

    Args:
        spread: what the present data say about the loss.
        tolerance: loss of accuracy that is allowed, in [0, 1].
        confidence: of each one-sided bound, in (0.5, 1).

    Returns:
        The number of images in total, or that more seeds are needed.

    >>> from foray.statistics.loss import LossSpread
    >>> needed_for_verdict(LossSpread(n=400, loss=0.005, losses=4.0, gains=2.0), tolerance=0.01)
    Needed(images=9379, more_seeds=False)
    """
    future = _Future(spread, tolerance, confidence)
    if future.chance(MOST_IMAGES) < CHANCE:
        return Needed(None, more_seeds=future.chance(MOST_IMAGES, training=0.0) >= CHANCE)
    too_few, enough = spread.n, MOST_IMAGES
    while enough > too_few * _PRECISION and enough - too_few > 1:
        middle = round((too_few * enough) ** 0.5)
        too_few, enough = (too_few, middle) if future.chance(middle) >= CHANCE else (middle, enough)
    return Needed(enough)


def chance_of_verdict(spread: LossSpread, tolerance: float, n: int, confidence: float = 0.95) -> float:
    """Chance that the bounds put the loss below or above the tolerance, with more images.

    Args:
        spread: what the present data say about the loss.
        tolerance: loss of accuracy that is allowed, in [0, 1].
        n: images in total, the present ones included.
        confidence: of each one-sided bound, in (0.5, 1).

    Returns:
        The chance, in [0, 1].
    """
    return _Future(spread, tolerance, confidence).chance(n)


class _Future:
    """Possible future observations, as equally likely draws given the present data.

    Images: losses and gains are Poisson with rates that have Jeffreys' posterior given the present ones. Trainings
    (with several seeds): more images mean that all models are trained again, so the random part of the present
    trainings is replaced by another; its variance, known with few degrees of freedom, is uncertain (inverse chi-square)
    and estimated again. Each quantity takes the 64 middle values of equally likely parts, in the order of a Sobol
    sequence.
    """

    def __init__(self, spread: LossSpread, tolerance: float, confidence: float) -> None:
        self._spread, self._tolerance = spread, tolerance
        order, level = _order(), (np.arange(_LEVELS) + 0.5) / _LEVELS
        normal = ndtri(level)
        self._loss_rate = gammaincinv(spread.losses + 0.5, level)[order[0]] / spread.n
        self._gain_rate = gammaincinv(spread.gains + 0.5, level)[order[1]] / spread.n
        self._noise = normal[order[2:4]]
        self._normal = self._student = float(ndtri(confidence))
        self._common = self._shift = self._estimate = np.zeros(1)
        if spread.df is not None:
            self._student = float(stdtrit(spread.df, confidence))
            ratio = chdtri(spread.df, level) / spread.df  # of an estimated variance to the true one
            training = max(spread.common + spread.flips, 0.0) / ratio[order[4]]
            self._common = np.maximum(training - spread.flips, 0.0)
            self._shift = (2 * self._common) ** 0.5 * normal[order[5]]
            self._estimate = ratio[order[6]]

    def chance(self, n: int, training: float = 1.0) -> float:
        """Of a verdict with `n` images in total; `training`: factor on the random part that moves all images of a
        training."""
        spread, new = self._spread, n - self._spread.n
        losses = spread.losses + _poisson(new * self._loss_rate, self._noise[0])
        gains = spread.gains + _poisson(new * self._gain_rate, self._noise[1])
        if spread.df is None:
            losses, gains = np.rint(losses), np.rint(gains)
        flips = spread.flips * spread.n / n
        loss = (losses - gains) / n + training**0.5 * self._shift
        image_part = np.maximum(constrained_variance(losses, gains, n, self._tolerance) - flips, 0.0)
        seed_part = (training * self._common + flips) * self._estimate
        variance = image_part + seed_part
        share = np.divide(seed_part, variance, out=np.zeros_like(variance), where=variance > 0)
        quantile = self._normal + share * (self._student - self._normal)
        margin = quantile * variance**0.5 + spread.step / (2 * n)
        return float(np.mean(abs(self._tolerance - loss) > margin))


@cache
def _order() -> npt.NDArray[np.intp]:
    """(7, draws): which level each quantity takes in each draw."""
    from scipy.stats import qmc  # a second of importing, for what few callers need

    points = qmc.Sobol(7, scramble=False).random_base2(_LOG2_DRAWS)
    return np.ascontiguousarray((points.T * _LEVELS).astype(np.intp))


def _poisson(mean: Floats, noise: Floats) -> Floats:
    """Poisson counts from normal noise, by the square root that makes their variance constant."""
    root: Floats = np.maximum(mean**0.5 + noise / 2, 0.0)
    counts: Floats = np.maximum(root * root - 0.25, 0.0)
    return counts
