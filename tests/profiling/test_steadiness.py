"""What is said of a machine that was not the same from first to last."""

from __future__ import annotations

import os

import pytest

from foray.deploy import bench
from foray.profiling.steadiness import LoadWatch, ProcessorTime

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
        "its speed wavered by a factor of 2.0 from turn to turn: something else was running"
    ]


def test_processor_time_is_read_as_proc_5_says():
    text = "cpu  10 20 30 400 50 1 2 7 3 4\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
    assert ProcessorTime.parse(text) == ProcessorTime(total=520, busy=63, stolen=7)
    assert ProcessorTime.parse("cpu  0 0 0 0 0 0 0 0 0 0\n") is None
    assert ProcessorTime.parse("") is None


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
    found = watch.steadiness(QUIET)
    assert found.warnings == warnings
    assert found.stolen == pytest.approx(stolen / 9999)
    assert found.busy_elsewhere == pytest.approx((busy - own) / 9999)
    assert found.drift == 0


def test_a_system_that_does_not_say(tmp_path):
    found = LoadWatch(proc=tmp_path).steadiness(QUIET)
    assert (found.stolen, found.busy_elsewhere, found.warnings) == (None, None, [])
