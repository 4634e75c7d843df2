"""Verdicts that rest on a latency which was not steady are withheld: "not known" is the outcome."""

from __future__ import annotations

from collections.abc import Sequence

from foray.decision.budgets import broken_bounds
from foray.decision.decide import Candidate
from foray.records import Budget, CostProfile, Decision
from foray.records.quantities import format_ms

_THIS_MACHINE = CostProfile.model_fields["device"].default
_SHOWN_REASONS = 3


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
