"""Candidates that take turns, so that a machine that grows hot or busy slows all of them alike; and what is said of
their times."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from foray.deploy.bench import BURSTS, Times
from foray.records.runtime_profile import TimeDifference

Turn = Callable[[], Sequence[float]]  # milliseconds of each timed pass, as many every time

TIE = 0.03  # a difference that another day, another build or another place in memory makes


@dataclass(frozen=True, eq=False)
class Interleaved:
    """`times`: (turns, passes) milliseconds by candidate; row t of all of them is from the same moment.
    `calibrations`: what was measured between the turns.
    """

    times: dict[str, Times]
    calibrations: list[float] = field(default_factory=list)


def interleave(
    candidates: Mapping[str, Turn],
    turns: int,
    *,
    between: Callable[[], float],
    seed: int | Sequence[int] = 0,
) -> Interleaved:
    """Lets every candidate take `turns` turns, round by round, each round in an order of its own drawn with `seed`.

    `between` is called before every round and once after the last: the calibration. The order is random because a
    candidate that always follows the same other one inherits its heat and its caches.
    """
    random = np.random.default_rng(seed)
    spent: dict[str, list[Sequence[float]]] = {name: [] for name in candidates}
    calibrations = []
    for _ in range(turns):
        calibrations.append(between())
        for position in random.permutation(len(candidates)):
            name = list(candidates)[position]
            spent[name].append(candidates[name]())
    calibrations.append(between())
    return Interleaved({name: np.array(rows, dtype=np.float64) for name, rows in spent.items()}, calibrations)


def concatenated(bursts: Sequence[Interleaved]) -> Interleaved:
    """All turns of the bursts, in their order."""
    names = list(bursts[0].times)
    times = {name: np.concatenate([burst.times[name] for burst in bursts]) for name in names}
    return Interleaved(times, [ms for burst in bursts for ms in burst.calibrations])


def differences(times: Mapping[str, Times], bursts: int = BURSTS) -> list[TimeDifference]:
    """Every pair of candidates, the faster one first. `times`: (turns, passes), the same turns for all."""
    ordered = sorted(times, key=lambda name: float(np.median(times[name])))
    return [difference(a, times[a], b, times[b], bursts) for a, b in itertools.combinations(ordered, 2)]


def difference(name_a: str, a: Times, name_b: str, b: Times, bursts: int = BURSTS) -> TimeDifference:
    """The median over bursts of what each says of b / a: the median of its turns' ratios of medians.

    Paired by turn: what slows the machine for a while slows both and leaves the ratio alone. The interval runs from the
    lowest burst to the highest, as each has processes of its own, and a process may be slower than its twin all its
    life; for one burst from the lowest turn to the highest. Of six bursts it misses in 1 of 32 cases (sign test).
    """
    of_turns = np.median(b, axis=1) / np.median(a, axis=1)
    blocks = np.array_split(of_turns, bursts if 1 < bursts < len(of_turns) else len(of_turns))
    ratios = [float(np.median(block)) for block in blocks]
    ratio, low, high = float(np.median(ratios)), min(ratios), max(ratios)
    is_tie = low <= 1 <= high or 1 / (1 + TIE) < ratio < 1 + TIE
    return TimeDifference(a=name_a, b=name_b, ratio=ratio, low=low, high=high, is_tie=is_tie)
