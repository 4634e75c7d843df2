"""The pick: the cheapest of the models that are shown to lose less than the tolerance against every other one.

`noninferiority` says how that is shown, and why no more picks than the error allows lose more. Where no model passes,
the outcome is "unresolved", and the most accurate is the pick for now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from foray.decision import sentences
from foray.decision.budgets import pareto_front
from foray.decision.candidates import Candidate, Scored, scored_within, within_budget
from foray.decision.noninferiority import COMPARE_ERROR, paired_record, pairwise_tests
from foray.records import Budget, Decision, PairedLoss, Preference
from foray.records.comparison import Outcome

CONFIRMATION = 0.95  # of each bound on test, which selects nothing


class Evidence(Protocol):
    """What is known of every pair of models, and which of them pass."""

    @property
    def passed(self) -> frozenset[str]:
        """The models that are shown to lose less than the tolerance against every rival."""

    def against_every_rival(self, model: str) -> list[PairedLoss]:
        """`model` against every other, the closest comparison first."""

    def against_strongest_rival(self, model: str) -> PairedLoss:
        """`model` against the rival that speaks most against it."""


def decide(
    candidates: Sequence[Candidate],
    *,
    budget: Budget,
    tolerance: float,
    prefer: Preference,
    selection_split: str,
    error: float = COMPARE_ERROR,
) -> Decision:
    """What to ship. `candidates` are scored on `selection_split`, which is never test.

    Models over a bound, or without a result, are excluded. Of the rest, a model passes when it loses less than
    `tolerance`, in [0, 1], against every other, whatever that costs; all tests together pass a wrong model with at most
    the chance `error`. The pick is the most accurate that passes, or the cheapest by `prefer` of those that pass and
    are cheaper than it. When none passes, the outcome is "unresolved" and the most accurate is the pick for now.
    Raises ValueError for the test split and for repeated names.
    """
    if selection_split == "test":
        raise ValueError("the test split never selects")
    if len({candidate.model for candidate in candidates}) != len(candidates):
        raise ValueError("two candidates have the same name")
    scored = scored_within(candidates, budget, prefer)
    decision = Decision(
        prefer=prefer,
        tolerance=tolerance,
        selection_split=selection_split,
        best=None,
        pick=None,
        outcome="nobody_trained",
        sentence="",
        error=error,
    )
    if not scored:
        outcome, details = _nobody(candidates, within_budget(candidates, budget), budget)
        return said(decision.model_copy(update={"outcome": outcome}), details)
    tested = pairwise_tests({one.model: one.correct for one in scored}, tolerance, error, selection_split)
    return between(scored, tested, decision)


def confirm(decision: Decision, test_candidates: Sequence[Candidate], tolerance: float) -> list[PairedLoss]:
    """The pick against every other model on test, after the decision and without effect on it.

    Models it was compared with come first, in the order of the decision. Each comparison has its own 95 % bounds,
    without correction and whatever the error of the decision, because nothing is selected by them.
    """
    results = {one.model: one.correct for one in test_candidates if one.correct is not None}
    if decision.pick is None or decision.pick not in results:
        return []
    compared = [pair.reference for pair in decision.pairs if pair.candidate == decision.pick]
    rivals = [model for model in dict.fromkeys([*compared, *results]) if model in results and model != decision.pick]
    pick, correct = decision.pick, results[decision.pick]
    return [paired_record(rival, results[rival], pick, correct, tolerance, CONFIRMATION, "test") for rival in rivals]


def withheld(decision: Decision, candidates: Sequence[Candidate], budget: Budget) -> Decision:
    """`decision`, or outcome "not_known" where it depends on a latency that was not steady.

    `candidates`: those whose training did not fail. Where latency is bounded, such a latency neither keeps nor breaks
    the bound, so there is no pick. Where latency only orders several models by cost, the most accurate is the pick for
    now.
    """
    within = within_budget(candidates, budget)
    unsteady = [one for one in within if one.cost.latency_p50_ms is not None and not one.cost.latency_is_steady]
    bounded = budget.max_latency_ms is not None
    scored = [candidate for candidate in within if candidate.correct is not None]
    orders = decision.prefer == "latency" and len(scored) > 1
    if not unsteady or not (bounded or orders):
        return decision
    pick = None if bounded else decision.best
    withheld_decision = decision.model_copy(update={"outcome": "not_known", "pick": pick, "pareto": []})
    costs = {one.model: one.cost for one in unsteady}
    return said(withheld_decision, sentences.not_known(decision.best, costs, budget.max_latency_ms))


def _nobody(candidates: Sequence[Candidate], within: Sequence[Candidate], budget: Budget) -> tuple[Outcome, str]:
    if candidates and not within:
        profiles = {candidate.model: candidate.cost for candidate in candidates}
        return "nobody_in_budget", sentences.nobody_in_budget(profiles, budget)
    return "nobody_trained", sentences.nobody_trained([candidate.model for candidate in within])


def between(scored: Sequence[Scored], evidence: Evidence, decision: Decision) -> Decision:
    """`decision`, which says what is asked, with the answer: between models within the budget that have a result, the
    most accurate first."""
    pick, outcome = pick_of(scored, evidence)
    of_pick = evidence.against_every_rival(pick.model)
    others = sorted((one for one in scored if one.is_cheaper_than(pick)), key=lambda one: (one.cost or 0.0, one.model))
    if outcome == "not_worse" and scored[0] not in others:
        others.append(scored[0])
    of_others = [evidence.against_strongest_rival(one.model) for one in others]
    points = {one.model: (one.accuracy, one.cost) for one in scored if one.cost is not None}
    answer = {
        "best": scored[0].model,
        "pick": pick.model,
        "outcome": outcome,
        "pairs": [*of_pick, *of_others],
        "pareto": pareto_front(points),
    }
    decided = decision.model_copy(update=answer)
    details = _details(scored, pick, decided, of_pick, of_others)
    if decided.settle_error is not None:
        details = f"{details} {sentences.both_errors(decided)}".rstrip()
    return said(decided, details)


def said(decision: Decision, details: str) -> Decision:
    """`decision` with its sentence: the headline, then `details`."""
    return decision.model_copy(update={"sentence": f"{sentences.headline(decision)}. {details}"})


def pick_of(scored: Sequence[Scored], evidence: Evidence) -> tuple[Scored, Outcome]:
    """`scored`: the most accurate first. Where none passes, the pick for now is the first that is not shown to be worse
    than another; it may be so by labels of new images only."""
    best = scored[0]
    if len(scored) == 1:
        return best, "only_one"
    passed = [one for one in scored if one.model in evidence.passed]
    if not passed:
        not_worse = (one for one in scored if evidence.against_strongest_rival(one.model).status != "worse")
        return next(not_worse, best), "unresolved"
    cheaper = [one for one in passed if one.is_cheaper_than(passed[0])]
    pick = min(cheaper, key=lambda one: one.cost or 0.0, default=passed[0])
    if pick is best:
        return pick, "best_stands"
    return pick, "cheaper_not_worse" if pick.is_cheaper_than(best) else "not_worse"


def _details(
    scored: Sequence[Scored],
    pick: Scored,
    decision: Decision,
    of_pick: Sequence[PairedLoss],
    of_others: Sequence[PairedLoss],
) -> str:
    """`of_others`: the models cheaper than the pick, and the most accurate where the outcome is `not_worse`."""
    best, costs = scored[0], {one.model: one.cost for one in scored}
    outcome, prefer, images = decision.outcome, decision.prefer, sentences.selection_images(decision)
    if outcome == "only_one":
        return sentences.only_one(pick.accuracy)
    if outcome == "unresolved":
        words = sentences.unresolved(pick.accuracy, best.model, of_pick, images)
    elif outcome == "best_stands":
        words = sentences.best_stands(best.accuracy, best.cost, prefer, of_pick, of_others, images)
    elif outcome == "cheaper_not_worse":
        words = sentences.cheaper_not_worse(costs, prefer, best.model, of_pick, of_others)
    else:
        of_best = next(pair for pair in of_others if pair.candidate == best.model)
        words = sentences.not_worse(pick.accuracy, of_pick, of_best, images)
    if len(pick.correct) > 1:
        return words
    return f"{words} {sentences.one_seed([one.train_seconds for one in scored])}"
