"""Side-by-side timing: the networks of the claims about times, in turns on one machine.

`times-training`: steps of training. `times-latency`: one image on ONNX Runtime, or in PyTorch where that is not
installed. Both on the processor, each network in a process of its own that stands still while another has its turn.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from foray.clock.interleaving import Interleaved, Turn, concatenated, interleave
from foray.clock.schedule import WAIT_SECONDS, TimingSchedule, take_bursts
from foray.clock.steadiness import Load, LoadWatch, steadiness
from foray.clock.workers import Worker
from foray.deploy import bench
from foray.deploy.bench import PRECISIONS, Times
from foray.errors import ForayError
from foray.export.runtimes import RUNTIMES
from foray.export.timing import RuntimeSetup, Subject, model_subject, time_networks
from foray.progress import SILENT, Progress, Task
from foray.records import RuntimeProfile, commit, hardware, versions
from foray.records.reproduction import ExperimentInfo, Scale, Unavailable
from foray.records.runtime_profile import Steadiness
from foray.records.side_by_side import SideBySideTimes, TimedNetwork
from foray.reproduce.all_claims import CLAIMS
from foray.reproduce.claim import Claim, Timed, TimeRatio
from foray.reproduce.results_folder import is_kept, keep_times
from foray.reproduce.training_step import compute_format, step_worker, timed_recipe
from foray.requests import Machine
from foray.specs import get_spec
from foray.statistics import paired_ratio
from foray.training.interruption import stop_signals_as_ctrl_c

PIXELS = "random pixels"  # in the place of a source of images
PRECISE = 1.05  # times: half the width of an interval, below which no further rounds are needed

_WARM_UP_STEPS = 2
_MINI_SIDE = 32  # pixels


@dataclass(frozen=True)
class TimesPlan:
    """What is timed, and how often. `pairs`: those whose ratio is wanted, the faster first; `steps`: timed ones of
    training in a round. Rounds end when all ratios are precise, after `least` at the earliest and `most` at the latest.

    `latency`: the schedule of the clock. `wait_seconds`: how long training waits for an idle machine, in all.
    """

    role: str
    pairs: tuple[tuple[Timed, Timed], ...]
    least: int = 8
    most: int = 12
    steps: int = 3
    wait_seconds: float = WAIT_SECONDS
    latency: TimingSchedule = TimingSchedule()  # noqa: RUF009 (frozen)

    @property
    def networks(self) -> tuple[Timed, ...]:
        """Each once."""
        return tuple(dict.fromkeys(network for pair in self.pairs for network in pair))

    @property
    def id(self) -> str:
        """The name of its results: other networks have another."""
        content = json.dumps([self.role, *sorted(self.networks)])
        return f"{len(self.networks)}-networks-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def times_plan(role: str, scale: Scale, claims: Iterable[Claim]) -> TimesPlan:
    """What the claims need of `role`; at `mini` two networks at 32 px in two rounds.

    Raises ForayError where no claim needs it.
    """
    judges = [claim.judge for claim in claims if isinstance(claim.judge, TimeRatio) and role in claim.judge.roles]
    if not judges:
        raise ForayError(f"No claim needs {role}.")
    if scale != "mini":
        return TimesPlan(role, tuple(dict.fromkeys((judge.fast, judge.slow) for judge in judges)))
    small = [
        (judge.fast._replace(resolution=_MINI_SIDE), judge.slow._replace(resolution=_MINI_SIDE)) for judge in judges
    ]
    pair = next((pair for pair in small if pair[0] != pair[1]), small[0])
    schedule = TimingSchedule(turns=2, bursts=2, apart_seconds=0.0, wait_seconds=0.0)
    return TimesPlan(role, (pair,), least=2, most=2, steps=1, wait_seconds=0.0, latency=schedule)


def take_times(plan: TimesPlan, machine: Machine, progress: Progress = SILENT) -> SideBySideTimes:
    """Times the networks of the plan in turns; nothing is left when it is stopped.

    Raises ForayError where a process ends, and KeyboardInterrupt on Ctrl-C, SIGTERM and SIGHUP, the processes ended.
    """
    threads = machine.threads or torch.get_num_threads()
    with stop_signals_as_ctrl_c():
        if plan.role == "times-latency":
            return _latencies(plan, threads, progress)
        return _training_times(plan, threads, progress)


def run_times(
    role: str, scale: Scale, results: Path, machine: Machine, *, command: str = "", progress: Progress = SILENT
) -> Unavailable | None:
    """Times what all claims need of `role` and keeps it in `results`, unless it is there.

    Why it has no result; None when it has one. Raises KeyboardInterrupt as `take_times` does.
    """
    plan = times_plan(role, scale, CLAIMS.values())
    target = results / scale / role / plan.id
    if is_kept(target):
        progress.note(f"{scale}/{role}: {target.name} is there already.")
        return None
    try:
        times = take_times(plan, machine, progress)
    except ForayError as error:
        progress.note(f"{scale}/{role}: not timed. {error}")
        return Unavailable(kind="failed", reason=str(error))
    info = ExperimentInfo(role=role, scale=scale, source=PIXELS, random_weights=True, command=command)
    keep_times(times, info, target)
    return None


def _training_times(plan: TimesPlan, threads: int, progress: Progress) -> SideBySideTimes:
    taken, machine_was = _rounds(plan, threads, progress)
    return SideBySideTimes(
        created=_now(),
        timed="training step",
        batch_size=timed_recipe().batch_size,
        steps=plan.steps,
        runtime="torch",
        precision=compute_format(),
        threads=threads,
        networks=[
            TimedNetwork(**network._asdict(), seconds=_seconds(taken.times[network.label])) for network in plan.networks
        ],
        steadiness=machine_was,
        hardware=hardware(),
        versions=versions(),
        commit=commit(),
    )


def _rounds(plan: TimesPlan, threads: int, progress: Progress) -> tuple[Interleaved, Steadiness]:
    """Rounds of turns, until the ratios are precise, and what the machine did meanwhile."""
    with ExitStack() as stack:
        bar = stack.enter_context(progress.task("Timing training steps", (1 + plan.most) * len(plan.networks)))
        workers: dict[str, Worker] = {}
        for network in plan.networks:
            bar.advance(note=f"{network.label}, warm-up")
            workers[network.label] = stack.enter_context(step_worker(network.label, *network, threads))
            workers[network.label].ask(passes=_WARM_UP_STEPS)
        rounds: list[Interleaved] = []
        loads: list[Load | None] = []
        waited, again = 0.0, 0
        turns: dict[str, Turn] = {name: _turn_of(worker, plan.steps, bar) for name, worker in workers.items()}

        def one_round() -> tuple[Interleaved, Load | None]:
            watch = LoadWatch(lambda: [worker.pid for worker in workers.values()])
            return interleave(turns, 1, between=bench.calibrate, seed=(0, len(rounds))), watch.load()

        while len(rounds) < plan.least or (len(rounds) < plan.most and not _are_precise(rounds, plan.pairs)):
            schedule = TimingSchedule(
                turns=1, bursts=1, apart_seconds=0.0, wait_seconds=max(0.0, plan.wait_seconds - waited)
            )
            taken = take_bursts(one_round, schedule, progress=progress)
            rounds += taken.results
            loads += taken.loads
            waited, again = waited + taken.waited_seconds, again + taken.again
        whole = concatenated(rounds)
        return whole, steadiness(whole.calibrations, loads, waited_seconds=waited, again=again)


def _turn_of(worker: Worker, steps: int, bar: Task) -> Turn:
    def turn() -> Sequence[float]:
        bar.advance(note=worker.name)
        return [float(ms) for ms in worker.ask(passes=steps)["ms"]]

    return turn


def _are_precise(rounds: Sequence[Interleaved], pairs: Sequence[tuple[Timed, Timed]]) -> bool:
    """Whether every ratio is known to within 5 %, 95 % interval."""
    seconds = {name: _seconds(times) for name, times in concatenated(rounds).times.items()}
    return all(is_precise(seconds[slow.label], seconds[fast.label]) for fast, slow in pairs)


def is_precise(slow: Sequence[float], fast: Sequence[float]) -> bool:
    """Whether the 95 % interval of the ratio of the rounds' times reaches 5 % to each side at most."""
    ratio, low, _ = paired_ratio(slow, fast)
    return math.log(ratio / low) <= math.log(PRECISE)


def _seconds(times: Times) -> list[float]:
    """The median of every round, of (rounds, steps) milliseconds."""
    return [float(ms) / 1e3 for ms in np.median(times, axis=1)]


def _latencies(plan: TimesPlan, threads: int, progress: Progress) -> SideBySideTimes:
    setup = latency_setup(threads)
    subjects = {network.label: _subject(network) for network in plan.networks}
    profile = time_networks(list(subjects.values()), [setup], schedule=plan.latency, progress=progress)
    return SideBySideTimes(
        created=_now(),
        timed="inference",
        batch_size=1,
        steps=None,
        runtime=setup.runtime,
        precision=PRECISIONS[setup.precision],
        threads=threads,
        networks=[_latency(network, profile) for network in plan.networks],
        steadiness=profile.steadiness,
        hardware=profile.hardware,
        versions=profile.versions,
        commit=commit(),
    )


def latency_setup(threads: int) -> RuntimeSetup:
    """ONNX Runtime in float32; PyTorch where that is not installed."""
    try:
        RUNTIMES["onnx"].require_installed()
    except ForayError:
        return RuntimeSetup("torch", "fp32", threads)
    return RuntimeSetup("onnx", "fp32", threads)


def _subject(network: Timed) -> Subject:
    """With random weights, on which the time of an image does not depend. Images come at the network's resolution, so
    that no resize is in the time."""
    subject = model_subject(network.model, resolution=network.resolution)
    preprocessing = replace(subject.source.preprocessing, crop_pct=1.0)
    return replace(subject, name=network.label, source=replace(subject.source, preprocessing=preprocessing))


def _latency(network: Timed, profile: RuntimeProfile) -> TimedNetwork:
    wanted = (get_spec(network.model).name, network.resolution)
    cost = next(one for one in profile.costs if (one.model, one.resolution) == wanted)
    unsteady = [] if cost.is_steady else ["passes had not become steady when timing began"]
    return TimedNetwork(
        model=network.model,
        resolution=network.resolution,
        trains=None,
        seconds=[ms / 1e3 for ms in cost.burst_p50_ms],
        unsteady=[*unsteady, *cost.unsteady],
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
