"""What `foray profile` measures: networks on runtimes, timed against each other."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field

from foray.records.environment import Hardware
from foray.records.record import Record


class TimeEstimate(Record):
    """Milliseconds with an interval from the lowest burst to the highest (97 % for the median of six)."""

    value: float
    low: float
    high: float


class RateEstimate(Record):
    """Images per second at a batch size, with an interval from the lowest burst to the highest."""

    batch: int
    value: float
    low: float
    high: float


class LayerTime(Record):
    """Mean milliseconds of one layer (of one kind of operator, for torch) at batch 1, measured by the runtime."""

    name: str
    kind: str
    ms: float


class RuntimeCost(Record):
    """One network on one runtime, precision and number of threads.

    `p50`, `p95`: one image as the network takes it, over `n` passes; `label_p50`: from the bytes of an image file to
    class probabilities. `rates`: without the batches that would take too long or too much memory. `cold_start_ms`: from
    starting a process to its first result, the median over bursts. `peak_memory_bytes`: of one inference in float32 in
    eager PyTorch, by analysis of the graph; None for all else. `resident_memory_bytes`: the most that a process held
    at batch 1, over a bare one with numpy and Pillow, measured. `burst_p50_ms`: the median of each burst; empty
    in older files. `is_steady`: whether the passes had become stable when timing began. `unsteady`: what else makes the
    times unreliable, in sentences. `layers`: None where not requested, or where the runtime does not report it.
    """

    name: str
    model: str
    resolution: int
    runtime: str
    precision: str
    threads: int
    params: int
    macs: int
    file_bytes: int
    p50: TimeEstimate
    p95: TimeEstimate
    n: int
    label_p50: TimeEstimate
    rates: list[RateEstimate] = Field(default_factory=list)
    cold_start_ms: float
    peak_memory_bytes: int | None = None
    resident_memory_bytes: int | None = Field(
        default=None,
        validation_alias=AliasChoices("resident_memory_bytes", "resident_bytes"),  # its earlier name
    )
    burst_p50_ms: list[float] = Field(default_factory=list)
    is_steady: bool = True
    unsteady: list[str] = Field(default_factory=list)
    layers: list[LayerTime] | None = None


class TimeDifference(Record):
    """How many times as long `b` takes as `a`, turn by turn, with an interval from the lowest burst to the highest.

    A tie: the interval holds 1, or the difference is below 3 %.
    """

    a: str
    b: str
    ratio: float
    low: float
    high: float
    is_tie: bool


class Steadiness(Record):
    """The machine during the measurement. `drift`: of a fixed piece of work, last third over first third less 1;
    `stolen`, `busy_elsewhere`: shares of the processors' time taken by a hypervisor and by other processes, None where
    the system does not say; `busy_by_burst`: the latter, burst by burst. `waited_seconds`: for an idle machine;
    `taken_again`: bursts that were disturbed, left out and taken once more. `warnings`: what makes the numbers
    unreliable, in sentences; none for an idle machine.
    """

    drift: float
    stolen: float | None = None
    busy_elsewhere: float | None = None
    busy_by_burst: list[float] = Field(default_factory=list)
    load_average: float | None = None
    waited_seconds: float = 0.0
    taken_again: int = 0
    warnings: list[str] = Field(default_factory=list)


class RuntimeProfile(Record):
    """profile.json. `costs` in order of `p50`; `differences`: of every pair, the faster of the two first."""

    schema_version: Literal[1] = 1
    created: str  # ISO 8601, UTC
    costs: list[RuntimeCost]
    differences: list[TimeDifference]
    steadiness: Steadiness
    turns: int
    bursts: int = 1
    seed: int
    hardware: Hardware
    versions: dict[str, str]
