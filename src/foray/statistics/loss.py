"""The variance of a paired difference of accuracies under a given true loss."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtri

from foray.statistics.crossed import Correct, Crossed, crossed, mixed_quantile

Floats = npt.NDArray[np.float64]
Amount = TypeVar("Amount", float, Floats)


@dataclass(frozen=True)
class LossSpread:
    """Summary of the data about a loss: the numbers that every bound needs.

    `losses` and `gains`: images that only the reference, or only the candidate, classified correctly. Over several
    seeds, where an image can be half lost, they are the counts that have the observed mean and mean square of the
    per-image differences. `common`: variance of the loss due to training that moves all images together (an unbiased
    estimate, so below zero by chance); `flips`: due to images that flip between seeds. `df`: degrees of freedom of the
    training part of both models together (Satterthwaite 1946, Biometrics Bulletin 2:110); None for one seed, where
    there is no such part. `step`: by how many images the difference typically jumps.
    """

    n: int
    loss: float
    losses: float
    gains: float
    common: float = 0.0
    flips: float = 0.0
    df: float | None = None
    step: float = 1.0

    def swapped(self) -> LossSpread:
        """The same data with reference and candidate exchanged."""
        return replace(self, loss=-self.loss, losses=self.gains, gains=self.losses)

    def upper_bound(self, confidence: float) -> float:
        """The largest loss that a one-sided test at 1 - `confidence` does not reject; at most 1."""

        def rejected_by(loss: float) -> float:
            return loss - self.loss - self.margin(loss, confidence)

        if rejected_by(1.0) <= 0:
            return 1.0
        return float(brentq(rejected_by, self.loss, 1.0, xtol=1e-12))

    def margin(self, loss: float, confidence: float) -> float:
        """The largest distance of the observed loss from a true `loss` at which a one-sided test at 1 - `confidence`
        does not reject."""
        return self.quantile_width(loss, confidence) + self.step / (2 * self.n)

    def distance(self, loss: float, confidence: float) -> float:
        """How far below a true `loss` the observed one is, in margins: above 1, the bound of `confidence` lies below
        `loss`; under -1, the other bound lies above it; in between the data cannot tell."""
        return (loss - self.loss) / self.margin(loss, confidence)

    def quantile_width(self, loss: float, confidence: float) -> float:
        """The same without the continuity correction."""
        image_part = max(constrained_variance(self.losses, self.gains, self.n, loss) - self.flips, 0.0)
        seed_part = max(self.common + self.flips, 0.0)
        quantile = mixed_quantile(confidence, image_part, seed_part, self.df or math.inf)
        return quantile * math.sqrt(image_part + seed_part)


def loss_spread(reference: Correct, candidate: Correct) -> LossSpread:
    """Summary of two correctness arrays (S, N) over the same images in the same order."""
    return spread_between(crossed(reference), crossed(candidate))


def spread_between(ours: Crossed, theirs: Crossed) -> LossSpread:
    """`loss_spread` of a reference and a candidate whose parts are known."""
    seeds, n = ours.seeds, len(ours.image_means)
    difference = ours.image_means - theirs.image_means
    total, absolute = float(difference.sum()), float(abs(difference).sum())
    squares = float((difference**2).sum())
    # Differences of a third lower the mean square below the mean, which no 0/1 counts could have.
    disagreements = max(squares, abs(total))
    parts = (ours.seed_part, theirs.seed_part)
    df = None
    if seeds > 1:
        df = (seeds - 1) * (sum(parts) ** 2 / sum(part**2 for part in parts) if any(parts) else 1.0)
    flips = ours.flips + theirs.flips
    return LossSpread(
        n=n,
        loss=total / n,
        losses=(disagreements + total) / 2,
        gains=(disagreements - total) / 2,
        common=sum(parts) - flips,
        flips=flips,
        df=df,
        step=squares / absolute if absolute else 1.0,
    )


def count_distances(losses: Floats, gains: Floats, n: int, loss: float, confidence: float) -> Floats:
    """`LossSpread.distance` of many pairs at once, one seed each, from the losses and gains among `n` images."""
    observed = (losses - gains) / n
    distances: Floats = (loss - observed) / _count_margins(losses, gains, n, np.full_like(observed, loss), confidence)
    return distances


def count_upper_bounds(losses: Floats, gains: Floats, n: int, confidence: float) -> Floats:
    """`LossSpread.upper_bound` of many pairs at once, one seed each, by halving: to 1e-12."""
    observed = (losses - gains) / n
    low, high = observed, np.ones_like(observed)
    for _ in range(41):
        middle = (low + high) / 2
        rejected = middle - observed > _count_margins(losses, gains, n, middle, confidence)
        low, high = np.where(rejected, low, middle), np.where(rejected, middle, high)
    return high


def _count_margins(losses: Floats, gains: Floats, n: int, loss: Floats, confidence: float) -> Floats:
    variance = np.maximum(constrained_variance(losses, gains, n, loss), 0.0)
    margins: Floats = ndtri(confidence) * variance**0.5 + 1 / (2 * n)
    return margins


def constrained_variance(losses: Amount, gains: Amount, n: float, loss: float | Amount) -> Amount:
    """Variance of the observed paired difference of `n` images if the true loss were `loss`.

    The share of gains is replaced by its maximum-likelihood estimate under that constraint (Tango 1998, Statistics in
    Medicine 17:891), so the variance is above zero for any loss other than zero even when
    the two models never disagreed. Rounding may take it below zero by about 1e-16.
    """
    b = -losses - gains + (2 * n - losses + gains) * loss
    c = -gains * loss * (1 - loss)
    root: Amount = abs(b * b - 8 * n * c) ** 0.5
    share_of_gains = (root - b) / (4 * n)
    return (2 * share_of_gains + loss * (1 - loss)) / n
