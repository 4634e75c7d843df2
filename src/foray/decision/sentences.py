"""The verdict in words: a headline, and what follows it with the numbers that it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from foray.decision.budgets import broken_bounds
from foray.records import COSTS, Budget, CostProfile, Decision, PairedLoss, Preference
from foray.records.quantities import (
    format_about,
    format_confidence,
    format_ms,
    format_percent,
    format_points,
    format_seconds,
)
from foray.records.split_names import format_split
from foray.statistics.sample_size import CHANCE, MOST_IMAGES

_SHOWN_REASONS = 3


def headline(decision: Decision) -> str:
    """The verdict in a few words, without a full stop; the decision's sentence starts with it."""
    pick = decision.pick
    match decision.outcome:
        case "cheaper_not_worse":
            tolerance = format_points(decision.tolerance)
            return f"Ship {pick}: cheaper than {decision.best}, the most accurate, and not more than {tolerance} worse"
        case "best_stands":
            return f"Ship {pick}: the most accurate on {selection_images(decision)}"
        case "not_worse":
            return f"Ship {pick}: not more than {format_points(decision.tolerance)} worse than any other model"
        case "only_one":
            return f"Ship {pick}: the only model left to choose from"
        case "unresolved":
            return f"Ship {pick} for now; the data cannot yet tell it from {_open_rivals(decision)}"
        case "not_known":
            return (
                "No verdict yet: latency was not steady"
                if pick is None
                else f"Ship {pick} for now; which model is cheaper is not known yet"
            )
        case "nobody_in_budget":
            return "No model keeps the budget"
        case "nobody_trained":
            return "No model to ship"


def details(decision: Decision) -> str:
    """What follows the headline; all of the sentence in files whose sentence has no headline."""
    return decision.sentence.removeprefix(f"{headline(decision)}. ")


def selection_images(decision: Decision) -> str:
    """The images that selected, in words: 'these images', or, beside new images with labels, the name of the split."""
    return "these images" if decision.settle_error is None else format_split(decision.selection_split)


def _open_rivals(decision: Decision) -> str:
    rivals = [
        pair.reference for pair in decision.pairs if pair.candidate == decision.pick and pair.status == "unresolved"
    ]
    if not rivals:  # files of earlier versions hold other pairs
        return "the others"
    return " or ".join(rivals) if len(rivals) < 3 else f"{rivals[0]} and {len(rivals) - 1} others"


def cheaper_not_worse(
    costs: Mapping[str, float | None],
    prefer: Preference,
    best: str,
    of_pick: Sequence[PairedLoss],
    cheaper: Sequence[PairedLoss],
) -> str:
    """What follows the headline where a model cheaper than `best`, the most accurate, is shipped.

    `of_pick`: the pick against every rival, the closest comparison first; `cheaper`: models that are cheaper than the
    pick, each against its strongest rival.
    """
    saving = _saving(costs[of_pick[0].candidate], costs[best], prefer)
    sentence = f"It has {saving}. {_closest(of_pick)}."
    still_open = [pair for pair in cheaper if pair.status == "unresolved"]
    if still_open:
        nearest = _nearest_to_settled(still_open)
        sentence += f" The data cannot yet tell for {nearest.candidate}, which is cheaper still; {_remedy(nearest)}."
    return sentence


def best_stands(
    accuracy: float,
    cost: float | None,
    prefer: Preference,
    of_pick: Sequence[PairedLoss],
    cheaper: Sequence[PairedLoss],
    images: str,
) -> str:
    """What follows the headline where the most accurate is shipped; `cost`: its preferred cost; `of_pick` and
    `cheaper` as in `cheaper_not_worse`; `images`: those of the accuracy (`selection_images`)."""
    first = of_pick[0]
    if first.upper < 0:
        others = first.reference if len(of_pick) == 1 else "any other model"
        against = "" if len(of_pick) == 1 else f"against {first.reference}; "
        level = format_confidence(first.confidence)
        ahead = f"at least {format_points(-first.upper)} above {others} ({against}one-sided {level} bound"
        sentence = f"{_accuracy(accuracy, images)}, {ahead}, {_basis(first)})."
    else:
        sentence = f"{_accuracy(accuracy, images)}. {_closest(of_pick)}."
    return f"{sentence} {_of_cheaper(cost, prefer, cheaper, first.tolerance)}"


def not_worse(accuracy: float, of_pick: Sequence[PairedLoss], of_best: PairedLoss, images: str) -> str:
    """What follows the headline where the only models that pass are neither the most accurate nor cheaper than it;
    `of_best`: the most accurate against its strongest rival; `images` as in `best_stands`."""
    return (
        f"{_accuracy(accuracy, images)}. {_closest(of_pick)}. The data do not show the same for "
        f"{of_best.candidate}, the most accurate on {images} (against {of_best.reference}: {_upper(of_best)})."
    )


def unresolved(accuracy: float, best: str, of_pick: Sequence[PairedLoss], images: str) -> str:
    """What follows the headline where no model passes; `accuracy` and `of_pick`: of the pick for now, against every
    rival, the closest comparison first; `best`: the most accurate, which labels of new images may have shown to be
    worse; `images` as in `best_stands`."""
    first = of_pick[0]
    others = [pair.reference for pair in of_pick[1:] if pair.status == "unresolved"]
    more = f" The same holds against {', '.join(others)}." if others else ""
    among = "" if first.candidate == best else " of the models that are not shown to be worse than another"
    return (
        f"It is the most accurate on {images}{among} ({format_percent(accuracy)}), but may be "
        f"{format_points(first.tolerance)} or more worse than {first.reference} (loss {format_points(first.loss)}, "
        f"{_upper(first)}, {_basis(first)}); {_remedy(first, 'tell')}.{more}"
    )


def both_errors(decision: Decision) -> str:
    """How likely a wrong pick is where labels of new images decided what the comparison left open; a pick for now is
    promised nothing."""
    tried = tried_sets(decision.settle_sets, decision.settle_error or 0.0)
    if decision.outcome == "unresolved":
        return tried
    errors = decision.error + decision.error_by_labels, decision.error, decision.error_by_labels
    together, *steps = map(format_confidence, errors)
    sentence = (
        f"The chance of a wrong pick is at most {together}: {steps[0]} by the comparison and {steps[1]} by the labels "
        "of new images."
    )
    return f"{sentence} {tried}".rstrip()


def tried_sets(sets: int, error: float) -> str:
    """That several sets of new images were tried, and the error of each; empty for one."""
    if sets == 1:
        return ""
    return f"{sets} sets of new images were tried, so each is tested at {format_confidence(error)}."


def _accuracy(accuracy: float, images: str) -> str:
    where = "" if images == "these images" else f" on {images}"
    return f"Accuracy {format_percent(accuracy)}{where}"


def one_seed(train_seconds: Sequence[float | None]) -> str:
    """What a verdict from one training of each model is about, and what two more would take; `train_seconds`: of one
    run of each model, None where it is not known."""
    about = "One seed: this holds for these trained networks, and another training may give another result"
    known = [seconds for seconds in train_seconds if seconds is not None]
    if len(known) < len(train_seconds):
        return f"{about}; three seeds (--seeds 3) take that into account."
    return f"{about}; three seeds (--seeds 3) take {_minutes(2 * sum(known))} more."


def only_one(accuracy: float) -> str:
    """What follows the headline where there was nothing to choose from."""
    return f"Accuracy {format_percent(accuracy)}."


def not_known(best: str | None, unsteady: Mapping[str, CostProfile], limit_ms: float | None) -> str:
    """What follows the headline where the decision depends on the latency of the `unsteady` models; `limit_ms`: the
    bound on latency, None where latency only says which model is cheaper."""
    reasons = _reasons(unsteady.values())
    if limit_ms is None:
        return f"Latency was not steady ({reasons}); {best} is the most accurate. {_way_out(unsteady.values())}"
    keep = "keeps" if len(unsteady) == 1 else "keep"
    question = f"Whether {_names(list(unsteady))} {keep} the bound of {format_ms(limit_ms)} is not known"
    return f"{question} ({reasons}). {_way_out(unsteady.values())}"


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
    return f"The nearest is {nearest}: {', '.join(missed)}."


def nobody_trained(within_budget: Sequence[str]) -> str:
    """There are models within budget, but none with a result; or there are no models at all."""
    if not within_budget:
        return "No models were given."
    return f"No model within the budget could be trained ({', '.join(within_budget)})."


def _saving(ours: float | None, theirs: float | None, prefer: Preference) -> str:
    if not ours or not theirs:
        return COSTS[prefer].less
    # '1.0 x lower' is no information.
    ratio = f"{theirs / ours:.1f} x" if theirs >= 1.1 * ours else f"{100 * (1 - ours / theirs):.2g} %"
    return f"{ratio} {COSTS[prefer].less} ({COSTS[prefer].write(ours)} against {COSTS[prefer].write(theirs)})"


def _of_cheaper(cost: float | None, prefer: Preference, cheaper: Sequence[PairedLoss], tolerance: float) -> str:
    """Why no model cheaper than the pick is shipped."""
    if cost is None:
        return f"Its {COSTS[prefer].name} is not known, so no model can be called cheaper."
    if not cheaper:
        return f"No model within the budget has {COSTS[prefer].less}."
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


def _closest(of_pick: Sequence[PairedLoss]) -> str:
    """The pick's loss in its closest comparison; the rival is named where there are several."""
    first = of_pick[0]
    against = "Loss" if len(of_pick) == 1 else f"Closest comparison, against {first.reference}: loss"
    return f"{against} {format_points(first.loss)}, {_upper(first)} ({_basis(first)})"


def _upper(pair: PairedLoss) -> str:
    return f"{format_confidence(pair.confidence)} upper bound {format_points(pair.upper)}"


def _basis(pair: PairedLoss) -> str:
    images = "images" if pair.labels is None else f"new images, {pair.labels:,} of them labelled"
    return f"n = {pair.n:,} {images}, {pair.seeds} seeds" if pair.seeds > 1 else f"n = {pair.n:,} {images}, one seed"


def _remedy(pair: PairedLoss, verb: str = "") -> str:
    """What would settle an open comparison; `verb`: where the sentence before has none that "would" can stand for."""
    would, images = f"would {verb}".rstrip(), "images" if pair.labels is None else "new images"
    if pair.labels_left:
        left = "the other image" if pair.labels_left == 1 else f"the other {pair.labels_left:,} images"
        return f"labels of {left} on which they differ may {verb}".rstrip()
    if pair.images_needed is not None:
        total = f"about {format_about(pair.images_needed)} {images} in total"
        return f"{total} {would}, with {format_confidence(CHANCE)} power"
    if pair.more_seeds:
        return f"more seeds may {verb}".rstrip() + ", more images alone would not"
    return f"not even {MOST_IMAGES:,} {images} {would}"


def _nearest_to_settled(pairs: Sequence[PairedLoss]) -> PairedLoss:
    return min(pairs, key=lambda pair: (pair.images_needed is None, pair.images_needed or 0, pair.loss))


def _names(models: Sequence[str]) -> str:
    *others, last = models
    return f"{', '.join(others)} and {last}" if others else last


def _reasons(costs: Iterable[CostProfile]) -> str:
    found = list(dict.fromkeys(reason for cost in costs for reason in cost.unsteady))
    more = len(found) - _SHOWN_REASONS
    return "; ".join(found[:_SHOWN_REASONS]) + (f"; and {more} more" if more > 0 else "")


def _way_out(costs: Iterable[CostProfile]) -> str:
    devices = list(dict.fromkeys(cost.device for cost in costs))
    if devices == [CostProfile.model_fields["device"].default]:
        return "Run the same command again when the machine is idle: it measures again and trains nothing twice."
    return f"Measure again on {', '.join(devices)} when it is idle, and give the new profiles."


def _minutes(seconds: float) -> str:
    return "less than a minute" if seconds < 60 else f"about {format_seconds(60 * math.ceil(seconds / 60))}"
