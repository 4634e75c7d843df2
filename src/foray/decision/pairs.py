"""Paired comparisons as they are recorded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from foray.decision.rivals import Contest
from foray.records import PairedLoss
from foray.statistics import PairedResult, paired_loss
from foray.statistics.paired import result_of


def against_every_rival(model: str, tested: Contest, split: str) -> list[PairedLoss]:
    """`model` against every other, the most doubtful comparison first, each at the error that `model` was tested at."""
    confidence = 1 - tested.errors[model]
    return [_record(tested, rival, model, confidence, split) for rival in tested.rivals(model)]


def against_hardest_rival(model: str, tested: Contest, split: str) -> PairedLoss:
    """`model` against the rival that speaks most against it.

    That rival is chosen among all, so the bounds share the model's error among them (Bonferroni): "worse" has to hold
    for the luckiest rival too. A model that passed keeps the bounds that it passed with.
    """
    rivals = tested.rivals(model)
    share = 1 if model in tested.passed else len(rivals)
    return _record(tested, rivals[0], model, 1 - tested.errors[model] / share, split)


def paired_record(
    reference: str,
    reference_correct: npt.NDArray[np.bool_],
    candidate: str,
    candidate_correct: npt.NDArray[np.bool_],
    tolerance: float,
    confidence: float,
    split: str,
) -> PairedLoss:
    """What `candidate` loses against `reference` on `split`, from their correctness (seeds, images)."""
    result = paired_loss(reference_correct, candidate_correct, tolerance, confidence=confidence)
    return _as_record(reference, candidate, result, split)


def _record(tested: Contest, reference: str, candidate: str, confidence: float, split: str) -> PairedLoss:
    spread = tested.spreads[reference, candidate]
    return _as_record(reference, candidate, result_of(spread, tested.seeds, tested.tolerance, confidence), split)


def _as_record(reference: str, candidate: str, result: PairedResult, split: str) -> PairedLoss:
    return PairedLoss(
        reference=reference,
        candidate=candidate,
        split=split,
        n=result.n,
        seeds=result.seeds,
        loss=result.loss,
        lower=result.lower,
        upper=result.upper,
        confidence=result.confidence,
        tolerance=result.tolerance,
        status=result.status,
        images_needed=result.needed.images,
        more_seeds=result.needed.more_seeds,
        p_value=result.p_value,
    )
