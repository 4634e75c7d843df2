"""What is said of a machine that was not the same from first to last, or not left to the measurement."""

from __future__ import annotations

import os

import numpy as np
import pytest

from foray.clock.steadiness import Load, LoadWatch, steadiness
from foray.deploy import bench
from foray.deploy.bench import ProcessorTime

QUIET = [1.0] * 31


def test_a_machine_that_slows_by_14_per_cent_is_reported():
    assert bench.drift([1.0] * 10 + [1.07] * 10 + [1.14] * 10) == pytest.approx(0.14)
    assert bench.unsteadiness([1.0] * 10 + [1.07] * 10 + [1.14] * 10) == [
        "the machine slowed down by 14 % during the measurement"
    ]
    assert bench.unsteadiness([1.2] * 10 + [1.0] * 20) == ["the machine sped up by 17 % during the measurement"]
    assert bench.unsteadiness(QUIET) == []
    assert bench.unsteadiness([1.0, 1.05] * 15) == []


def test_a_speed_that_changes_from_turn_to_turn_is_reported():
    assert bench.unsteadiness([1.0, 2.0] * 15) == [
        "its speed varied by a factor of 2.0 between turns: other processes were running"
    ]


STAT = "cpu  10 20 30 400 50 1 2 7 3 4\ncpu0 1 1 1 1 1 1 1 1 0 0\ncpu1 4 0 0 6 0 0 0 0 0 0\n"


def test_processor_time_is_read_as_proc_5_says():
    assert ProcessorTime.parse(STAT) == ProcessorTime(total=520, busy=63, stolen=7)
    assert ProcessorTime.parse("cpu  0 0 0 0 0 0 0 0 0 0\n") is None
    assert ProcessorTime.parse("\n \n") is None
    assert ProcessorTime.parse("") is None


def test_only_the_processors_this_process_may_use_count():
    """A container with two of a server's 64 processors does not see the others' work as a disturbance."""
    assert ProcessorTime.parse(STAT, [1]) == ProcessorTime(total=10, busy=4, stolen=0)
    assert ProcessorTime.parse(STAT, [0, 1]) == ProcessorTime(total=18, busy=9, stolen=1)
    assert ProcessorTime.parse(STAT, [7]) == ProcessorTime.parse(STAT)


def proc(folder, busy: int, stolen: int, own: int) -> None:
    (folder / "stat").write_text(f"cpu  {busy} 0 0 {10_000 - busy - stolen} 0 0 0 {stolen} 0 0\n")
    (folder / str(os.getpid())).mkdir(exist_ok=True)
    # pid (name) state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime
    (folder / str(os.getpid()) / "stat").write_text(f"1 (a b) c) S 1 1 1 0 -1 0 0 0 0 0 {own} 0 0 0")


@pytest.mark.parametrize(
    ("busy", "stolen", "own", "warnings"),
    [
        (1500, 0, 1400, []),
        (1500, 0, 0, ["other processes used 15 % of the processors' time"]),
        (0, 500, 0, ["5 % of the processors' time went to other virtual machines"]),
    ],
)
def test_time_taken_by_others_is_told_from_the_measurements_own(tmp_path, busy, stolen, own, warnings):
    (tmp_path / "stat").write_text("cpu  0 0 0 1 0 0 0 0 0 0\n")
    watch = LoadWatch(proc=tmp_path)
    proc(tmp_path, busy, stolen, own)
    load = watch.load()
    assert (load.busy, load.stolen) == (pytest.approx((busy - own) / 9999), pytest.approx(stolen / 9999))
    assert load.is_quiet == (not warnings)
    assert steadiness(QUIET, [load]).warnings == warnings


def test_a_system_that_does_not_say(tmp_path):
    watch = LoadWatch(proc=tmp_path)
    assert not watch.knows
    assert watch.load() is None
    found = steadiness(QUIET, [None, None])
    assert (found.stolen, found.busy_elsewhere, found.busy_by_burst, found.warnings) == (None, None, [], [])


def test_the_share_of_others_is_the_mean_over_bursts_and_kept_burst_by_burst():
    found = steadiness(QUIET, [Load(0.6, 0.0)] + [Load(0.0, 0.0)] * 3, waited_seconds=12.5, again=2)
    assert found.busy_elsewhere == pytest.approx(0.15)
    assert found.busy_by_burst == [0.6, 0.0, 0.0, 0.0]
    assert found.warnings == ["other processes used 15 % of the processors' time"]
    assert (found.waited_seconds, found.taken_again) == (12.5, 2)
    assert steadiness(QUIET, [Load(0.6, 0.0), None]).busy_elsewhere is None


def bursts(*medians: float, turns: int = 5, passes: int = 10) -> np.ndarray:
    """(turns, passes): within a burst every pass within 1 % of its median."""
    random = np.random.default_rng(0)
    return np.concatenate([ms * random.uniform(0.99, 1.01, (turns, passes)) for ms in medians])


def test_a_latency_that_changes_between_bursts_is_covered_by_its_interval():
    """As three measurements minutes apart gave it: each by itself within 2 %, together a factor of two."""
    times = bursts(7.75, 15.9, 15.6, 15.8, 7.8, 15.7)
    found = bench.percentile(times, 50)
    assert found.low < 7.8 < 15.8 < found.high
    (said,) = bench.spread_warnings(times, 6)
    assert said == f"the medians of its bursts ran from {found.low:.3g} to {found.high:.3g} ms"


def test_processes_that_differ_by_a_fifth_are_steady_and_within_the_interval():
    times = bursts(14.2, 17.0, 16.9, 16.8, 15.6, 15.3)
    found = bench.percentile(times, 50)
    assert found.low == pytest.approx(14.2, rel=0.01)
    assert found.high == pytest.approx(17.0, rel=0.01)
    assert bench.spread_warnings(times, 6) == []


def test_one_burst_that_is_apart_widens_the_interval_and_two_are_not_steady():
    """As a quiet virtual machine gave it: nobody else on its processors, and one process of six much faster."""
    times = bursts(23.5, 20.1, 21.3, 22.4, 17.3, 27.5)
    found = bench.percentile(times, 50)
    assert found.low == pytest.approx(17.3, rel=0.01)
    assert found.high == pytest.approx(27.5, rel=0.01)
    assert bench.spread_warnings(times, 6) == []
    assert bench.spread_warnings(bursts(10.0, 10.0, 10.0, 10.0, 5.0, 10.0), 6) == []
    assert bench.spread_warnings(bursts(10.0, 10.0, 10.0, 10.0, 5.0, 5.0), 6) != []
    assert bench.spread_warnings(bursts(10.0, 10.0, 10.0, 10.0, 17.0, 17.0), 6) != []
    assert bench.spread_warnings(bursts(10.0, 16.0), 2) != []


def test_one_burst_is_never_steady():
    (said,) = bench.spread_warnings(bursts(10.0), 1)
    assert said.startswith("all passes are from one process at one time")


def test_a_tail_that_something_else_makes_is_reported():
    times = bursts(*[10.0] * 6)
    times[:, 0] = 35.0  # a tenth of the passes
    assert bench.spread_warnings(times, 6) == ["p95 is 3.5 x p50: other processes used the device"]
