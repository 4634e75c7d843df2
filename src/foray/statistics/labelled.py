"""What labels of the images on which networks differ say of a pair of them.

With one seed labelling may stop early (`settling`). With several seeds all images are labelled on which any two of the
labels differ, and the rest counts as right for all: to a difference between the models, and to the spread between the
trainings of one, an image that all trainings of both label alike adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from foray.statistics.crossed import Correct
from foray.statistics.loss import LossSpread, loss_spread


@dataclass(frozen=True)
class Labelled:
    """What the labels so far say of one pair of networks.

    images: N, unlabelled images that both networks classified.
    disagreements: D, those on which their labels differ.
    losses, gains, neither: of the D, those whose true label only the reference gave, only the candidate, or neither.
    skipped: of the D, those whose true label could not be told.
    Raises ValueError where these numbers do not fit each other.
    """

    images: int
    disagreements: int
    losses: int
    gains: int
    neither: int
    skipped: int = 0

    def __post_init__(self) -> None:
        if min(self.losses, self.gains, self.neither, self.skipped) < 0:
            raise ValueError(f"a number below zero: {self}")
        if self.images < 1 or not self.seen <= self.disagreements <= self.images:
            raise ValueError(f"more labels than disagreements, or more disagreements than images: {self}")

    @property
    def seeds(self) -> int:
        """How often each network was trained; labelling may stop early for one only."""
        return 1

    @property
    def labels(self) -> int:
        """How many of the D got a label."""
        return self.losses + self.gains + self.neither

    @property
    def seen(self) -> int:
        """How many of the D were looked at, those skipped included."""
        return self.labels + self.skipped

    @property
    def is_complete(self) -> bool:
        """Whether all of the D were looked at."""
        return self.seen == self.disagreements

    def swapped(self) -> Labelled:
        """The same labels with reference and candidate exchanged."""
        return replace(self, losses=self.gains, gains=self.losses)

    def skipped_as_losses(self) -> Labelled:
        """Each skipped image counted as a loss: no true label of it could speak more against the candidate."""
        return replace(self, losses=self.losses + self.skipped, skipped=0)

    def estimate(self) -> float:
        """The loss on the N images, in [-1, 1], if the other disagreements are like those with a label; 0 without."""
        return (self.losses - self.gains) / max(self.labels, 1) * self.disagreements / self.images

    def spread(self) -> LossSpread:
        """Summary of N labelled images. Raises ValueError unless each of the D has a label."""
        if self.labels < self.disagreements:
            raise ValueError(f"not every disagreement has a label: {self}")
        return LossSpread(self.images, (self.losses - self.gains) / self.images, self.losses, self.gains)


@dataclass(frozen=True)
class LabelledSeeds:
    """What the labels say of one pair of models of several seeds, when all of the disagreements were looked at.

    `images`: N, unlabelled images that all networks classified. `disagreements`: those whose labels are not all the
    same. `labels`: how many of them got a label; the others could not be told. `seeds`: trainings of each model.
    `for_not_worse`: summary of the N images, in which those that could not be told count as losses, and the trainings
    of a model differ as much as these images allow. `for_worse`: the same, where they count as gains.
    """

    images: int
    disagreements: int
    labels: int
    seeds: int
    for_not_worse: LossSpread
    for_worse: LossSpread

    def swapped(self) -> LabelledSeeds:
        """The same labels with reference and candidate exchanged."""
        worse, not_worse = self.for_not_worse.swapped(), self.for_worse.swapped()
        return LabelledSeeds(self.images, self.disagreements, self.labels, self.seeds, not_worse, worse)


def labelled_seeds(reference: Correct, candidate: Correct, told: npt.NDArray[np.bool_], images: int) -> LabelledSeeds:
    """The labels of one pair of models of several seeds.

    Args:
        reference: (S, D), whether each training was right about each of the images whose labels are not all the same.
        candidate: (S, D), the same of the other model, for the same images in the same order.
        told: (D,), whether the image got a label; what the arrays say of the others does not matter.
        images: N, all unlabelled images, D or more.

    >>> import numpy as np
    >>> reference = np.array([[True, True], [True, False]])  # two seeds, two images
    >>> pair = labelled_seeds(reference, ~reference, told=np.array([True, True]), images=1000)
    >>> pair.labels, pair.for_not_worse.loss
    (2, 0.001)
    """
    seeds, disagreements = reference.shape
    spreads = []
    for as_losses in (True, False):
        ours, theirs = np.ones((2, seeds, images), dtype=np.bool_)
        ours[:, :disagreements] = np.where(told, reference, as_losses)
        theirs[:, :disagreements] = np.where(told, candidate, not as_losses)
        spread = loss_spread(ours, theirs)
        if not told.all():
            skipped = int((~told).sum())
            training = sum(
                _most_training(model[:, told].sum(axis=1), skipped, images) for model in (reference, candidate)
            )
            spread = replace(spread, common=training - spread.flips, df=float(seeds - 1))
        spreads.append(spread)
    return LabelledSeeds(images, disagreements, int(told.sum()), seeds, spreads[0], spreads[1])


def _most_training(right: npt.NDArray[np.intp], skipped: int, images: int) -> float:
    """The largest variance of a mean accuracy due to training that the skipped images could bring about; `right`: (S,),
    the other images that each training got right. It is largest where the better trainings got all of them right."""
    worst_first, seeds = np.sort(right), len(right)
    better = np.arange(seeds) >= np.arange(seeds + 1)[:, None]
    return float(((worst_first + skipped * better) / images).var(axis=1, ddof=1).max()) / seeds
