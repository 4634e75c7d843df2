"""Cautions: said when test and selection part, or latency wavers, and only then."""

from __future__ import annotations

import pytest

from foray.decision import cautions
from foray.records import ArchitectureInfo, Budget, CandidateResult, CostProfile, Decision, Estimate, Leak, Preference


def candidate(
    *, selection: tuple[float, float], test: tuple[float, float], p95_ms: float | None = 12.0, model: str = "a"
) -> CandidateResult:
    """`selection` and `test`: lower and upper end of the interval."""
    return CandidateResult(
        model=model,
        architecture=ArchitectureInfo(name=model, requested=model, num_classes=3, resolution=224, params=10),
        weights=None,
        cost=CostProfile(
            model=model, resolution=224, params=10, macs=10, latency_p50_ms=p95_ms and 10.0, latency_p95_ms=p95_ms
        ),
        selection=Estimate(value=sum(selection) / 2, low=selection[0], high=selection[1], n=2520, method="Wilson"),
        test=Estimate(value=sum(test) / 2, low=test[0], high=test[1], n=372, method="Wilson"),
    )


def decision(pick: str | None = "a", prefer: Preference = "latency") -> Decision:
    return Decision(
        prefer=prefer, tolerance=0.01, selection_split="val", best=pick, pick=pick, outcome="best_stands", sentence=""
    )


AGREE = {"selection": (0.88, 0.92), "test": (0.85, 0.9)}


@pytest.mark.parametrize("test", [(0.85, 0.9), (0.80, 0.88), (0.93, 0.97)])
def test_intervals_that_touch_or_a_better_test_need_no_word(test: tuple[float, float]) -> None:
    assert cautions(decision(), [candidate(selection=(0.88, 0.92), test=test)], Budget()) == []


def test_a_test_below_selection_is_said_with_both_numbers_and_sizes() -> None:
    apart = candidate(selection=(0.99, 1.0), test=(0.81, 0.88))
    (sentence,) = cautions(decision(), [apart], Budget())
    assert sentence.startswith("Test is 15 points below selection for a (84.5 %, n = 372, against 99.5 %, n = 2,520)")


def test_only_the_pick_is_looked_at() -> None:
    other = candidate(selection=(0.99, 1.0), test=(0.81, 0.88), model="b")
    assert cautions(decision(), [candidate(**AGREE), other], Budget()) == []
    assert cautions(decision(pick=None), [other], Budget()) == []


def test_a_wavering_latency_is_said_where_latency_counts() -> None:
    rows = [candidate(**AGREE), candidate(**AGREE, p95_ms=21.0, model="b")]
    (sentence,) = cautions(decision(), rows, Budget())
    assert "p95 is 2.1 x p50 for b" in sentence
    assert len(cautions(decision(prefer="macs"), rows, Budget(max_latency_ms=30))) == 1
    assert cautions(decision(prefer="macs"), rows, Budget()) == []
    assert cautions(decision(), [candidate(**AGREE, p95_ms=None)], Budget()) == []


def with_cost(row: CandidateResult, **changes: object) -> CandidateResult:
    return row.model_copy(update={"cost": row.cost.model_copy(update=changes)})


def test_costs_of_int8_beside_accuracies_of_float32_are_said_whatever_counts() -> None:
    rows = [with_cost(candidate(**AGREE), runtime="litert", precision="int8"), candidate(**AGREE, model="b")]
    (sentence,) = cautions(decision(prefer="macs"), rows, Budget())
    assert sentence.startswith("Costs are those of litert int8, accuracies those of the float32 runs.")
    (full,) = [with_cost(candidate(**AGREE), runtime="litert")]
    assert cautions(decision(prefer="macs"), [full], Budget()) == []


def test_what_the_measurement_itself_calls_unreliable_is_said_once() -> None:
    reason = "the machine slowed down by 14 % during the measurement"
    rows = [with_cost(candidate(**AGREE, model=name), unsteady=[reason]) for name in "ab"]
    (sentence,) = cautions(decision(), rows, Budget())
    assert sentence == f"Latency is unreliable: {reason}. Measure again when the device is idle."


def timed(model: str, low: float, high: float, unsteady: tuple[str, ...] = ()) -> CandidateResult:
    middle = (low + high) / 2
    return with_cost(
        candidate(**AGREE, model=model), latency_p50_ms=middle, latency_p95_ms=1.1 * middle, latency_p50_low_ms=low,
        latency_p50_high_ms=high, unsteady=list(unsteady),
    )  # fmt: skip


def test_a_bound_within_the_interval_of_a_latency_is_said() -> None:
    rows = [timed("a", 28.0, 33.0), timed("b", 10.0, 11.0)]
    (sentence,) = cautions(decision(), rows, Budget(max_latency_ms=30))
    assert sentence.startswith("The bound of 30.0 ms lies within the interval of the latency of a (28.0 ms to 33.0 ms)")
    assert cautions(decision(), rows, Budget(max_latency_ms=33)) == []
    assert cautions(decision(), rows, Budget(max_latency_ms=27)) == []


def test_a_saving_within_the_intervals_of_two_latencies_is_said() -> None:
    chosen = decision(pick="a").model_copy(update={"best": "b", "outcome": "cheaper_not_worse"})
    (sentence,) = cautions(chosen, [timed("a", 9.0, 11.0), timed("b", 10.0, 13.0)], Budget())
    assert sentence.startswith("The latencies of a (9.00 ms to 11.0 ms) and b (10.0 ms to 13.0 ms) have overlapping")
    assert cautions(chosen, [timed("a", 9.0, 9.9), timed("b", 10.0, 13.0)], Budget()) == []
    assert cautions(chosen, [candidate(**AGREE), candidate(**AGREE, model="b")], Budget()) == []


def test_a_verdict_that_is_withheld_says_itself_why() -> None:
    unknown = decision(pick=None).model_copy(update={"outcome": "not_known"})
    assert cautions(unknown, [timed("a", 9.0, 40.0, ("busy",))], Budget(max_latency_ms=30)) == []


def leak(n: int, leaked: int, without: Estimate | None, split: str = "test") -> Leak:
    whole = Estimate(value=0.99, low=0.97, high=1.0, n=n)
    return Leak(split=split, model="a", n=n, leaked=leaked, whole=whole, without=without)


def test_splits_that_share_pictures_are_said_with_the_score_without_them() -> None:
    rest = Estimate(value=0.75, low=0.3, high=0.95, n=4)
    found = cautions(decision(), [candidate(**AGREE)], Budget(), [leak(378, 374, rest, "val")])
    assert len(found) == 1
    assert found[0].startswith(
        "374 of 378 val images are duplicates or near-duplicates of train images, which makes val too easy: a has "
        "99.0 % on all of them and 75.0 % without these (n = 4)."
    )


def test_where_every_test_image_is_a_copy_test_says_nothing() -> None:
    (said,) = cautions(decision(), [candidate(**AGREE)], Budget(), [leak(20, 20, None)])
    assert "20 of 20 test images are duplicates or near-duplicates of train or val images" in said
    assert "its accuracy is no estimate" in said
