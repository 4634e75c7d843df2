"""The verdict in plain English, with what it rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from foray.decision.budgets import broken_bounds
from foray.records import COSTS, Budget, CostProfile, PairedLoss, Preference
from foray.records.quantities import (
    format_about,
    format_confidence,
    format_percent,
    format_points,
    format_seconds,
)
from foray.statistics.sample_size import CHANCE, MOST_IMAGES


def cheaper_not_worse(
    costs: Mapping[str, float | None],
    prefer: Preference,
    best: str,
    of_pick: Sequence[PairedLoss],
    cheaper: Sequence[PairedLoss],
) -> str:
    """A model cheaper than `best`, the most accurate, is shipped.

    `of_pick`: the pick against every rival, the most doubtful first; `cheaper`: models that are cheaper than the pick,
    each against the rival that speaks most against it.
    """
    pick, tolerance = of_pick[0].candidate, format_points(of_pick[0].tolerance)
    than = "" if len(of_pick) == 1 else " than any other model"
    sentence = (
        f"Ship {pick}: {_saving(costs[pick], costs[best], prefer)} than {best}, the most accurate, and not more than "
        f"{tolerance} worse{than} ({_bound(of_pick)})."
    )
    still_open = [pair for pair in cheaper if pair.status == "unresolved"]
    if still_open:
        nearest = _nearest_to_settled(still_open)
        sentence += f" For {nearest.candidate}, cheaper still, the data cannot tell; {_remedy(nearest)}."
    return sentence


def best_stands(
    accuracy: float,
    cost: float | None,
    prefer: Preference,
    of_pick: Sequence[PairedLoss],
    cheaper: Sequence[PairedLoss],
) -> str:
    """The most accurate is shipped; `cost` is its preferred cost, `of_pick` and `cheaper` as in `cheaper_not_worse`."""
    first = of_pick[0]
    others = first.reference if len(of_pick) == 1 else "any other model"
    sentence = f"Ship {first.candidate}: the most accurate on these images ({format_percent(accuracy)}), "
    if first.upper < 0:
        against = "" if len(of_pick) == 1 else f"against {first.reference}; "
        level = format_confidence(first.confidence)
        lead = f"{format_points(-first.upper)} ({against}one-sided {level} bound, {_basis(first)})"
        sentence += f"and more accurate than {others} by at least {lead}."
    else:
        sentence += f"and not more than {format_points(first.tolerance)} worse than {others} ({_bound(of_pick)})."
    return f"{sentence} {_of_cheaper(cost, prefer, cheaper, first.tolerance)}"


def not_worse(accuracy: float, of_pick: Sequence[PairedLoss], of_best: PairedLoss) -> str:
    """The only models that pass are neither the most accurate nor cheaper than it; `of_best`: the most accurate against
    the rival that speaks most against it."""
    best, tolerance = of_best.candidate, format_points(of_best.tolerance)
    return (
        f"Ship {of_pick[0].candidate} ({format_percent(accuracy)}): it is not more than {tolerance} worse than any "
        f"other model ({_bound(of_pick)}). Of {best}, the most accurate on these images, the data do not show that "
        f"(against {of_best.reference}: {_upper(of_best)})."
    )


def unresolved(best: str, accuracy: float, of_pick: Sequence[PairedLoss]) -> str:
    """No model passes; `of_pick`: the most accurate against every rival, the most doubtful first."""
    first = of_pick[0]
    others = [pair.reference for pair in of_pick[1:] if pair.status == "unresolved"]
    more = f" The same holds against {', '.join(others)}." if others else ""
    return (
        f"Unresolved, {best} for now: it is the most accurate on these images ({format_percent(accuracy)}), but the "
        f"data cannot tell whether it is {format_points(first.tolerance)} or more worse than {first.reference} (loss "
        f"{format_points(first.loss)}, {_upper(first)}, {_basis(first)}); "
        f"{_remedy(first)}.{more}"
    )


def one_seed(train_seconds: Sequence[float | None]) -> str:
    """What a verdict from one training of each model is about, and what two more would take; `train_seconds`: of one
    run of each model, None where it is not known."""
    about = "One seed: this holds for these trained networks, and another training may say otherwise"
    known = [seconds for seconds in train_seconds if seconds is not None]
    if len(known) < len(train_seconds):
        return f"{about}; three seeds (--seeds 3) take that into account."
    return f"{about}; three seeds (--seeds 3) take {_minutes(2 * sum(known))} more."


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
        f"{profiles[nearest].name_of(bound.bound)} "
        f"{'not known' if bound.actual is None else COSTS[bound.bound].write(bound.actual)} "
        f"against at most {COSTS[bound.bound].write(bound.limit)}"
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
        return COSTS[prefer].less
    # '1.0 x lower' would say nothing.
    ratio = f"{theirs / ours:.1f} x" if theirs >= 1.1 * ours else f"{100 * (1 - ours / theirs):.2g} %"
    return f"{ratio} {COSTS[prefer].less} ({COSTS[prefer].write(ours)} against {COSTS[prefer].write(theirs)})"


def _of_cheaper(cost: float | None, prefer: Preference, cheaper: Sequence[PairedLoss], tolerance: float) -> str:
    """Why no model cheaper than the pick is shipped."""
    if cost is None:
        return f"Its {COSTS[prefer].name} is not known, so no model can be called cheaper."
    if not cheaper:
        return f"No model within budget has {COSTS[prefer].less}."
    worse = f"more than {format_points(tolerance)} worse"
    if still_open := [pair for pair in cheaper if pair.status == "unresolved"]:
        pair = _nearest_to_settled(still_open)
        others = [other.candidate for other in still_open if other is not pair]
        more = f" The same holds for {', '.join(others)}." if others else ""
        return (
            f"The data cannot tell whether the cheaper {pair.candidate} is {worse} (loss {format_points(pair.loss)}, "
            f"{format_confidence(pair.confidence)} bounds {100 * pair.lower:.2f} and {100 * pair.upper:.2f}); "
            f"{_remedy(pair)}.{more}"
        )
    losses = ", ".join(f"{pair.candidate} loses {format_points(pair.loss)}" for pair in cheaper)
    return f"{'The cheaper model is' if len(cheaper) == 1 else 'Every cheaper model is'} {worse} ({losses})."


def _bound(of_pick: Sequence[PairedLoss]) -> str:
    """The pick's loss against its most doubtful rival, which is named where there are several."""
    first = of_pick[0]
    against = "" if len(of_pick) == 1 else f"most doubtful against {first.reference}: "
    return f"{against}loss {format_points(first.loss)}, {_upper(first)}, {_basis(first)}"


def _upper(pair: PairedLoss) -> str:
    return f"{format_confidence(pair.confidence)} upper bound {format_points(pair.upper)}"


def _basis(pair: PairedLoss) -> str:
    return f"n = {pair.n:,} images, {pair.seeds} seeds" if pair.seeds > 1 else f"n = {pair.n:,} images, one seed"


def _remedy(pair: PairedLoss) -> str:
    if pair.images_needed is not None:
        return f"about {format_about(pair.images_needed)} images in all would, with a chance of {100 * CHANCE:.0f} %"
    if pair.more_seeds:
        return "more seeds may tell, more images alone would not"
    return f"not even {MOST_IMAGES:,} images would"


def _nearest_to_settled(pairs: Sequence[PairedLoss]) -> PairedLoss:
    return min(pairs, key=lambda pair: (pair.images_needed is None, pair.images_needed or 0, pair.loss))


def _minutes(seconds: float) -> str:
    return "less than a minute" if seconds < 60 else f"about {format_seconds(60 * math.ceil(seconds / 60))}"
