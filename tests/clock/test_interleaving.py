"""Who is declared faster, on noise that is known: no clock runs here."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from foray.clock.interleaving import TIE, Interleaved, concatenated, difference, differences, interleave
from foray.deploy import bench

TURNS, PASSES = 30, 5


def machine(seed: int, turns: int = TURNS) -> np.ndarray:
    """How slow a shared machine is, (turns,): a slow drift of 20 %, moments correlated with the last, and bursts."""
    random = np.random.default_rng(seed)
    wave = np.zeros(turns)
    for t in range(1, turns):
        wave[t] = 0.8 * wave[t - 1] + random.normal(0, 0.03)
    return np.exp(wave) * np.linspace(1.0, 1.2, turns) * np.where(random.random(turns) < 0.1, 1.6, 1.0)


def times(ms: float, slowness: np.ndarray, seed: int) -> np.ndarray:
    """(turns, passes): correlated within a turn (whose mean has noise of its own), with a long tail to the right."""
    random = np.random.default_rng(seed)
    of_turn = np.exp(random.normal(0, 0.03, (len(slowness), 1)))
    of_pass = 1 + 0.02 * random.exponential(1, (len(slowness), PASSES))
    return ms * slowness[:, None] * of_turn * of_pass


def test_twenty_comparisons_of_a_network_with_itself_raise_at_most_two_alarms():
    worst = 0
    for batch in range(10):
        alarms = 0
        for i in range(20):
            slowness, seed = machine(1000 * batch + i), 7 * (20 * batch + i)
            pair = difference("a", times(4.0, slowness, seed), "b", times(4.0, slowness, seed + 1))
            alarms += not pair.is_tie
        worst = max(worst, alarms)
    assert worst <= 2


def test_ten_per_cent_are_found_on_a_machine_that_drifts_by_twenty():
    for i in range(20):
        slowness = machine(i)
        pair = difference("fast", times(4.0, slowness, 2 * i), "slow", times(4.4, slowness, 2 * i + 1))
        assert not pair.is_tie
        assert pair.low < pair.ratio < pair.high
        assert pair.low > 1
        assert pair.ratio == pytest.approx(1.1, rel=0.04)


def test_two_runs_have_the_same_order_outside_declared_ties():
    networks = {"a": 4.0, "b": 4.1, "c": 4.5, "d": 6.0, "e": 6.05}
    for i in range(10):
        said = []
        for run in (0, 1):
            slowness = machine(100 * i + run)
            measured = {
                name: times(ms, slowness, 1000 * i + 10 * run + k) for k, (name, ms) in enumerate(networks.items())
            }
            said.append({frozenset((d.a, d.b)): (d.a, d.is_tie) for d in differences(measured)})
        assert len(said[0]) == 10
        for pair in said[0]:
            (first, tie), (second, other_tie) = said[0][pair], said[1][pair]
            assert tie or other_tie or first == second, sorted(pair)


def test_less_than_three_per_cent_is_a_tie_however_sure():
    quiet = np.full((TURNS, PASSES), 4.0)
    pair = difference("a", quiet, "b", quiet * (1 + TIE - 0.001))
    assert pair.is_tie
    assert (pair.low, pair.high) == (pair.ratio, pair.ratio)
    assert not difference("a", quiet, "b", quiet * (1 + TIE + 0.001)).is_tie
    assert not difference("b", quiet * (1 + TIE + 0.001), "a", quiet).is_tie


def test_what_slows_both_leaves_their_ratio_alone():
    slowness = machine(3)
    a = times(4.0, slowness, 0)
    assert difference("a", a, "b", 1.5 * a).ratio == pytest.approx(1.5)
    assert difference("a", a / slowness[:, None], "b", 1.5 * a / slowness[:, None]).ratio == pytest.approx(1.5)


def test_rounds_hold_every_candidate_once_in_an_order_the_seed_decides():
    def said(seed: int) -> list[str]:
        order: list[str] = []
        takes = {name: (lambda name=name: (order.append(name), [1.0, 2.0])[1]) for name in "abc"}
        result = interleave(takes, 20, between=lambda: (order.append("-"), 0.5)[1], seed=seed)
        assert result.calibrations == [0.5] * 21
        assert {name: rows.shape for name, rows in result.times.items()} == dict.fromkeys("abc", (20, 2))
        return order

    order = said(0)
    rounds = [
        "".join(part) for is_between, part in itertools.groupby(order, lambda name: name == "-") if not is_between
    ]
    assert {"".join(sorted(part)) for part in rounds} == {"abc"}
    assert len(set(rounds)) > 1
    assert said(0) == order
    assert said(1) != order


def test_two_processes_of_one_network_are_a_tie_although_each_keeps_its_speed_for_a_burst():
    """Every burst has processes of its own, a tenth faster or slower for their whole life."""
    alarms = 0
    for i in range(40):
        random = np.random.default_rng(i)
        a, b = (
            4.0 * np.repeat(random.uniform(0.9, 1.1, 6), 5)[:, None] * random.normal(1, 0.005, (TURNS, PASSES))
            for _ in range(2)
        )
        alarms += not difference("a", a, "b", b).is_tie
    assert alarms <= 3  # 1 of 32 by chance


def test_turns_of_several_bursts_are_put_concatenated():
    parts = [Interleaved({"a": np.full((2, 3), float(i))}, [float(i)]) for i in (1, 2)]
    whole = concatenated(parts)
    assert whole.times["a"].tolist() == [[1.0] * 3] * 2 + [[2.0] * 3] * 2
    assert whole.calibrations == [1.0, 2.0]


def test_intervals_of_the_median_cover_it_although_passes_of_a_turn_are_correlated():
    """A bootstrap over single passes would cover about half as often."""
    covered = 0
    for i in range(200):
        random = np.random.default_rng(i)
        rows = 5.0 + random.normal(0, 1.0, (TURNS, 1)) + random.normal(0, 0.05, (TURNS, 10))
        found = bench.percentile(rows, 50)
        covered += found.low <= 5.0 <= found.high
    assert 180 <= covered <= 200


def test_percentiles_of_known_numbers():
    rows = np.arange(1.0, 101.0).reshape(20, 5)
    assert bench.percentile(rows, 50).value == pytest.approx(50.5)
    assert bench.percentile(rows, 95).value == pytest.approx(95.05)
    constant = bench.percentile(np.full((10, 3), 2.0), 95)
    assert (constant.low, constant.value, constant.high) == (2.0, 2.0, 2.0)
