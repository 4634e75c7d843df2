"""Latency of candidates, measured on this machine. Needs torch."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from foray.clock.runtimes import cost_profile, profile_on_runtimes
from foray.clock.schedule import Schedule
from foray.export.candidates import Target, fresh_subject, write_candidates
from foray.progress import SILENT, Progress
from foray.records import CostProfile
from foray.records.quantities import format_ms
from foray.scaling.candidates import ScaledNetwork
from foray.specs import Preprocessing


def timed_cost(
    candidate: ScaledNetwork,
    num_classes: int,
    schedule: Schedule,
    *,
    threads: int | None = None,
    progress: Progress = SILENT,
) -> CostProfile:
    """The candidate's cost with its latency at batch 1 (milliseconds), float32, on the CPU: see profile_on_runtimes."""
    spec = candidate.spec
    subject = fresh_subject(spec.name, num_classes, Preprocessing(resolution=spec.resolution))
    with tempfile.TemporaryDirectory(prefix="foray-scale-") as folder:
        target = Target("torch", "fp32", threads or torch.get_num_threads())
        files = write_candidates([subject], [target], Path(folder))
        measured = profile_on_runtimes(files, schedule=schedule, progress=progress)
    timed = cost_profile(measured.costs[0], measured)
    progress.note(
        f"{candidate.name}: {format_ms(timed.latency_p50_ms or 0.0)} ({format_ms(timed.latency_p50_low_ms or 0.0)} to "
        f"{format_ms(timed.latency_p50_high_ms or 0.0)}, p95 {format_ms(timed.latency_p95_ms or 0.0)}, "
        f"n = {timed.latency_n})"
    )
    names = ("p50_ms", "p50_low_ms", "p50_high_ms", "p95_ms", "n", "bursts")
    latency = {f"latency_{name}": getattr(timed, f"latency_{name}") for name in names}
    about = {"threads": timed.threads, "busy_elsewhere": timed.busy_elsewhere, "unsteady": timed.unsteady}
    return candidate.cost.model_copy(update=latency | about)
