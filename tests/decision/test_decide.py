"""The decision: who is out, who is picked, what is said, and how often it is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foray.decision import ALONE_ERROR, COMPARE_ERROR, Candidate, broken_bounds, confirm, decide
from foray.decision.noninferiority import pairwise_tests
from foray.records import Budget, CostProfile, Decision
from foray.records.quantities import format_about
from foray.statistics.loss import loss_spread

N = 4000


def cost(model: str, latency: float | None = 10.0, **others) -> CostProfile:
    numbers = {"params": 4_000_000, "macs": 300_000_000, "peak_memory_bytes": 30_000_000, "file_bytes": 16_000_000}
    return CostProfile(model=model, resolution=224, latency_p50_ms=latency, **(numbers | others))


def right(accuracy: float, seeds: int = 3, shift: int = 0, n: int = N) -> np.ndarray:
    """(S, N): the first images are wrong, `shift` of them moved elsewhere so that two models disagree on them."""
    row = np.ones(n, dtype=bool)
    wrong = round(n * (1 - accuracy))
    row[: wrong - shift] = False
    row[n - shift :] = False
    return np.stack([row] * seeds)


def choose(
    *candidates: Candidate, budget: Budget | None = None, tolerance=0.01, prefer="latency", error=ALONE_ERROR
) -> Decision:
    return decide(
        candidates,
        budget=budget or Budget(),
        tolerance=tolerance,
        prefer=prefer,
        selection_split="out_of_fold",
        error=error,
    )


BIG = Candidate("big", right(0.90), cost("big", 20.0))


class TestBudgets:
    def test_a_bound_met_exactly_is_kept(self) -> None:
        assert broken_bounds(cost("m", 30.0), Budget(max_latency_ms=30.0, max_params=4_000_000)) == []

    def test_every_broken_bound_is_named_with_its_numbers(self) -> None:
        budget = Budget(max_params=3_000_000, max_macs=1, max_latency_ms=5, max_memory_bytes=1, max_file_bytes=1)
        broken = broken_bounds(cost("m"), budget)
        assert [bound.bound for bound in broken] == ["params", "macs", "latency", "memory", "file"]
        assert (broken[0].limit, broken[0].actual) == (3_000_000, 4_000_000)

    @pytest.mark.parametrize("bound", ["max_latency_ms", "max_memory_bytes", "max_file_bytes"])
    def test_an_unknown_cost_breaks_a_stated_bound_and_no_other(self, bound) -> None:
        unknown = cost("m", None, peak_memory_bytes=None, file_bytes=None)
        assert [broken.actual for broken in broken_bounds(unknown, Budget(**{bound: 10**12}))] == [None]
        assert broken_bounds(unknown, Budget(max_params=10**12)) == []


class TestOutcomes:
    def test_a_cheaper_model_that_is_not_worse_is_shipped(self) -> None:
        small = Candidate("small", right(0.897, shift=20), cost("small", 8.0))
        found = choose(small, BIG)
        assert (found.best, found.pick, found.outcome) == ("big", "small", "cheaper_not_worse")
        assert found.pareto == ["small", "big"]
        pair = found.pairs[0]
        assert (pair.reference, pair.candidate, pair.split, pair.n, pair.seeds) == ("big", "small", "out_of_fold", N, 3)
        assert found.sentence == (
            "Ship small: cheaper than big, the most accurate, and not more than 1 point worse. It has 2.5 x lower "
            f"latency (8.00 ms against 20.0 ms). Loss 0.3 points, 95 % upper bound {100 * pair.upper:.2f} points "
            "(n = 4,000 images, 3 seeds)."
        )

    def test_of_several_that_are_not_worse_the_cheapest(self) -> None:
        found = choose(
            BIG,
            Candidate("middle", right(0.899), cost("middle", 15.0)),
            Candidate("small", right(0.898), cost("small", 8.0)),
            Candidate("tiny", right(0.80), cost("tiny", 2.0)),
        )
        assert found.pick == "small"
        assert [(pair.reference, pair.candidate, pair.status) for pair in found.pairs] == [
            ("big", "small", "not_worse"), ("middle", "small", "not_worse"), ("tiny", "small", "not_worse"),
            ("big", "tiny", "worse"),
        ]  # fmt: skip
        pair = found.pairs[0]
        assert found.sentence == (
            "Ship small: cheaper than big, the most accurate, and not more than 1 point worse. It has 2.5 x lower "
            "latency (8.00 ms against 20.0 ms). Closest comparison, against big: loss 0.2 points, 98.3 % upper bound "
            f"{100 * pair.upper:.2f} points (n = 4,000 images, 3 seeds)."
        )

    def test_holm_tests_the_open_ones_at_a_shared_error(self) -> None:
        # Of four models three at most lose to another: the first round is at 5 % / 3 each; three pass, the fourth is
        # then tested at 5 % alone, and shares that among the three rivals of which the hardest is taken.
        found = choose(
            BIG,
            Candidate("middle", right(0.899), cost("middle", 15.0)),
            Candidate("small", right(0.898), cost("small", 8.0)),
            Candidate("tiny", right(0.80), cost("tiny", 2.0)),
        )
        assert [pair.confidence for pair in found.pairs] == pytest.approx([1 - 0.05 / 3] * 4)
        rivals = [Candidate(f"tiny{i}", right(0.80), cost(f"tiny{i}", 2.0 + i)) for i in range(4)]
        crowded = choose(BIG, *rivals)
        of_pick = {pair.confidence for pair in crowded.pairs if pair.candidate == "big"}
        assert (of_pick, {pair.confidence for pair in crowded.pairs[4:]}) == ({1 - 0.05 / 4}, {1 - 0.05 / 4 / 4})

    def test_sharing_the_error_can_leave_a_model_open_that_would_pass_alone(self) -> None:
        close = Candidate("close", right(0.896, shift=65), cost("close", 8.0))
        alone = choose(BIG, close)
        assert (alone.outcome, 0.0075 < alone.pairs[0].upper < 0.01) == ("cheaper_not_worse", True)
        crowd = [Candidate(f"tiny{i}", right(0.80), cost(f"tiny{i}", 2.0 + i)) for i in range(8)]
        crowded = choose(BIG, close, *crowd)
        assert (crowded.pick, crowded.outcome) == ("big", "best_stands")
        assert "The data cannot tell whether the cheaper close is more than 1 point worse" in crowded.sentence

    def test_a_cheaper_model_that_is_worse_is_not(self) -> None:
        found = choose(BIG, Candidate("small", right(0.85), cost("small", 8.0)))
        assert (found.pick, found.outcome) == ("big", "best_stands")
        assert found.sentence == (
            "Ship big: the most accurate on these images. Accuracy 90.0 %, at least "
            f"{-100 * found.pairs[0].upper:.2f} points above small (one-sided 95 % bound, n = 4,000 images, 3 seeds). "
            "The cheaper model is more than 1 point worse (small loses 5 points)."
        )

    def test_the_most_accurate_is_shipped_where_a_cheaper_one_is_open(self) -> None:
        found = choose(BIG, Candidate("small", right(0.894, shift=100), cost("small", 8.0)))
        assert (found.pick, found.outcome) == ("big", "best_stands")
        of_big, of_small = found.pairs
        assert (of_big.status, of_small.status) == ("not_worse", "unresolved")
        assert of_small.images_needed is not None
        assert found.sentence == (
            "Ship big: the most accurate on these images. Accuracy 90.0 %, at least "
            f"{-100 * of_big.upper:.2f} points above small (one-sided 95 % bound, n = 4,000 images, 3 seeds). "
            "The data cannot tell whether the cheaper small is more than 1 point worse (loss 0.6 points, 95 % bounds "
            f"{100 * of_small.lower:.2f} and {100 * of_small.upper:.2f}); about "
            f"{format_about(of_small.images_needed)} images in total would, "
            "with 80 % power."
        )

    def test_the_most_accurate_is_not_shipped_untested(self) -> None:
        big, small = np.ones((2, 1, 150), dtype=bool)
        big[0, :20], small[0, 13:31] = False, False  # each has some that the other has not
        found = choose(Candidate("big", big, cost("big", 20.0)), Candidate("small", small, cost("small", 8.0)))
        assert (found.best, found.pick, found.outcome) == ("small", "small", "unresolved")
        (pair,) = found.pairs
        assert (pair.reference, pair.candidate, pair.upper > 0.01) == ("big", "small", True)
        assert pair.images_needed is not None
        assert found.sentence == (
            "Ship small for now; the data cannot yet tell it from big. It is the most accurate on these images "
            f"({100 * small.mean():.1f} %), but may be 1 point or more worse than big (loss {100 * pair.loss:.2f} "
            f"points, 95 % upper bound {100 * pair.upper:.2f} points, n = 150 images, one seed); about "
            f"{format_about(pair.images_needed)} images in total would tell, with 80 % power. One seed: this holds for "
            "these trained networks, and another training may give another result; three seeds (--seeds 3) take that "
            "into account."
        )

    @pytest.mark.parametrize("latency", [30.0, 20.0, None])
    def test_a_rival_counts_whatever_it_costs(self, latency) -> None:
        """The pick is held against dearer rivals, rivals of equal cost and rivals of unknown cost."""
        rival = Candidate("rival", right(0.899, seeds=1, shift=100), cost("rival", latency))
        found = choose(Candidate("big", right(0.90, seeds=1), cost("big", 20.0)), rival, tolerance=0.001)
        assert (found.pick, found.outcome) == ("big", "unresolved")
        assert "worse than rival" in found.sentence

    def test_neither_the_most_accurate_nor_cheaper(self) -> None:
        """The most accurate is not shown to keep up with a third model, from which it differs more; another is."""
        best, middle, third = np.ones((3, 1, 2000), dtype=bool)
        third[0, :101], best[0, 101:200] = False, False
        middle[0, :51], middle[0, 101:150] = False, False  # half of what each of them lacks
        models = [("best", best, 10.0), ("middle", middle, 20.0), ("third", third, 30.0)]
        found = choose(*(Candidate(name, c, cost(name, k)) for name, c, k in models), tolerance=0.012)
        assert (found.best, found.pick, found.outcome) == ("best", "middle", "not_worse")
        assert [(pair.reference, pair.candidate, pair.status) for pair in found.pairs] == [
            ("best", "middle", "not_worse"), ("third", "middle", "not_worse"), ("third", "best", "unresolved"),
        ]  # fmt: skip
        assert found.sentence.startswith(
            "Ship middle: not more than 1.2 points worse than any other model. Accuracy 95.0 %. Closest comparison, "
        )
        assert (
            "The data do not show the same for best, the most accurate on these images (against third: "
            in found.sentence
        )

    def test_trainings_that_differ_need_more_seeds(self) -> None:
        rows = {"big": (0.93, 0.87, 0.91), "small": (0.90, 0.93, 0.86)}
        models = [
            Candidate(name, np.stack([np.arange(1000) < 1000 * a for a in accuracies]), cost(name, k))
            for (name, accuracies), k in zip(rows.items(), (20.0, 8.0), strict=True)
        ]
        found = choose(*models)
        assert found.outcome == "unresolved"
        assert (found.pairs[0].images_needed, found.pairs[0].more_seeds) == (None, True)
        assert "; more seeds may tell, more images alone would not." in found.sentence

    def test_a_pick_is_told_of_a_still_cheaper_model_that_is_open(self) -> None:
        found = choose(
            BIG,
            Candidate("small", right(0.899), cost("small", 8.0)),
            Candidate("tiny", right(0.893, shift=100), cost("tiny", 4.0)),
        )
        assert found.pick == "small"
        assert " The data cannot yet tell for tiny, which is cheaper still; about " in found.sentence

    def test_the_best_is_also_the_cheapest(self) -> None:
        found = choose(Candidate("small", right(0.95), cost("small", 8.0)), BIG)
        assert (found.pick, found.outcome) == ("small", "best_stands")
        assert [(pair.reference, pair.candidate) for pair in found.pairs] == [("big", "small")]
        assert found.sentence.startswith("Ship small: the most accurate on these images. Accuracy 95.0 %, at least ")
        assert found.sentence.endswith(" No model within the budget has lower latency.")
        assert found.pareto == ["small"]

    def test_equals_go_to_the_cheaper_and_then_by_name(self) -> None:
        same = right(0.9)
        assert choose(BIG, Candidate("small", same, cost("small", 8.0))).best == "small"
        assert choose(Candidate("b", same, cost("b")), Candidate("a", same, cost("a"))).pick == "a"

    def test_equal_cost_is_not_cheaper(self) -> None:
        found = choose(BIG, Candidate("other", right(0.899), cost("other", 20.0)))
        assert (found.pick, [pair.candidate for pair in found.pairs]) == ("big", ["big"])

    def test_prefer_chooses_the_cost(self) -> None:
        few_macs = Candidate("few_macs", right(0.899), cost("few_macs", 40.0, macs=100_000_000))
        assert choose(BIG, few_macs, prefer="latency").pick == "big"
        by_macs = choose(BIG, few_macs, prefer="macs")
        assert by_macs.pick == "few_macs"
        assert "3.0 x fewer MACs (100 M against 300 M)" in by_macs.sentence

    def test_a_small_saving_is_told_in_per_cent(self) -> None:
        assert "5 % lower latency" in choose(BIG, Candidate("small", right(0.899), cost("small", 19.0))).sentence

    def test_an_unknown_cost_is_never_called_cheaper(self) -> None:
        unknown = Candidate("unknown", right(0.899), cost("unknown", None))
        found = choose(BIG, unknown)
        assert (found.pick, [pair.candidate for pair in found.pairs], found.pareto) == ("big", ["big"], ["big"])

    def test_nothing_is_called_cheaper_than_an_unknown_cost(self) -> None:
        found = choose(Candidate("unknown", right(0.95), cost("unknown", None)), BIG)
        assert (found.pick, [pair.candidate for pair in found.pairs]) == ("unknown", ["unknown"])
        assert "Its latency is not known, so no model can be called cheaper" in found.sentence

    def test_one_model(self) -> None:
        found = choose(BIG)
        assert (found.best, found.pick, found.outcome, found.pareto) == ("big", "big", "only_one", ["big"])
        assert found.sentence == "Ship big: the only model left to choose from. Accuracy 90.0 %."

    def test_models_over_budget_are_out_however_good(self) -> None:
        huge = Candidate("huge", right(0.99), cost("huge", 90.0))
        found = choose(huge, BIG, Candidate("small", right(0.85), cost("small", 8.0)), budget=Budget(max_latency_ms=30))
        assert (found.best, found.outcome) == ("big", "best_stands")
        assert "huge" not in found.pareto
        assert all("huge" not in (pair.reference, pair.candidate) for pair in found.pairs)

    def test_a_failed_model_is_out(self) -> None:
        found = choose(Candidate("failed", None, cost("failed", 1.0)), BIG)
        assert (found.pick, found.outcome) == ("big", "only_one")

    def test_nobody_keeps_the_budget(self) -> None:
        nearest = Candidate("nearest", None, cost("nearest", 36.0, params=5_000_000))
        budget = Budget(max_latency_ms=30, max_params=4_500_000)
        found = choose(
            Candidate("far", None, cost("far", 31.0, params=9_000_000)),
            nearest,
            Candidate("unknown", None, cost("unknown", None)),
            budget=budget,
        )
        assert (found.best, found.pick, found.outcome) == (None, None, "nobody_in_budget")
        assert found.sentence == (
            "No model keeps the budget. The nearest is nearest: parameters 5.00 M against at most 4.50 M, "
            "latency 36.0 ms against at most 30.0 ms."
        )

    def test_nobody_is_known_to_keep_the_budget(self) -> None:
        found = choose(Candidate("unknown", None, cost("unknown", None)), budget=Budget(max_latency_ms=30))
        assert found.sentence.endswith("The nearest is unknown: latency not known against at most 30.0 ms.")

    def test_nobody_could_be_trained(self) -> None:
        found = choose(Candidate("small", None, cost("small")), Candidate("huge", None, cost("huge", 90)))
        assert (found.pick, found.outcome) == (None, "nobody_trained")
        assert "No model within the budget could be trained (small, huge)" in found.sentence

    def test_no_models(self) -> None:
        assert (choose().outcome, choose().sentence) == ("nobody_trained", "No model to ship. No models were given.")

    def test_test_never_selects(self) -> None:
        with pytest.raises(ValueError, match="never selects"):
            decide([BIG], budget=Budget(), tolerance=0.01, prefer="latency", selection_split="test")

    def test_names_are_unique(self) -> None:
        with pytest.raises(ValueError, match="same name"):
            choose(BIG, BIG)


@given(
    st.lists(st.tuples(st.floats(0.5, 1.0), st.sampled_from([None, 5.0, 10.0, 20.0]), st.booleans()), max_size=5),
    st.sampled_from([None, 8.0, 15.0]),
    st.integers(0, 2**16),
)
@settings(max_examples=60, deadline=None)
def test_decision_holds_together(models, bound, seed) -> None:
    rng = np.random.default_rng(seed)
    candidates = [
        Candidate(f"m{i}", None if failed else rng.random((2, 80)) < accuracy, cost(f"m{i}", latency))
        for i, (accuracy, latency, failed) in enumerate(models)
    ]
    budget = Budget(max_latency_ms=bound)
    found = choose(*candidates, budget=budget, tolerance=0.05)
    by_name = {one.model: one for one in candidates}
    left = [one for one in candidates if one.correct is not None and not broken_bounds(one.cost, budget)]
    assert Decision.model_validate_json(found.model_dump_json()) == found
    if not left:
        assert found.pick is None
        return
    assert by_name[found.best].correct.mean() == max(one.correct.mean() for one in left)
    assert found.pick in {one.model for one in left}
    if found.outcome == "cheaper_not_worse":
        assert by_name[found.pick].cost.latency_p50_ms < by_name[found.best].cost.latency_p50_ms
    else:
        assert (found.pick == found.best) == (found.outcome != "not_worse")
    of_pick = [pair for pair in found.pairs if pair.candidate == found.pick]
    assert {pair.reference for pair in of_pick} == {one.model for one in left} - {found.pick}
    assert found.pairs[: len(of_pick)] == of_pick
    assert all(pair.upper < 0.05 for pair in of_pick) == (found.outcome != "unresolved")
    for pair in found.pairs:
        assert (pair.status == "not_worse") == (pair.upper < pair.tolerance)


class TestConfirmation:
    small = Candidate("small", right(0.897), cost("small", 8.0))
    other = Candidate("other", right(0.80), cost("other", 30.0))

    def test_the_pick_against_every_other(self) -> None:
        decision = choose(BIG, self.small, self.other)
        found = confirm(decision, [self.other, BIG, self.small], 0.01)
        assert [(pair.reference, pair.candidate) for pair in found] == [("big", "small"), ("other", "small")]
        assert {pair.split for pair in found} == {"test"}
        assert {pair.confidence for pair in found} == {0.95}

    def test_a_test_that_disagrees_changes_nothing_but_is_told(self) -> None:
        decision = choose(BIG, self.small)
        on_test = [BIG, Candidate("small", right(0.80), cost("small", 8.0))]
        assert [pair.status for pair in confirm(decision, on_test, 0.01)] == ["worse"]
        assert decision.pick == "small"

    def test_nothing_to_confirm(self) -> None:
        assert confirm(choose(), [BIG], 0.01) == []
        assert confirm(choose(BIG), [BIG], 0.01) == []


class TestOneSeed:
    """A verdict from one training of each model says so, and what three would take."""

    def said(self, *seconds: float | None, seeds: int = 1) -> str:
        models = [
            Candidate(f"m{i}", right(0.9 - 0.05 * i, seeds), cost(f"m{i}", 10.0 + i), train_seconds=one)
            for i, one in enumerate(seconds)
        ]
        return choose(*models).sentence

    def test_it_is_about_these_networks_and_three_seeds_take_two_more_runs_each(self) -> None:
        assert self.said(300.0, 65.0).endswith(
            " One seed: this holds for these trained networks, and another training may give another result; three "
            "seeds (--seeds 3) take about 13 min more."
        )

    def test_seconds_are_not_told_to_the_second(self) -> None:
        assert self.said(10.0, 12.0).endswith("three seeds (--seeds 3) take less than a minute more.")

    def test_a_time_that_is_not_known_is_not_made_up(self) -> None:
        assert self.said(300.0, None).endswith("three seeds (--seeds 3) take that into account.")

    def test_several_seeds_and_a_single_model_need_no_such_words(self) -> None:
        assert "One seed" not in self.said(300.0, 65.0, seeds=2)
        assert "One seed" not in self.said(300.0)


class TestWrongVerdicts:
    """True loss = tolerance: a model that loses it to the best may pass in no more comparisons than the error says.
    Only models that pass are shipped."""

    TOLERANCE = 0.02

    def comparisons(self, accuracies, *, seeds, seed_sd, trials, n=2500):
        """Yields (correctness, true accuracies), by name.

        Images are shared: most are easy for all models, the rest is a toss-up.
        """
        rng = np.random.default_rng(17)
        undecided = 0.25
        names = [f"m{i}" for i in range(len(accuracies))]
        for _ in range(trials):
            toss_up = rng.random(n) < undecided
            correct = {}
            for name, accuracy in zip(names, accuracies, strict=True):
                chance = 1 - (1 - accuracy + seed_sd * rng.standard_normal((seeds, 1))) / undecided
                correct[name] = ~toss_up | (rng.random((seeds, n)) < chance)
            yield correct, dict(zip(names, accuracies, strict=True))

    def too_bad(self, true) -> set[str]:
        return {name for name, accuracy in true.items() if max(true.values()) - accuracy >= self.TOLERANCE - 1e-9}

    @pytest.mark.parametrize("error", [COMPARE_ERROR, ALONE_ERROR])
    @pytest.mark.parametrize(
        ("accuracies", "seeds", "seed_sd"),
        [
            ((0.88, 0.90), 1, 0.0),  # one cheaper model at the boundary
            ((0.90, 0.88), 1, 0.0),  # and the dearer one
            ((0.88, 0.88, 0.88, 0.88, 0.90), 1, 0.0),  # four of them
            ((0.88, 0.88, 0.88, 0.90, 0.90, 0.90), 1, 0.0),  # three equals, of which the luckiest seems the best
            ((0.88, 0.88, 0.88, 0.90), 3, 0.005),  # with the luck of training
            ((0.88, 0.88, 0.90, 0.90), 2, 0.01),  # with little else, and two seeds
        ],
    )
    def test_at_most_the_error(self, accuracies, seeds, seed_sd, error) -> None:
        trials = 500
        wrong = sum(
            bool(self.too_bad(true) & pairwise_tests(correct, self.TOLERANCE, error, "val").passed)
            for correct, true in self.comparisons(accuracies, seeds=seeds, seed_sd=seed_sd, trials=trials)
        )
        assert wrong / trials <= error + 2 * (error * (1 - error) / trials) ** 0.5  # two standard errors

    def test_without_shared_error_it_would_be_more(self) -> None:
        """The simulation can fail: four models at 5 % each are wrong in about 11 % of comparisons."""
        trials = 300
        wrong = 0
        for correct, true in self.comparisons((0.88,) * 4 + (0.90,), seeds=1, seed_sd=0.0, trials=trials):
            wrong += any(
                all(
                    loss_spread(rival, correct[name]).distance(self.TOLERANCE, 0.95) > 1
                    for other, rival in correct.items()
                    if other != name
                )
                for name in self.too_bad(true)
            )
        assert wrong / trials > 0.07

    def test_there_is_power(self) -> None:
        rng = np.random.default_rng(3)
        picks = []
        for _ in range(60):
            hard = rng.random(4000) < 0.2
            draw = [~hard | (rng.random((3, 4000)) < 0.5) for _ in range(2)]
            small, big = (Candidate(name, c, cost(name, k)) for name, c, k in zip("sb", draw, (1.0, 2.0), strict=True))
            picks.append(choose(small, big, tolerance=self.TOLERANCE).pick)
        assert picks.count("s") >= 50
