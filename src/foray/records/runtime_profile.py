"""What `foray profile` measures: networks on runtimes, timed against each other."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from foray.records.environment import Hardware
from foray.records.record import Record


class TimeEstimate(Record):
    """Milliseconds with a 95 % interval over turns."""

    value: float
    low: float
    high: float


class RateEstimate(Record):
    """Images per second at a batch size, with a 95 % interval over turns."""

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
    class probabilities. `cold_start_ms`: from starting a process to its first result, once. `resident_bytes`: the most
    memory the process held at batch 1, over a bare one with numpy and Pillow. `is_steady`: whether the passes had
    become stable when timing began. `layers`: None where not asked for, or where the runtime does not tell.
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
    resident_bytes: int | None = None
    is_steady: bool = True
    layers: list[LayerTime] | None = None


class TimeDifference(Record):
    """How many times as long `b` takes as `a`, turn by turn, with a 99 % interval (there are many pairs).

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
    the system does not say. `warnings`: what makes the numbers unreliable, in sentences; none for a quiet machine.
    """

    drift: float
    stolen: float | None = None
    busy_elsewhere: float | None = None
    load_average: float | None = None
    warnings: list[str] = Field(default_factory=list)


class RuntimeProfile(Record):
    """profile.json. `costs` in order of `p50`; `differences`: of every pair, the faster of the two first."""

    schema_version: Literal[1] = 1
    created: str  # ISO 8601, UTC
    costs: list[RuntimeCost]
    differences: list[TimeDifference]
    steadiness: Steadiness
    turns: int
    seed: int
    hardware: Hardware
    versions: dict[str, str]
