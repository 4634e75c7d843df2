"""The costs of a network that are bounded and compared: name, format, unit and field of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from foray.records.quantities import format_bytes, format_count, format_ms, parse_bytes, parse_count, parse_duration_ms

Preference = Literal["latency", "macs", "params", "memory", "file"]


@dataclass(frozen=True)
class CostKind:
    """One cost.

    `key`: as in `--prefer latency` and `--max-latency`. `field`: of a CostProfile; `bound`: the field of a Budget.
    `name`: in a sentence; `less`: what a cheaper network has. `heading`: over a column; `label`: at the axis of a
    figure, where values are divided by `unit_size` and shown in `unit`. `write`: an amount with its
    unit; `read`: the amount in such a text, given with the name of its option for the error.
    """

    key: Preference
    field: str
    bound: str
    name: str
    less: str
    heading: str
    label: str
    unit: str
    unit_size: float
    write: Callable[[float], str]
    read: Callable[[str, str], float]

    @property
    def option(self) -> str:
        """The option of the command line that bounds this cost."""
        return f"--max-{self.key}"

    @property
    def title(self) -> str:
        """Title of the axis of a figure."""
        return f"{self.label} ({self.unit})"


_ALL = (
    CostKind(
        key="latency", field="latency_p50_ms", bound="max_latency_ms",
        name="latency", less="lower latency", heading="Latency", label="Latency, p50 at batch 1",
        unit="ms", unit_size=1.0, write=format_ms, read=parse_duration_ms,
    ),
    CostKind(
        key="macs", field="macs", bound="max_macs",
        name="MACs", less="fewer MACs", heading="MACs", label="MACs per image",
        unit="million", unit_size=1e6, write=format_count, read=parse_count,
    ),
    CostKind(
        key="params", field="params", bound="max_params",
        name="parameters", less="fewer parameters", heading="Parameters", label="Parameters",
        unit="million", unit_size=1e6, write=format_count, read=parse_count,
    ),
    CostKind(
        key="memory", field="memory_bytes", bound="max_memory_bytes",
        name="peak memory", less="less peak memory", heading="Memory", label="Peak memory of inference at batch 1",
        unit="MB", unit_size=1e6, write=format_bytes, read=parse_bytes,
    ),
    CostKind(
        key="file", field="file_bytes", bound="max_file_bytes",
        name="file size", less="smaller file", heading="File size", label="File size",
        unit="MB", unit_size=1e6, write=format_bytes, read=parse_bytes,
    ),
)  # fmt: skip
COSTS: dict[Preference, CostKind] = {cost.key: cost for cost in _ALL}
