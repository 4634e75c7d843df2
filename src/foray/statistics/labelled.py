"""What labels of the images on which networks differ say of a pair of them, and what that comes to.

`settling` has the statistics for one seed, where labelling may stop early. With several seeds all images are labelled
on which any two of the labels differ, and the rest counts as right for all: to a difference between the models, and to
the spread between the trainings of one, an image that all trainings of both label alike adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foray.statistics.crossed import Correct
from foray.statistics.loss import LossSpread, loss_spread
from foray.statistics.paired import Verdict, result_of
from foray.statistics.sample_size import NOTHING, Needed
from foray.statistics.settling import Labelled, error_of_test, settled_bounds, settled_status


@dataclass(frozen=True)
class LabelledSeeds:
    """What the labels say of one pair of models of several seeds, when all of the disagreements were looked at.

    images: N, unlabelled images that all networks classified.
    disagreements: those whose labels are not all the same.
    labels: how many of them got a label; the others could not be told.
    seeds: trainings of each model.
    for_not_worse: summary of the N images, where those that could not be told count as losses.
    for_worse: the same, where they count as gains.
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


@dataclass(frozen=True)
class SettledLoss:
    """What a candidate loses against a reference, from labels of new images. Losses are in [-1, 1].

    `lower` and `upper`: one-sided bounds, each at `confidence`. `status`: not_worse when upper < tolerance, worse when
    lower > tolerance. `p_value`: two-sided test of "no difference"; `needed`: what would give a verdict; of both only
    where all labels are known.
    """

    loss: float
    lower: float
    upper: float
    confidence: float
    status: Verdict
    p_value: float | None = None
    needed: Needed = NOTHING


def labelled_seeds(reference: Correct, candidate: Correct, told: npt.NDArray[np.bool_], images: int) -> LabelledSeeds:
    """The labels of one pair of models of several seeds.

    Args:
        reference: (S, D), whether each training was right about each of the images whose labels are not all the same.
        candidate: (S, D), the same of the other model, for the same images in the same order.
        told: (D,), whether the image got a label; what the arrays say of the others does not matter.
        images: N, all unlabelled images, D or more.

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
        spreads.append(loss_spread(ours, theirs))
    return LabelledSeeds(images, disagreements, int(told.sum()), seeds, spreads[0], spreads[1])


def status_of(labelled: Labelled | LabelledSeeds, tolerance: float, error: float) -> Verdict:
    """The verdict at `error`, each way; images that could not be told count against either."""
    if isinstance(labelled, Labelled):
        return settled_status(labelled, tolerance, error)
    if labelled.for_not_worse.distance(tolerance, 1 - error) > 1:
        return "not_worse"
    return "worse" if labelled.for_worse.distance(tolerance, 1 - error) < -1 else "unresolved"


def settled_loss(labelled: Labelled | LabelledSeeds, tolerance: float, error: float) -> SettledLoss:
    """The loss with its bounds and verdict at `error`, each way.

    Where every disagreement has a label they are those of N labelled images: at `error` for several seeds; for one seed
    at the part of it that looking after every label leaves.
    """
    confidence = 1 - error
    if isinstance(labelled, Labelled) and labelled.is_complete:
        confidence = 1 - error_of_test(error)
    if labelled.labels == labelled.disagreements:
        spread = labelled.spread() if isinstance(labelled, Labelled) else labelled.for_not_worse
        result = result_of(spread, labelled.seeds, tolerance, confidence)
        return SettledLoss(
            result.loss, result.lower, result.upper, confidence, result.status, result.p_value, result.needed
        )
    status = status_of(labelled, tolerance, error)
    if isinstance(labelled, Labelled):
        return SettledLoss(labelled.estimate(), *settled_bounds(labelled, error), confidence, status)
    loss = (labelled.for_not_worse.loss + labelled.for_worse.loss) / 2
    lower = -labelled.for_worse.swapped().upper_bound(confidence)
    return SettledLoss(loss, lower, labelled.for_not_worse.upper_bound(confidence), confidence, status)
