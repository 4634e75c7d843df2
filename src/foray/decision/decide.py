"""The pick: the most accurate model within budget, unless a cheaper one is shown to be not worse.

Two ways to fool oneself are guarded against. With several cheaper models, one may look close enough by luck: their
tests share one error of 5 % (Holm 1979, Scandinavian Journal of Statistics 6:65), so the chance that any model is
wrongly called "not worse" than the best stays below that, whichever of them is then taken for its cost. And the model
that came out most accurate is partly the luckiest: that favours the reference, so the loss of a cheaper model is on
average overstated, and no correction is needed. Both are simulated in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foray.decision import sentences
from foray.decision.budgets import broken_bounds
from foray.decision.pareto import pareto_front
from foray.records import Budget, CostProfile, Decision, PairedLoss, Preference
from foray.records.comparison import Outcome
from foray.statistics import paired_loss

ERROR = 0.05  # chance of a wrong "not worse", shared among the cheaper models


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model as the decision sees it. `correct`: (seeds, images) on one split, the same images for every candidate;
    None when there is no result, because the model is over a bound or its training failed."""

    model: str
    correct: npt.NDArray[np.bool_] | None
    cost: CostProfile


@dataclass(frozen=True, eq=False)
class _Scored:
    """A candidate with a result that keeps the budget. `cost`: by the user's preference; None: not known."""

    model: str
    correct: npt.NDArray[np.bool_]
    accuracy: float
    cost: float | None


def decide(
    candidates: Sequence[Candidate],
    *,
    budget: Budget,
    tolerance: float,
    prefer: Preference,
    selection_split: str,
) -> Decision:
    """What to ship. `candidates` are scored on `selection_split`, which is never test.

    Models over a bound, or without a result, are out. Of the rest the most accurate stands (of equals the cheapest),
    unless cheaper ones by `prefer` are not worse by more than `tolerance`, in [0, 1]: then the cheapest of these. When
    there is none, and the data cannot tell for some, the outcome is "unresolved" and the most accurate is the pick for
    the time being. A cost that is not known is never called cheaper, nor is anything called cheaper than it.
    Raises ValueError for the test split and for repeated names.
    """
    if selection_split == "test":
        raise ValueError("the test split never selects")
    if len({candidate.model for candidate in candidates}) != len(candidates):
        raise ValueError("two candidates have the same name")
    within = [candidate for candidate in candidates if not broken_bounds(candidate.cost, budget)]
    scored = [_scored(candidate, prefer) for candidate in within if candidate.correct is not None]
    if not scored:
        outcome, sentence = _nobody(candidates, within, budget)
        return Decision(
            prefer=prefer,
            tolerance=tolerance,
            selection_split=selection_split,
            best=None,
            pick=None,
            outcome=outcome,
            sentence=sentence,
        )
    best = min(scored, key=lambda one: (-one.accuracy, math.inf if one.cost is None else one.cost, one.model))
    pairs = _against_cheaper(best, scored, tolerance, selection_split)
    pick, outcome, sentence = _verdict(best, scored, pairs, prefer, tolerance)
    points = {one.model: (one.accuracy, one.cost) for one in scored if one.cost is not None}
    return Decision(
        prefer=prefer,
        tolerance=tolerance,
        selection_split=selection_split,
        best=best.model,
        pick=pick.model,
        outcome=outcome,
        sentence=sentence,
        pairs=pairs,
        pareto=pareto_front(points),
    )


def confirm(decision: Decision, test_candidates: Sequence[Candidate], tolerance: float) -> list[PairedLoss]:
    """What test says, after the decision and without effect on it.

    First the pick against the best, as it was decided; then every other model against the pick. Each with its own
    95 % bounds, since nothing is chosen by them.
    """
    results = {one.model: one.correct for one in test_candidates if one.correct is not None}
    if decision.pick is None or decision.pick not in results:
        return []
    others = [model for model in results if model not in (decision.pick, decision.best)]
    pairs = [(decision.pick, other) for other in others]
    if decision.best in results and decision.best != decision.pick:
        pairs.insert(0, (decision.best, decision.pick))
    return [
        paired_record(reference, results[reference], candidate, results[candidate], tolerance, 1 - ERROR, "test")
        for reference, candidate in pairs
    ]


def _scored(candidate: Candidate, prefer: Preference) -> _Scored:
    assert candidate.correct is not None
    accuracy = float(candidate.correct.mean())
    return _Scored(candidate.model, candidate.correct, accuracy, candidate.cost.cost(prefer))


def _nobody(candidates: Sequence[Candidate], within: Sequence[Candidate], budget: Budget) -> tuple[Outcome, str]:
    if candidates and not within:
        profiles = {candidate.model: candidate.cost for candidate in candidates}
        return "nobody_in_budget", sentences.nobody_in_budget(profiles, budget)
    return "nobody_trained", sentences.nobody_trained([candidate.model for candidate in within])


def _against_cheaper(best: _Scored, scored: Sequence[_Scored], tolerance: float, split: str) -> list[PairedLoss]:
    """Every cheaper model against the best, cheapest first, by Holm's steps.

    With m models open, each is tested at 5 % / m. Those shown to be not worse are settled, which leaves more error to
    each of the others; when a round settles none, all that are open keep its bounds.
    """
    cheaper = [one for one in scored if one.cost is not None and best.cost is not None and one.cost < best.cost]
    cheaper.sort(key=lambda one: (one.cost, one.model))
    settled: dict[str, PairedLoss] = {}
    while len(settled) < len(cheaper):
        still_open = [one for one in cheaper if one.model not in settled]
        confidence = 1 - ERROR / len(still_open)
        results = {
            one.model: paired_record(best.model, best.correct, one.model, one.correct, tolerance, confidence, split)
            for one in still_open
        }
        not_worse = {model: result for model, result in results.items() if result.status == "not_worse"}
        settled |= not_worse or results
    return [settled[one.model] for one in cheaper]


def _verdict(
    best: _Scored, scored: Sequence[_Scored], pairs: Sequence[PairedLoss], prefer: Preference, tolerance: float
) -> tuple[_Scored, Outcome, str]:
    """The pick, the outcome and its sentence. `pairs` are cheapest first."""
    for number, pair in enumerate(pairs):
        if pair.status == "not_worse":
            even_cheaper = [other for other in pairs[:number] if other.status == "unresolved"]
            costs = {one.model: one.cost for one in scored}
            pick = next(one for one in scored if one.model == pair.candidate)
            return pick, "cheaper_not_worse", sentences.cheaper_not_worse(costs, prefer, pair, even_cheaper)
    if len(scored) == 1:
        return best, "only_one", sentences.only_one(best.model, best.accuracy)
    if still_open := [pair for pair in pairs if pair.status == "unresolved"]:
        return best, "unresolved", sentences.unresolved(best.model, best.accuracy, still_open)
    sentence = sentences.best_stands(best.model, best.accuracy, best.cost, prefer, tolerance, pairs)
    return best, "best_stands", sentence


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
    return PairedLoss(
        reference=reference,
        candidate=candidate,
        split=split,
        n=result.n,
        seeds=result.seeds,
        loss=result.loss,
        lower=result.lower,
        upper=result.upper,
        confidence=confidence,
        tolerance=tolerance,
        status=result.status,
        images_needed=result.images_needed,
        p_value=result.p_value,
    )
