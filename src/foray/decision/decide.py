"""The pick: the cheapest of the models that are shown to lose less than the tolerance against every other one.

`rivals` says how that is shown, and why at most 5 % of picks lose more. Where no model passes the outcome is
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
    against_hardest_rival,
    paired_record,
    pairwise_tests,
)
from foray.records import Budget, CostProfile, Decision, PairedLoss, Preference
from foray.records.comparison import Outcome
from foray.records.quantities import format_ms

_THIS_MACHINE = CostProfile.model_fields["device"].default
_SHOWN_REASONS = 3


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model as the decision sees it. `correct`: (seeds, images) on one split, the same images for every candidate;
    None when there is no result, because the model is over a bound or its training failed. `train_seconds`: what one
    run takes; None: not known."""

    model: str
    correct: npt.NDArray[np.bool_] | None
    cost: CostProfile
    train_seconds: float | None = None


@dataclass(frozen=True, eq=False)
class _Scored:
    """A candidate with a result that keeps the budget. `cost`: by the user's preference; None: not known."""

    model: str
    correct: npt.NDArray[np.bool_]
    accuracy: float
    cost: float | None
    train_seconds: float | None

    def is_cheaper_than(self, other: _Scored) -> bool:
        """A cost that is not known is never called cheaper, nor is anything called cheaper than it."""
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

    Models over a bound, or without a result, are out. Of the rest those pass that lose less than `tolerance`, in
    [0, 1], against every other, dearer, cheaper or of unknown cost; the error of all tests together is 5 %. The pick
    is the most accurate that passes, or the cheapest by `prefer` of those that pass and are cheaper than it. When none
    passes the outcome is "unresolved" and the most accurate is the pick for now.
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
    return _between(sorted(scored, key=_most_accurate_first), tolerance, prefer, selection_split)


def confirm(decision: Decision, test_candidates: Sequence[Candidate], tolerance: float) -> list[PairedLoss]:
    """What test says, after the decision and without effect on it: the pick against every other model.

    Those it was compared with come first, in the order of the decision. Each with its own 95 % bounds, since nothing
    is chosen by them.
    """
    results = {one.model: one.correct for one in test_candidates if one.correct is not None}
    if decision.pick is None or decision.pick not in results:
        return []
    compared = [pair.reference for pair in decision.pairs if pair.candidate == decision.pick]
    rivals = [model for model in dict.fromkeys([*compared, *results]) if model in results and model != decision.pick]
    pick, correct = decision.pick, results[decision.pick]
    return [paired_record(rival, results[rival], pick, correct, tolerance, 1 - ERROR, "test") for rival in rivals]


def withheld(decision: Decision, candidates: Sequence[Candidate], budget: Budget) -> Decision:
    """`decision`, or outcome "not_known" where an unsteady latency is bounded, or orders the models.

    `candidates`: those whose training did not fail. A bound on latency is neither kept nor broken by an unsteady one,
    so nobody is the pick. Where latency only says which model is cheaper the most accurate is the pick for the time
    being; a single model needs no order.
    """
    within = [candidate for candidate in candidates if not broken_bounds(candidate.cost, budget)]
    unsteady = [one for one in within if one.cost.latency_p50_ms is not None and not one.cost.latency_is_steady]
    bounded = budget.max_latency_ms is not None
    scored = [candidate for candidate in within if candidate.correct is not None]
    orders = decision.prefer == "latency" and len(scored) > 1
    if not unsteady or not (bounded or orders):
        return decision
    if budget.max_latency_ms is not None:
        keep = "keeps" if len(unsteady) == 1 else "keep"
        question = f"whether {_names(unsteady)} {keep} the bound of {format_ms(budget.max_latency_ms)}"
        rest = ""
    else:
        question = "which model is cheaper"
        rest = f" {decision.best} for now: it is the most accurate."
    sentence = f"Not known {question}: latency was not steady ({_reasons(unsteady)}).{rest} {_way_out(unsteady)}"
    pick = None if bounded else decision.best
    return decision.model_copy(update={"outcome": "not_known", "pick": pick, "pareto": [], "sentence": sentence})


def _scored(candidate: Candidate, prefer: Preference) -> _Scored:
    assert candidate.correct is not None
    accuracy = float(candidate.correct.mean())
    cost = candidate.cost.cost(prefer)
    return _Scored(candidate.model, candidate.correct, accuracy, cost, candidate.train_seconds)


def _most_accurate_first(one: _Scored) -> tuple[float, bool, float, str]:
    """Of equals the cheaper, then by name."""
    return -one.accuracy, one.cost is None, one.cost or 0.0, one.model


def _nobody(candidates: Sequence[Candidate], within: Sequence[Candidate], budget: Budget) -> tuple[Outcome, str]:
    if candidates and not within:
        profiles = {candidate.model: candidate.cost for candidate in candidates}
        return "nobody_in_budget", sentences.nobody_in_budget(profiles, budget)
    return "nobody_trained", sentences.nobody_trained([candidate.model for candidate in within])


def _between(scored: Sequence[_Scored], tolerance: float, prefer: Preference, split: str) -> Decision:
    """The decision between models with a result that keep the budget, the most accurate first."""
    tested = pairwise_tests({one.model: one.correct for one in scored}, tolerance)
    pick, outcome = _pick(scored, tested)
    of_pick = against_every_rival(pick.model, tested, split)
    others = sorted((one for one in scored if one.is_cheaper_than(pick)), key=lambda one: (one.cost or 0.0, one.model))
    if outcome == "not_worse" and scored[0] not in others:
        others.append(scored[0])
    of_others = [against_hardest_rival(one.model, tested, split) for one in others]
    points = {one.model: (one.accuracy, one.cost) for one in scored if one.cost is not None}
    return Decision(
        prefer=prefer,
        tolerance=tolerance,
        selection_split=split,
        best=scored[0].model,
        pick=pick.model,
        outcome=outcome,
        sentence=_sentence(scored, pick, outcome, prefer, of_pick, of_others),
        pairs=[*of_pick, *of_others],
        pareto=pareto_front(points),
    )


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


def _sentence(
    scored: Sequence[_Scored],
    pick: _Scored,
    outcome: Outcome,
    prefer: Preference,
    of_pick: Sequence[PairedLoss],
    of_others: Sequence[PairedLoss],
) -> str:
    """`of_others`: the models cheaper than the pick; the most accurate, where that is `not_worse`'s question."""
    best, costs = scored[0], {one.model: one.cost for one in scored}
    if outcome == "only_one":
        return sentences.only_one(pick.model, pick.accuracy)
    if outcome == "unresolved":
        said = sentences.unresolved(best.model, best.accuracy, of_pick)
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


def _names(candidates: Sequence[Candidate]) -> str:
    *others, last = [candidate.model for candidate in candidates]
    return f"{', '.join(others)} and {last}" if others else last


def _reasons(candidates: Sequence[Candidate]) -> str:
    found = list(dict.fromkeys(reason for candidate in candidates for reason in candidate.cost.unsteady))
    more = len(found) - _SHOWN_REASONS
    return "; ".join(found[:_SHOWN_REASONS]) + (f"; and {more} more" if more > 0 else "")


def _way_out(candidates: Sequence[Candidate]) -> str:
    devices = list(dict.fromkeys(candidate.cost.device for candidate in candidates))
    if devices == [_THIS_MACHINE]:
        return "The same command measures again, and trains nothing twice: start it when the machine is idle."
    return f"Measure again on {', '.join(devices)} when it is idle, and give the new profiles."
