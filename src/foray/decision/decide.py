"""The pick: the most accurate model within budget, unless a cheaper one is shown to be not worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foray.decision.budgets import broken_bounds
from foray.decision.pareto import pareto_front
from foray.decision.sentences import best_stands, cheaper_not_worse, nobody_in_budget, only_one, unresolved
from foray.records import Budget, CostProfile, Decision, PairedLoss, Preference
from foray.statistics import paired_loss


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model as the decision sees it: `correct` (seeds, images) on one split. None: over a bound, so never trained."""

    model: str
    correct: npt.NDArray[np.bool_] | None
    cost: CostProfile

    @property
    def accuracy(self) -> float:
        """Mean over seeds and images."""
        return float(self.correct.mean()) if self.correct is not None else float("nan")


def decide(
    candidates: Sequence[Candidate],
    *,
    budget: Budget,
    tolerance: float,
    prefer: Preference,
    selection_split: str,
) -> Decision:
    """What to ship. `candidates` are scored on `selection_split`, which is never test.

    Models over a bound are out. Of the rest the most accurate stands, unless cheaper ones (by `prefer`) are not worse
    by more than `tolerance`: then the cheapest of these. When none is, and the data cannot tell for some, the outcome
    is "unresolved" and the most accurate is named for the time being.
    """
    if selection_split == "test":
        raise ValueError("the test split never selects")
    inside = [c for c in candidates if c.correct is not None and not broken_bounds(c.cost, budget)]

    def decision(outcome: str, sentence: str, best: str | None, pick: str | None, pairs: list[PairedLoss]) -> Decision:
        costs = {c.model: c.cost.cost(prefer) for c in inside}
        points = {c.model: (c.accuracy, cost) for c in inside if (cost := costs[c.model]) is not None}
        return Decision.model_validate(
            {
                "prefer": prefer, "tolerance": tolerance, "selection_split": selection_split, "best": best,
                "pick": pick, "outcome": outcome, "sentence": sentence, "pairs": pairs, "pareto": pareto_front(points),
            }
        )  # fmt: skip

    if not inside:
        return decision("nobody_in_budget", nobody_in_budget([c.cost for c in candidates], budget), None, None, [])
    best = min(inside, key=lambda c: (-c.accuracy, _cost(c, prefer), c.model))
    if len(inside) == 1:
        return decision("only_one", only_one(best.model, best.accuracy), best.model, best.model, [])
    cheaper = sorted(
        (c for c in inside if _cost(c, prefer) < _cost(best, prefer)), key=lambda c: (_cost(c, prefer), c.model)
    )
    pairs = [pair(best, c, tolerance, selection_split) for c in cheaper]
    by_name = {c.model: c for c in inside}
    for result in pairs:
        if result.status == "not_worse":
            pick = by_name[result.candidate]
            sentence = cheaper_not_worse(pick.cost, best.cost, prefer, result)
            return decision("cheaper_not_worse", sentence, best.model, pick.model, pairs)
    open_pairs = [result for result in pairs if result.status == "unresolved"]
    if open_pairs:
        sentence = unresolved(best.model, best.accuracy, open_pairs)
        return decision("unresolved", sentence, best.model, best.model, pairs)
    sentence = best_stands(best.model, best.accuracy, tolerance, pairs, prefer)
    return decision("best_stands", sentence, best.model, best.model, pairs)


def confirm(decision: Decision, candidates: Sequence[Candidate], tolerance: float) -> list[PairedLoss]:
    """The same comparisons on test, after the decision and without effect on it: the pick against every other model."""
    by_name = {c.model: c for c in candidates if c.correct is not None}
    if decision.pick is None or decision.pick not in by_name:
        return []
    pick = by_name[decision.pick]
    others = sorted((c for c in by_name.values() if c is not pick), key=lambda c: c.model != decision.best)
    return [pair(other, pick, tolerance, "test") for other in others]


def pair(reference: Candidate, candidate: Candidate, tolerance: float, split: str) -> PairedLoss:
    """Loss of `candidate` against `reference` as a record."""
    assert reference.correct is not None
    assert candidate.correct is not None
    result = paired_loss(reference.correct, candidate.correct, tolerance)
    return PairedLoss(
        reference=reference.model, candidate=candidate.model, split=split, n=result.n, seeds=result.seeds,
        loss=result.loss, lower=result.lower, upper=result.upper, tolerance=tolerance, status=result.status,
        images_needed=result.images_needed, p_value=result.p_value,
    )  # fmt: skip


def _cost(candidate: Candidate, prefer: Preference) -> float:
    """An unknown cost cannot be called cheap."""
    cost = candidate.cost.cost(prefer)
    return float("inf") if cost is None else cost
