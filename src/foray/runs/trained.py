"""A finished run, loaded back: its record and its network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from foray.errors import RunError, WeightsError
from foray.models import Network, build_model
from foray.records import RunFolder, RunRecord
from foray.specs import get_spec
from foray.weights import load_network_weights


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """`network`: in inference mode, on the CPU."""

    record: RunRecord
    network: Network


def load_run(folder: str | Path) -> TrainedRun:
    """Loads a run.

    Raises RunError when it is none, not done, or its weights are not those that it wrote, and WeightsError for weights
    that do not fit or are no numbers.
    """
    run = RunFolder(Path(folder))
    if not run.is_there:
        raise RunError(f"{folder} is not a run: it has no {run.record.name}. Name a folder below runs/.")
    record = run.load()
    if record.status != "done":
        why = f" ({record.failure})" if record.failure else ""
        raise RunError(f"The run {folder} is not done: {record.status}{why}. Start it again to finish it.")
    architecture = record.architecture
    network = build_model(
        get_spec(architecture.name), num_classes=architecture.num_classes, small_image=architecture.small_image, seed=0
    )
    run.require_intact(run.weights, record)
    load_network_weights(network, run.weights)
    _require_numbers(network, run.weights)
    return TrainedRun(record, network.eval())


def _require_numbers(network: Network, path: Path) -> None:
    """Raises WeightsError for NaN or infinity, which make every class as probable as every other."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise WeightsError(f"{path} is damaged: {name} holds values that are not finite. {RunRecord.way_out}")
