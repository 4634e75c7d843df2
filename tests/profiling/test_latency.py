"""How latency is measured: who runs when, on what, and what is kept of it. No test asserts a duration."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from torch import nn

from foray.profiling import latency, measure_latency, profile_models
from foray.profiling.latency import THROUGHPUT_BATCH
from foray.records import CostProfile

CALLS: list[tuple[str, torch.Tensor]] = []


class Recorder(nn.Module):
    """A small network that notes who ran on what."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        assert not self.training
        if not x.is_meta:  # analysed, not run
            assert torch.is_inference_mode_enabled()
            CALLS.append((self.name, x))
        return self.conv(x)


class Notes:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done = 0
        self.total = 0

    @contextmanager
    def task(self, description, total):
        self.total = total
        yield self

    def advance(self, n=1, note=""):
        self.done += n

    def note(self, message):
        self.notes.append(message)


@pytest.fixture
def brief(monkeypatch):
    """The shortest measurement the rules allow."""
    monkeypatch.setattr(latency, "_LATENCY_SECONDS", 0.0)
    monkeypatch.setattr(latency, "_THROUGHPUT_SECONDS", 0.0)
    CALLS.clear()


def test_models_take_turns_and_every_timed_pass_counts(brief):
    notes = Notes()
    measured = measure_latency({"a": (Recorder("a"), 8), "b": (Recorder("b"), 12)}, threads=1, progress=notes)
    assert list(measured) == ["a", "b"]
    assert measured["a"].n == measured["b"].n == 20
    assert notes.done == notes.total == 6
    batch_1 = [name for name, images in CALLS if len(images) == 1]
    turns = 20 // 5
    burst = 1 + 5  # one untimed pass, five timed ones
    assert batch_1[-2 * turns * burst :] == (["a"] * burst + ["b"] * burst) * turns
    batch_32 = [name for name, images in CALLS if len(images) == THROUGHPUT_BATCH]
    assert batch_32 == ["a", "b", "a", "b"]  # one untimed pass each, one timed


def test_what_is_fed(brief):
    measure_latency({"a": (Recorder("a"), 8)}, threads=1)
    assert {tuple(images.shape[1:]) for _, images in CALLS} == {(3, 8, 8)}
    assert {images.dtype for _, images in CALLS} == {torch.float32}
    assert all(images.is_contiguous(memory_format=torch.channels_last) for _, images in CALLS)
    assert all(images.std() > 0.5 for _, images in CALLS)


def test_nothing_is_clipped_from_the_percentiles():
    subject = latency._Subject("a", nn.Identity(), 8, torch.device("cpu"), milliseconds=[1.0] * 9 + [1001.0])
    summary = latency._summary(subject, threads=1)
    assert summary.n == 10
    assert summary.p50_ms == 1.0
    assert summary.p95_ms == pytest.approx(551.0)  # linear between the ninth and the tenth of ten
    assert summary.throughput_images_per_second is None


def test_throughput_is_images_over_seconds():
    subject = latency._Subject(
        "a", nn.Identity(), 8, torch.device("cpu"), milliseconds=[1.0], pass_seconds=[0.5, 1.5, 2.0]
    )
    assert latency._summary(subject, threads=1).throughput_images_per_second == 3 * THROUGHPUT_BATCH / 4.0


def test_the_networks_and_the_threads_stay_as_they_were(brief):
    network = Recorder("a").train()
    before, weight = torch.get_num_threads(), network.conv.weight
    measured = measure_latency({"a": (network, 8)}, threads=before + 1)
    assert measured["a"].threads == before + 1
    assert torch.get_num_threads() == before
    assert network.training
    assert network.conv.weight is weight
    assert weight.is_contiguous()
    assert not weight.is_inference()


@pytest.mark.parametrize("limit", ["_LONGEST_PASS_SECONDS", "_MEMORY_SHARE"])
def test_a_batch_that_cannot_be_afforded_is_not_run_and_said_so(brief, monkeypatch, limit):
    monkeypatch.setattr(latency, limit, 0.0)
    notes = Notes()
    measured = measure_latency({"big": (Recorder("big"), 8)}, threads=1, progress=notes)
    assert measured["big"].throughput_images_per_second is None
    assert measured["big"].n == 20
    assert all(len(images) == 1 for _, images in CALLS)
    assert len(notes.notes) == 1
    assert notes.notes[0].startswith("big: throughput is not measured")


def test_a_profile_states_every_cost_and_where_it_was_measured(brief, tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    profile = profile_models({"tiny": (network, 10)}, threads=1)["tiny"]
    assert (profile.model, profile.resolution, profile.threads) == ("tiny", 10, 1)
    assert profile.params == 3 * 4 * 9 + 4 + 4 * 2 + 2
    assert profile.macs == 8 * 8 * 3 * 4 * 9 + 8
    assert profile.peak_memory_bytes == 4 * (profile.params + 3 * 100 + 4 * 64 + 4)
    assert profile.latency_n == 20
    assert 0 < profile.latency_p50_ms <= profile.latency_p95_ms
    assert profile.throughput_images_per_second > 0
    assert (profile.runtime, profile.precision) == ("torch", "float32")
    assert profile.hardware.cores >= 1
    assert profile.versions["torch"] == torch.__version__
    profile.save(tmp_path / "profile.json")
    assert CostProfile.load(tmp_path / "profile.json") == profile
