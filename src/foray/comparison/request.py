"""What a comparison is asked to do: which models, trained how, within which bounds, at which costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foray.clock.schedule import WAIT_SECONDS
from foray.records import Budget, Preference
from foray.requests import ImageSource, TrainingRequest


@dataclass(frozen=True)
class CostRequest:
    """Where the costs of a model come from.

    profiles: costs measured on another device (device.json); None: they are measured here.
    runtime: torch, onnx, openvino, litert or executorch, to measure on here, or which of `profiles` count; None: torch.
    precision: fp32, fp16, bf16 or int8, of `runtime`.
    wait_seconds: how long to wait for a quiet machine where latency counts; 0 measures at once, and such a latency is
        never steady.
    """

    profiles: Path | None = None
    runtime: str | None = None
    precision: str | None = None
    wait_seconds: float = WAIT_SECONDS


@dataclass(frozen=True)
class ComparisonRequest:
    """What a comparison is asked to do.

    models: names from `foray models`.
    budget: upper bounds of the costs.
    tolerance: largest loss of accuracy against any other model that is accepted, in [0, 1] (0.01 is one point).
    prefer: of the models that pass, the cheapest by this cost is shipped.
    seeds: runs per model, seeds 0 to `seeds` - 1; None: three for `linear`, one for the others.
    alone: whether the images at hand decide alone, at an error of 5 %; else 2.5 % are left for labels of new images.
    """

    source: ImageSource
    models: tuple[str, ...]
    how: TrainingRequest = TrainingRequest("linear")
    budget: Budget = Budget()
    tolerance: float = 0.01
    prefer: Preference = "latency"
    seeds: int | None = None
    costs: CostRequest = CostRequest()
    alone: bool = False
