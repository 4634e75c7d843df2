"""Processes that are timed: what they answer, and how they end."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from foray.clock.burst import RuntimeCandidate
from foray.clock.measure import cost_profile, time_candidates
from foray.clock.schedule import AT_ONCE, TimingSchedule
from foray.clock.torch_session import open_network, save_for_worker
from foray.clock.workers import Worker, artifact_worker
from foray.errors import ForayError
from foray.models import build_model
from foray.progress import SilentProgress
from foray.records import RuntimeProfile
from foray.specs import Preprocessing, get_spec

ECHO = """
import json, sys
print(json.dumps({"load_ms": 1.0}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if asked["task"] == "fail": print(json.dumps({"error": "no such layer"}), flush=True)
    if asked["task"] == "end": sys.exit("it went wrong")
    print(json.dumps({"asked": asked, "resident_bytes": 5}), flush=True)
"""
PREPROCESSING = Preprocessing(resolution=32)


TELLS = """
import json, os, sys
fixed = float(sys.argv[1])
print(json.dumps({"load_ms": 1.0}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    answer = {"ms": [fixed or float(os.getpid())] * asked.get("passes", 1), "resident_bytes": 5}
    if asked["task"] == "warm_up": answer = {"pass_ms": 20.0, "stable": True}
    print(json.dumps(answer), flush=True)
"""


@dataclass(frozen=True)
class Told(RuntimeCandidate):
    """Its process answers with its own id, or with `milliseconds`, as the time of every pass."""

    milliseconds: float = 0.0

    def start(self) -> Worker:
        return Worker(self.name, [sys.executable, "-S", "-c", TELLS, str(self.milliseconds)])


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def echo() -> Worker:
    return Worker("echo", [sys.executable, "-S", "-c", ECHO])


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="needs POSIX")
def test_a_worker_is_stopped_between_its_turns_and_gone_at_the_end():
    with echo() as worker:
        assert worker.cold_start_ms > 0
        for batch in (1, 32):
            assert worker.ask(task="network", batch=batch)["asked"] == {"task": "network", "batch": batch}
            # waits until it is, and leaves the state to be waited for again
            stopped = os.waitid(os.P_PID, worker.pid, os.WSTOPPED | os.WNOWAIT)
            assert stopped.si_status == signal.SIGSTOP
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)


def test_errors_name_the_worker():
    with echo() as worker, pytest.raises(ForayError, match="echo: no such layer"):
        worker.ask(task="fail")
    with echo() as worker, pytest.raises(ForayError, match=r"echo: its process ended \(status 1\)\. it went wrong"):
        worker.ask(task="end")
    with pytest.raises(ForayError, match=r"nobody: its process ended \(status 3\)"):
        Worker("nobody", [sys.executable, "-S", "-c", "raise SystemExit(3)"])


def test_no_artifact(tmp_path):
    with pytest.raises(ForayError, match=r"x: .*is not a complete artifact"):
        artifact_worker("x", tmp_path, 1)


def saved(folder, seed: int = 0):
    network = build_model(get_spec("mobilenet_v2_x0.5"), num_classes=4, seed=seed).eval()
    return network, save_for_worker(network, PREPROCESSING, "none", folder)


def test_pytorch_is_timed_on_what_it_predicts(tmp_path, monkeypatch):
    network, _ = saved(tmp_path)
    monkeypatch.setattr("torch.set_num_threads", lambda n: None)
    opened = open_network(tmp_path, "fp32", 1)
    probabilities = opened.network(2)()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    import torch

    from foray.data import normalize

    with torch.inference_mode():
        images = normalize(torch.from_numpy(pixels).permute(0, 3, 1, 2), PREPROCESSING)
        expected = network(images).softmax(1).numpy()
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    assert opened.label().shape == (1, 4)
    assert {"aten::addmm", "aten::mkldnn_convolution"} & {name for name, _, _ in opened.layers()}


def test_profile_of_two_copies(tmp_path):
    """Everything that is told of a candidate, by real processes; no time is asserted."""
    for name in ("a", "b"):
        saved(tmp_path / name)
    size = (tmp_path / "a" / "weights.safetensors").stat().st_size
    candidates = [
        RuntimeCandidate(name, tmp_path / name, "mobilenet_v2_x0.5", 32, "torch", "fp32", 1, 10, 20, size)
        for name in ("a", "b")
    ]
    profile = time_candidates(candidates, batches=(1, 32), schedule=AT_ONCE)
    assert sorted(cost.name for cost in profile.costs) == ["a", "b"]
    assert [cost.p50.value for cost in profile.costs] == sorted(cost.p50.value for cost in profile.costs)
    for cost in profile.costs:
        assert 0 < cost.p50.low <= cost.p50.value <= cost.p50.high
        assert cost.p50.value <= cost.p95.value
        assert cost.n % 6 == 0
        assert [rate.batch for rate in cost.rates] == [32]
        assert cost.cold_start_ms > cost.p50.value
        assert cost.resident_memory_bytes > size
        assert (cost.precision, cost.layers) == ("float32", None)
    assert len(profile.differences) == 1
    path = tmp_path / "profile.json"
    profile.save(path)
    assert RuntimeProfile.load(path) == profile
    row = cost_profile(profile.costs[0], profile)
    assert row.latency_p50_ms == profile.costs[0].p50.value
    assert row.resident_memory_bytes == profile.costs[0].resident_memory_bytes
    assert row.throughput_images_per_second == profile.costs[0].rates[0].value
    assert (row.latency_bursts, profile.bursts, len(profile.costs[0].burst_p50_ms)) == (1, 1, 1)
    assert row.busy_elsewhere == profile.steadiness.busy_elsewhere
    assert not row.latency_is_steady  # one burst never is


def test_bursts_have_processes_of_their_own(tmp_path):
    """Two bursts of a file that only tells its process: every pass of a burst is of one, and no two share one."""
    one = Told("told", tmp_path, "m", 32, "torch", "fp32", 1, 1, 1, 1)
    schedule = TimingSchedule(turns=4, bursts=2, apart_seconds=0.0, wait_seconds=0.0)
    profile = time_candidates([one], schedule=schedule)
    (cost,) = profile.costs
    assert len(set(cost.burst_p50_ms)) == 2
    assert (cost.p50.low, cost.p50.high) == (min(cost.burst_p50_ms), max(cost.burst_p50_ms))
    assert (profile.turns, profile.bursts, cost.n) == (4, 2, 4 * 5)  # passes of 20 ms fill a turn of 100
    assert cost_profile(cost, profile).latency_bursts == 2


@pytest.mark.parametrize(("image_bytes", "milliseconds"), [(10**12, 1.0), (0, 600.0)])
def test_a_batch_that_cannot_be_afforded_is_not_run_and_said_so(tmp_path, image_bytes, milliseconds):
    notes = Notes()
    one = Told("big", tmp_path, "m", 32, "torch", "fp32", 1, 1, 1, 1, image_bytes, milliseconds)
    profile = time_candidates([one], batches=(1, 32), schedule=AT_ONCE, progress=notes)
    assert profile.costs[0].rates == []
    assert cost_profile(profile.costs[0], profile).throughput_images_per_second is None
    (note,) = notes.notes
    assert note.startswith("big: a batch of 32 is not timed")


def test_the_same_candidate_twice(tmp_path):
    one = RuntimeCandidate("a", tmp_path, "m", 32, "torch", "fp32", 1, 1, 1, 1)
    with pytest.raises(ForayError, match="a is named more than once"):
        time_candidates([one, one])
