"""What the benchmarks say of their measurements, and that sides in processes of their own answer, fail and end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks._rounds import Command, Schedule, Side, ratios, spread, steps_within, take_turns
from foray.errors import ForayError

ROOT = Path(__file__).resolve().parents[2]
RATES = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=30)
SIDE = """
from benchmarks._side import ProcessMemory, Work, serve
kept = []
def step(steps):
    print("what a library says is no answer")
    kept.append(b"x" * (steps * 2**20))
def idle(steps):
    pass
serve(lambda: Work({"step": step, "idle": idle}, {"precision": "float32"}, ProcessMemory()))
"""


def side(code: str = SIDE) -> tuple[str, ...]:
    return sys.executable, "-c", code


def test_quartiles_of_known_values() -> None:
    five = spread([5.0, 1.0, 4.0, 2.0, 3.0])
    assert (five.low, five.median, five.high) == (2.0, 3.0, 4.0)
    one = spread([7.0])
    assert (one.low, one.median, one.high) == (7.0, 7.0, 7.0)
    with pytest.raises(ValueError, match="no values"):
        spread([])


@given(RATES, st.floats(0.1, 10.0))
def test_a_side_that_is_always_so_much_faster_is_so_much_faster(rates: list[float], factor: float) -> None:
    found = ratios([factor * rate for rate in rates], rates)
    assert found.low == pytest.approx(factor)
    assert found.median == pytest.approx(factor)
    assert found.high == pytest.approx(factor)


def test_ratios_are_taken_round_by_round() -> None:
    # the second round was slow for both: the ratio of the medians would be 2 / 1.5
    assert ratios([2.0, 0.2, 2.0], [1.0, 0.1, 1.5]).median == pytest.approx(2.0)
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(("step_seconds", "expected"), [(0.1, 4), (4.0, 4), (7.0, 2), (100.0, 1)])
def test_a_slow_side_does_fewer_steps_a_turn(step_seconds: float, expected: int) -> None:
    assert steps_within(step_seconds, Schedule(rounds=1, steps=4, turn_seconds=20.0)) == expected


def test_a_side_answers_between_stops_and_is_gone_afterwards() -> None:
    with Side("ours", side(), {}, ROOT) as started:
        assert started.about == {"precision": "float32"}
        first = started.turn(1)
        assert first.seconds > 0
        second = started.turn(40)
        assert second.steps == 40
        if first.peak_bytes is not None and second.peak_bytes is not None:
            assert second.peak_bytes >= 40 * 2**20 > first.peak_bytes
        process = started._process
    assert process.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_a_side_that_breaks_says_why_and_the_others_go_on() -> None:
    commands = {
        "ours": Command(side()),
        "broken": Command(side("raise ValueError('no such network')")),
        "ends early": Command(side(SIDE.replace("    pass", "    if kept[3:]: raise SystemExit('out of memory')"))),
        "never ready": Command(side(SIDE.replace("kept.append", "__import__('signal').pause();kept.append")), {}, 1.0),
    }
    schedule = Schedule(rounds=3, steps=1, turn_seconds=20.0)
    ours, broken, early, slow = take_turns(commands, schedule, images_per_step=32, folder=ROOT, tasks=("step", "idle"))
    assert {task: len(rates) for task, rates in ours.rates.items()} == {"step": 3, "idle": 3}
    assert ours.about == {"precision": "float32"}
    assert broken.failure is not None
    assert "no such network" in broken.failure
    assert early.failure is not None
    assert "out of memory" in early.failure
    assert early.rates == {}
    assert slow.failure.startswith("never ready: no answer within 1 s.")


def test_a_side_that_does_not_start_raises() -> None:
    with pytest.raises(ForayError, match=r"ours: its process ended \(status 3\)"):
        Side("ours", side("raise SystemExit(3)"), {}, ROOT)
