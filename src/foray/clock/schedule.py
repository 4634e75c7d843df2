"""When networks are timed: in bursts that lie apart, on a machine that other processes leave alone if they can be
waited for."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from foray.clock.steadiness import Load, LoadWatch
from foray.deploy import bench
from foray.progress import SILENT, Progress

Result = TypeVar("Result")
LoadDuring = Callable[[float], Load | None]  # the load of the next so many seconds

WAIT_SECONDS = 60.0

_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class TimingSchedule:
    """`turns` of each candidate in all, in `bursts` that start at least `apart_seconds` from each other.

    `wait_seconds`: how long all waiting for a quiet machine may take. `seed`: of the order of turns.
    """

    turns: int = bench.TURNS
    bursts: int = bench.BURSTS
    apart_seconds: float = bench.APART_SECONDS
    wait_seconds: float = WAIT_SECONDS
    seed: int = 0

    @property
    def turns_a_burst(self) -> int:
        """Of each candidate."""
        return math.ceil(self.turns / self.bursts)


def schedule_within(wait_seconds: float, turns: int = bench.TURNS, seed: int = 0) -> TimingSchedule:
    """The schedule of `--wait`: of 0 seconds one burst at once, whose times are never called steady."""
    if wait_seconds > 0:
        return TimingSchedule(turns=turns, wait_seconds=wait_seconds, seed=seed)
    return TimingSchedule(turns=turns, bursts=1, apart_seconds=0.0, wait_seconds=0.0, seed=seed)


AT_ONCE = schedule_within(0.0, turns=6)  # where nothing depends on the times


@dataclass(frozen=True)
class TakenBursts(Generic[Result]):
    """What the bursts gave. `again`: bursts that others disturbed, which were left out and taken once more."""

    results: list[Result]
    loads: list[Load | None]
    waited_seconds: float
    again: int


def take_bursts(
    take: Callable[[], tuple[Result, Load | None]],
    schedule: TimingSchedule,
    *,
    look: LoadDuring | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    progress: Progress = SILENT,
) -> TakenBursts[Result]:
    """Calls `take`, one burst and the load during it, as `schedule` says.

    Before each burst it waits for a quiet machine while there is patience left, and takes a burst that was disturbed
    again. When the patience is spent every burst counts, and it ends early once nothing can make the times steady any
    more. A schedule that does not wait takes all its bursts.
    """
    quiet = _QuietWait(schedule.wait_seconds, look or load_during, clock, progress)
    results: list[Result] = []
    loads: list[Load | None] = []
    again = 0
    next_at = clock()
    while len(results) < schedule.bursts:
        sleep(max(0.0, next_at - clock()))
        quiet.wait()
        next_at = clock() + schedule.apart_seconds
        result, load = take()
        if load is not None and not load.is_quiet and quiet.left > 0 and again < schedule.bursts:
            again += 1
            continue
        results.append(result)
        loads.append(load)
        if quiet.left <= 0 < schedule.wait_seconds and _is_hopeless(loads, schedule.bursts):
            break
    return TakenBursts(results, loads, quiet.waited, again)


def _is_hopeless(loads: list[Load | None], bursts: int) -> bool:
    """Whether the mean over all bursts is no quiet machine's even if nobody disturbs those to come."""
    known = [load for load in loads if load is not None]
    busy, stolen = (sum(shares) / bursts for shares in ((load.busy for load in known), (load.stolen for load in known)))
    return not Load(busy, stolen).is_quiet


def load_during(seconds: float) -> Load | None:
    """What other processes use of the processors during the next `seconds`; None where the system does not say."""
    watch = LoadWatch()
    if not watch.knows:
        return None
    time.sleep(seconds)
    return watch.load()


class _QuietWait:
    """Waits for a quiet machine, `limit` seconds in all."""

    def __init__(self, limit: float, look: LoadDuring, clock: Callable[[], float], progress: Progress) -> None:
        self._limit, self._look, self._clock, self._progress = limit, look, clock, progress
        self.waited = 0.0

    @property
    def left(self) -> float:
        """Seconds of patience."""
        return self._limit - self.waited

    def wait(self) -> None:
        """Waits until no other process uses the processors, or until the limit."""
        if self.left <= 0:
            return
        load = self._look(_LOOK_SECONDS)
        if load is None or load.is_quiet:
            return
        self._progress.note(
            f"Other processes {load}: waiting up to {self.left:.0f} s for an idle machine before timing."
        )
        before, began = self.waited, self._clock()
        with self._progress.task("Waiting for an idle machine", round(self.left)) as bar:
            shown = 0
            while self.left > 0 and load is not None and not load.is_quiet:
                load = self._look(2 * _LOOK_SECONDS)
                self.waited = before + self._clock() - began
                bar.advance(int(self.waited - before) - shown, note=f"others {load}")
                shown = int(self.waited - before)
