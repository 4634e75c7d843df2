"""The solver: what it admits, what it calls best, which bound it blames."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foray.decision import broken_bounds
from foray.errors import ForayError, NotSteadyError, UnknownNameError
from foray.records import Budget, CostProfile
from foray.scaling import Family, ScaledNetwork, candidates, solve
from foray.specs import PUBLISHED_COEFFICIENTS, Coefficients, get_spec

EFFICIENTNET = Family("efficientnet", PUBLISHED_COEFFICIENTS)
MOBILENET = Family("mobilenet_v2", PUBLISHED_COEFFICIENTS)


@settings(max_examples=10, deadline=None)
@given(st.integers(20, 5000), st.integers(10, 300), st.integers(2, 70))
def test_the_best_is_the_largest_of_those_within_every_bound(macs: int, memory: int, params: int) -> None:
    budget = Budget(max_macs=macs * 10**6, max_memory_bytes=memory * 10**6, max_params=params * 10**6)
    pool = candidates(EFFICIENTNET, "phi")
    within = [candidate for candidate in pool if not broken_bounds(candidate.cost, budget)]
    if not within:
        with pytest.raises(ForayError, match="No efficientnet network keeps"):
            solve(EFFICIENTNET, budget)
        return
    solution = solve(EFFICIENTNET, budget)
    assert {candidate.name for candidate in solution.admissible} == {candidate.name for candidate in within}
    assert solution.best.capacity == max(candidate.capacity for candidate in within)


def test_every_front_is_free_of_dominated_networks() -> None:
    solution = solve(MOBILENET, Budget(max_macs=300_000_000, max_memory_bytes=30_000_000))
    by_name = {candidate.name: candidate for candidate in solution.admissible}
    assert set(solution.fronts) == {"macs", "memory"}
    for bound, names in solution.fronts.items():
        front = [by_name[name] for name in names]
        costs = [candidate.cost.cost(bound) or 0 for candidate in front]
        assert costs == sorted(costs)
        assert [c.capacity for c in front] == sorted(c.capacity for c in front)
        for other in solution.admissible:
            if other.name not in names:
                assert any(
                    c.capacity >= other.capacity and (c.cost.cost(bound) or 0) <= (other.cost.cost(bound) or 0)
                    for c in front
                )


def test_the_bound_that_binds_is_named_with_what_lifting_it_would_allow() -> None:
    solution = solve(EFFICIENTNET, Budget(max_macs=600_000_000, max_memory_bytes=60_000_000))
    assert solution.best.name == "efficientnet_b0"
    assert [one.bound for one in solution.binding] == ["macs"]
    without = solution.binding[0].without
    assert without.capacity > solution.best.capacity
    assert (without.cost.peak_memory_bytes or 0) <= 60_000_000
    assert without.cost.macs > 600_000_000


def test_the_papers_widths_and_resolutions_are_the_mobilenets_rule() -> None:
    found = candidates(MOBILENET, MOBILENET.own_rule)
    grid = {(c.spec.width_mult, c.spec.resolution) for c in found}
    assert {(w, r) for w in (1.4, 1.3, 1.0, 0.75, 0.5, 0.35) for r in (224, 192, 160, 128, 96)} <= grid
    assert all(c.spec.depth_mult == 1.0 for c in found)
    cost = {(c.spec.width_mult, c.spec.resolution): c.cost.macs / 1e6 for c in found}
    # research/slim/nets/mobilenet/README.md, millions, cut off
    assert [int(cost[w, r]) for w, r in ((1.4, 224), (1.0, 224), (1.0, 192), (1.0, 160))] == [582, 300, 221, 154]
    assert [int(cost[w, r]) for w, r in ((0.75, 128), (0.5, 160), (0.35, 96))] == [69, 50, 11]


def test_free_search_fills_a_budget_better_than_the_compound_path() -> None:
    budget = Budget(max_macs=600_000_000, max_memory_bytes=60_000_000)
    along, free = solve(EFFICIENTNET, budget), solve(EFFICIENTNET, budget, by="free")
    assert free.costed > 1000
    assert free.best.capacity > along.best.capacity
    assert free.best.cost.macs > 0.95 * 600_000_000


def test_names_are_buildable_and_say_the_network() -> None:
    for candidate in candidates(Family("tf_efficientnet", PUBLISHED_COEFFICIENTS), "phi"):
        assert get_spec(candidate.name) == candidate.spec
    for candidate in candidates(MOBILENET, "free")[::97]:
        assert get_spec(candidate.name) == candidate.spec


def test_networks_that_rounding_makes_equal_are_listed_once() -> None:
    found = candidates(EFFICIENTNET, "free")
    tables = {(c.spec.stem, c.spec.stages, c.spec.head, c.spec.resolution) for c in found}
    assert len(tables) == len(found)


def test_other_coefficients_give_another_path() -> None:
    deep = Family("efficientnet", Coefficients(2.0, 1.0, 1.0))
    found = [c for c in candidates(deep, "phi") if c.phi is not None]
    assert {c.spec.resolution for c in found} == {224}
    assert {c.spec.width_mult for c in found} == {1.0}


def test_a_bound_that_nothing_keeps_is_named_with_the_cheapest_network() -> None:
    with pytest.raises(ForayError, match=r"bound of 1\.00 M MACs. The cheapest is efficientnet@.*, with .* M"):
        solve(EFFICIENTNET, Budget(max_macs=1_000_000, max_params=5_000_000))
    cheapest = min(candidates(MOBILENET, "multipliers"), key=lambda c: c.cost.peak_memory_bytes or 0)
    with pytest.raises(ForayError, match=f"peak memory.* {cheapest.name}, with .*B"):
        solve(MOBILENET, Budget(max_memory_bytes=1_000_000))


def test_no_bound_an_unknown_family_and_a_bound_on_the_file_are_refused() -> None:
    with pytest.raises(ForayError, match="`max_macs` 600M"):
        solve(EFFICIENTNET, Budget())
    with pytest.raises(UnknownNameError, match="Scaled are"):
        Family("resnet18", PUBLISHED_COEFFICIENTS)
    with pytest.raises(ForayError, match="not the file"):
        solve(EFFICIENTNET, Budget(max_file_bytes=10**6))
    with pytest.raises(ForayError, match="device to measure on"):
        solve(EFFICIENTNET, Budget(max_latency_ms=1.0))


@settings(max_examples=10, deadline=None)
@given(limit_ms=st.floats(0.2, 40), per_mega_mac=st.floats(0.01, 0.1), constant_ms=st.floats(0, 3))
def test_latency_is_asked_of_few_networks_and_kept(limit_ms: float, per_mega_mac: float, constant_ms: float) -> None:
    """On a device whose latency grows with MACs the answer is the largest network within the bound."""
    asked: list[str] = []

    def device(candidate: ScaledNetwork) -> float:
        return constant_ms + per_mega_mac * candidate.cost.macs / 1e6

    def measure(candidate: ScaledNetwork) -> CostProfile:
        asked.append(candidate.name)
        return candidate.cost.model_copy(update={"latency_p50_ms": device(candidate)})

    budget = Budget(max_macs=600_000_000, max_latency_ms=limit_ms)
    pool = candidates(MOBILENET, "multipliers")
    within = [c for c in pool if device(c) <= limit_ms and c.cost.macs <= 600_000_000]
    if not within:
        with pytest.raises(ForayError, match=r"the bound of .* ms latency"):
            solve(MOBILENET, budget, measure=measure)
        return
    solution = solve(MOBILENET, budget, measure=measure)
    assert solution.best.capacity == max(c.capacity for c in within)
    assert solution.best.cost.latency_p50_ms == device(solution.best)
    assert len(asked) == len(set(asked)) <= 9
    assert {c.name for c in solution.admissible} <= set(asked)


def test_a_latency_that_was_not_steady_keeps_no_bound_and_breaks_none() -> None:
    """130 ms beside two other programs would have sent the search to networks far too small."""
    asked: list[str] = []

    def measure(candidate: ScaledNetwork) -> CostProfile:
        asked.append(candidate.name)
        return candidate.cost.model_copy(update={"latency_p50_ms": 130.0, "unsteady": ["others used 63 %"]})

    with pytest.raises(
        NotSteadyError, match=r"bound of 30.0 ms latency: the latency of .* not steady \(others used 63 %\)"
    ):
        solve(MOBILENET, Budget(max_latency_ms=30.0), measure=measure)
    assert len(asked) == 1


def test_solving_needs_no_torch() -> None:
    code = (
        "import sys\nfrom foray.records import Budget\nfrom foray.scaling import Family, solve\n"
        "from foray.specs import PUBLISHED_COEFFICIENTS\n"
        "solve(Family('efficientnet', PUBLISHED_COEFFICIENTS), Budget(max_macs=600_000_000))\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "False"
