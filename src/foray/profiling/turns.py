"""Candidates that take turns, so that a machine that grows hot or busy slows all of them alike; and what is said of
their times."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from foray.deploy.bench import Times
from foray.progress import SILENT, Progress
from foray.records.runtime_profile import TimeDifference

Turn = Callable[[], Sequence[float]]  # milliseconds of each timed pass, as many every time

TIE = 0.03  # a difference that another day, another build or another place in memory makes

_CONFIDENCE = 0.99  # of a difference: every pair of candidates is looked at
_RESAMPLES = 2000


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
    seed: int = 0,
    description: str = "Timing",
    progress: Progress = SILENT,
) -> Interleaved:
    """Lets every candidate take `turns` turns, round by round, each round in an order of its own drawn with `seed`.

    `between` is called before every round and once after the last: the calibration. The order is random because a
    candidate that always follows the same other one inherits its heat and its caches.
    """
    random = np.random.default_rng(seed)
    spent: dict[str, list[Sequence[float]]] = {name: [] for name in candidates}
    calibrations = []
    with progress.task(description, turns) as bar:
        for _ in range(turns):
            calibrations.append(between())
            for position in random.permutation(len(candidates)):
                name = list(candidates)[position]
                spent[name].append(candidates[name]())
            bar.advance()
        calibrations.append(between())
    return Interleaved({name: np.array(rows, dtype=np.float64) for name, rows in spent.items()}, calibrations)


def differences(times: Mapping[str, Times], seed: int = 0) -> list[TimeDifference]:
    """Every pair of candidates, the faster one first. `times`: (turns, passes), the same turns for all."""
    ordered = sorted(times, key=lambda name: float(np.median(times[name])))
    return [difference(a, times[a], b, times[b], seed) for a, b in itertools.combinations(ordered, 2)]


def difference(name_a: str, a: Times, name_b: str, b: Times, seed: int = 0) -> TimeDifference:
    """The median over turns of median(b) / median(a), with the percentile bootstrap over turns.

    Paired by turn: what slows the machine for a while slows both and leaves the ratio alone.
    """
    ratios = np.median(b, axis=1) / np.median(a, axis=1)
    drawn = np.random.default_rng(seed).integers(0, len(ratios), (_RESAMPLES, len(ratios)))
    tail = 50 * (1 - _CONFIDENCE)
    low, high = (float(bound) for bound in np.percentile(np.median(ratios[drawn], axis=1), [tail, 100 - tail]))
    ratio = float(np.median(ratios))
    is_tie = low <= 1 <= high or 1 / (1 + TIE) < ratio < 1 + TIE
    return TimeDifference(a=name_a, b=name_b, ratio=ratio, low=low, high=high, is_tie=is_tie)
