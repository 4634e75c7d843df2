"""Batch-1 latency of shipped MobileNetV2 and EfficientNet-B0 files, beside the network as torchvision users run it.

The peer is eager float32 NCHW, on the same threads: torchvision's own model where torchvision is installed, else this
package's network used that way (plain contiguous, `eval`, `inference_mode`), which is the same graph. It is given a
normalised float image; our files start from uint8 pixels and end in probabilities. All sides are processes that take
turns, in an order that is drawn anew each round, in bursts that have processes of their own.

Targets, on the best runtime: 3.5 x the peer in float32; 6 x in int8 where the CPU has VNNI. And of the method: twenty
comparisons of a file with itself (pairs of processes) raise at most two alarms; two runs have the same order outside
declared ties.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._results import machine, print_table, write_json
from foray.clock.burst import RuntimeCandidate
from foray.clock.measure import cost_profile, time_candidates
from foray.clock.schedule import TimingSchedule
from foray.clock.workers import Worker
from foray.deploy import bench
from foray.export.runtimes import RUNTIMES
from foray.export.timing import model_subject, plan_setups, write_candidates
from foray.records import RuntimeProfile, TimeDifference

PEER = "torchvision"
MODELS = ("mobilenet_v2", "efficientnet_b0")
TARGETS = {"fp32": 3.5, "int8": 6.0}
AA_COMPARISONS, AA_ALARMS = 20, 2


class Peer(RuntimeCandidate):
    """The network as torchvision users run it."""

    def start(self) -> Worker:
        about = [self.model, str(self.threads), str(self.resolution)]
        command = [sys.executable, "-m", "benchmarks.peers.torchvision_eager", *about]
        return Worker(self.name, command, {"OMP_NUM_THREADS": str(self.threads)})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runtime_latency", description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS), metavar="NAME,NAME")
    parser.add_argument("--runtimes", default=",".join(RUNTIMES), metavar="NAME,NAME")
    parser.add_argument("--precisions", default="fp32,int8", metavar="NAME,NAME")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=bench.TURNS)
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--comparisons", type=int, default=AA_COMPARISONS, help="of a file with itself (default: 20)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    given = parser.parse_args()
    vnni = has_vnni()
    print(f"{machine()['hardware']}; VNNI: {'yes' if vnni else 'no, so the int8 target does not apply'}")
    results: dict[str, Any] = {"vnni": vnni, "threads": given.threads, "models": {}}
    met = True
    with tempfile.TemporaryDirectory(prefix="foray-latency-") as folder:
        for model in given.models.split(","):
            candidates = _written(model, given, Path(folder) / model)
            results["models"][model], ok = _beside_peer(model, candidates, given, vnni)
            met &= ok
        results["order"], ok = _order_twice(candidates, given.turns)
        met &= ok
        results["itself"], ok = _with_itself(candidates[0], given.turns, given.comparisons)
        met &= ok
    write_json(given.json, results)
    return 0 if met else 1


def has_vnni() -> bool:
    """Whether the processor multiplies and adds int8 in one instruction (avx512_vnni, avx_vnni)."""
    try:
        return "vnni" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False


def _written(model: str, given: argparse.Namespace, folder: Path) -> list[RuntimeCandidate]:
    targets = plan_setups(given.runtimes.split(","), given.precisions.split(","), [given.threads])
    return write_candidates([model_subject(model, resolution=given.resolution)], targets, folder)


def _beside_peer(
    model: str, candidates: Sequence[RuntimeCandidate], given: argparse.Namespace, vnni: bool
) -> tuple[dict[str, Any], bool]:
    first = candidates[0]
    sizes = first.params, first.macs, first.file_bytes
    peer = Peer(PEER, first.folder, model, given.resolution, "torch", "fp32", given.threads, *sizes)
    profile = time_candidates([peer, *candidates], schedule=TimingSchedule(turns=given.turns))
    ratios = {pair.a: pair for pair in profile.differences if pair.b == PEER}
    ratios |= {pair.b: _reversed(pair) for pair in profile.differences if pair.a == PEER}
    rows = []
    for cost in profile.costs:
        p50, ratio = cost.p50, ratios.get(cost.name)
        shown = f"{ratio.ratio:.2f} ({ratio.low:.2f}-{ratio.high:.2f})" if ratio else "1"
        times = f"{p50.value:.2f}", f"{p50.low:.2f}-{p50.high:.2f}", f"{cost.p95.value:.2f}"
        rows.append([cost.name, *times, str(cost.n), shown])
    turns = f"{profile.turns} turns each in {profile.bursts} bursts"
    print(f"\n{model}, {given.resolution} px, batch 1, {given.threads} threads, {turns}")
    print_table(["side", "p50 ms", "range", "p95 ms", "n", "x the peer (range)"], rows)
    reasons = (reason for cost in profile.costs for reason in cost_profile(cost, profile).unsteady)
    for warning in dict.fromkeys(reasons):
        print(f"Not steady: {warning}.")
    met = True
    for precision, target in TARGETS.items():
        best = max((ratios[c.name].ratio for c in candidates if c.precision == precision), default=None)
        if best is None:
            continue
        applies = precision != "int8" or vnni
        verdict = ("met" if best >= target else "missed") if applies else "no VNNI, not asked"
        print(f"{precision}: {best:.2f} x the peer on the best runtime, target {target} x: {verdict}")
        met &= best >= target or not applies
    told = {
        "p50_ms": {cost.name: cost.p50.model_dump() for cost in profile.costs},
        "ratios": {name: ratio.model_dump() for name, ratio in ratios.items()},
        "steadiness": profile.steadiness.model_dump(),
    }
    return told, met


def _reversed(pair: TimeDifference) -> TimeDifference:
    return pair.model_copy(update={"ratio": 1 / pair.ratio, "low": 1 / pair.high, "high": 1 / pair.low})


def _order_twice(candidates: Sequence[RuntimeCandidate], turns: int) -> tuple[dict[str, Any], bool]:
    """Two runs with processes and orders of their own."""
    first, second = (time_candidates(candidates, schedule=TimingSchedule(turns=turns, seed=seed)) for seed in (1, 2))
    contradictions = contradicted(first, second)
    pairs = len(first.differences)
    ties = sum(pair.is_tie for pair in first.differences)
    print(f"\nOrder of {len(candidates)} files, twice: {len(contradictions)} of {pairs} pairs contradict ({ties} ties)")
    for pair in contradictions:
        print(f"  {' / '.join(sorted(pair))}")
    return {"pairs": pairs, "ties": ties, "contradictions": [sorted(p) for p in contradictions]}, not contradictions


def contradicted(first: RuntimeProfile, second: RuntimeProfile) -> list[frozenset[str]]:
    """The pairs that both runs declare different, each in its own direction."""
    faster = [
        {
            frozenset((pair.a, pair.b)): pair.a if pair.ratio > 1 else pair.b
            for pair in run.differences
            if not pair.is_tie
        }
        for run in (first, second)
    ]
    return [pair for pair, name in faster[0].items() if pair in faster[1] and faster[1][pair] != name]


def _with_itself(candidate: RuntimeCandidate, turns: int, comparisons: int) -> tuple[dict[str, Any], bool]:
    """One file in two processes, again and again."""
    ratios, alarms = [], 0
    for seed in range(comparisons):
        pair = [replace(candidate, name=name) for name in ("a", "b")]
        (found,) = time_candidates(pair, schedule=TimingSchedule(turns=turns, seed=seed)).differences
        ratios.append(found.ratio)
        alarms += not found.is_tie
    verdict = "met" if alarms <= AA_ALARMS else "missed"
    largest = float(np.max(ratios)) if ratios else float("nan")
    print(
        f"\n{candidate.name} with itself: {alarms} alarms in {comparisons} comparisons, target {AA_ALARMS}: {verdict}"
    )
    print(f"  largest ratio {largest:.3f}")
    return {"alarms": alarms, "comparisons": comparisons, "ratios": ratios}, alarms <= AA_ALARMS


if __name__ == "__main__":
    sys.exit(main())
