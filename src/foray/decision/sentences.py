"""The verdict in plain English, with what it rests on."""

from __future__ import annotations

from collections.abc import Sequence

from foray.decision.budgets import broken_bounds
from foray.records import BrokenBound, Budget, CostProfile, PairedLoss, Preference
from foray.records.quantities import format_bytes, format_count, format_ms, format_percent, format_points

_COSTS: dict[Preference, str] = {
    "latency": "latency",
    "macs": "MACs",
    "params": "parameters",
    "memory": "peak memory",
    "file": "file size",
}


def cheaper_not_worse(pick: CostProfile, best: CostProfile, prefer: Preference, result: PairedLoss) -> str:
    """A cheaper model takes the place of the most accurate."""
    saving = _saving(pick, best, prefer)
    return (
        f"Ship {pick.model}: {saving} than {best.model}, the most accurate, and not worse by more than "
        f"{format_points(result.tolerance)} (loss {format_points(result.loss)}, 95 % upper bound "
        f"{format_points(result.upper)}; {_basis(result)})."
    )


def best_stands(model: str, accuracy: float, tolerance: float, pairs: Sequence[PairedLoss], prefer: Preference) -> str:
    """The most accurate stays."""
    if not pairs:
        return f"Ship {model}: the most accurate ({format_percent(accuracy)}), and none has lower {_COSTS[prefer]}."
    losses = ", ".join(f"{result.candidate} loses {format_points(result.loss)}" for result in pairs)
    return (
        f"Ship {model}, the most accurate ({format_percent(accuracy)}): every cheaper model loses more than "
        f"{format_points(tolerance)} with 95 % confidence ({losses}; {_basis(pairs[0])})."
    )


def unresolved(best: str, accuracy: float, open_pairs: Sequence[PairedLoss]) -> str:
    """The data cannot tell."""
    result = open_pairs[0]
    if result.images_needed:
        remedy = f"about {result.images_needed:,} images would tell"
    else:
        remedy = "no realistic number of images would tell" if result.seeds == 1 else "more seeds are needed to tell"
    return (
        f"Unresolved: {best} is the most accurate ({format_percent(accuracy)}), but the data cannot tell whether the "
        f"cheaper {result.candidate} is worse by more than {format_points(result.tolerance)} (loss "
        f"{format_points(result.loss)}, 95 % bounds {format_points(result.lower)} to {format_points(result.upper)}; "
        f"{_basis(result)}); {remedy}. Until then, {best}."
    )


def only_one(model: str, accuracy: float) -> str:
    """Nothing to choose from."""
    return f"Ship {model} ({format_percent(accuracy)}): it is the only model left to choose from."


def nobody_in_budget(costs: Sequence[CostProfile], budget: Budget) -> str:
    """Every model is over some bound; the nearest one is named."""
    nearest: tuple[float, str, BrokenBound] | None = None
    for cost in costs:
        broken = broken_bounds(cost, budget)
        known = [(bound.actual / bound.limit, cost.model, bound) for bound in broken if bound.actual is not None]
        if known and len(known) == len(broken):
            worst = max(known, key=lambda item: item[0])
            nearest = worst if nearest is None or worst[0] < nearest[0] else nearest
    if nearest is None:
        return "No model was left to choose from."
    _, model, bound = nearest
    assert bound.actual is not None
    return (
        f"No model keeps the budget. Nearest is {model}: {_COSTS[bound.bound]} {_amount(bound.bound, bound.actual)} "
        f"against at most {_amount(bound.bound, bound.limit)}."
    )


def _saving(pick: CostProfile, best: CostProfile, prefer: Preference) -> str:
    ours, theirs = pick.cost(prefer), best.cost(prefer)
    if not ours or not theirs:
        return f"lower {_COSTS[prefer]}"
    return f"{theirs / ours:.1f} x lower {_COSTS[prefer]} ({_amount(prefer, ours)} against {_amount(prefer, theirs)})"


def _basis(result: PairedLoss) -> str:
    return f"n = {result.n:,} images, {result.seeds} seed{'s' if result.seeds != 1 else ''}"


def _amount(cost: Preference, value: float) -> str:
    if cost == "latency":
        return format_ms(value)
    return format_bytes(value) if cost in ("memory", "file") else format_count(value)
