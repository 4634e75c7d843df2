"""The verdict in plain English, with what it rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from foray.decision.budgets import broken_bounds
from foray.records import Budget, CostProfile, PairedLoss, Preference
from foray.records.quantities import format_bytes, format_count, format_ms, format_percent, format_points

_COSTS: dict[Preference, str] = {
    "latency": "latency",
    "macs": "MACs",
    "params": "parameters",
    "memory": "peak memory",
    "file": "file size",
}
_FEWER: dict[Preference, str] = {
    "latency": "lower latency",
    "macs": "fewer MACs",
    "params": "fewer parameters",
    "memory": "less peak memory",
    "file": "smaller file",
}


def cheaper_not_worse(
    costs: Mapping[str, float | None], prefer: Preference, pair: PairedLoss, even_cheaper: Sequence[PairedLoss]
) -> str:
    """A cheaper model takes the place of the most accurate; `even_cheaper`: those for which the data cannot tell."""
    saving = _saving(costs[pair.candidate], costs[pair.reference], prefer)
    sentence = (
        f"Ship {pair.candidate}: {saving} than {pair.reference}, the most accurate, and not more "
        f"than {format_points(pair.tolerance)} worse (loss {format_points(pair.loss)}, {_level(pair)} upper bound "
        f"{format_points(pair.upper)}, {_basis(pair)})."
    )
    if even_cheaper:
        nearest = _nearest_to_settled(even_cheaper)
        sentence += f" For {nearest.candidate}, cheaper still, the data cannot tell; {_remedy(nearest)}."
    return sentence


def best_stands(
    best: str, accuracy: float, cost: float | None, prefer: Preference, tolerance: float, pairs: Sequence[PairedLoss]
) -> str:
    """The most accurate stays; `cost` is its preferred cost."""
    opening = f"Ship {best}: the most accurate ({format_percent(accuracy)})"
    if cost is None:
        return f"{opening}; its {_COSTS[prefer]} is not known, so no model can be called cheaper."
    if not pairs:
        return f"{opening}, and no model within budget has {_FEWER[prefer]}."
    losses = ", ".join(f"{pair.candidate} loses {format_points(pair.loss)}" for pair in pairs)
    every = "the cheaper model is" if len(pairs) == 1 else "every cheaper model is"
    return (
        f"{opening}, and {every} more than {format_points(tolerance)} worse ({losses}; one-sided "
        f"{_level(pairs[0])} bounds, {_basis(pairs[0])})."
    )


def unresolved(best: str, accuracy: float, still_open: Sequence[PairedLoss]) -> str:
    """The data cannot tell whether a cheaper model would do; the one that fewest images would settle is named."""
    pair = _nearest_to_settled(still_open)
    more = f" The same holds for {_names(still_open, but=pair)}." if len(still_open) > 1 else ""
    return (
        f"Unresolved, {best} for now: it is the most accurate ({format_percent(accuracy)}), but the data cannot tell "
        f"whether the cheaper {pair.candidate} is more than {format_points(pair.tolerance)} worse (loss "
        f"{format_points(pair.loss)}, {_level(pair)} upper bound {format_points(pair.upper)}, {_basis(pair)}); "
        f"{_remedy(pair)}.{more}"
    )


def only_one(model: str, accuracy: float) -> str:
    """Nothing to choose from."""
    return f"Ship {model} ({format_percent(accuracy)}): it is the only model left to choose from."


def nobody_in_budget(profiles: Mapping[str, CostProfile], budget: Budget) -> str:
    """Every model is over some bound; the nearest is the one whose worst excess, as a ratio, is least."""
    broken = {model: broken_bounds(profile, budget) for model, profile in profiles.items()}
    excess = {
        model: max(math.inf if bound.actual is None else bound.actual / bound.limit for bound in bounds)
        for model, bounds in broken.items()
    }
    nearest = min(excess, key=lambda model: (excess[model], model))
    missed = [
        f"{_COSTS[bound.bound]} {'not known' if bound.actual is None else _amount(bound.bound, bound.actual)} "
        f"against at most {_amount(bound.bound, bound.limit)}"
        for bound in broken[nearest]
    ]
    return f"No model keeps the budget. Nearest is {nearest}: {', '.join(missed)}."


def nobody_trained(within_budget: Sequence[str]) -> str:
    """There are models within budget, but none with a result; or there are no models at all."""
    if not within_budget:
        return "There is no model to choose from."
    return f"There is nothing to ship: no model within budget could be trained ({', '.join(within_budget)})."


def _saving(ours: float | None, theirs: float | None, prefer: Preference) -> str:
    if not ours or not theirs:
        return _FEWER[prefer]
    # '1.0 x lower' would say nothing.
    ratio = f"{theirs / ours:.1f} x" if theirs >= 1.1 * ours else f"{100 * (1 - ours / theirs):.2g} %"
    return f"{ratio} {_FEWER[prefer]} ({_amount(prefer, ours)} against {_amount(prefer, theirs)})"


def _level(pair: PairedLoss) -> str:
    return f"{100 * pair.confidence:.3g} %"


def _basis(pair: PairedLoss) -> str:
    seeds = f"{pair.seeds} seeds" if pair.seeds > 1 else "one seed: the luck of training is not in the bound"
    return f"n = {pair.n:,} images, {seeds}"


def _remedy(pair: PairedLoss) -> str:
    if pair.images_needed is not None:
        digits = max(len(str(pair.images_needed)) - 2, 0)
        return f"about {math.ceil(pair.images_needed / 10**digits) * 10**digits:,} images would"
    if pair.seeds > 1:
        return "no realistic number of images would, more seeds might"
    return "no realistic number of images would"


def _nearest_to_settled(pairs: Sequence[PairedLoss]) -> PairedLoss:
    return min(pairs, key=lambda pair: (pair.images_needed is None, pair.images_needed or 0, pair.loss))


def _names(pairs: Sequence[PairedLoss], but: PairedLoss) -> str:
    return ", ".join(pair.candidate for pair in pairs if pair is not but)


def _amount(cost: Preference, value: float) -> str:
    if cost == "latency":
        return format_ms(value)
    return format_bytes(value) if cost in ("memory", "file") else format_count(value)
