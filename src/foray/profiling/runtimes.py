"""Networks on runtimes, timed against each other: latency, image file to label, images/s, cold start, memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from foray.deploy import bench
from foray.deploy.bench import Times
from foray.errors import ForayError
from foray.limits import MOST_BATCH, MOST_THREADS, MOST_TURNS, require_range
from foray.profiling.steadiness import LoadWatch
from foray.profiling.turns import Interleaved, Turn, differences, interleave
from foray.profiling.workers import Worker, artifact_worker, torch_worker
from foray.progress import SILENT, Progress
from foray.records import CostProfile, hardware, versions
from foray.records.runtime_profile import (
    LayerTime,
    RateEstimate,
    RuntimeCost,
    RuntimeProfile,
    TimeEstimate,
)

_LABEL_PASSES = 2
_FEWEST_TURNS = 3


@dataclass(frozen=True)
class RuntimeCandidate:
    """What is timed. `folder`: an artifact, or for runtime "torch" what `save_for_worker` wrote; `precision`: fp32,
    fp16, bf16 or int8. `name` tells it from the others.
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

    def start(self) -> Worker:
        """A worker for it. Raises ForayError."""
        if self.runtime == "torch":
            return torch_worker(self.name, self.folder, self.precision, self.threads)
        return artifact_worker(self.name, self.folder, self.threads)


def profile_on_runtimes(
    candidates: Sequence[RuntimeCandidate],
    *,
    batches: Sequence[int] = (1,),
    layers: bool = False,
    turns: int = bench.TURNS,
    seed: int = 0,
    progress: Progress = SILENT,
) -> RuntimeProfile:
    """Times `candidates` in turns, each in a process of its own.

    `batches`: sizes; 1 is always measured, for the others images per second. `turns`: a candidate at batch 1, a third
    of it for the rest. `seed`: of their order. Raises ForayError where a runtime is missing, or a process ends.
    """
    require_range("--turns", turns, 1, MOST_TURNS)
    for batch in batches:
        require_range("--batch", batch, 1, MOST_BATCH)
    for candidate in candidates:
        require_range("--threads", candidate.threads, 1, MOST_THREADS)
    with ExitStack() as stack:
        timed = _start(candidates, stack, progress)
        watch = LoadWatch(lambda: [one.worker.pid for one in timed])
        schedule = partial(interleave, between=bench.calibrate, seed=seed, progress=progress)
        for one in timed:
            one.warm_up()
        network = schedule({one.name: one.network_turn for one in timed}, turns, description="Timing batch 1")
        fewer = max(_FEWEST_TURNS, turns // 3)
        labels = schedule({one.name: one.label_turn for one in timed}, fewer, description="Timing file to label")
        rates: dict[int, Interleaved] = {}
        for batch in sorted({*batches} - {1}):
            takes: dict[str, Turn] = {one.name: partial(one.batch_turn, batch) for one in timed}
            rates[batch] = schedule(takes, fewer, description=f"Timing batch {batch}")
        steadiness = watch.steadiness([ms for part in (network, labels, *rates.values()) for ms in part.calibrations])
        told = {one.name: one.layers() if layers else None for one in timed}
    costs = [one.cost(network, labels, rates, told[one.name]) for one in timed]
    return RuntimeProfile(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        costs=sorted(costs, key=lambda cost: cost.p50.value),
        differences=differences(network.times, seed),
        steadiness=steadiness,
        turns=turns,
        seed=seed,
        hardware=hardware(),
        versions=_versions({cost.runtime for cost in costs}),
    )


def cost_profile(cost: RuntimeCost, profile: RuntimeProfile) -> CostProfile:
    """As budgets, verdicts and reports take it. Throughput is that of batch 32, where it was measured."""
    rate = next((rate.value for rate in cost.rates if rate.batch == bench.BATCH), None)
    unsteady = list(profile.steadiness.warnings)
    if not cost.is_steady:
        unsteady.append("passes had not become steady when timing began")
    return CostProfile(
        model=cost.model,
        resolution=cost.resolution,
        params=cost.params,
        macs=cost.macs,
        peak_memory_bytes=cost.resident_bytes,
        memory_is="resident",
        file_bytes=cost.file_bytes,
        latency_p50_ms=cost.p50.value,
        latency_p50_low_ms=cost.p50.low,
        latency_p50_high_ms=cost.p50.high,
        latency_p95_ms=cost.p95.value,
        latency_n=cost.n,
        throughput_images_per_second=rate,
        decode_to_label_p50_ms=cost.label_p50.value,
        cold_start_ms=cost.cold_start_ms,
        runtime=cost.runtime,
        precision=cost.precision,
        threads=cost.threads,
        unsteady=unsteady,
        hardware=profile.hardware,
        versions=profile.versions,
    )


@dataclass
class _Timed:
    """A candidate and its worker. `passes`: of a turn; `resident_bytes`: the most it held at batch 1."""

    candidate: RuntimeCandidate
    worker: Worker
    passes: int = 1
    is_steady: bool = True
    resident_bytes: int = 0

    @property
    def name(self) -> str:
        return self.candidate.name

    def warm_up(self) -> None:
        warm = self.worker.ask(task="warm_up", batch=1)
        self.passes, self.is_steady = bench.passes_a_turn(warm["pass_ms"]), warm["stable"]

    def network_turn(self) -> list[float]:
        answer = self.worker.ask(task="network", batch=1, passes=self.passes)
        self.resident_bytes = answer["resident_bytes"]
        return [float(ms) for ms in answer["ms"]]

    def batch_turn(self, batch: int) -> list[float]:
        return [float(ms) for ms in self.worker.ask(task="network", batch=batch, passes=1)["ms"]]

    def label_turn(self) -> list[float]:
        return [float(ms) for ms in self.worker.ask(task="label", passes=_LABEL_PASSES)["ms"]]

    def layers(self) -> list[LayerTime] | None:
        told = self.worker.ask(task="layers")["layers"]
        return None if told is None else [LayerTime(name=name, kind=kind, ms=ms) for name, kind, ms in told]

    def cost(
        self,
        network: Interleaved,
        labels: Interleaved,
        rates: Mapping[int, Interleaved],
        layers: list[LayerTime] | None,
    ) -> RuntimeCost:
        about, times = self.candidate, network.times[self.name]
        return RuntimeCost(
            name=about.name,
            model=about.model,
            resolution=about.resolution,
            runtime=about.runtime,
            precision=bench.PRECISIONS[about.precision],
            threads=about.threads,
            params=about.params,
            macs=about.macs,
            file_bytes=about.file_bytes,
            p50=_estimate(times, 50),
            p95=_estimate(times, 95),
            n=times.size,
            label_p50=_estimate(labels.times[self.name], 50),
            rates=[_rate(batch, measured.times[self.name]) for batch, measured in rates.items()],
            cold_start_ms=self.worker.cold_start_ms,
            resident_bytes=self.resident_bytes or None,
            is_steady=self.is_steady,
            layers=layers,
        )


def _start(candidates: Sequence[RuntimeCandidate], stack: ExitStack, progress: Progress) -> list[_Timed]:
    names = [candidate.name for candidate in candidates]
    if not names:
        raise ForayError("Nothing to time.")
    if len(set(names)) < len(names):
        raise ForayError(f"{max(names, key=names.count)} is named more than once.")
    timed = []
    with progress.task("Starting", len(names)) as bar:
        for candidate in candidates:
            timed.append(_Timed(candidate, stack.enter_context(candidate.start())))
            bar.advance(note=candidate.name)
    return timed


def _versions(runtimes: Iterable[str]) -> dict[str, str]:
    """Of what can change a number, the runtimes' own packages included."""
    found = versions()
    for runtime in sorted({*runtimes} - {"torch"}):
        found |= bench.versions(runtime)
    return found


def _estimate(times: Times, q: float) -> TimeEstimate:
    found = bench.percentile(times, q)
    return TimeEstimate(value=found.value, low=found.low, high=found.high)


def _rate(batch: int, times: Times) -> RateEstimate:
    """Images per second of the median pass."""
    found = bench.percentile(times, 50)
    return RateEstimate(
        batch=batch, value=1e3 * batch / found.value, low=1e3 * batch / found.high, high=1e3 * batch / found.low
    )
