"""Networks on runtimes, timed against each other: latency, image file to label, images/s, cold start, memory."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import numpy as np

from foray.clock.burst import Burst, BurstTimer, RuntimeCandidate
from foray.clock.interleaving import Interleaved, concatenated, differences
from foray.clock.schedule import TimingSchedule, take_bursts
from foray.clock.steadiness import steadiness
from foray.deploy import bench
from foray.deploy.bench import Times
from foray.errors import ForayError
from foray.limits import MOST_BATCH, MOST_THREADS, MOST_TURNS, require_range
from foray.progress import SILENT, Progress
from foray.records import CostProfile, hardware, versions
from foray.records.runtime_profile import (
    LayerTime,
    RateEstimate,
    RuntimeCost,
    RuntimeProfile,
    TimeEstimate,
)


def time_candidates(
    candidates: Sequence[RuntimeCandidate],
    *,
    batches: Sequence[int] = (1,),
    layers: bool = False,
    schedule: TimingSchedule = TimingSchedule(),  # noqa: B008 (frozen)
    progress: Progress = SILENT,
) -> RuntimeProfile:
    """Times `candidates` in bursts of turns, each burst in processes of its own.

    `batches`: sizes; 1 is always measured, for the others images per second, where a batch takes at most 15 s and half
    of the memory. Raises ForayError where a runtime is missing, or a process ends.
    """
    require_range("`turns`", schedule.turns, 1, MOST_TURNS)
    for batch in batches:
        require_range("`batches`", batch, 1, MOST_BATCH)
    for candidate in candidates:
        require_range("`threads`", candidate.threads, 1, MOST_THREADS)
    _require_distinct([candidate.name for candidate in candidates])
    with progress.task("Timing", schedule.bursts * len(candidates)) as bar:
        timer = BurstTimer(candidates, batches, schedule, bar, progress)
        taken = take_bursts(timer.take, schedule, progress=progress)
    bursts = taken.results
    by_layer = {candidate.name: _layers(candidate) if layers else None for candidate in candidates}
    network = concatenated([burst.network for burst in bursts])
    costs = [
        _cost(candidate, bursts, network.times[candidate.name], by_layer[candidate.name]) for candidate in candidates
    ]
    return RuntimeProfile(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        costs=sorted(costs, key=lambda cost: cost.p50.value),
        differences=differences(network.times, len(bursts)),
        steadiness=steadiness(
            [ms for burst in bursts for ms in burst.calibrations],
            taken.loads,
            waited_seconds=taken.waited_seconds,
            again=taken.again,
        ),
        turns=schedule.turns_a_burst * len(bursts),
        bursts=len(bursts),
        seed=schedule.seed,
        hardware=hardware(),
        versions=versions_on({cost.runtime for cost in costs}),
    )


def cost_profile(cost: RuntimeCost, profile: RuntimeProfile) -> CostProfile:
    """As budgets, verdicts and reports take it. Throughput is that of batch 32, where it was measured."""
    rate = next((rate.value for rate in cost.rates if rate.batch == bench.BATCH), None)
    unsteady = list(profile.steadiness.warnings)
    if not cost.is_steady:
        unsteady.append("passes had not become steady when timing began")
    unsteady += cost.unsteady
    return CostProfile(
        model=cost.model,
        resolution=cost.resolution,
        params=cost.params,
        macs=cost.macs,
        peak_memory_bytes=cost.peak_memory_bytes,
        resident_memory_bytes=cost.resident_memory_bytes,
        file_bytes=cost.file_bytes,
        latency_p50_ms=cost.p50.value,
        latency_p50_low_ms=cost.p50.low,
        latency_p50_high_ms=cost.p50.high,
        latency_p95_ms=cost.p95.value,
        latency_n=cost.n,
        latency_bursts=profile.bursts,
        throughput_images_per_second=rate,
        decode_to_label_p50_ms=cost.label_p50.value,
        cold_start_ms=cost.cold_start_ms,
        runtime=cost.runtime,
        precision=cost.precision,
        threads=cost.threads,
        busy_elsewhere=profile.steadiness.busy_elsewhere,
        unsteady=unsteady,
        hardware=profile.hardware,
        versions=profile.versions,
    )


def versions_on(runtimes: Iterable[str]) -> dict[str, str]:
    """Versions of what can change a number, the packages of `runtimes` included."""
    found = versions()
    for runtime in sorted({*runtimes} - {"torch"}):
        found |= bench.versions(runtime)
    return found


def _require_distinct(names: Sequence[str]) -> None:
    if not names:
        raise ForayError("Nothing to time.")
    if len(set(names)) < len(names):
        raise ForayError(f"{max(names, key=names.count)} is named more than once.")


def _layers(candidate: RuntimeCandidate) -> list[LayerTime] | None:
    with candidate.start() as worker:
        layers = worker.ask(task="layers")["layers"]
    return None if layers is None else [LayerTime(name=name, kind=kind, ms=ms) for name, kind, ms in layers]


def _cost(
    about: RuntimeCandidate, bursts: Sequence[Burst], times: Times, layers: list[LayerTime] | None
) -> RuntimeCost:
    n, processes = len(bursts), [burst.processes[about.name] for burst in bursts]
    labels = concatenated([burst.labels for burst in bursts])
    rates = {batch: concatenated([burst.batches[batch] for burst in bursts]) for batch in bursts[0].batches}
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
        p50=_estimate(times, 50, n),
        p95=_estimate(times, 95, n),
        n=times.size,
        label_p50=_estimate(labels.times[about.name], 50, n),
        rates=[_rate(batch, found, about.name, n) for batch, found in rates.items() if about.name in found.times],
        cold_start_ms=statistics.median(process.cold_start_ms for process in processes),
        peak_memory_bytes=about.peak_memory_bytes,
        resident_memory_bytes=max(process.resident_memory_bytes for process in processes) or None,
        burst_p50_ms=[float(np.median(burst.network.times[about.name])) for burst in bursts],
        is_steady=all(process.is_steady for process in processes),
        unsteady=bench.spread_warnings(times, n),
        layers=layers,
    )


def _estimate(times: Times, q: float, bursts: int) -> TimeEstimate:
    found = bench.percentile(times, q, bursts)
    return TimeEstimate(value=found.value, low=found.low, high=found.high)


def _rate(batch: int, measured: Interleaved, name: str, bursts: int) -> RateEstimate:
    """Images per second of the median pass."""
    found = _estimate(measured.times[name], 50, bursts)
    return RateEstimate(
        batch=batch, value=1e3 * batch / found.value, low=1e3 * batch / found.high, high=1e3 * batch / found.low
    )
