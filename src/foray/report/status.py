"""The status of a candidate after the decision, and the names of costs and splits, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from foray.records import COSTS, BrokenBound, CandidateResult, CostProfile, Decision

Kind = Literal["pick", "best", "front", "behind", "unknown", "out", "failed"]
# In the order of a sorted column.
KINDS: tuple[Kind, ...] = ("pick", "best", "front", "behind", "unknown", "out", "failed")

_MEANINGS = {
    "out_of_fold": "each image is scored by a head that was fitted without it",
    "val_crossfit": "each half of val is scored at the epoch that the other half chose",
}


@dataclass(frozen=True)
class Status:
    """`kind` for colours and sorting, `label` in a few words, `reason` why a candidate is excluded or its status is not
    known (else empty)."""

    kind: Kind
    label: str
    reason: str = ""

    @property
    def is_in(self) -> bool:
        """Whether the candidate took part in the decision and its status is known."""
        return self.kind not in ("unknown", "out", "failed")


def status_of(candidate: CandidateResult, decision: Decision) -> Status:
    """The status of one candidate: failed, over budget, pick, most accurate, not known, Pareto front or dominated."""
    if candidate.failure is not None:
        return Status("failed", "failed", candidate.failure)
    if candidate.broken_bounds:
        reason = "; ".join(describe_bound(bound, candidate.cost) for bound in candidate.broken_bounds)
        names = ", ".join(candidate.cost.name_of(bound.bound) for bound in candidate.broken_bounds)
        return Status("out", f"out: {names}", reason)
    if candidate.model == decision.pick:
        if decision.outcome == "unresolved":
            return Status("pick", "pick for now")
        return Status("pick", "pick, most accurate" if candidate.model == decision.best else "pick")
    if candidate.model == decision.best:
        return Status("best", "most accurate")
    if decision.outcome == "not_known" and candidate.cost.unsteady:
        return Status("unknown", f"not known: {COSTS['latency'].name}", describe_unsteady(candidate.cost))
    if candidate.model in decision.pareto:
        return Status("front", "on the front")
    return Status("behind", "behind the front")


def describe_unsteady(cost: CostProfile) -> str:
    """'latency was not steady: other processes used 63 % of the processors' time'."""
    return f"{COSTS['latency'].name} was not steady: {'; '.join(cost.unsteady)}"


def describe_bound(bound: BrokenBound, cost: CostProfile) -> str:
    """'latency 34.1 ms is over the bound of 30.0 ms', or that the cost is not known; `cost`: of the same network."""
    name, write = cost.name_of(bound.bound), COSTS[bound.bound].write
    if bound.actual is None:
        return f"{name} is not known, and the budget bounds it at {write(bound.limit)}"
    return f"{name} {write(bound.actual)} is over the bound of {write(bound.limit)}"


def explain_split(split: str) -> str:
    """Why scores on a split are those of unseen images; empty where that needs no explanation."""
    return _MEANINGS.get(split, "")
