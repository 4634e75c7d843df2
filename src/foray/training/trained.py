"""A finished run, loaded back: its record and its network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from foray.errors import RunError
from foray.models import Network, build_model, load_network_weights
from foray.records import RunRecord
from foray.specs import get_spec
from foray.training.run_folder import RunFolder


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """`network`: in inference mode, on the CPU."""

    record: RunRecord
    network: Network


def load_run(folder: str | Path) -> TrainedRun:
    """Loads a run. Raises RunError when it is none or not done, WeightsError for damaged weights."""
    run = RunFolder(Path(folder))
    if not run.record.exists():
        raise RunError(f"{folder} is not a run: it has no record.json. Name a folder below runs/.")
    record = RunRecord.load(run.record)
    if record.status != "done":
        why = f" ({record.failure})" if record.failure else ""
        raise RunError(f"The run {folder} is not done: {record.status}{why}. Start it again to finish it.")
    architecture = record.architecture
    network = build_model(
        get_spec(architecture.name), num_classes=architecture.num_classes, small_image=architecture.small_image, seed=0
    )
    load_network_weights(network, run.weights)
    return TrainedRun(record, network.eval())
