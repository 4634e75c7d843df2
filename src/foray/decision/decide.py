"""The pick: the cheapest of the models that are shown to lose less than the tolerance against every other one.

`noninferiority` says how that is shown, and why at most 5 % of picks lose more. Where no model passes the outcome is
"unresolved", and the most accurate is the pick for now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foray.decision import sentences
from foray.decision.budgets import broken_bounds, pareto_front
from foray.decision.noninferiority import (
    ERROR,
    PairwiseTests,
    against_every_rival,
    against_strongest_rival,
    paired_record,
    pairwise_tests,
)
from foray.records import Budget, CostProfile, Decision, PairedLoss, Preference
from foray.records.comparison import Outcome


@dataclass(frozen=True, eq=False)
class Candidate:
    """What the decision knows of a model.

    `correct`: (seeds, images) on one split, the same images for every candidate; None when there is no result, because
    the model is over a bound or its training failed. `train_seconds`: of one run; None: not known.
    """

    model: str
    correct: npt.NDArray[np.bool_] | None
    cost: CostProfile
    train_seconds: float | None = None


@dataclass(frozen=True, eq=False)
class _Scored:
    """A candidate within the budget that has a result. `cost`: the one that the user prefers; None: not known."""

    model: str
    correct: npt.NDArray[np.bool_]
    accuracy: float
    cost: float | None
    train_seconds: float | None

    def is_cheaper_than(self, other: _Scored) -> bool:
        """False where either cost is not known."""
        return self.cost is not None and other.cost is not None and self.cost < other.cost


def decide(
    candidates: Sequence[Candidate],
    *,
    budget: Budget,
    tolerance: float,
    prefer: Preference,
    selection_split: str,
) -> Decision:
    """What to ship. `candidates` are scored on `selection_split`, which is never test.

    Models over a bound, or without a result, are excluded. Of the rest, a model passes when it loses less than
    `tolerance`, in [0, 1], against every other, whatever that costs; the error rate of all tests together is 5 %. The
    pick is the most accurate that passes, or the cheapest by `prefer` of those that pass and are cheaper than it. When
    none passes, the outcome is "unresolved" and the most accurate is the pick for now.
    Raises ValueError for the test split and for repeated names.
    """
    if selection_split == "test":
        raise ValueError("the test split never selects")
    if len({candidate.model for candidate in candidates}) != len(candidates):
        raise ValueError("two candidates have the same name")
    within = [candidate for candidate in candidates if not broken_bounds(candidate.cost, budget)]
    scored = [_scored(candidate, prefer) for candidate in within if candidate.correct is not None]
    if not scored:
        outcome, details = _nobody(candidates, within, budget)
        decision = Decision(
            prefer=prefer,
            tolerance=tolerance,
            selection_split=selection_split,
            best=None,
            pick=None,
            outcome=outcome,
            sentence="",
        )
        return _said(decision, details)
    return _between(sorted(scored, key=_most_accurate_first), tolerance, prefer, selection_split)


def confirm(decision: Decision, test_candidates: Sequence[Candidate], tolerance: float) -> list[PairedLoss]:
    """The pick against every other model on test, after the decision and without effect on it.

    Models it was compared with come first, in the order of the decision. Each comparison has its own 95 % bounds,
    without correction, because nothing is selected by them.
    """
    results = {one.model: one.correct for one in test_candidates if one.correct is not None}
    if decision.pick is None or decision.pick not in results:
        return []
    compared = [pair.reference for pair in decision.pairs if pair.candidate == decision.pick]
    rivals = [model for model in dict.fromkeys([*compared, *results]) if model in results and model != decision.pick]
    pick, correct = decision.pick, results[decision.pick]
    return [paired_record(rival, results[rival], pick, correct, tolerance, 1 - ERROR, "test") for rival in rivals]


def withheld(decision: Decision, candidates: Sequence[Candidate], budget: Budget) -> Decision:
    """`decision`, or outcome "not_known" where it depends on a latency that was not steady.

    `candidates`: those whose training did not fail. Where latency is bounded, such a latency neither keeps nor breaks
    the bound, so there is no pick. Where latency only orders several models by cost, the most accurate is the pick for
    now.
    """
    within = [candidate for candidate in candidates if not broken_bounds(candidate.cost, budget)]
    unsteady = [one for one in within if one.cost.latency_p50_ms is not None and not one.cost.latency_is_steady]
    bounded = budget.max_latency_ms is not None
    scored = [candidate for candidate in within if candidate.correct is not None]
    orders = decision.prefer == "latency" and len(scored) > 1
    if not unsteady or not (bounded or orders):
        return decision
    pick = None if bounded else decision.best
    withheld_decision = decision.model_copy(update={"outcome": "not_known", "pick": pick, "pareto": []})
    costs = {one.model: one.cost for one in unsteady}
    return _said(withheld_decision, sentences.not_known(decision.best, costs, budget.max_latency_ms))


def _scored(candidate: Candidate, prefer: Preference) -> _Scored:
    assert candidate.correct is not None
    accuracy = float(candidate.correct.mean())
    cost = candidate.cost.cost(prefer)
    return _Scored(candidate.model, candidate.correct, accuracy, cost, candidate.train_seconds)


def _most_accurate_first(one: _Scored) -> tuple[float, bool, float, str]:
    """Ties: the cheaper first, then by name."""
    return -one.accuracy, one.cost is None, one.cost or 0.0, one.model


def _nobody(candidates: Sequence[Candidate], within: Sequence[Candidate], budget: Budget) -> tuple[Outcome, str]:
    if candidates and not within:
        profiles = {candidate.model: candidate.cost for candidate in candidates}
        return "nobody_in_budget", sentences.nobody_in_budget(profiles, budget)
    return "nobody_trained", sentences.nobody_trained([candidate.model for candidate in within])


def _between(scored: Sequence[_Scored], tolerance: float, prefer: Preference, split: str) -> Decision:
    """The decision between models within the budget that have a result, the most accurate first."""
    tested = pairwise_tests({one.model: one.correct for one in scored}, tolerance)
    pick, outcome = _pick(scored, tested)
    of_pick = against_every_rival(pick.model, tested, split)
    others = sorted((one for one in scored if one.is_cheaper_than(pick)), key=lambda one: (one.cost or 0.0, one.model))
    if outcome == "not_worse" and scored[0] not in others:
        others.append(scored[0])
    of_others = [against_strongest_rival(one.model, tested, split) for one in others]
    points = {one.model: (one.accuracy, one.cost) for one in scored if one.cost is not None}
    decision = Decision(
        prefer=prefer,
        tolerance=tolerance,
        selection_split=split,
        best=scored[0].model,
        pick=pick.model,
        outcome=outcome,
        sentence="",
        pairs=[*of_pick, *of_others],
        pareto=pareto_front(points),
    )
    return _said(decision, _details(scored, pick, outcome, prefer, of_pick, of_others))


def _said(decision: Decision, details: str) -> Decision:
    return decision.model_copy(update={"sentence": f"{sentences.headline(decision)}. {details}"})


def _pick(scored: Sequence[_Scored], tested: PairwiseTests) -> tuple[_Scored, Outcome]:
    """`scored`: the most accurate first."""
    best = scored[0]
    if len(scored) == 1:
        return best, "only_one"
    passed = [one for one in scored if one.model in tested.passed]
    if not passed:
        return best, "unresolved"
    cheaper = [one for one in passed if one.is_cheaper_than(passed[0])]
    pick = min(cheaper, key=lambda one: one.cost or 0.0, default=passed[0])
    if pick is best:
        return pick, "best_stands"
    return pick, "cheaper_not_worse" if pick.is_cheaper_than(best) else "not_worse"


def _details(
    scored: Sequence[_Scored],
    pick: _Scored,
    outcome: Outcome,
    prefer: Preference,
    of_pick: Sequence[PairedLoss],
    of_others: Sequence[PairedLoss],
) -> str:
    """`of_others`: the models cheaper than the pick, and the most accurate where the outcome is `not_worse`."""
    best, costs = scored[0], {one.model: one.cost for one in scored}
    if outcome == "only_one":
        return sentences.only_one(pick.accuracy)
    if outcome == "unresolved":
        said = sentences.unresolved(best.accuracy, of_pick)
    elif outcome == "best_stands":
        said = sentences.best_stands(best.accuracy, best.cost, prefer, of_pick, of_others)
    elif outcome == "cheaper_not_worse":
        said = sentences.cheaper_not_worse(costs, prefer, best.model, of_pick, of_others)
    else:
        of_best = next(pair for pair in of_others if pair.candidate == best.model)
        said = sentences.not_worse(pick.accuracy, of_pick, of_best)
    if len(pick.correct) > 1:
        return said
    return f"{said} {sentences.one_seed([one.train_seconds for one in scored])}"
