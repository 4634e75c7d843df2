"""The record of one run: one model x recipe x data x seed."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from foray.records.environment import Hardware
from foray.records.metrics import Metrics
from foray.records.record import Record
from foray.specs.preprocessing import Preprocessing


def _with_resize(stored: Any) -> Any:
    return {"resize": "rounded"} | stored if isinstance(stored, dict) else stored


# As a record holds it. Records of earlier versions do not state `resize`: theirs rounded.
StoredPreprocessing = Annotated[Preprocessing, BeforeValidator(_with_resize)]


class DatasetInfo(Record):
    """Which images: `fingerprint` is a SHA-256 over ids, labels, splits and file contents."""

    name: str
    source: str
    fingerprint: str
    classes: list[str]
    counts: dict[str, int]  # images per split
    split_origin: str  # "given", "carved (seed 0)", ...
    licence: str | None = None
    fold: int | None = None


class WeightsInfo(Record):
    """Where pretrained weights came from. `variant`: the architecture variant they belong to.

    `notes`: what the file does not state and foray decided, such as the padding or which of its state dicts was taken.
    """

    source: str
    variant: str
    sha256: str
    licence: str | None = None
    origin: str | None = None
    head: Literal["kept", "replaced", "absent"]
    notes: list[str] = Field(default_factory=list)


class ArchitectureInfo(Record):
    """The network as built. `requested`: the name the user gave; `small_image`: what was done at resolution <= 64.

    `large_classifier`: drawn in the rule's large form (foray.models.initialization); None: as earlier versions did.
    """

    name: str
    requested: str
    num_classes: int
    resolution: int
    params: int
    small_image: Literal["none", "stride1_stem", "upsampled"] = "none"
    large_classifier: bool | None = None


class RunInputs(Record):
    """Arguments of `foray.train` that the rest of the record does not hold, so that the run can be resumed.

    Paths are absolute: the run may be resumed from another folder.
    """

    data: str
    weights: str | None = None
    resolution: int | None = None
    fold: int | None = None
    data_dir: str | None = None
    offline: bool = False
    skip_unreadable: bool = False
    workers: int | None = None
    cache_dir: str | None = None


class RunRecord(Record):
    """record.json. Durations in seconds; accuracies in [0, 1].

    `files`: SHA-256 of every file with results in the run's folder, by relative path; none in records of earlier
    versions of foray.
    """

    way_out: ClassVar[str] = "Delete the folder of the run, and run the command that started it again."

    schema_version: Literal[1] = 1
    run_id: str
    status: Literal["running", "done", "failed"]
    failure: str | None = None
    created: str  # ISO 8601, UTC
    architecture: ArchitectureInfo
    weights: WeightsInfo | None
    preprocessing: StoredPreprocessing
    dataset: DatasetInfo
    recipe: dict[str, Any]
    seed: int
    inputs: RunInputs | None = None  # None: started by a comparison or a search, which knows them itself
    deterministic: bool = False  # asked for: float32 and deterministic algorithms
    nondeterministic_operations: list[str] = Field(
        default_factory=list
    )  # operators of a GPU that were not deterministic although asked for
    device: str
    processes: int = 1  # that shared each batch; with several, `device` is that of rank 0
    threads: int
    train_precision: str  # "float32" or "bfloat16"; for linear: of the features
    feature_engine: str | None = None  # linear only: what ran the frozen backbone
    best_epoch: int | None = None
    metrics: dict[str, Metrics] = Field(default_factory=dict)  # "val", "val_crossfit", "test", "out_of_fold"
    judged_epochs: list[int] = Field(default_factory=list)  # lines of the history: selected by each half of val, for
    # "val_crossfit"; by the images outside each fold, for "out_of_fold". Empty: selected on all of val
    seconds_per_epoch: list[float] = Field(default_factory=list)
    total_seconds: float | None = None
    notes: list[str] = Field(default_factory=list)
    unfrozen: list[str] = Field(default_factory=list)  # partial only: the layers that are trained
    hardware: Hardware
    versions: dict[str, str]
    commit: str | None = None
    files: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_as_many_outputs_as_classes(self) -> Self:
        if self.architecture.num_classes != len(self.dataset.classes):
            raise ValueError(
                f"the network has {self.architecture.num_classes} outputs for {len(self.dataset.classes)} classes"
            )
        return self
