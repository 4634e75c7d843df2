"""When bursts are taken: with a clock, a sleep and a load that the test gives. Nothing waits here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from foray.clock.schedule import AT_ONCE, TimingSchedule, schedule_within, take_bursts
from foray.clock.steadiness import Load

QUIET, BUSY = Load(0.01, 0.0), Load(0.63, 0.0)


class World:
    """A clock that only looks, bursts and sleeps move. `loads`: what each look sees, the last for ever."""

    def __init__(self, *loads: Load | None, burst_seconds: float = 2.0) -> None:
        self.now, self.loads, self.burst_seconds = 0.0, list(loads), burst_seconds
        self.began: list[float] = []
        self.notes: list[str] = []
        self.during: Iterator[Load | None] = iter(())

    def look(self, seconds: float) -> Load | None:
        self.now += seconds
        return self.loads.pop(0) if len(self.loads) > 1 else self.loads[0]

    def take(self) -> tuple[int, Load | None]:
        self.began.append(self.now)
        self.now += self.burst_seconds
        return len(self.began), next(self.during, QUIET)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @contextmanager
    def task(self, description, total, done=0):
        yield self

    def advance(self, n=1, note=""):
        pass

    def note(self, message):
        self.notes.append(message)

    def bursts(self, schedule: TimingSchedule):
        return take_bursts(self.take, schedule, look=self.look, clock=lambda: self.now, sleep=self.sleep, progress=self)


def test_bursts_of_a_quiet_machine_lie_apart_and_nobody_waits() -> None:
    world = World(QUIET)
    taken = world.bursts(TimingSchedule())
    assert taken.results == [1, 2, 3, 4, 5, 6]
    assert (taken.waited_seconds, taken.again, world.notes) == (0, 0, [])
    gaps = [later - earlier for earlier, later in zip(world.began, world.began[1:], strict=False)]
    assert min(gaps) >= TimingSchedule().apart_seconds
    assert world.began[-1] - world.began[0] >= 25


def test_long_bursts_follow_each_other_without_idling() -> None:
    world = World(QUIET, burst_seconds=20.0)
    world.bursts(TimingSchedule())
    assert world.began[1] - world.began[0] < 21


def test_it_waits_until_the_machine_is_quiet_and_says_for_what() -> None:
    world = World(*[BUSY] * 11, QUIET)
    taken = world.bursts(TimingSchedule())
    assert world.began[0] == pytest.approx(11.5)
    assert taken.waited_seconds == pytest.approx(11)
    assert world.notes == [
        "Other processes use 63 % of the processors: waiting up to 60 s for an idle machine before timing."
    ]


def test_a_machine_that_is_never_quiet_is_waited_for_a_minute_and_timed_once() -> None:
    """One burst of six beside others that use 63 % is enough to know that the times are not steady."""
    world = World(BUSY)
    world.during = iter([BUSY] * 6)
    taken = world.bursts(TimingSchedule())
    assert taken.waited_seconds == pytest.approx(60)
    assert world.began == [pytest.approx(60.5)]
    assert len(world.notes) == 1
    assert (taken.results, taken.again, taken.loads) == ([1], 0, [BUSY])


def test_a_schedule_that_does_not_wait_takes_all_its_bursts() -> None:
    world = World(BUSY)
    world.during = iter([BUSY] * 3)
    assert world.bursts(TimingSchedule(bursts=3, wait_seconds=0.0)).loads == [BUSY] * 3


def test_a_light_disturbance_without_patience_lets_the_other_bursts_tell() -> None:
    world = World(BUSY)
    world.during = iter([Load(0.3, 0.0)])
    taken = world.bursts(TimingSchedule())
    assert taken.loads == [Load(0.3, 0.0)] + [QUIET] * 5


def test_a_disturbed_burst_is_left_out_and_taken_again_while_there_is_patience() -> None:
    world = World(QUIET)
    world.during = iter([QUIET, BUSY, QUIET])
    taken = world.bursts(TimingSchedule())
    assert taken.results == [1, 3, 4, 5, 6, 7]
    assert taken.again == 1
    assert taken.loads == [QUIET] * 6


def test_bursts_that_are_always_disturbed_come_to_an_end() -> None:
    """Whoever disturbs only while foray measures is never seen by a look before a burst."""
    world = World(QUIET)
    world.during = iter([BUSY] * 100)
    taken = world.bursts(TimingSchedule())
    assert (len(world.began), taken.again, taken.loads) == (12, 6, [BUSY] * 6)


def test_a_system_that_does_not_say_is_not_waited_for() -> None:
    world = World(None)
    world.during = iter([None] * 6)
    taken = world.bursts(TimingSchedule())
    assert (taken.waited_seconds, taken.loads) == (0, [None] * 6)


def test_no_wait_is_one_burst_at_once() -> None:
    world = World(BUSY)
    taken = world.bursts(schedule_within(0.0))
    assert (world.began, taken.results, world.notes) == ([0.0], [1], [])
    assert (AT_ONCE.bursts, AT_ONCE.turns_a_burst) == (1, 6)
    assert schedule_within(10.0).bursts == 6
    assert TimingSchedule(turns=31).turns_a_burst == 6
