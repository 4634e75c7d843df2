"""Costs of a network, and the bounds that a user states."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from foray.records.cost_vocabulary import COSTS, Preference
from foray.records.environment import Hardware
from foray.records.record import Record


class CostProfile(Record):
    """Costs of one network at one resolution on one device. None: not measured.

    Latency is for batch 1, its median with an interval where one was computed: from the lowest to the highest of
    `latency_bursts` bursts, 97 % for six (None: measured by an older foray). Throughput is for batch 32.
    `peak_memory_bytes`: weights plus the largest sum of live activations of one inference at batch 1 in eager PyTorch,
    by analysis of the graph. `resident_memory_bytes`: the most that a process held for inference at batch 1, runtime
    included, measured.
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
    resident_memory_bytes: int | None = None
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

    @model_validator(mode="before")
    @classmethod
    def _with_one_memory(cls, content: Any) -> Any:
        """Older files hold either memory as `peak_memory_bytes`, and say in `memory_is` which it is."""
        if not isinstance(content, dict) or "memory_is" not in content:
            return content
        content = dict(content)
        if content.pop("memory_is") == "resident":
            content["resident_memory_bytes"] = content.pop("peak_memory_bytes", None)
        return content

    @property
    def latency_is_steady(self) -> bool:
        """Whether the latency is known well enough to keep or break a bound."""
        return self.latency_p50_ms is not None and not self.unsteady

    @property
    def memory_bytes(self) -> int | None:
        """What `--max-memory` bounds: the resident memory where it was measured, else the peak by analysis."""
        return self.peak_memory_bytes if self.resident_memory_bytes is None else self.resident_memory_bytes

    def cost(self, key: Preference) -> float | None:
        """The number `--prefer` and the budget look at: p50 ms, MACs, parameters or bytes."""
        amount: float | None = getattr(self, COSTS[key].field)
        return amount

    def name_of(self, key: Preference) -> str:
        """What `cost(key)` is called; memory that was measured is 'resident memory'."""
        measured = key == "memory" and self.resident_memory_bytes is not None
        return "resident memory" if measured else COSTS[key].name


class Budget(Record):
    """Upper bounds; None means unbounded.

    `max_latency_ms` bounds the median at batch 1. `max_memory_bytes` bounds `CostProfile.memory_bytes`: for networks
    in PyTorch on this machine the peak by analysis, since most of what such a process holds is PyTorch itself; on a
    runtime, and in the profiles of another device, the resident memory measured there.
    """

    max_params: int | None = Field(default=None, gt=0)
    max_macs: int | None = Field(default=None, gt=0)
    max_latency_ms: float | None = Field(default=None, gt=0)
    max_memory_bytes: int | None = Field(default=None, gt=0)
    max_file_bytes: int | None = Field(default=None, gt=0)

    def limit(self, key: Preference) -> float | None:
        """The bound on one cost."""
        limit: float | None = getattr(self, COSTS[key].bound)
        return limit

    def stated(self) -> dict[Preference, float]:
        """The bounds there are, by cost, in the order of the fields."""
        by_field = {kind.bound: key for key, kind in COSTS.items()}
        return {by_field[field]: limit for field, limit in self if limit is not None}

    def without(self, key: Preference) -> Self:
        """The same with one cost unbounded."""
        return self.model_copy(update={COSTS[key].bound: None})


class BrokenBound(Record):
    """A bound that a network does not keep; `actual` None means the cost is not known, which also excludes."""

    bound: Preference
    limit: float
    actual: float | None
