"""One burst: every candidate in its own process, timed interleaved, in random order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from foray.clock.interleaving import Interleaved, Turn, interleave
from foray.clock.schedule import TimingSchedule
from foray.clock.steadiness import Load, LoadWatch
from foray.clock.workers import Worker, artifact_worker, torch_worker
from foray.deploy import bench
from foray.progress import Progress, Task
from foray.records import hardware

_LABEL_PASSES = 2
_LONGEST_PASS_SECONDS = 15.0
_MEMORY_SHARE = 0.5


@dataclass(frozen=True)
class RuntimeCandidate:
    """What is timed. `folder`: an artifact, or for runtime "torch" what `save_for_worker` wrote; `precision`: fp32,
    fp16, bf16 or int8. `name` tells it from the others. `image_bytes`: of activations that each image of a batch adds
    at its peak, in PyTorch; 0 where it is not known. `peak_memory_bytes`: as in RuntimeCost.
    """

    name: str
    folder: Path
    model: str
    resolution: int
    runtime: str
    precision: str
    threads: int
    params: int
    macs: int
    file_bytes: int
    image_bytes: int = 0
    peak_memory_bytes: int | None = None

    def start(self) -> Worker:
        """A worker for it. Raises ForayError."""
        if self.runtime == "torch":
            return torch_worker(self.name, self.folder, self.precision, self.threads)
        return artifact_worker(self.name, self.folder, self.threads)


@dataclass(frozen=True)
class Process:
    """What is known of a candidate's process. `is_steady`: whether its passes had become stable when timing began."""

    cold_start_ms: float
    resident_memory_bytes: int
    is_steady: bool


@dataclass(frozen=True, eq=False)
class Burst:
    """Times of one burst: one image, image file to label, and by batch size (of candidates that can afford it)."""

    network: Interleaved
    labels: Interleaved
    batches: dict[int, Interleaved]
    processes: dict[str, Process]

    @property
    def calibrations(self) -> list[float]:
        """Of all parts, in the order of time."""
        return [ms for part in (self.network, self.labels, *self.batches.values()) for ms in part.calibrations]


class BurstTimer:
    """Takes bursts of the same candidates. The first settles how many passes a turn has and who is timed in batches."""

    def __init__(
        self,
        candidates: Sequence[RuntimeCandidate],
        batches: Sequence[int],
        schedule: TimingSchedule,
        bar: Task,
        progress: Progress,
    ) -> None:
        self._candidates, self._schedule, self._bar, self._progress = candidates, schedule, bar, progress
        self._batches = sorted({*batches} - {1})
        self._passes: dict[str, int] = {}
        self._batched: dict[int, list[str]] = {}
        self._taken = 0

    def take(self) -> tuple[Burst, Load | None]:
        """One burst, and what others used of the processors during it, starting the processes left out."""
        with ExitStack() as stack:
            workers: dict[str, Worker] = {}
            for candidate in self._candidates:
                workers[candidate.name] = stack.enter_context(candidate.start())
                self._bar.advance(note=f"{candidate.name}, burst {self._taken + 1}")
            watch = LoadWatch(lambda: [worker.pid for worker in workers.values()])
            burst = self._timed(workers)
            self._taken += 1
            return burst, watch.load()

    def _timed(self, workers: dict[str, Worker]) -> Burst:
        steady = {name: self._warmed_up(worker) for name, worker in workers.items()}
        turns = self._schedule.turns_a_burst
        memory: dict[str, int] = {}
        network = self._interleave({n: partial(self._network, w, memory) for n, w in workers.items()}, turns)
        fewer = -(-turns // 3)
        labels = self._interleave({name: partial(_label, worker) for name, worker in workers.items()}, fewer)
        batches = {}
        for batch in self._batches:
            takes: dict[str, Turn] = {n: partial(_batch, workers[n], batch) for n in self._affordable(batch, network)}
            if takes:
                batches[batch] = self._interleave(takes, fewer)
        processes = {name: Process(w.cold_start_ms, memory[name], steady[name]) for name, w in workers.items()}
        return Burst(network, labels, batches, processes)

    def _interleave(self, takes: dict[str, Turn], turns: int) -> Interleaved:
        return interleave(takes, turns, between=bench.calibrate, seed=(self._schedule.seed, self._taken))

    def _warmed_up(self, worker: Worker) -> bool:
        warm = worker.ask(task="warm_up", batch=1)
        self._passes.setdefault(worker.name, bench.passes_a_turn(warm["pass_ms"]))
        return bool(warm["stable"])

    def _network(self, worker: Worker, memory: dict[str, int]) -> list[float]:
        answer = worker.ask(task="network", batch=1, passes=self._passes[worker.name])
        memory[worker.name] = answer["resident_bytes"]
        return [float(ms) for ms in answer["ms"]]

    def _affordable(self, batch: int, network: Interleaved) -> list[str]:
        if batch not in self._batched:
            self._batched[batch] = [
                candidate.name
                for candidate in self._candidates
                if _fits(candidate, batch, float(np.median(network.times[candidate.name])) / 1e3, self._progress.note)
            ]
        return self._batched[batch]


def _fits(candidate: RuntimeCandidate, batch: int, seconds: float, note: Callable[[str], None]) -> bool:
    """Whether a batch fits into half of the memory and takes at most 15 s; `seconds`: of one image."""
    needed, memory = batch * candidate.image_bytes, hardware().memory_bytes
    if batch * seconds <= _LONGEST_PASS_SECONDS and (memory is None or needed <= _MEMORY_SHARE * memory):
        return True
    note(
        f"{candidate.name}: a batch of {batch} is not timed: it would take about {batch * seconds:.0f} s and "
        f"{needed / 1e9:.1f} GB."
    )
    return False


def _batch(worker: Worker, batch: int) -> list[float]:
    return [float(ms) for ms in worker.ask(task="network", batch=batch, passes=1)["ms"]]


def _label(worker: Worker) -> list[float]:
    return [float(ms) for ms in worker.ask(task="label", passes=_LABEL_PASSES)["ms"]]
