"""Verdicts on ratios of times: from the interval alone, and with everything said that stands against them."""

from __future__ import annotations

from pathlib import Path

import pytest

from foray.records.reproduction import ClaimResult, ExperimentInfo, Unavailable
from foray.records.side_by_side import SideBySideTimes
from foray.reproduce.claim import Claim, Timed, TimeRatio
from foray.reproduce.findings import Findings
from foray.reproduce.judge_times import Ratio, judged_times, times_verdict
from foray.reproduce.results_folder import TimesResult

from .timed import B0, HEAD, MOBILE, latencies, training_times

EPOCHS = TimeRatio(MOBILE, B0, 1.5)


def judge(how: TimeRatio, times: SideBySideTimes | None, *, mini: bool = False, failure: str = "") -> ClaimResult:
    [role] = how.roles
    claim = Claim("comparison.x", "comparison", "B0 is slower.", "nowhere", "deepweeds", how)
    info = ExperimentInfo(role=role, scale="mini" if mini else "full", source="random pixels", command="")
    results = {} if times is None else {role: [TimesResult(info, times, Path("nowhere"))]}
    missing = {f"full/{role}": Unavailable(kind="failed", reason=failure)} if failure else {}
    return judged_times(claim, how, Findings(results, missing, mini))


@pytest.mark.parametrize(
    ("low", "high", "interval", "verdict"),
    [
        (1.5, None, (1.5, 9.0), "reproduced"),
        (1.5, None, (1.49, 9.0), "undecided"),
        (1.5, None, (1.0, 1.49), "not reproduced"),
        (1.25, 1.75, (1.25, 1.75), "reproduced"),
        (1.25, 1.75, (1.3, 1.76), "undecided"),
        (1.25, 1.75, (1.1, 1.9), "undecided"),
        (1.25, 1.75, (1.76, 8.0), "not reproduced"),
        (1.25, 1.75, (0.5, 1.24), "not reproduced"),
        (1.25, 1.75, (None, None), "undecided"),
    ],
)
def test_the_whole_interval_has_to_say_so(
    low: float, high: float | None, interval: tuple[float | None, float | None], verdict: str
) -> None:
    assert times_verdict(TimeRatio(MOBILE, B0, low, high), Ratio(1.5, *interval)) == verdict


def test_a_constant_ratio_is_told_with_both_times_and_the_machine() -> None:
    times = training_times(mobile=[0.3, 0.317, 0.34], b0=[0.6, 0.634, 0.68])
    found = judge(EPOCHS, times)
    assert found.verdict == "reproduced"
    assert found.sentence == (
        "efficientnet_b0 at 224 px takes 2.00 times as long per epoch as mobilenet_v2 at 224 px "
        "(2.00 to 2.00, 3 rounds). Medians: 634 ms per step of 32 images against 317 ms, in turns on one machine "
        "(A Processor, 2 threads)."
    )
    assert "mobilenet_v2 at 224 px: 317 ms, the median of 3 rounds (300 ms to 340 ms)" in found.arithmetic
    assert any("float32" in line and "reading images" in line for line in found.arithmetic)


def test_the_one_that_takes_longer_stands_first() -> None:
    """B0 was to take longer, and takes half the time. Ratios 2 and 2.2: t = 12.7 for two rounds."""
    found = judge(EPOCHS, training_times(mobile=[0.6, 0.66], b0=[0.3, 0.3]))
    longer = "mobilenet_v2 at 224 px takes {} times as long per epoch as efficientnet_b0 at 224 px ({}"
    assert found.verdict == "not reproduced"
    assert found.sentence.startswith(longer.format("2.10", "1.14 to 3.84, 2 rounds). Medians: 630 ms per step"))
    single = judge(EPOCHS, training_times(mobile=[0.6], b0=[0.3]))
    assert single.sentence.startswith(longer.format("2.00", "1 round, so without an interval)"))


def test_a_run_is_its_epochs() -> None:
    """The head in 10 epochs, all in 20: steps that take 3 times as long make a run that takes 6 times as long."""
    how = TimeRatio(HEAD, MOBILE, 5.9, 6.1, of="run", epochs=(10, 20))
    found = judge(how, training_times(head=[0.1, 0.12], mobile=[0.3, 0.36]))
    assert found.verdict == "reproduced"
    assert found.sentence.startswith(
        "mobilenet_v2 at 224 px over 20 epochs takes 6.00 times as long to train as mobilenet_v2 at 224 px, the head "
        "alone over 10 epochs (6.00 to 6.00, 2 rounds). Medians: 330 ms per step of 32 images against 110 ms"
    )
    assert any("keeps its features" in line for line in found.arithmetic)


def test_an_image_is_timed_on_its_runtime() -> None:
    how = TimeRatio(MOBILE, B0, 3.0, of="latency")
    found = judge(how, latencies(mobile=[5.0, 6.0], b0=[10.0, 12.0]))
    assert found.verdict == "not reproduced"
    assert "11.0 ms per image against 5.50 ms" in found.sentence
    assert "(A Processor, 1 thread)" in found.sentence
    assert any("ONNX Runtime in float32" in line for line in found.arithmetic)


def test_a_busy_machine_is_said() -> None:
    times = training_times("other processes used 45 % of the processors' time", mobile=[0.3, 0.3], b0=[0.6, 0.6])
    assert judge(EPOCHS, times).sentence.endswith(
        "The times were not steady: other processes used 45 % of the processors' time."
    )
    assert "not steady" not in judge(EPOCHS, training_times(mobile=[0.3, 0.3], b0=[0.6, 0.6])).sentence


def test_one_round_decides_nothing() -> None:
    found = judge(EPOCHS, training_times(mobile=[0.3], b0=[6.0]))
    assert found.verdict == "undecided"
    said = "takes 20.0 times as long per epoch as mobilenet_v2 at 224 px (1 round, so without an interval)"
    assert said in found.sentence


def test_what_was_not_timed_has_no_result_and_a_way_to_get_it() -> None:
    command = "foray reproduce comparison.x --scale full"
    assert command in judge(EPOCHS, None).sentence
    without = judge(TimeRatio(MOBILE, Timed("efficientnet_b0", 150), 1.5), training_times(mobile=[0.3], b0=[0.6]))
    assert "without efficientnet_b0 at 150 px." in without.sentence
    assert command in without.sentence
    failed = judge(EPOCHS, None, failure="Out of memory.")
    assert failed.sentence.startswith(f"Not timed. Out of memory. {command}")
    for found in (judge(EPOCHS, None), without, failed):
        assert found.verdict == "no result"


def test_the_head_is_another_network_than_the_whole() -> None:
    found = judge(TimeRatio(HEAD, MOBILE, 1.0), training_times(mobile=[0.3, 0.3], b0=[0.6, 0.6]))
    assert found.verdict == "no result"
    assert "without mobilenet_v2 at 224 px, the head alone" in found.sentence


def test_mini_times_are_not_judged() -> None:
    found = judge(EPOCHS, training_times(mobile=[0.3, 0.3], b0=[0.6, 0.6]), mini=True)
    assert found.verdict == "no result"
    assert found.sentence == "Mini, not judged: the code path ran (2 networks in turns)."
