"""The loss of a pair by labels of the images on which they differ: bounds and verdict, for one seed and for several."""

from __future__ import annotations

from dataclasses import dataclass

from foray.statistics.labelled import Labelled, LabelledSeeds
from foray.statistics.paired import Verdict, result_of
from foray.statistics.sample_size import NOTHING, Needed
from foray.statistics.settling import error_of_test, settled_bounds, settled_status


@dataclass(frozen=True)
class SettledLoss:
    """What a candidate loses against a reference, from labels of new images. Losses are in [-1, 1].

    `lower` and `upper`: one-sided bounds, each at `confidence`. `status`: not_worse when upper < tolerance, worse when
    lower > tolerance. Both bounds are at the error of that verdict; while there is none, at that of "worse".
    `p_value`: two-sided test of "no difference"; `needed`: what would give a verdict; of both only where all labels are
    known.
    """

    loss: float
    lower: float
    upper: float
    confidence: float
    status: Verdict
    p_value: float | None = None
    needed: Needed = NOTHING


def status_of(
    labelled: Labelled | LabelledSeeds, tolerance: float, error: float, worse_error: float | None = None
) -> Verdict:
    """The verdict: "not worse" at `error`, "worse" at `worse_error`, which is no larger (None: the same); images that
    could not be told count against either."""
    if isinstance(labelled, Labelled):
        return settled_status(labelled, tolerance, error, worse_error)
    if labelled.for_not_worse.distance(tolerance, 1 - error) > 1:
        return "not_worse"
    worse_error = error if worse_error is None else worse_error
    return "worse" if labelled.for_worse.distance(tolerance, 1 - worse_error) < -1 else "unresolved"


def settled_loss(
    labelled: Labelled | LabelledSeeds, tolerance: float, error: float, worse_error: float | None = None
) -> SettledLoss:
    """The loss with its bounds and verdict; the errors are those of `status_of`.

    Where every disagreement has a label the bounds are those of N labelled images: at the whole error for several
    seeds; for one seed at the part of it that looking after every label leaves.
    """
    status = status_of(labelled, tolerance, error, worse_error)
    if status != "not_worse" and worse_error is not None:
        error = worse_error
    confidence = 1 - error
    if isinstance(labelled, Labelled) and labelled.is_complete:
        confidence = 1 - error_of_test(error)
    if labelled.labels == labelled.disagreements:
        spread = labelled.spread() if isinstance(labelled, Labelled) else labelled.for_not_worse
        result = result_of(spread, labelled.seeds, tolerance, confidence)
        return SettledLoss(result.loss, result.lower, result.upper, confidence, status, result.p_value, result.needed)
    if isinstance(labelled, Labelled):
        return SettledLoss(labelled.estimate(), *settled_bounds(labelled, error), confidence, status)
    loss = (labelled.for_not_worse.loss + labelled.for_worse.loss) / 2
    lower = -labelled.for_worse.swapped().upper_bound(confidence)
    return SettledLoss(loss, lower, labelled.for_not_worse.upper_bound(confidence), confidence, status)
