"""A latency that was not steady neither keeps a bound nor breaks it, and orders nobody."""

from __future__ import annotations

import numpy as np
import pytest

from foray.decision import Candidate, broken_bounds, decide, latency_is_open, withheld
from foray.records import Budget, CostProfile, Decision, Preference

BUSY = "other processes used 63 % of the processors' time"
BOUND = Budget(max_latency_ms=30.0)


def candidate(
    model: str, latency: float | None = 10.0, accuracy: float | None = 0.9, unsteady: tuple[str, ...] = (BUSY,), **cost
) -> Candidate:
    about = {"resolution": 224, "params": 4_000_000, "macs": 300_000_000} | cost
    correct = None if accuracy is None else np.arange(1000)[None] < 1000 * accuracy
    return Candidate(model, correct, CostProfile(model=model, latency_p50_ms=latency, unsteady=list(unsteady), **about))


def judged(*candidates: Candidate, budget: Budget | None = None, prefer: Preference = "latency") -> Decision:
    budget = budget or Budget()
    found = decide(candidates, budget=budget, tolerance=0.01, prefer=prefer, selection_split="val")
    return withheld(found, candidates, budget)


@pytest.mark.parametrize("latency", [1.0, 29.9, 30.1, 130.0])
def test_an_unsteady_latency_neither_keeps_its_bound_nor_breaks_it(latency: float) -> None:
    unsteady, steady = candidate("m", latency).cost, candidate("m", latency, unsteady=()).cost
    assert broken_bounds(unsteady, BOUND) == []
    assert latency_is_open(unsteady, BOUND)
    assert bool(broken_bounds(steady, BOUND)) == (latency > 30)
    assert not latency_is_open(steady, BOUND)
    assert not latency_is_open(unsteady, Budget(max_params=10))


def test_a_latency_that_was_never_measured_still_breaks_its_bound() -> None:
    never = candidate("m", None, unsteady=()).cost
    assert [bound.actual for bound in broken_bounds(never, BOUND)] == [None]
    assert not latency_is_open(never, BOUND)


def test_an_unsteady_latency_of_130_ms_does_not_throw_a_model_out_of_a_budget_of_30() -> None:
    found = judged(candidate("a", 130.0, None), candidate("b", 110.0, None), budget=BOUND)
    assert (found.outcome, found.pick) == ("not_known", None)
    assert found.sentence == (
        f"No verdict yet: latency was not steady. Whether a and b keep the bound of 30.0 ms is not known ({BUSY}). Run "
        "the same command again when the machine is idle: it measures again and trains nothing twice."
    )


def test_other_bounds_still_throw_models_out() -> None:
    over = candidate("huge", 130.0, None, params=9_000_000)
    budget = Budget(max_latency_ms=30.0, max_params=5_000_000)
    assert judged(over, budget=budget).outcome == "nobody_in_budget"
    found = judged(over, candidate("small", 10.0, 0.9, unsteady=()), budget=budget)
    assert (found.outcome, found.pick) == ("only_one", "small")


def test_steady_models_within_the_bound_do_not_settle_the_one_that_is_open() -> None:
    found = judged(candidate("open", 20.0, None), candidate("in", 10.0, 0.9, unsteady=()), budget=BOUND)
    assert (found.outcome, found.pick, found.best) == ("not_known", None, "in")
    assert "Whether open keeps the bound" in found.sentence


def test_models_that_cannot_be_ordered_leave_the_most_accurate_for_the_time_being() -> None:
    found = judged(candidate("big", 20.0, 0.9), candidate("small", 8.0, 0.9))
    assert (found.outcome, found.pick, found.pareto) == ("not_known", found.best, [])
    assert found.sentence.startswith(
        f"Ship {found.best} for now; which model is cheaper is not known yet. Latency was not steady ("
    )
    assert f"); {found.best} is the most accurate." in found.sentence


def test_what_needs_no_latency_is_decided_under_load() -> None:
    rivals = candidate("big", 20.0, 0.95, macs=500_000_000), candidate("small", 8.0, 0.9)
    assert judged(*rivals, prefer="macs").outcome == "best_stands"
    assert judged(rivals[0]).outcome == "only_one"
    steady = candidate("big", 20.0, 0.95, unsteady=()), candidate("small", 8.0, 0.9, unsteady=())
    assert judged(*steady).outcome == "best_stands"
    assert judged(*steady, budget=BOUND).outcome == "best_stands"


def test_profiles_of_another_device_are_measured_again_there() -> None:
    found = judged(candidate("a", 10.0, None, device="Raspberry Pi 5"), budget=BOUND)
    assert found.sentence.endswith("Measure again on Raspberry Pi 5 when it is idle, and give the new profiles.")


def test_many_reasons_are_cut_short() -> None:
    found = judged(candidate("a", 10.0, None, unsteady=("one", "two", "three", "four", "five")), budget=BOUND)
    assert "(one; two; three; and 2 more)" in found.sentence
