"""What a network costs, and the bounds a user states."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from foray.records.environment import Hardware
from foray.records.record import Record

Preference = Literal["latency", "macs", "params", "memory", "file"]


class CostProfile(Record):
    """Costs of one network at one resolution on one device. None: not measured.

    Latency is for batch 1, its median with an interval where one was computed: from the lowest to the highest of
    `latency_bursts` bursts, 97 % for six (None: measured by an older foray). Throughput is for batch 32.
    `peak_memory_bytes`: weights plus the largest sum of live activations of one inference at batch 1 where
    `memory_is` "analysis"; the most that the process held for it, runtime included, where it is "resident".
    `decode_to_label_p50_ms`: from the bytes of an image file to class probabilities. `cold_start_ms`: until the first
    result. `busy_elsewhere`: share of the processors' time that other processes used meanwhile, in [0, 1]; None where
    it is not known. `unsteady`: what makes the times unreliable, in sentences; none for a latency that is steady.
    `device`: the label shown beside the numbers.
    """

    schema_version: Literal[1] = 1
    model: str
    resolution: int
    params: int
    macs: int
    peak_memory_bytes: int | None = None
    memory_is: Literal["analysis", "resident"] = "analysis"
    file_bytes: int | None = None
    latency_p50_ms: float | None = None
    latency_p50_low_ms: float | None = None
    latency_p50_high_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_n: int | None = None
    latency_bursts: int | None = None
    throughput_images_per_second: float | None = None
    decode_to_label_p50_ms: float | None = None
    cold_start_ms: float | None = None
    runtime: str = "torch"
    precision: str = "float32"
    threads: int | None = None
    busy_elsewhere: float | None = None
    unsteady: list[str] = Field(default_factory=list)
    device: str = "this machine"
    hardware: Hardware | None = None
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def latency_is_steady(self) -> bool:
        """Whether the latency is known well enough to keep or break a bound."""
        return self.latency_p50_ms is not None and not self.unsteady

    def cost(self, prefer: Preference) -> float | None:
        """The number `--prefer` and the budget look at: p50 ms, MACs, parameters or bytes."""
        return {
            "latency": self.latency_p50_ms,
            "macs": self.macs,
            "params": self.params,
            "memory": self.peak_memory_bytes,
            "file": self.file_bytes,
        }[prefer]


class Budget(Record):
    """Upper bounds; None means unbounded."""

    max_params: int | None = Field(default=None, gt=0)
    max_macs: int | None = Field(default=None, gt=0)
    max_latency_ms: float | None = Field(default=None, gt=0)
    max_memory_bytes: int | None = Field(default=None, gt=0)
    max_file_bytes: int | None = Field(default=None, gt=0)


class BrokenBound(Record):
    """A bound that a network does not keep; `actual` None means the cost is not known, which also excludes."""

    bound: Preference
    limit: float
    actual: float | None
