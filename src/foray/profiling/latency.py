"""Latency at batch 1 and throughput at batch 32, measured: MACs do not predict them.

How: eval mode, float32, channels-last, inference_mode, random images; warm-up until two successive medians agree;
then the models take turns, so that a machine that grows hot or busy slows all of them alike. A turn is one untimed
pass, which brings the weights back into the caches after the other models, and a burst of timed ones. Every timed pass
counts: nothing is clipped.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from torch import nn

from foray.profiling.memory import peak_activation_memory
from foray.progress import SILENT, Progress, Task
from foray.records import hardware

THROUGHPUT_BATCH = 32

_BURST = 5
_WARM_TOLERANCE = 0.05
_LATENCY_SECONDS = 2.0
_LATENCY_SAMPLES = (20, 200)  # at least, at most
_LATENCY_CAP_SECONDS = 6.0  # ends it below the least number of samples: a large network on a slow machine
_THROUGHPUT_SECONDS = 2.0
_LONGEST_PASS_SECONDS = 15.0
_MEMORY_SHARE = 0.5


@dataclass(frozen=True)
class Latency:
    """`n` timed inferences at batch 1 and, where a batch of 32 was affordable, images per second at batch 32."""

    p50_ms: float
    p95_ms: float
    n: int
    throughput_images_per_second: float | None
    threads: int


@dataclass(eq=False)
class _Subject:
    name: str
    network: nn.Module
    resolution: int
    device: torch.device
    seconds: float | None = None  # of timed passes; None: _LATENCY_SECONDS
    milliseconds: list[float] = field(default_factory=list)
    pass_seconds: list[float] = field(default_factory=list)

    def images(self, batch: int) -> torch.Tensor:
        """(batch, 3, R, R) float32, channels-last, on the device; the same numbers every time."""
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(batch, 3, self.resolution, self.resolution, generator=generator)
        return images.to(self.device, memory_format=torch.channels_last)

    def time_ms(self, images: torch.Tensor) -> float:
        """Milliseconds of one inference, from images on the device to logits on the device."""
        if self.device.type == "cuda":
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            torch.cuda.synchronize(self.device)
            start.record()
            self.network(images)
            end.record()
            end.synchronize()
            return float(start.elapsed_time(end))
        began = time.perf_counter_ns()
        self.network(images)
        return (time.perf_counter_ns() - began) / 1e6

    @property
    def wanted_seconds(self) -> float:
        return _LATENCY_SECONDS if self.seconds is None else self.seconds

    @property
    def latency_is_measured(self) -> bool:
        least, most = _LATENCY_SAMPLES
        n, seconds = len(self.milliseconds), sum(self.milliseconds) / 1e3
        return n >= most or (n >= least and seconds >= self.wanted_seconds) or seconds >= _LATENCY_CAP_SECONDS

    @property
    def throughput_is_measured(self) -> bool:
        return bool(self.pass_seconds) and sum(self.pass_seconds) >= _THROUGHPUT_SECONDS


def measure_latency(
    networks: Mapping[str, tuple[nn.Module, int]],
    *,
    threads: int | None = None,
    device: str | torch.device = "cpu",
    seconds: float | None = None,
    throughput: bool = True,
    progress: Progress = SILENT,
) -> dict[str, Latency]:
    """Times `networks` (name: network, resolution in pixels) against each other on `device`.

    `seconds`: of timed passes at batch 1 a model (None: 2), at least 20 of them. `throughput` False leaves the batches
    of 32 out. `threads`: intra-operation threads on the CPU (None: torch's present number), restored afterwards. The
    networks are copied, not changed. About six seconds a model; a model whose batch of 32 would take more than half of
    the memory or 15 s a pass gets no throughput, and a note.
    """
    device = torch.device(device)
    subjects = [
        _Subject(name, _prepared(network, device), resolution, device, seconds)
        for name, (network, resolution) in networks.items()
    ]
    bars = progress.task("Measuring latency", total=(3 if throughput else 2) * len(subjects))
    with _intra_op_threads(threads) as used, torch.inference_mode(), bars as bar:
        for subject in subjects:
            _warm_up(subject)
            bar.advance(note=subject.name)
        _measure_batch_1(subjects, bar)
        if throughput:
            _measure_batch_32([subject for subject in subjects if _affordable(subject, progress)], bar)
    return {subject.name: _summary(subject, used) for subject in subjects}


def _prepared(network: nn.Module, device: torch.device) -> nn.Module:
    twin = copy.deepcopy(network).eval().to(device)
    return cast(nn.Module, twin.to(memory_format=torch.channels_last))  # type: ignore[call-overload]


def _warm_up(subject: _Subject) -> None:
    """Runs until the median of a burst is within 5 % of the burst before, or as long as it is to be timed."""
    images = subject.images(1)
    subject.time_ms(images)  # builds what is built once
    before, spent_ms = float("inf"), 0.0
    while spent_ms < subject.wanted_seconds * 1e3:
        burst = [subject.time_ms(images) for _ in range(_BURST)]
        now, spent_ms = statistics.median(burst), spent_ms + sum(burst)
        if abs(now - before) <= _WARM_TOLERANCE * now:
            return
        before = now


def _measure_batch_1(subjects: Sequence[_Subject], bar: Task) -> None:
    waiting = [(subject, subject.images(1)) for subject in subjects]
    while waiting:
        for subject, images in waiting:
            subject.time_ms(images)
            subject.milliseconds += [subject.time_ms(images) for _ in range(_BURST)]
            if subject.latency_is_measured:
                bar.advance(note=f"{subject.name} {statistics.median(subject.milliseconds):.1f} ms")
        waiting = [turn for turn in waiting if not turn[0].latency_is_measured]


def _measure_batch_32(subjects: Sequence[_Subject], bar: Task) -> None:
    waiting = [(subject, subject.images(THROUGHPUT_BATCH)) for subject in subjects]
    for subject, images in waiting:
        subject.time_ms(images)  # kernels are chosen anew for the new shape
    while waiting:
        for subject, images in waiting:
            subject.pass_seconds.append(subject.time_ms(images) / 1e3)
            if subject.throughput_is_measured:
                bar.advance(note=subject.name)
        waiting = [turn for turn in waiting if not turn[0].throughput_is_measured]


def _affordable(subject: _Subject, progress: Progress) -> bool:
    seconds = THROUGHPUT_BATCH * statistics.median(subject.milliseconds) / 1e3
    needed = THROUGHPUT_BATCH * peak_activation_memory(subject.network, subject.resolution)
    if subject.device.type == "cuda":
        memory = torch.cuda.get_device_properties(subject.device).total_memory
    else:
        memory = hardware().memory_bytes or needed * 2
    if seconds <= _LONGEST_PASS_SECONDS and needed <= _MEMORY_SHARE * memory:
        return True
    progress.note(
        f"{subject.name}: throughput is not measured, a batch of {THROUGHPUT_BATCH} would take about {seconds:.0f} s "
        f"and {needed / 1e9:.1f} GB."
    )
    return False


def _summary(subject: _Subject, threads: int) -> Latency:
    p50, p95 = np.percentile(subject.milliseconds, [50, 95])
    passes = len(subject.pass_seconds)
    rate = THROUGHPUT_BATCH * passes / sum(subject.pass_seconds) if passes else None
    return Latency(float(p50), float(p95), len(subject.milliseconds), rate, threads)


@contextmanager
def _intra_op_threads(threads: int | None) -> Iterator[int]:
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
