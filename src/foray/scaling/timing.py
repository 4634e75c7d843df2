"""Latency of candidates, measured on this machine. Needs torch."""

from __future__ import annotations

from foray.models import build_model
from foray.profiling import measure_latency
from foray.progress import SILENT, Progress
from foray.records import CostProfile
from foray.scaling.candidates import Candidate

_SECONDS = 0.5  # a search times several networks, and asks only on which side of a bound they are


def timed_cost(
    candidate: Candidate, num_classes: int, *, threads: int | None = None, progress: Progress = SILENT
) -> CostProfile:
    """The candidate's cost with its latency at batch 1 (p50 and p95, milliseconds), float32, on the CPU."""
    name = candidate.name
    network = build_model(candidate.spec, num_classes=num_classes, seed=0)
    measured = measure_latency(
        {name: (network, candidate.spec.resolution)}, threads=threads, seconds=_SECONDS, throughput=False
    )[name]
    progress.note(f"{name}: {measured.p50_ms:.1f} ms (p95 {measured.p95_ms:.1f} ms, n = {measured.n})")
    return candidate.cost.model_copy(
        update={
            "latency_p50_ms": measured.p50_ms,
            "latency_p95_ms": measured.p95_ms,
            "latency_n": measured.n,
            "threads": measured.threads,
        }
    )
