"""Sides that take turns, and what is said of their rates: medians, quartiles, ratios round by round."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foray.clock.workers import Worker
from foray.errors import ForayError

_READY_SECONDS = 900.0  # for imports, decoding and building
_TURN_SECONDS = 24 * 3600.0  # where nobody says what a turn may take
_WARM_UP_TURNS = 2  # the first compiles, traces and fills what is filled once; the second says how long a step takes


@dataclass(frozen=True)
class Turn:
    """`peak_bytes`: the most that steps have taken so far, over what the side held before its first; None: unknown."""

    steps: int
    seconds: float
    peak_bytes: int | None


class Side(Worker):
    """A process that serves `benchmarks._side.Work`. `about`: what it says of itself when it is ready."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Starts `command` in `folder` and waits until it is ready. Raises ForayError where it does not become so."""
        super().__init__(name, command, environment, folder=folder, start_seconds=_READY_SECONDS)
        self.about: dict[str, Any] = self.ready["about"]

    def turn(self, steps: int, task: str = "step", limit_seconds: float | None = None) -> Turn:
        """Lets the side do `steps` of `task`. Raises ForayError where it ends, or takes longer than `limit_seconds`."""
        answer = self.ask(limit_seconds or _TURN_SECONDS, task=task, steps=steps)
        return Turn(steps, answer["seconds"], answer["peak_bytes"])


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_three_digits(self.median)} ({_three_digits(self.low)}-{_three_digits(self.high)})"


@dataclass(frozen=True)
class Command:
    """How a side is started. `first_limit_seconds`: what its first step, compilation included, may take."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    first_limit_seconds: float | None = None


@dataclass(frozen=True)
class Measured:
    """One side. `rates`: images/s of every round, by task; empty where `failure` says why there are none.

    `peak_bytes`: the most that steps took over what the process held before the first; None: not measured.
    `first_step_seconds`: with all that is compiled and traced.
    """

    name: str
    rates: dict[str, list[float]]
    peak_bytes: int | None = None
    first_step_seconds: float | None = None
    about: dict[str, Any] = field(default_factory=dict)
    failure: str | None = None

    def rate(self, task: str = "step") -> Spread:
        """Images/s."""
        return spread(self.rates[task])


@dataclass(frozen=True)
class Schedule:
    """`rounds` turns a side, of `steps` steps, or of fewer where those would take longer than `turn_seconds`."""

    rounds: int
    steps: int
    turn_seconds: float


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles (the value a quarter of the way through the sorted ones, between neighbours linearly)."""
    if not values:
        raise ValueError("no values, so no median")
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """How many times faster we are, round by round: the two of a round saw the same moments of the machine."""
    return spread([our / their for our, their in zip(ours, theirs, strict=True)])


def steps_within(step_seconds: float, schedule: Schedule) -> int:
    """Steps of a turn: the schedule's, but no more than fit into its `turn_seconds`, and one at least."""
    return max(1, min(schedule.steps, int(schedule.turn_seconds / step_seconds)))


def take_turns(
    commands: Mapping[str, Command],
    schedule: Schedule,
    *,
    images_per_step: int,
    folder: Path,
    tasks: Sequence[str] = ("step",),
) -> list[Measured]:
    """Starts every side, warms each up, then lets them take turns (A B C A B C ...), each doing every task in its turn.

    A side that fails, or takes too long for its first step, is left out, and its `failure` says so.
    """
    with ExitStack() as stack:
        started = [_start(name, command, folder, tasks, stack) for name, command in commands.items()]
        turns: dict[tuple[str, str], list[Turn]] = {}
        failures = {entry.name: entry.failure for entry in started if entry.failure is not None}
        for _ in range(schedule.rounds):
            for name, task, side, step_seconds in _tasks_of(started):
                if name in failures:
                    continue
                try:
                    done = side.turn(steps_within(step_seconds, schedule), task)
                except ForayError as error:
                    failures[name] = str(error)
                else:
                    turns.setdefault((name, task), []).append(done)
        return [
            Measured(entry.name, {}, failure=failures[entry.name])
            if entry.name in failures
            else entry.measured(turns, images_per_step)
            for entry in started
        ]


@dataclass(frozen=True)
class _Started:
    name: str
    side: Side | None
    step_seconds: dict[str, float]
    first_step_seconds: float | None
    failure: str | None

    def measured(self, turns: Mapping[tuple[str, str], Sequence[Turn]], images_per_step: int) -> Measured:
        assert self.side is not None
        rates = {
            task: [images_per_step * turn.steps / turn.seconds for turn in turns[self.name, task]]
            for task in self.step_seconds
        }
        peaks = [turn.peak_bytes for (name, _), done in turns.items() if name == self.name for turn in done]
        known = [peak for peak in peaks if peak is not None]
        return Measured(self.name, rates, max(known, default=None), self.first_step_seconds, self.side.about)


def _start(name: str, command: Command, folder: Path, tasks: Sequence[str], stack: ExitStack) -> _Started:
    side: Side | None = None
    try:
        side = Side(name, command.arguments, command.environment, folder)
        first = side.turn(1, tasks[0], command.first_limit_seconds).seconds
        step_seconds = {}
        for task in tasks:
            for _ in range(_WARM_UP_TURNS):
                step_seconds[task] = side.turn(1, task).seconds
    except ForayError as error:
        if side is not None:
            side.close()
        return _Started(name, None, {}, None, str(error))
    stack.enter_context(side)
    return _Started(name, side, step_seconds, first, None)


def _tasks_of(started: Sequence[_Started]) -> Iterator[tuple[str, str, Side, float]]:
    for entry in started:
        if entry.side is not None:
            for task, seconds in entry.step_seconds.items():
                yield entry.name, task, entry.side, seconds


def _three_digits(value: float) -> str:
    """`0.0123`, `1.23`, `12.3`, `123`, `12,345`."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
